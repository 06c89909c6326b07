"""The plan of a training step: what is skipped, which gradients nobody reads, which loss fits the targets."""

import contextlib
import copy

import numpy as np

from npdl import activations, losses


def final_activation(model):
    """Name of the activation at the model's end, "linear" where there is none."""
    activation = getattr(model.layers[-1], "activation", None) if model.layers else None
    return getattr(activation, "name", "linear")


def settle_logits(loss, model):
    """The loss with `from_logits` settled, and the last layer where its activation is folded into the loss, else None.

    `from_logits=None` means: the trainer skips a final softmax (sigmoid) and the loss takes logits; after any other
    activation that makes probabilities it takes those; else the outputs are logits.
    """
    if getattr(loss, "from_logits", True) is not None:
        return loss, None
    loss, ending = copy.copy(loss), final_activation(model)
    last = model.layers[-1]
    folds = ending == loss.folds and getattr(last.activation, "axis", -1) in (-1, len(last.output_shape))
    loss.from_logits = folds or ending not in ("softmax", "sigmoid")
    return loss, last if folds else None


def choose_loss(model, y):
    """The loss for a `fit` without `compile`, from the output's width and the targets.

    Width 1: sigmoid -> binary cross-entropy, else mean squared error. Width C: integers (N,) or (N, 1) -> sparse
    categorical cross-entropy; rows of a softmax net that sum to 1 -> categorical cross-entropy; other floats -> mean
    squared error.

    Raises:
        ValueError: none of these.
    """
    output, ending = model.output_shape, final_activation(model)
    if y is None:
        raise ValueError("there are no targets; pass y, or batches (x, y)")
    whole = np.issubdtype(y.dtype, np.integer) or y.dtype == bool
    same_shape = y.shape[1:] == output
    if output and output[-1] == 1 and (same_shape or y.shape == (len(y),)):
        return losses.get("binary_crossentropy" if ending == "sigmoid" else "mean_squared_error")
    if whole and output and y.shape[1:] in (output[:-1], (*output[:-1], 1)):
        return losses.get("sparse_categorical_crossentropy")
    if same_shape and ending == "softmax" and np.allclose(np.asarray(y, np.float64).sum(-1), 1, atol=1e-4):
        return losses.get("categorical_crossentropy")
    if same_shape and (not whole or ending == "linear"):
        return losses.get("mean_squared_error")
    raise ValueError(
        f"no loss fits targets of shape {y.shape} and type {y.dtype} against outputs of shape (N, "
        f"{', '.join(map(str, output))}); integer class labels need one output a class, numbers need the outputs' "
        "shape; or choose one yourself: model.compile(loss=...)"
    )


class Plan:
    """What a training step leaves out.

    Args:
        model: built.
        folded: the last layer where the loss takes its logits, else None.

    Attributes:
        activation: the activation that is skipped, None where nothing is.
        lowest: index of the lowest layer with trainable weights; backward stops there.
    """

    def __init__(self, model, folded):
        self.layers = model.layers
        self.activation = None if folded is None else folded.activation
        self.lowest = 0

    @contextlib.contextmanager
    def logits(self, layers=None):
        """While open, the last layer (of the model, or of a copy of its layers) gives what the loss takes."""
        if self.activation is None:
            yield
            return
        last = (self.layers if layers is None else layers)[-1]
        last.activation = activations.linear
        try:
            yield
        finally:
            last.activation = self.activation

    @contextlib.contextmanager
    def unread_gradients(self):
        """While open, backward stops at the lowest trainable layer, which need not make an input gradient."""
        self.lowest = next((i for i, layer in enumerate(self.layers) if _learns(layer)), len(self.layers))
        layer = self.layers[self.lowest] if self.lowest < len(self.layers) else None
        if layer is not None:
            layer.needs_dx = False
        try:
            yield
        finally:
            if layer is not None:
                layer.needs_dx = True


def _learns(layer):
    return any(part.trainable and any(declared.trained for declared in part.declared) for part in layer.walk())
