"""Fusion: ReLUs that ride along in the kernel of the layer before them. Inside fit, evaluate and predict only."""

from npdl import activations
from npdl.layers import Activation, Add, BatchNormalization, Conv2D, Dense, MaxPooling2D, ReLU, Residual

TAKES_RELU = (Add, BatchNormalization, Conv2D, Dense, MaxPooling2D, Residual)
"""Layers whose kernels end in an activation. Exact types: a subclass of yours may have a forward of its own."""


def fuse(layers, owners):
    """(layers to run instead, the owners at the same places): fewer passes over memory, and the same bits.

    - A ReLU layer goes into the layer before it, if that one ends without an activation.
    - The ReLU before a MaxPooling2D goes behind it, where there are fewer numbers: max and ReLU commute, and where the
      maximum is 0 or less there is no gradient either way.

    Args:
        layers: a chain of layers. None is changed: twins on the same weights take their places.
        owners: what stands for them; owners of ReLU layers that are left out are left out.
    """
    run, kept = [], []
    for layer, owner in zip(layers, owners, strict=True):
        layer, before = _inside(layer), run[-1] if run else None
        if type(layer) in (Activation, ReLU) and _is_relu(layer) and type(before) in TAKES_RELU and _is_linear(before):
            run[-1] = twin(before, activation=layer.activation)
            continue
        if type(layer) is MaxPooling2D and type(before) in TAKES_RELU and _is_relu(before):
            run[-1], layer = twin(before, activation=activations.linear), twin(layer, activation=before.activation)
        run.append(layer)
        kept.append(owner)
    return run, kept


def twin(layer, **changes):
    """A layer on the same weights that differs in these attributes."""
    other = object.__new__(type(layer))
    other.__dict__.update(layer.__dict__, **changes)
    return other


def _inside(layer):
    """The layer, with the chains of a residual block fused."""
    if type(layer) is not Residual:
        return layer
    chains = {name: getattr(layer, name) for name in layer.chains}
    return twin(layer, **{name: chain and fuse(chain, chain)[0] for name, chain in chains.items()})


def _is_relu(layer):
    return layer.activation.code == activations.relu.code


def _is_linear(layer):
    return layer.activation.code == activations.linear.code
