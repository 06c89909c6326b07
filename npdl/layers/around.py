"""Around: which layers may add the way around them to what they give, in their last kernel."""

from npdl.layers.dense import Dense
from npdl.layers.dropout import Dropout
from npdl.layers.layer_normalization import LayerNormalization
from npdl.layers.multi_head_attention import MultiHeadAttention

KINDS = (Dense, Dropout, LayerNormalization, MultiHeadAttention)
WRITTEN = {(kind, method): getattr(kind, method) for kind in KINDS for method in ("forward", "backward")}


def takes_shortcut(layer, method):
    """Not one with a method of its own, nor a subclass of yours, nor one of a patched class; nor one with a penalty on
    its output, which is without what goes around."""
    own = method in vars(layer) or getattr(type(layer), method) is not WRITTEN.get((type(layer), method))
    return not (own or layer.penalizes)
