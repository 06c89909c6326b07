"""Step: a compiled model made ready, and what it does with one batch."""

from npdl import devices, losses, metrics
from npdl.models.first_step import FirstStep, check_custom_gradients
from npdl.models.plan import Plan, settle_logits


class Totals:
    """Loss and metrics since the start of an epoch, exact over batches of unequal size."""

    def __init__(self, metrics):
        self.metrics, self.batches = metrics, 0
        self.total = self.count = 0.0
        for metric in metrics:
            metric.reset_state()

    def add(self, total, count):
        """Take in one batch: the sum of its samples' losses and their number."""
        self.total, self.count, self.batches = self.total + total, self.count + count, self.batches + 1

    def logs(self):
        """{"loss": mean over the samples, metric name: value ...}"""
        logs = {"loss": self.total / self.count if self.count else 0.0}
        for metric in self.metrics:
            logs[metric.name] = metric.result()
        return logs


class Step:
    """One batch through a model, its loss, its metrics and its optimizer.

    Args:
        model: built and compiled.

    Attributes:
        loss: the compiled loss with `from_logits` settled.
        metrics: the metric objects.
        plan: what is folded and where backward stops.
        workspace: the training steps' reused memory.
    """

    def __init__(self, model):
        self.model = model
        self.loss, folded = settle_logits(model.loss, model)
        if hasattr(self.loss, "attach"):
            self.loss.attach(model.device)
        logits = folded is None and getattr(self.loss, "from_logits", False)
        self.metrics = [metrics.resolve(metric, self.loss, model.output_shape, logits) for metric in model.metrics]
        self.plan = Plan(model, folded)
        self.first = True
        self.made_for = self._signature()
        self.close()

    def _signature(self):
        model = self.model
        return id(model.store), model.device, model.loss, tuple(layer.trainable for layer in model.layers)

    def is_current(self):
        """Whether the model is still the one this step was made for."""
        return self.made_for == self._signature()

    def close(self):
        """Let the reused memory go."""
        self.workspace = devices.Workspace(self.model.device)

    def train(self, x, y, w, totals):
        """Forward, loss, backward and update on a batch of host arrays; adds to `totals`."""
        model, first = self.model, self.first
        model.check_shape(x.shape[1:])
        target = self.target(y, len(x))
        if first and model.check_gradients:
            check_custom_gradients(model, self, x, target, w)
        run = FirstStep() if first else None
        x = model.device.from_host(x)
        with devices.use_workspace(self.workspace):
            with self.plan.logits():
                output = run.forward(model.layers, x) if run else self.forward(x, True)
                self._score(output, target, w, totals)
                dy = self.loss.backward()
                trained = model.layers[self.plan.lowest :]
                run.backward(trained, dy) if run else self.backward(trained, dy)
            model.optimizer.step(model)
        self.first = False

    def test(self, x, y, w, totals, workspace):
        """Loss and metrics of a batch, without training."""
        self.model.check_shape(x.shape[1:])
        with devices.use_workspace(workspace), self.plan.logits():
            self._score(self.forward(self.model.device.from_host(x), False), self.target(y, len(x)), w, totals)

    def forward(self, x, training):
        """The outputs: logits where the plan folds."""
        for layer in self.model.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, layers, dy):
        """The gradients of these layers, the last one first."""
        for layer in reversed(layers):
            dy = layer.backward(dy)

    def target(self, y, count):
        """One batch of targets as the loss takes them, checked where that was not done for the whole."""
        if y is None:
            raise ValueError("there are no targets; pass y, or batches (x, y)")
        return losses.prepare(self.loss, y, self.model.dtype, (count, *self.model.output_shape))

    def _score(self, output, target, w, totals):
        value = self.loss.forward(self.model.device.from_host(target), output, w)
        count = getattr(self.loss, "count", None)
        if count is None:  # a loss of the user's own that only returns its mean
            totals.add(float(value) * len(target), len(target))
        else:
            totals.add(self.loss.total, count)
        if totals.metrics:
            output = self.model.device.to_host(self._probabilities(output))
            for metric in totals.metrics:
                metric.update_state(target, output, w)

    def _probabilities(self, output):
        """What `predict` would give, from what the loss got."""
        activation = self.plan.activation
        if activation is None:
            return output
        y = devices.current_workspace().take("probabilities", "y", output.shape, output.dtype)
        self.model.device.kernels.activation(output, activation, out=y)
        return y
