"""Data: what a user holds, as batches of the right type in a reproducible order."""

from npdl.data.augment import Augment
from npdl.data.batched import Batched
from npdl.data.batching import batches
from npdl.data.mapped import Mapped, Place
from npdl.data.mixing import CutMix, MixUp
from npdl.data.order import order
from npdl.data.recognise import as_source
from npdl.data.several import Names, several_source
from npdl.data.sources import Source

__all__ = [
    "Augment", "Batched", "CutMix", "Mapped", "MixUp", "Names", "Place", "Source", "as_source", "batches", "order",
    "several_source",
]  # fmt: skip
