"""gradient_check and loss_check: is a backward the gradient of its forward?"""

import numpy as np

from npdl import devices
from npdl.testing.chain import check_chain, copy_of, float64_copies
from npdl.testing.custom import demand_arguments
from npdl.testing.differences import Tensor, compare


def gradient_check(layer, x, y=None, **options):
    """Check the gradients of a layer, or of a model with its loss, by central differences in a float64 copy.

        L = Σ forward(x) · r, r random;     dL/d(each weight) and dL/dx from backward(r)

    Args:
        layer: built, alone (`layer.init(...)`) or in a model. Or a model; then pass y too, for its loss.
        x: an input batch; a tuple of them for a layer of several inputs.
        y: targets of a model.
        options: of `check_chain`.

    Returns:
        a `Report`: `report.ok`, `print(report)`, `report.raise_if_wrong()`. No bit of the layer changes.

    Raises:
        RuntimeError: the layer is not built.
        ValueError: a layer has put an array of its own in the place of one in `params`, `grads` or `state`.
        TypeError: forward or backward takes other arguments than a layer's.

    >>> from npdl import layers
    >>> layer = layers.Dense(3, activation="tanh").init(input_shape=(4,), seed=0)
    >>> gradient_check(layer, [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]).ok
    True
    """
    if y is not None:
        return layer.gradient_check(x, y, **options)
    if layer.store is None:
        raise RuntimeError(f"{layer.name} has no weights yet; call layer.init(input_shape=(...), seed=0)")
    chain = [layer] if next(layer.walk()) is layer else list(layer.walk())  # a model's walk is its layers alone
    return check_chain(float64_copies(chain), x, **options)


def loss_check(loss, y_true, y_pred, sample_weight=None, **options):
    """Check the gradient of a loss by central differences of its forward.

    Args:
        loss: with `forward(y_true, y_pred, sample_weight)` and `backward()`; it is not changed.
        y_true: targets.
        y_pred: outputs, converted to float64; a tuple where the loss takes several.
        sample_weight: (N,) or None.
        options: tolerance, entries, seed, as of `check_chain`.

    Returns:
        a `Report`.
    """
    with devices.use_workspace(None):
        loss, several = copy_of(loss), isinstance(y_pred, tuple)
        parts = [np.array(part, np.float64) for part in (y_pred if several else (y_pred,))]
        demand_arguments(loss, "forward", "y_true, y_pred, sample_weight=None")

        def value():
            return loss.forward(y_true, tuple(parts) if several else parts[0], sample_weight)

        value()
        name, dy = getattr(loss, "name", None) or type(loss).__name__, loss.backward()
        slopes = [np.array(part) for part in (dy if several else (dy,))]
        names = [f"y_pred[{place}]" for place in range(len(parts))] if several else ["y_pred"]
        tensors = [Tensor(name, *tensor, value) for tensor in zip(names, parts, slopes, strict=True)]
        return compare(tensors, **options)
