"""Captured: a step on a GPU as one graph, which is started again and again."""

import contextlib

from npdl import devices, optimizers
from npdl.kernels.counted import Counted

PLAIN = {
    optimizers.SGD, optimizers.Adam, optimizers.AdamW, optimizers.Adamax, optimizers.Nadam, optimizers.RMSprop,
    optimizers.Lion, optimizers.Adagrad, optimizers.Adadelta, optimizers.Ftrl, optimizers.Rprop, optimizers.Lamb,
    optimizers.Adafactor,
}  # fmt: skip
"""Optimizers whose step is the same launches every time, with other numbers: it is a part of the graph. Exact types."""

ROOM = 1 << 12
"""Bytes for the numbers of a graph, and those more for each layer and each tensor."""
ROOM_EACH = 1 << 8


def is_plain(optimizer):
    """Whether the step of an optimizer can be a part of a graph: of these types, and neither adding up gradients nor
    overwriting weights every so many steps."""
    odd = optimizer.gradient_accumulation_steps or optimizer.ema_overwrite_frequency or optimizer.takes_closure
    return type(optimizer) in PLAIN and not odd


@contextlib.contextmanager
def counting(layers, done):
    """While it lasts, the steps of layers that draw random numbers say whose they are; gives {layer: how many draws},
    filled at the end. The steps are then what they were, or, where it was all `done`, what they have come to."""
    drawing, draws = [layer for layer in layers if isinstance(vars(layer).get("step"), int)], {}
    before = [layer.step for layer in drawing]
    try:
        for layer in drawing:
            layer.step = Counted(layer, layer.step)
        yield draws
    finally:
        for layer, step in zip(drawing, before, strict=True):
            if isinstance(layer.step, Counted) and layer.step.ahead:
                draws[layer] = layer.step.ahead
            layer.step = step + done * draws.get(layer, 0)


class Captured:
    """A training step, or an inference, on batches of one shape.

    Nothing of it is done when it is made. Each start makes the numbers anew that are others in each step, copies a
    batch to where the first one lay, and starts the graph.

    Args:
        device: with a driver.
        batch: host arrays.
        layers: all that may draw random numbers.
        run: a function of these arrays on the device, that asks for the work; it returns what comes out.
        workspace: of the work; it copies batches ahead.
        model: whose optimizer's step is part of it; None: of none.

    Attributes:
        output: what came out, None of a training step; the next start writes over it.
        updates: whether the weights are changed too.
    """

    def __init__(self, device, batch, layers, run, workspace, model=None):
        self._device, self._model, self.updates = device, model, model is not None
        driver = device.driver
        self._given = [device.alloc(array.shape, array.dtype) for array in batch]
        self._feeds = [workspace.feeder(place, array) for place, array in enumerate(batch)]
        room = ROOM + ROOM_EACH * len(layers)
        if model is not None:
            room += ROOM_EACH * len(model.store.weights)
            before = model.optimizer.iterations
            with driver.rehearsal():  # makes state and tables, which a graph could not
                model.optimizer.step(model)
            model.optimizer.iterations = before
        try:
            with counting(layers, done=False) as self._draws, driver.capture(room) as self._graph:
                self.output = run(*self._given)
                if model is not None:
                    self._graph.noting = True
                    model.optimizer.step(model)
        finally:
            if model is not None:
                model.optimizer.iterations = before

    def start(self, batch):
        """Do it for a batch; False: the optimizer's step is another by now, and nothing is done."""
        if not self._renew():
            return False
        for feed, given, array in zip(self._feeds, self._given, batch, strict=True):
            self._device.driver.copy(feed.put(array), given)
        self._graph.numbers.send()
        self._graph.launch()
        for layer, draws in self._draws.items():
            layer.step += draws
        return True

    def _renew(self):
        numbers, model = self._graph.numbers, self._model
        if model is None:
            return numbers.renew(lambda: None)
        optimizer = model.optimizer
        before = optimizer.iterations
        if is_plain(optimizer) and numbers.renew(lambda: optimizer.step(model)):
            return True
        optimizer.iterations = before
        return False

    def infer(self, *xs):
        """The outputs, which the next call writes over."""
        self.start(xs)
        return self.output


class CapturedStep(Captured):
    """A training step: forward, losses, metrics that are measured on the device, backward, penalties, update.

    Args:
        step: the `Step`.
        xs, targets: host arrays.
    """

    def __init__(self, step, xs, targets):
        self._step, self._count = step, len(xs)
        self._noted = step.totals(training=True, noted=True)
        alone = is_plain(step.model.optimizer) and not step.model.outside()
        model = step.model if alone and step.scaling is None else None  # a scaled step may be skipped
        batch = [*xs, *targets]
        layers = [part for layer in step.plan.layers for part in layer.walk()]
        super().__init__(step.device, batch, layers, self._run, step.workspace, model)

    def _run(self, *arrays):
        with devices.use_workspace(self._step.workspace):
            self._step.gradients(arrays[: self._count], arrays[self._count :], self._noted, unscale=False)

    def train(self, batch, totals):
        """Train on a batch, add to the `EpochTotals`; whether it is done."""
        totals.claim()
        if not self.start(batch):
            return False
        totals.add_noted(self._noted)
        for own, noted, target in zip(totals.totals, self._noted.totals, batch[self._count :], strict=True):
            if noted.left:
                left = [own.metrics[place] for place in noted.left]
                own.add_metrics(target, self._device.to_host(noted.output), None, some=left)
        return True
