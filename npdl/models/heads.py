"""Head: one output of a model, and what is measured there."""

import copy

from npdl import activations, devices, losses, metrics, testing
from npdl.models.endings import Ending, settle_logits
from npdl.models.first_step import is_custom
from npdl.models.fusion import twin
from npdl.models.totals import Totals


class Head:
    """The loss and the metrics of one output of a compiled model.

    Args:
        model: built.
        slot: of the output in the model's graph.
        name: of the output.
        shape: of one sample of it.
        loss: as compiled, None where there is none.
        weight: of the loss in the sum of all.
        named, weighted: the metrics as compiled.

    Attributes:
        loss: a copy of the compiled one, with `from_logits` settled.
        activation: what the last layer leaves to the loss, which takes logits; else None.
        instead: (id of that layer, its twin without activation), else None.
    """

    def __init__(self, model, slot, name, shape, loss, weight, named, weighted):
        self.dtype, self.device, self.name, self.shape, self.weight = model.dtype, model.device, name, shape, weight
        self.k = model.device.kernels
        self.loss, self.activation, self.instead, logits = loss, None, None, False
        if loss is not None:
            ending = Ending(model.graph, slot)
            self.loss, folds = settle_logits(loss, ending)
            if hasattr(self.loss, "attach"):
                self.loss = copy.copy(self.loss)
                self.loss.attach(model.device)
            if folds:
                self.activation = ending.last.activation
                self.instead = id(ending.last), twin(ending.last, activation=activations.linear)
            logits = not folds and getattr(self.loss, "from_logits", False)
        found = [metrics.resolve(metric, self.loss, shape, logits) for metric in (*named, *weighted)]
        takes = "y_true, y_pred, sample_weight=None"
        for part, method in ((self.loss, "forward"), *((metric, "update_state") for metric in found)):
            if part is not None and is_custom(part):
                testing.demand_arguments(part, method, takes)
        self.unweighted = len(named)
        self.test_metrics = metrics.unique_names(found)
        self.metrics = copy.deepcopy(self.test_metrics)  # training's own: a callback may evaluate in mid-epoch

    def totals(self, training):
        """Fresh totals of an epoch's training, or of a test with copies of its own: several threads may test."""
        loss, found = self.loss, self.metrics
        if not training:
            found = copy.deepcopy(self.test_metrics)
            loss = copy.copy(loss) if isinstance(loss, losses.Loss) else loss
        return Totals(loss, found, found[self.unweighted :])

    def keep(self, totals):
        """Leave a test's figures in the metrics that the user gave, whole."""
        for given, own in zip(self.test_metrics, totals.metrics, strict=True):
            getattr(given, "__dict__", {}).update(getattr(own, "__dict__", {}))

    def validate(self, y):
        """Check targets once, before training."""
        if self.loss is not None and y is not None:
            losses.validate(self.loss, y, (len(y), *self.shape))

    def target(self, y, count, dtype=None):
        """One batch of targets as the loss takes them, in the model's dtype or another."""
        if y is None:
            if self.loss is None and not self.test_metrics:
                return None
            raise ValueError("there are no targets; pass y, or batches (x, y)")
        return y if self.loss is None else losses.prepare(self.loss, y, dtype or self.dtype, (count, *self.shape))

    def score(self, output, mask, target, w, totals, gradient=False):
        """Add loss and metrics to `totals`; returns dL/d output if that is asked for, None without a loss.

        With a mask each step is a row of its own, whose weight is that of its sample where it counts and else 0.
        """
        shape, plain, dy, device = output.shape, None, None, self.device
        if mask is not None:
            plain, w = losses.step_weights(device.to_host(mask), w)
            target, output, w = losses.as_rows(target, output, w)
        if totals.loss is not None:
            dy = self._loss(totals, output, target, w, gradient)
        if totals.metrics:
            totals.add_metrics(target, device.to_host(self._probabilities(output)), w, plain)
        return dy if mask is None or dy is None else dy.reshape(shape)

    def _loss(self, totals, output, target, w, gradient):
        loss, on_device, dy = totals.loss, self.device.from_host(target), None
        if gradient and hasattr(loss, "forward_backward"):
            value, dy = loss.forward_backward(on_device, output, w)
        else:
            value = loss.forward(on_device, output, w)
            dy = loss.backward() if gradient else None
        count = getattr(loss, "count", None)
        if count is None:  # a loss of the user's own that only returns its mean
            totals.add_loss(float(value) * len(target), len(target))
        else:
            totals.add_loss(loss.total, count)
        if dy is not None and self.weight != 1:
            self.k.scale(dy, self.weight, out=dy)
        return dy

    def _probabilities(self, output):
        """What `predict` would give, from what the loss got."""
        if self.activation is None:
            return output
        y = devices.current_workspace().take("probabilities", self.name, output.shape, output.dtype)
        self.k.activation(output, self.activation, out=y)
        return y
