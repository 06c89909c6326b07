"""Endings: which activation an output comes from, and the loss that goes with it."""

import copy

import numpy as np

from npdl import losses
from npdl.models.fusion import is_hooked


class Ending:
    """What an output of a model comes from.

    Args:
        graph: of the model.
        slot: of the output.

    Attributes:
        name: of the activation, looked for through layers without weights that only move, pool or drop values;
            "linear" where there is none; None where it cannot be known.
        layer: the layer whose activation it is, or that makes it unknown.
        last: the layer that gives the output, where nobody else reads it; else None.
    """

    def __init__(self, graph, slot):
        op = graph.maker(slot)
        chain = next((chain for chain in graph.chains if slot in chain.targets), None)
        alone = chain is not None and not chain.many and chain.layers[-1] is op.layer
        unread = not any(slot in other.sources for other in graph.ops) and graph.outputs.count(slot) == 1
        self.last = op.layer if alone and unread else None
        self.name, self.layer = _activation(graph, slot)


def _activation(graph, slot):
    """(name of the activation, the layer it belongs to)"""
    op = graph.maker(slot)
    if op is None:
        return "linear", None
    layer = op.layer
    activation = getattr(layer, "activation", None)
    has_weights = any(part.declared for part in layer.walk())
    if activation is not None and (activation.name != "linear" or has_weights):
        return activation.name, layer
    if activation is None and not type(layer).__module__.startswith("npdl."):
        return None, layer
    if has_weights:
        return "linear", None
    if len(op.sources) == 1:
        return _activation(graph, op.sources[0])
    found = {_activation(graph, source)[0] for source in op.sources}  # a layer of several inputs
    return ("linear", None) if found == {"linear"} else (None, layer)


def settle_logits(loss, ending):
    """(the loss with `from_logits` settled, whether the last layer's activation is left to it).

    `from_logits=None` means: a final softmax (sigmoid) is skipped and the loss takes logits; from any other place
    that makes probabilities it takes those; else the outputs are logits.

    Raises:
        ValueError: it cannot be known, because the model ends in a layer of the user's own.
    """
    if getattr(loss, "from_logits", True) is not None:
        return loss, False
    loss = copy.copy(loss)
    if ending.name is None:
        kind = (
            "a layer of your own" if not type(ending.layer).__module__.startswith("npdl.") else "which merges several"
        )
        raise ValueError(
            f"the model ends in {ending.layer.name}, {kind}, so say what it gives: "
            f"loss=losses.{type(loss).__name__}(from_logits=True), or from_logits=False if it gives probabilities"
        )
    last = ending.last
    folds = last is not None and ending.layer is last and ending.name == loss.folds
    folds = folds and last.activation.code is not None and not is_hooked(last)
    folds = folds and getattr(last.activation, "axis", -1) in (-1, len(last.output_shape))
    loss.from_logits = folds or ending.name not in ("softmax", "sigmoid")
    return loss, folds


def choose_loss(output, ending, y):
    """The loss for a `fit` without `compile`, from the output's width and the targets.

    Width 1: sigmoid -> binary cross-entropy, else mean squared error. Width C: integers (N,) or (N, 1) -> sparse
    categorical cross-entropy; rows of a softmax net that sum to 1 -> categorical cross-entropy; other floats -> mean
    squared error.

    Raises:
        ValueError: none of these.
    """
    ending = ending.name
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
