"""Activations by name."""

from npdl import names
from npdl.activations.base import Activation, linear
from npdl.activations.gated import gelu, hard_silu, mish, silu
from npdl.activations.rectifiers import celu, elu, leaky_relu, relu, relu6, selu
from npdl.activations.rows import GLU, glu, log_softmax, softmax, sparsemax
from npdl.activations.shrinking import Threshold, hard_shrink, soft_shrink, tanh_shrink
from npdl.activations.sigmoids import hard_sigmoid, hard_tanh, log_sigmoid, sigmoid, softsign, sparse_sigmoid, tanh
from npdl.activations.smooth import exponential, softplus, sparse_plus, squareplus

_by_name = {
    a.name: a
    for a in (
        linear, relu, relu6, leaky_relu, elu, celu, selu, gelu, silu, mish, exponential, sigmoid, log_sigmoid,
        hard_sigmoid, sparse_sigmoid, tanh, hard_tanh, hard_silu, softplus, softsign, squareplus, sparse_plus,
        hard_shrink, soft_shrink, tanh_shrink, softmax, log_softmax, sparsemax,
    )
}  # fmt: skip
_aliases = {"swish": silu, "hard_swish": hard_silu}
_classes = {type(a).__name__: type(a) for a in _by_name.values()} | {"Threshold": Threshold}


def get(identifier):
    """The activation object for None (linear), a name, an object or its `{"class_name", "config"}`.

    Raises:
        ValueError: an unknown name; the nearest one is suggested. Or glu, which halves an axis, and threshold by its
            name alone.
        TypeError: something else.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, GLU) or (isinstance(identifier, str) and identifier.lower() == glu.name):
        raise ValueError("glu makes half as many numbers, and activation= keeps their number; add layers.GLU() instead")
    if isinstance(identifier, Activation):
        return identifier
    if isinstance(identifier, dict) and identifier.get("class_name") in _classes:
        return _classes[identifier["class_name"]](**identifier.get("config", {}))
    if isinstance(identifier, str):
        if identifier.lower() == Threshold.name:
            raise ValueError("threshold needs two numbers; pass e.g. activations.Threshold(1.0, default_value=0.0)")
        return names.find("activation", identifier, _by_name, _aliases)
    raise TypeError(
        f"activation must be a name or an npdl.activations object, got {identifier!r}; "
        'pass e.g. activation="relu", or subclass npdl.activations.Activation'
    )


def serialize(activation):
    """What `get` reads back: the name where that says it all, else class and arguments."""
    if _by_name.get(activation.name) == activation:
        return activation.name
    return {"class_name": type(activation).__name__, "config": activation.get_config()}
