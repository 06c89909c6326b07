"""What a training step leaves out, an activation and gradients nobody reads; and which loss fits the targets."""

import contextlib
import copy
import operator
import threading

import numpy as np

from npdl import activations, losses
from npdl.layers.chains import lowest_to_learn
from npdl.models.fusion import follow, fuse, is_hooked, looked_at, twins

PLAIN = (bool, int, float, str, tuple, type(None), activations.Activation)
"""Types of the attributes that are compared from step to step: one look at each of them is cheap."""


def final_activation(model):
    """(name of the activation that the outputs come from, the layer it belongs to).

    Layers without weights that only move, pool or drop values are looked through. "linear" where there is none; None
    where a layer of the user's own decides.
    """
    for layer in reversed(model.layers):
        activation = getattr(layer, "activation", None)
        if activation is not None and (activation.name != "linear" or layer.declared):
            return activation.name, layer
        if activation is None and not type(layer).__module__.startswith("npdl."):
            return None, layer
        if layer.declared:
            break
    return "linear", None


def settle_logits(loss, model):
    """(the loss with `from_logits` settled, whether the last layer's activation is left to it).

    `from_logits=None` means: a final softmax (sigmoid) is skipped and the loss takes logits; from any other place
    that makes probabilities it takes those; else the outputs are logits.

    Raises:
        ValueError: it cannot be known, because the model ends in a layer of the user's own.
    """
    if getattr(loss, "from_logits", True) is not None:
        return loss, False
    loss = copy.copy(loss)
    ending, layer = final_activation(model)
    if ending is None:
        raise ValueError(
            f"the model ends in {layer.name}, a layer of your own, so say what it gives: "
            f"loss=losses.{type(loss).__name__}(from_logits=True), or from_logits=False if it gives probabilities"
        )
    last = model.layers[-1]
    folds = layer is last and ending == loss.folds and last.activation.code is not None and not is_hooked(last)
    folds = folds and getattr(last.activation, "axis", -1) in (-1, len(last.output_shape))
    loss.from_logits = folds or ending not in ("softmax", "sigmoid")
    return loss, folds


def choose_loss(model, y):
    """The loss for a `fit` without `compile`, from the output's width and the targets.

    Width 1: sigmoid -> binary cross-entropy, else mean squared error. Width C: integers (N,) or (N, 1) -> sparse
    categorical cross-entropy; rows of a softmax net that sum to 1 -> categorical cross-entropy; other floats -> mean
    squared error.

    Raises:
        ValueError: none of these.
    """
    output, ending = model.output_shape, final_activation(model)[0]
    if y is None:
        raise ValueError("there are no targets; pass y, or batches (x, y)")
    whole = np.issubdtype(y.dtype, np.integer)
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
    """Which layers a step runs, and where its backward stops.

    Args:
        layers: a chain of layers.
        owners: the model's layers at the same places, whose `trainable` counts.

    Attributes:
        layers: what to run, after `prepare`.
        lowest: index there of the lowest layer with trainable weights.
    """

    def __init__(self, layers, owners):
        self.given, self.parts = (layers, owners), [part for layer in owners for part in layer.walk()]
        self.layers, self.owners, self.lowest = layers, owners, 0
        self._twins, self._watched = twins(layers), []
        self._looked_at, self._seen = None, None
        self._making = threading.Lock()  # several threads may evaluate one model

    def prepare(self):
        """Make the layers to run what the model's are now: a callback may freeze one or set an attribute at any time.

        Returns:
            whether they are others than before, so that nobody asks for the memory of those any more.
        """
        if self._seen == self._look():
            return False
        with self._making:
            return self._make()

    def _make(self):
        anew = self._looked_at != (now := looked_at(self.parts))
        if anew:
            self._looked_at = now
            self.layers, self.owners = fuse(*self.given)
            self._twins = twins(self.layers)
            self._watched = self._watch()
        for other in self._twins:
            follow(other)
        self.lowest = lowest_to_learn(self.owners)
        self._seen = self._look()
        return anew

    def _watch(self):
        """(attributes of a layer, what gets some of them): all plain ones where a twin follows, else what decides."""
        followed, watched = {id(other.twin_of[0]) for other in self._twins}, []
        for part in self.parts:
            mine = vars(part)
            names = [name for name, value in mine.items() if isinstance(value, PLAIN) and not name.startswith("_")]
            if id(part) not in followed:
                names = [name for name in ("trainable", "activation") if name in mine]
            watched.append((mine, operator.itemgetter(*(names or ["needs_dx"]))))
        return watched

    def _look(self):
        """What may change the plan, in some microseconds; by their number it sees a `forward` put on a layer."""
        return [(len(mine), some(mine)) for mine, some in self._watched]

    @contextlib.contextmanager
    def unread_gradients(self):
        """The layers that learn or have one below them that does; the lowest need not make an input gradient."""
        trained = self.layers[self.lowest :]
        unread = list(_lowest(trained))
        try:
            for layer in unread:
                layer.needs_dx = False
            yield trained
        finally:
            for layer in unread:
                layer.needs_dx = True


def _lowest(layers):
    """The lowest layer of a chain that begins with one that learns; if it is a container, those of its chains too."""
    for layer in layers[:1]:
        yield layer
        for chain in _entrances(layer):
            yield from _lowest(chain[lowest_to_learn(chain) :])


def _entrances(layer):
    """The chains inside a layer that read its x."""
    if hasattr(layer, "entrances"):
        return layer.entrances()
    return [getattr(layer, chain) or () for chain in getattr(layer, "chains", ())]
