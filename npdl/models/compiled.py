"""compile: how a model is trained, in the order of its outputs."""

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from npdl import devices, losses, metrics, optimizers
from npdl.devices.precision import check as check_precision


class Compiled:
    """What `compile` sets.

    Attributes:
        optimizer, loss, loss_weights, metrics, weighted_metrics, check_gradients: as given; of a model with several
            outputs those after the optimizer are dicts by their names.
        together: {name of the first output: names of all} of outputs that one loss looks at.
    """

    optimizer: Any = None
    loss: Any = None
    loss_weights: Any = None
    metrics: Any = ()
    weighted_metrics: Any = ()
    check_gradients = True
    together: Any = {}
    output_names: Any
    output_shapes: Any
    device: Any
    dtype: np.dtype
    _move: Callable
    _step: Any = None
    _loss_scale: Any = None

    @property
    def loss_scale(self):
        """The `LossScale` of mixed_float16, else None; a fresh one where a model that shares the weights chose that."""
        if self.device.precision != "mixed_float16":
            return None
        if self._loss_scale is None:
            self._loss_scale = optimizers.LossScale()
        return self._loss_scale

    @loss_scale.setter
    def loss_scale(self, scale):
        self._loss_scale = scale

    def compile(
        self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, *,
        check_gradients=True, precision=None, loss_scale=None,
    ):  # fmt: skip
        """Choose how to train.

        Where there are several outputs, all but the optimizer are dicts by their names, or lists in their order; one
        loss, or one metric that is not in a list, is for each of them. An output without a loss only has metrics.

        A loss that looks at several outputs at once is one loss for all of the model's, in their order, or by a tuple
        of names for some:

            model.compile("adam", losses.TripletMarginLoss());  model.fit((anchor, positive, negative))
            model.compile("adam", {("mean", "variance"): losses.GaussianNLLLoss(), "label": "binary_crossentropy"})

        Targets, weights and metrics then go by the name of the first of them, {"mean": ..., "label": ...}, or in a
        list with one for each loss; a loss that reads no targets takes y=None. Metrics of several outputs are functions
        f(y_true, (mean, variance)). A loss of your own says by an attribute `outputs`, a tuple of names, that it looks
        at several: y_pred and what `backward` returns are then tuples.

        Args:
            optimizer, loss: name or object; loss=None is chosen by `fit` from the targets.
            loss_weights: what is minimized is the sum of the losses times these numbers; None is all 1.
            metrics: list of names, metric objects or functions f(y_true, y_pred) that give a value a sample; every
                sample counts alike.
            weighted_metrics: the same, with the weights of `sample_weight` and `class_weight`. On
                a GPU accuracies (top-k ones, too) and mean squared or absolute errors are added up there and read where
                somebody looks; for another metric, and where samples have weights or masks, each step waits.
            check_gradients: whether `fit` checks a layer or loss of your own by central differences on its first batch.
            precision: "mixed_bfloat16" or "mixed_float16": the factors of all products are rounded to 16 bits, the
                products summed in float32, and all else, weights too, stays float32 (docs/mixed_precision.md). On a GPU
                that is several times faster, on the CPU an emulation. None or "float32": nothing is rounded. Like the
                device it belongs to the weights: models that share them share it.
            loss_scale: of mixed_float16, an `npdl.optimizers.LossScale`; None makes one. It is then `model.loss_scale`.

        Raises:
            ValueError: a name that is not known, outputs that do not fit, a precision that float64 does not have.
            TypeError: `loss_scale` is no LossScale.
        """
        precision = check_precision(precision, self.dtype)
        optimizer = optimizers.get(optimizer)
        loss_scale = scale_of(loss_scale, precision, optimizer)
        outputs = self.output_names or [""]
        loss, together = joined(loss, outputs)
        names = heads_of(outputs, together)
        loss = losses_of(loss, names)
        weights = weights_of(loss_weights, names)
        found = [
            metrics_of(argument, given, names)
            for argument, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics))
        ]
        for one, *some in zip(loss, *found, strict=True):
            if one is not None:
                _check([metric for part in some for metric in part], one)
        self.optimizer, self.check_gradients, self._step = optimizer, check_gradients, None
        self.together, self._loss_scale = together, loss_scale
        self._move(devices.get(self.device.name, precision))
        self.loss_weights = None if loss_weights is None else dict(zip(names, weights))
        if len(names) == 1:
            self.loss, self.metrics, self.weighted_metrics = loss[0], found[0][0], found[1][0]
        else:
            self.loss = dict(zip(names, loss)) if any(loss) else None
            self.metrics, self.weighted_metrics = (dict(zip(names, some)) for some in found)

    @property
    def head_names(self):
        """Of the outputs; of those that one loss looks at together the first's."""
        return heads_of(self.output_names, self.together)

    def heads_compiled(self):
        """(places, name, shape, loss, weight, metrics, weighted metrics) of each output, or of those together."""
        names, outputs = self.head_names, self.output_names
        lists = [[self.loss], [self.metrics], [self.weighted_metrics]]
        if len(names) > 1:
            lists = [[given[name] for name in names] for given in (self.loss, self.metrics, self.weighted_metrics)]
        weights = list((self.loss_weights or dict.fromkeys(names, 1.0)).values())
        places = [tuple(outputs.index(one) for one in self.together.get(name, (name,))) for name in names]
        shapes = [tuple(self.output_shapes[place] for place in some) for some in places]
        shapes = [some if len(some) > 1 else some[0] for some in shapes]
        return list(zip(places, names, shapes, lists[0], weights, lists[1], lists[2], strict=True))

    def unscored(self):
        """The outputs without a loss and metrics, and those whose loss reads no targets."""
        given = self.loss, self.metrics, self.weighted_metrics
        if not all(isinstance(part, dict) for part in given):
            return [] if getattr(self.loss, "needs_targets", True) else self.head_names
        unread = [name for name, loss in self.loss.items() if not getattr(loss, "needs_targets", True)]
        return [name for name in self.head_names if name in unread or not any(part[name] for part in given)]

    def loss_as_given(self):
        """What `compile` reads back as `loss`."""
        if not self.together or not isinstance(self.loss, dict):
            return self.loss
        return {self.together.get(name, name): loss for name, loss in self.loss.items()}


def demand_one_backward(optimizer):
    """Raise where an optimizer does not go with a loss scale.

    Raises:
        ValueError: so.
    """
    if optimizer.takes_closure:
        raise ValueError(
            f"{type(optimizer).__name__} makes its gradients several times in a step, and mixed_float16 may have to "
            'skip one of them; use precision="mixed_bfloat16"'
        )


def scale_of(given, precision, optimizer):
    """The `LossScale` of a precision, None where it needs none.

    Raises:
        TypeError, ValueError: another object, one that nothing would use, an optimizer that weighs losses.
    """
    if precision != "mixed_float16":
        if given is not None:
            raise ValueError(f'loss_scale is for precision="mixed_float16", got precision={precision!r}; leave it out')
        return None
    demand_one_backward(optimizer)
    if given is not None and not isinstance(given, optimizers.LossScale):
        raise TypeError(f"loss_scale must be an npdl.optimizers.LossScale, got {given!r}; pass e.g. LossScale(1024.0)")
    return optimizers.LossScale() if given is None else given


def by_output(argument, given, names):
    """What was given for each output, a list; one thing holds for all.

    Args:
        argument: its name, for errors.
        given: a dict by name, a list in order, or one.
        names: of the outputs.

    Raises:
        ValueError: another number, an unknown name.
    """
    said = ", ".join(map(repr, names))
    if isinstance(given, dict):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ValueError(f"{argument} names the output {unknown[0]!r}, and the model's outputs are {said}")
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(
                f"{argument} has {len(given)} entries, and the model has {len(names)} outputs: {said}; pass one for "
                "each, or a dict by name"
            )
        return list(given)
    return [given] * len(names)


def joined(given, names):
    """(the loss of each head by its name or alone, {name of the first: names} of outputs that one loss looks at).

    Args:
        given: as `compile` got it.
        names: of the outputs.

    Raises:
        ValueError: names that are not there or that have two losses, another number than the loss takes.
    """
    if isinstance(given, dict) and any(isinstance(key, tuple) for key in given):
        together = {key[0]: key for key in given if isinstance(key, tuple) and len(key) > 1}
        named = [name for key in given for name in (key if isinstance(key, tuple) else (key,))]
        said = ", ".join(map(repr, names))
        for name in named:
            if name not in names or named.count(name) > 1:
                what = "twice" if name in names else "which is not there"
                raise ValueError(f"loss names the output {name!r} {what}; the model's outputs are {said}")
        loss = {key[0] if isinstance(key, tuple) else key: losses.get(one) for key, one in given.items()}
    elif given is not None and not isinstance(given, (dict, list, tuple)) and len(names) > 1:
        loss, together = losses.get(given), {}
        if _takes(loss) > 1:
            together = {names[0]: tuple(names)}
    else:
        loss, together = given, {}
    for name, some in together.items():
        one = loss[name] if isinstance(loss, dict) else loss
        if (takes := _takes(one)) != len(some):
            kind, parts = type(one).__name__, ", ".join(getattr(one, "outputs", ("y_pred",)))
            raise ValueError(
                f"{kind} looks at {takes} outputs ({parts}), got {len(some)}: {', '.join(map(repr, some))}; name them "
                f"in a tuple, e.g. loss={{{tuple(names[:takes])!r}: losses.{kind}()}}; a loss of your own for "
                "several has an attribute outputs, a tuple of their names"
            )
    return loss, together


def _takes(loss):
    """How many outputs a loss looks at."""
    return len(getattr(loss, "outputs", ("y_pred",)))


def heads_of(names, together):
    """The names of the outputs, without those that come after the first of some that one loss looks at."""
    after = {name for some in together.values() for name in some[1:]}
    return [name for name in names if name not in after]


def losses_of(given, names):
    """The loss of each output, None where it has none: one object each."""
    return [None if one is None else losses.get(one) for one in by_output("loss", given, names)]


def weights_of(given, names):
    """The weight of each loss.

    Raises:
        TypeError: not numbers.
    """
    found = by_output("loss_weights", given, names)
    wrong = [one for one in found if one is not None and (isinstance(one, bool) or not isinstance(one, numbers.Real))]
    if wrong:
        raise TypeError(
            f"loss_weights are numbers, one for each output, got {wrong[0]!r}; metrics come after them: "
            "pass metrics=[...]"
        )
    return [1.0 if one is None else float(one) for one in found]


def metrics_of(argument, given, names):
    """The metrics of each output, a list each."""
    if len(names) == 1 and not isinstance(given, dict):
        given = [_listed(given)]
        if given[0] and all(isinstance(one, (list, tuple)) for one in given[0]):
            given = given[0]
    return [_listed(one) for one in by_output(argument, given, names)]


def _check(found, loss):
    """Raise where a metric does not go with the loss of its output."""
    for metric in found:
        metrics.check(metric, loss)


def _listed(given):
    """A list of what was given: one thing, several, or None."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]
