"""Step: a compiled model made ready, and what it does with one batch."""

import copy

from npdl import activations, devices, losses, metrics, testing
from npdl.models.first_step import FirstStep, check_custom_gradients, is_custom
from npdl.models.fusion import looked_at, twin
from npdl.models.plan import Plan, settle_logits


class Totals:
    """Loss and metrics since the start of an epoch, exact over batches of unequal size.

    Args:
        loss: the loss object.
        metrics: metric objects, which are reset.
        weighted: those of them that see the sample weights.
    """

    def __init__(self, loss, metrics, weighted):
        self.loss, self.metrics, self.weighted, self.batches = loss, metrics, weighted, 0
        self.total = self.count = 0.0
        for metric in metrics:
            metric.reset_state()

    def add_loss(self, total, count):
        """Take in one batch: the sum of its samples' losses and their number."""
        self.total, self.count, self.batches = self.total + total, self.count + count, self.batches + 1

    def add_metrics(self, target, output, w):
        """Take in one batch of host arrays; a metric of the user's own may keep them, so it gets no reused memory."""
        for metric in self.metrics:
            y_pred = output.copy() if is_custom(metric) else output
            metric.update_state(target, y_pred, w if metric in self.weighted else None)

    def logs(self):
        """{"loss": mean over the samples, metric name: value ...}"""
        logs = {"loss": self.total / self.count if self.count else 0.0}
        for metric in self.metrics:
            logs[metric.name] = metric.result()
        return logs


class Step:
    """One batch through a model, its loss, its metrics and its optimizer.

    It writes nothing on the model but weights, layers' state and step, and `needs_dx` for the time of a backward.

    Args:
        model: built and compiled.

    Attributes:
        loss: a copy of the compiled loss, with `from_logits` settled.
        layers: the model's; where the loss takes logits, the last one is a copy without its activation, on the same
            weights.
        activation: what that copy leaves out, else None.
        plan: what runs, and where backward stops.
        workspace: the training steps' reused memory.
    """

    def __init__(self, model):
        self.model = model
        self.loss, folds = settle_logits(model.loss, model)
        if hasattr(self.loss, "attach"):
            self.loss = copy.copy(self.loss)
            self.loss.attach(model.device)
        self.layers, self.activation = list(model.layers), None
        if folds:
            self.activation = model.layers[-1].activation
            self.layers[-1] = twin(model.layers[-1], activation=activations.linear)
        logits = not folds and getattr(self.loss, "from_logits", False)
        named = [*model.metrics, *model.weighted_metrics]
        found = [metrics.resolve(metric, self.loss, model.output_shape, logits) for metric in named]
        for part, method, takes in (
            (self.loss, "forward", "y_true, y_pred, sample_weight=None"),
            *((metric, "update_state", "y_true, y_pred, sample_weight=None") for metric in found),
        ):
            if is_custom(part):
                testing.demand_arguments(part, method, takes)
        self.test_metrics = metrics.unique_names(found)
        self.metrics = copy.deepcopy(self.test_metrics)  # training's own: a callback may evaluate in mid-epoch
        self.plan = Plan(self.layers, model.layers)
        self.first, self.made_for = True, self._signature()
        self.close()

    def _signature(self):
        model = self.model
        return (
            model.store,
            model.device,
            model.loss,
            model.metrics,
            model.weighted_metrics,
            looked_at(model.walk()),
            len(model.layers),
        )

    def is_current(self):
        """Whether the model is still the one this step was made for."""
        return all(a is b or a == b for a, b in zip(self.made_for, self._signature(), strict=True))

    def close(self):
        """Let the reused memory go."""
        self.workspace = devices.Workspace(self.model.device)

    def twins(self):
        """Copies of the layers in float64, the last one without its activation where it is left to the loss."""
        layers = testing.float64_copies(self.model.layers)
        if self.activation is not None:
            layers[-1].activation = activations.linear
        return layers

    def totals(self, training):
        """Fresh totals of an epoch's training, or of a test with copies of its own: several threads may test."""
        loss, found = self.loss, self.metrics
        if not training:
            found = copy.deepcopy(self.test_metrics)
            loss = copy.copy(loss) if isinstance(loss, losses.Loss) else loss
        return Totals(loss, found, found[len(self.model.metrics) :])

    def keep(self, totals):
        """Leave a test's figures in the metrics that the user gave, whole."""
        for given, own in zip(self.test_metrics, totals.metrics, strict=True):
            getattr(given, "__dict__", {}).update(getattr(own, "__dict__", {}))

    def train(self, x, y, w, totals):
        """Forward, loss, backward and update on a batch of host arrays; adds to `totals`."""
        model, first = self.model, self.first
        model.check_shape(x.shape[1:])
        target = self.target(y, len(x))
        if first and model.check_gradients:
            check_custom_gradients(model, self, x, target, w)
        self._prepare()
        check = FirstStep(self.plan.layers) if first else None
        x, total, count = model.device.from_host(x), totals.total, totals.count
        with devices.use_workspace(self.workspace):
            self._gradients(x, target, w, totals, check)
            total, count = totals.total - total, totals.count - count
            if getattr(model.optimizer, "takes_closure", False):
                model.optimizer.step(model, lambda: self._again(x, target, w, totals), total / max(count, 1))
            elif model.optimizer.gradient_accumulation_steps:
                model.optimizer.step(model, weight=count)
            else:
                model.optimizer.step(model)
        self.first = False

    def _gradients(self, x, target, w, totals, check=None):
        """Forward, loss and backward."""
        output = self.forward(x, True, check)
        dy = self._score(output, target, w, totals, gradient=True)
        with self.plan.unread_gradients() as trained:
            self.backward(trained, dy, check)

    def _again(self, x, target, w, totals):
        """The gradients of the same batch with other weights; returns the loss, which counts nowhere."""
        apart = Totals(totals.loss, (), ())
        self._gradients(x, target, w, apart)
        return apart.total / max(apart.count, 1)

    def test(self, x, y, w, totals, workspace):
        """Loss and metrics of a batch, without training."""
        self.model.check_shape(x.shape[1:])
        self._prepare()
        with devices.use_workspace(workspace):
            self._score(self.forward(self.model.device.from_host(x), False), self.target(y, len(x)), w, totals)

    def _prepare(self):
        if self.plan.prepare():
            self.close()  # other layers run from now on, with memory of their own

    def forward(self, x, training, check=None):
        """What the loss takes."""
        for place, layer in enumerate(self.plan.layers):
            y = layer.forward(x, training)
            if check:
                check.forward(layer, x, y)
            if place < self.plan.lowest:  # no backward will come here
                _let_go(layer)
            x = y
        return x

    def backward(self, layers, dy, check=None):
        """The gradients of these layers, the last one first."""
        for layer in reversed(layers):
            dy = layer.backward(dy)
            if check:
                check.backward(layer, dy)
            _let_go(layer)

    def target(self, y, count):
        """One batch of targets as the loss takes them."""
        if y is None:
            raise ValueError("there are no targets; pass y, or batches (x, y)")
        return losses.prepare(self.loss, y, self.model.dtype, (count, *self.model.output_shape))

    def _score(self, output, target, w, totals, gradient=False):
        """Add loss and metrics to `totals`; returns dL/d output if that is asked for."""
        loss, on_device, dy = totals.loss, self.model.device.from_host(target), None
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
        if totals.metrics:
            totals.add_metrics(target, self.model.device.to_host(self._probabilities(output)), w)
        return dy

    def _probabilities(self, output):
        """What `predict` would give, from what the loss got."""
        if self.activation is None:
            return output
        y = devices.current_workspace().take("probabilities", "y", output.shape, output.dtype)
        self.model.device.kernels.activation(output, self.activation, out=y)
        return y


def _let_go(layer):
    """Forget what the layer saved in the workspace, whose memory then serves others."""
    for part in layer.walk():
        part.forget()
