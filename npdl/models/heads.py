"""Head: one output of a model, or several that one loss looks at, and what is measured there."""

import copy

from npdl import activations, devices, losses, metrics, testing
from npdl.losses.weights import Weighed
from npdl.metrics.base import FunctionMetric
from npdl.models.endings import Ending, settle_logits
from npdl.models.first_step import is_custom
from npdl.models.fusion import twin
from npdl.models.totals import Noted, Totals


class Head:
    """The loss and the metrics of one output of a compiled model, or of several outputs together.

    Of several, what is called output, mask and gradient here are tuples with a part for each.

    Args:
        model: built.
        places: of the outputs among the model's.
        name: of the output, of several the first one's.
        shape: of one sample of it; of several a tuple of shapes.
        loss: as compiled, None where there is none.
        weight: of the loss in the sum of all.
        named, weighted: the metrics as compiled.
        scaling: a `Scaling`, or None.

    Attributes:
        loss: a copy of the compiled one, with `from_logits` settled.
        activation: what the last layer leaves to the loss, which takes logits; else None.
        instead: (id of that layer, its twin without activation), else None.
    """

    def __init__(self, model, places, name, shape, loss, weight, named, weighted, scaling=None):
        self.dtype, self.device, self.name, self.shape, self.weight = model.dtype, model.device, name, shape, weight
        self.k, self.scaling = model.device.kernels, scaling
        self.places, self.together = places, len(places) > 1
        self.loss, self.activation, self.instead, logits = loss, None, None, False
        if self.together and hasattr(loss, "check_outputs"):
            loss.check_outputs(tuple((None, *one) for one in shape))
        if loss is not None:
            ending, folds = None, False
            if not self.together:
                ending = Ending(model.graph, model.graph.outputs[places[0]])
                self.loss, folds = settle_logits(loss, ending)
            if hasattr(self.loss, "attach"):
                self.loss = copy.copy(self.loss)
                self.loss.attach(model.device)
            if folds:
                self.activation = ending.last.activation
                self.instead = id(ending.last), twin(ending.last, activation=activations.linear)
            logits = not folds and getattr(self.loss, "from_logits", False)
        found = [metrics.resolve(metric, self.loss, shape, logits) for metric in (*named, *weighted)]
        if self.together:
            _demand_together(found, name, len(places))
        takes = "y_true, y_pred, sample_weight=None"
        for part, method in ((self.loss, "forward"), *((metric, "update_state") for metric in found)):
            if part is not None and is_custom(part):
                testing.demand_arguments(part, method, takes)
        self.unweighted = len(named)
        self.test_metrics = metrics.unique_names(found)
        self.metrics = copy.deepcopy(self.test_metrics)  # training's own: a callback may evaluate in mid-epoch

    def of(self, values):
        """Of one value for each output of the model its own: one, or a tuple."""
        return tuple(values[place] for place in self.places) if self.together else values[self.places[0]]

    def put(self, dy, dys):
        """Write dL/dy of its own to their places among those of all outputs."""
        for place, part in zip(self.places, dy if self.together else (dy,), strict=True):
            dys[place] = part

    def totals(self, noted=False, used=False):
        """Fresh totals of an epoch's training.

        `noted`: those of one batch while a graph is made of it, with metrics of their own; so too where `metrics` are
        `used` by others."""
        return self._totals(self.loss, copy.deepcopy(self.metrics) if used else self.metrics, noted)

    def test_loss(self):
        """A copy of the loss for tests: several threads may test."""
        return copy.copy(self.loss) if isinstance(self.loss, losses.Loss) else self.loss

    def test_totals(self, loss, noted=False):
        """Fresh totals of a test, as `totals`; its loss is from `test_loss`."""
        return self._totals(loss, copy.deepcopy(self.test_metrics), noted)

    def _totals(self, loss, found, noted):
        if noted:
            return Noted(loss, copy.deepcopy(found), ())
        return Totals(loss, found, found[self.unweighted :])

    def keep(self, totals):
        """Leave a test's figures in the metrics that the user gave, whole."""
        for given, own in zip(self.test_metrics, totals.metrics, strict=True):
            getattr(given, "__dict__", {}).update(getattr(own, "__dict__", {}))

    def validate(self, y):
        """Check targets once, before training."""
        if self.loss is not None and y is not None:
            losses.validate(self.loss, y, self._whole(len(y)))

    def _whole(self, count):
        """The shape of that many samples."""
        return tuple((count, *shape) for shape in self.shape) if self.together else (count, *self.shape)

    def target(self, y, count, dtype=None):
        """One batch of targets as the loss takes them, in the model's dtype or another."""
        if y is None and getattr(self.loss, "needs_targets", True):
            if self.loss is None and not self.test_metrics:
                return None
            raise ValueError("there are no targets; pass y, or batches (x, y)")
        return y if self.loss is None else losses.prepare(self.loss, y, dtype or self.dtype, self._whole(count))

    def weights(self, w, count):
        """Sample weights of a batch, checked where there is one for each step of the outputs.

        Raises:
            ValueError: they do not go with the outputs, or the loss does not know steps.
        """
        if w is None or w.ndim == 1:
            return w
        self._demand_steps()
        shape = (count, *self.shape)
        if w.ndim >= len(shape) or any(size not in (None, came) for size, came in zip(shape, w.shape)):
            said = ", ".join(["N", *("any" if size is None else str(size) for size in self.shape)])
            fix = f"({count},), or one a step of the outputs: their leading axes"
            if w.ndim >= len(shape):
                fix = f"({count},); to weigh each number, end the model with layers.Reshape({(*self.shape, 1)})"
            raise ValueError(
                f"sample_weight has shape {w.shape}, and the outputs of {self.name} are ({said}), whose last axis is "
                f"one loss; pass one weight a sample, {fix}"
            )
        return w

    def score(self, output, mask, target, w, totals, gradient=False):
        """Add loss and metrics to `totals`; returns dL/d output if that is asked for, None without a loss.

        With a mask, or a weight for each step, a step is a row of its own, whose weight is that of its sample where it
        counts and else 0. Metrics that see no weights get whole samples unless there is a mask.
        """
        whole, shape, plain, dy, device = target, getattr(output, "shape", None), None, None, self.device
        if self.together:
            mask = None if all(one is None for one in mask) else mask
        steps = mask is not None or (w is not None and w.ndim > 1)
        if steps:
            self._demand_steps()
            plain, w = losses.step_weights(None if mask is None else device.to_host(mask), w)
            target, output, w = losses.as_rows(target, output, w)
        there = None
        if totals.loss is not None:
            there = device.from_host(target)
            dy = self._loss(totals, output, there, w, gradient)
        if totals.metrics:
            w = None if isinstance(w, Weighed) and not w.given else w
            whole = (whole, shape) if steps and plain is None else None
            self._measure(totals, output, target, there, w, plain, whole)
        return dy.reshape(shape) if steps and dy is not None else dy

    def _measure(self, totals, output, target, there, w, plain, whole):
        """Metrics: on a GPU those that can be are measured there, and the others see the output later.

        `whole` are the targets and the outputs' shape where metrics that see no weights get whole samples."""
        parts, left = output if self.together else (self.probabilities(output),), totals.metrics
        if totals.sums is not None and there is not None and not self.together and w is plain is None:
            left = totals.measure(there, *parts)
        if left and isinstance(totals, Noted):
            totals.keep(left, parts)
        elif left:
            self.show(totals, left, parts, target, w, plain, whole)

    def show(self, totals, some, parts, target, w=None, plain=None, whole=None):
        """Have some metrics see outputs: on a GPU while it is at work on the next batch."""

        def update(found):
            found = tuple(found) if self.together else found[0]
            unweighted = None if whole is None else (whole[0], found.reshape(whole[1]))
            totals.add_metrics(target, found, w, plain, unweighted, some)

        if self.device.driver is None:
            update([self.device.to_host(part) for part in parts])
            return
        target, w, whole = copy.deepcopy((target, w, whole))  # the next batch may be written over it
        workspace = devices.current_workspace()
        asked = [workspace.fetched((self.name, place), part) for place, part in zip(self.places, parts, strict=True)]
        totals.put_off(lambda: update([given() for given in asked]))

    def _demand_steps(self):
        if self.together:
            raise ValueError(
                f"a loss of {len(self.places)} outputs compares whole samples, and {self.name} comes with a mask or "
                "with weights of steps; pass one weight a sample, and end with a layer that lets no mask through, e.g. "
                "layers.GlobalAveragePooling1D()"
            )
        losses.demand_steps(self.loss)

    def _loss(self, totals, output, target, w, gradient):
        loss, dy = totals.loss, None
        if gradient and hasattr(loss, "forward_backward"):
            value, dy = loss.forward_backward(target, output, w)
        else:
            value = loss.forward(target, output, w)
            dy = loss.backward() if gradient else None
        if (workspace := devices.current_workspace()) is not None:
            workspace.saved.pop(id(loss), None)  # its memory serves others
        count = getattr(loss, "count", None)
        if count is None:  # a loss of the user's own that only returns its mean
            rows = len(output[0] if self.together else output)
            totals.add_loss(float(value) * rows, rows)
        else:
            totals.add_loss(loss.total, count)
        if dy is not None and self.weight != 1:
            for part in dy if self.together else (dy,):
                self.k.scale(part, self.weight, out=part)
        if dy is not None and self.scaling is not None:
            for part in dy if self.together else (dy,):
                self.scaling.multiply(self.k, part)
        return dy

    def probabilities(self, output):
        """What `predict` would give, from what the loss got."""
        if self.activation is None:
            return output
        y = devices.current_workspace().take("probabilities", self.name, output.shape, output.dtype)
        self.k.activation(output, self.activation, out=y)
        return y


def by_place(heads, given, count):
    """The gradients of all outputs, from those that the heads gave."""
    dys = [None] * count
    for head, dy in zip(heads, given, strict=True):
        if dy is not None:
            head.put(dy, dys)
    return dys


def _demand_together(found, name, count):
    """Raise where a metric is not for several outputs at once: a function, or an object of your own, is."""
    for metric in found:
        if not is_custom(metric) and not isinstance(metric, FunctionMetric):
            raise ValueError(
                f"metrics: {metric.name!r} looks at one output, and {name} stands for {count} that one loss looks "
                "at; pass a function f(y_true, y_pred) of one value a sample, where y_pred is a tuple of the outputs"
            )
