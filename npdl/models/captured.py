"""Captured: a step on a GPU as one graph, which is started again and again."""

import contextlib
import operator
from typing import NamedTuple

from npdl import devices, optimizers
from npdl.kernels.counted import Counted
from npdl.layers.augmenting import Augmentation

PLAIN = {
    optimizers.SGD, optimizers.Adam, optimizers.AdamW, optimizers.Adamax, optimizers.Nadam, optimizers.RMSprop,
    optimizers.Lion, optimizers.Adagrad, optimizers.Adadelta, optimizers.Ftrl, optimizers.Rprop, optimizers.Lamb,
    optimizers.Adafactor, optimizers.ASGD, optimizers.RAdam, optimizers.ScheduleFreeAdamW, optimizers.Muon,
    optimizers.Lookahead, optimizers.SWA,
}  # fmt: skip
"""Optimizers whose step is the same launches every time that it is one turn's (`Optimizer.turn`), with other numbers:
it is a part of the graph. Exact types."""

ROOM = 1 << 12
"""Bytes for the numbers of a graph, and those more for each layer and each tensor."""
ROOM_EACH = 1 << 8
ROOM_DRAWN = 1 << 9
"""Bytes for what a layer draws for each sample of a batch on the host."""


COUNTED = {"iterations", "keeper", "name", "state", "_product"}
"""Attributes of an optimizer that change with its steps."""


def is_plain(optimizer):
    """Whether the step of an optimizer can be a part of a graph."""
    inner = getattr(optimizer, "optimizer", None)
    return type(optimizer) in PLAIN and (inner is None or is_plain(inner))


def turn_of(step):
    """The `turn` of the optimizer's step that comes, where it is a part of the graph of a `Step`; else None.

    A device that skips steps by itself counts nothing but them, and skips no products of matrices."""
    optimizer = step.model.optimizer
    if not is_plain(optimizer) or step.model.outside() or (step.adds_up and step.parts_differ):
        return None
    turn = optimizer.turn
    if step.scaling is not None and (turn or optimizer.scalars() or type(optimizer) is optimizers.Muon):
        return None
    return turn


def settings_of(optimizer):
    """(numbers and the like, other objects): the attributes of an optimizer, and those of a schedule in it."""
    values = [value for name, value in vars(optimizer).items() if name not in COUNTED]
    values += getattr(vars(optimizer)["_learning_rate"], "__dict__", {}).values()
    plain = bool, int, float, str
    lengths = [len(value) for value in values if type(value) is list]  # of groups, which grow
    return [v for v in values if type(v) in plain] + lengths, [v for v in values if type(v) not in plain]


def _are_same(settings, others):
    """Whether two of `settings_of` are equal: numbers, and the very same objects."""
    objects, them = settings[1], others[1]
    return settings[0] == others[0] and len(objects) == len(them) and all(map(operator.is_, objects, them))


class Ring(NamedTuple):
    """Of which steps the graph's ring of tables (`Numbers.choose`) has those of the optimizer: from `first` to the one
    before `after`, the latest of them, all made with these `settings_of` it."""

    first: int
    after: int
    settings: tuple


@contextlib.contextmanager
def counting(layers, done):
    """While it lasts, the steps of layers that draw random numbers say whose they are; gives {layer: how many draws},
    filled at the end. The steps are then what they were, or, where it was all `done`, what they have come to."""
    drawing = [layer for layer in dict.fromkeys(layers) if isinstance(vars(layer).get("step"), int)]
    draws: dict = {}
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
        scaling: of the loss, whose optimizer's step is part of it and may be skipped; None: of none.

    Attributes:
        output: what came out, nothing of a training step; the next start writes over it.
        updates: whether the weights are changed too.
    """

    def __init__(self, device, batch, layers, run, workspace, model=None, scaling=None):
        self._device, self._workspace, self._model, self.updates = device, workspace, model, model is not None
        self._scaling, self._ring = scaling, None
        driver = device.driver
        self._given = [device.alloc(array.shape, array.dtype) for array in batch]
        self._feeds = [workspace.feeder(place, array) if array.size else None for place, array in enumerate(batch)]
        room = ROOM + ROOM_EACH * len(layers)
        room += ROOM_DRAWN * len(batch[0]) * sum(isinstance(layer, Augmentation) for layer in layers)
        if model is not None:
            room += ROOM_EACH * len(model.store.weights)
            before = model.optimizer.counted
            with driver.rehearsal() as rehearsed:  # makes state and tables, which a graph could not
                self._update()
            model.optimizer.counted = before
            room += rehearsed.nbytes
            if scaling is not None:  # makes its memory there, which outlives the graph
                scaling.lend(model.optimizer)
                scaling.settle()
        try:
            with counting(layers, done=False) as self._draws, driver.capture(room) as self._graph:
                self.output = [device.apart(y) for y in run(*self._given) or ()]
                if model is not None:
                    self._capture_step(rehearsed.nbytes)
        finally:
            if model is not None:
                model.optimizer.counted = before

    def _capture_step(self, nbytes):
        graph, scaling = self._graph, self._scaling
        if scaling is not None:
            graph.numbers.choose(scaling.there, nbytes)
        graph.noting = True
        with self._guard():
            self._update()
        graph.noting = False
        if scaling is not None:
            scaling.advance()

    def _update(self):
        """The optimizer's step."""
        self._model.optimizer.step(self._model)

    def _guard(self):
        """What lets the optimizer's step be skipped."""
        there = None if self._scaling is None else self._scaling.there.guard
        return self._device.driver.guarded(there)

    def start(self, batch):
        """Do it for a batch; False: the optimizer's step is another by now, and nothing is done."""
        if not self._renew():
            return False
        for feed, given, array in zip(self._feeds, self._given, batch, strict=True):
            if feed is not None:  # else there are no targets
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
        if not is_plain(optimizer):
            return False
        with contextlib.nullcontext() if self._scaling is None else self._supposed(optimizer):
            before = optimizer.counted
            with self._guard():
                fits = numbers.renew(self._update, optimizer.iterations)
            if not fits:
                optimizer.counted, self._ring = before, None
        return fits

    def _supposed(self, optimizer):
        """`Scaling.supposed`, for a start at which the ring has every table that the device may choose.

        The device has done at least as many steps as it was lent, and at most `steps`, which it has if it skipped none.
        The ring must have the tables of all these numbers, made with the settings of now; else the host asks how many
        there were, and waits for that."""
        scaling, ring, settings = self._scaling, self._ring, settings_of(optimizer)
        lent = scaling.lend(optimizer)
        with scaling.supposed():
            steps = optimizer.iterations
        whole = ring is not None and ring.first <= lent and ring.after == steps and _are_same(settings, ring.settings)
        if steps > lent and not (whole and steps - lent < scaling.there.places):
            scaling.settle()
            steps, whole = scaling.lend(optimizer), False
        self._ring = Ring(ring.first if whole else steps, steps + 1, settings)
        return scaling.supposed()

    def infer(self, *xs):
        """The outputs, which the next call writes over."""
        self.start(xs)
        return self.output


class Scored(Captured):
    """What adds to totals: a graph does, but for metrics that are measured on the host, which see a batch's output
    while the next one is computed.

    Args:
        noted: the `NotedTotals` of the batch that it is made of.
        count: how many arrays of a batch are inputs.
        more: as of `Captured`.
    """

    def __init__(self, noted, count, *more):
        self._noted, self._count, self._counts = noted, count, ()
        super().__init__(*more)
        for own in noted.totals:
            own.outputs = [self._device.apart(y) for y in own.outputs]

    def add(self, batch, totals):
        """Do it for a `Batch`, add to the `EpochTotals`; whether it is done."""
        totals.claim()
        self._counts = batch.counts or [own.count for own in self._noted.totals]
        if not self.start(batch.arrays):
            return False
        totals.add_noted(self._noted, self._counts)
        targets = batch.arrays[self._count :]
        with devices.use_workspace(self._workspace):
            for head, own, noted, target, w in zip(totals.heads, totals.totals, self._noted.totals, targets, batch.ws):
                if noted.left:
                    head.show(own, [own.metrics[place] for place in noted.left], noted.outputs, target, w)
        return True


class CapturedTest(Scored):
    """A batch of a test: forward, losses, metrics that are measured on the device, penalties.

    Args:
        evaluation: the `Evaluation`.
        batch: the `Batch`.
        count: how many inputs it has.
    """

    def __init__(self, evaluation, batch, count):
        noted, scored = evaluation.totals(noted=True), count + len(batch.ws)

        def run(*arrays):
            with devices.use_workspace(evaluation.workspace):
                evaluation.score(arrays[:count], arrays[count:scored], batch.weighed(arrays[scored:]), noted)

        super().__init__(noted, count, evaluation.device, batch.arrays, (), run, evaluation.workspace)


class CapturedStep(Scored):
    """A training step: forward, losses, metrics that are measured on the device, backward, penalties, update.

    Args:
        step: the `Step`.
        batch: the `Batch`.
        count: how many inputs it has.
    """

    def __init__(self, step, batch, count):
        self._step, noted = step, step.totals(noted=True)
        self._weighed, self._scored = batch.weighed, count + len(batch.ws)
        model = None if turn_of(step) is None else step.model
        if model is None and step.scaling is not None and step.penalized:
            raise devices.NotInGraph("penalties, behind what the host does to the gradients of a scaled loss")
        layers = [part for layer in step.plan.layers for part in layer.walk()]
        more = step.device, batch.arrays, layers, self._run, step.workspace, model, model and step.scaling
        super().__init__(noted, count, *more)

    def _update(self):
        self._model.optimizer.step(self._model, sum(self._counts))

    def _run(self, *arrays):
        scaled = contextlib.nullcontext() if self._scaling is None else self._scaling.captured()
        with devices.use_workspace(self._step.workspace), scaled:
            xs, targets = arrays[: self._count], arrays[self._count : self._scored]
            ws, unscale = self._weighed(arrays[self._scored :]), self._scaling is not None
            self._step.gradients(xs, targets, self._noted, ws=ws, unscale=unscale)
