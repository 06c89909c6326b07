"""Data: what a user holds, as batches of the right type in a reproducible order."""

from npdl.data.batching import batches
from npdl.data.order import order
from npdl.data.sources import Source, as_source

__all__ = ["Source", "as_source", "batches", "order"]
