"""Data: what a user holds, as batches of the right type in a reproducible order."""

from npdl.data.batching import batches
from npdl.data.order import order
from npdl.data.recognise import as_source
from npdl.data.sources import Source

__all__ = ["Source", "as_source", "batches", "order"]
