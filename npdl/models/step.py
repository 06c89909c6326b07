"""Step: a compiled model made ready, and what it does with one batch."""

import contextlib
import weakref

import numpy as np

from npdl import activations, devices, testing
from npdl.models import loops
from npdl.models.batch import batch_of
from npdl.models.captured import CapturedStep, turn_of
from npdl.models.compiled import demand_one_backward
from npdl.models.evaluation import Evaluation
from npdl.models.faults import EpochBegin
from npdl.models.first_step import FirstStep, check_custom_gradients
from npdl.models.fusion import looked_at
from npdl.models.heads import Head, by_place
from npdl.models.plan import Plan
from npdl.models.replay import LOSSES, Replays
from npdl.models.scaling import Scaling
from npdl.models.totals import EpochTotals, NotedTotals, Totals, places_of
from npdl.penalties import penalized, penalties, unpenalized


class Step:
    """One batch through a model, its losses, its metrics and its optimizer.

    It writes nothing on the model but weights, layers' state and step, and `needs_dx` for the time of a backward.

    Args:
        model: built and compiled.

    Attributes:
        heads: one for each output, with its loss and its metrics.
        plan: what runs, and where backward stops.
        penalized: the weights and outputs with a penalty.
        workspace: the training steps' reused memory.
        replays: the training steps that are noted.
        scaling: of the loss, None where there is none.
        parts_differ: whether parts of the gradient may be means over other numbers of samples.
        begin: what there was when the epoch began, on a GPU.
    """

    def __init__(self, model):
        self.model, graph = model, model.graph
        self.scaling = None if model.loss_scale is None else Scaling(model)
        if self.scaling is not None:  # also where another model of these layers has chosen the precision
            demand_one_backward(model.optimizer)
        self.heads = [Head(model, *described, self.scaling) for described in model.heads_compiled()]
        self.plan = Plan(graph, [head.instead for head in self.heads if head.instead is not None])
        self.device, self.penalized = model.device, penalized(model.layers)
        self.first, self.made_for, self._explained = True, self._signature(), False
        self._sums = self._evaluation = None  # the sums of training on a GPU
        self._measured = None  # a weak reference to the totals that have the heads' metrics
        self.parts_differ = len(self.heads) > 1 or bool(self.penalized)
        self._checked = (), None, None  # shapes of a batch (x, y) that were right, dtype and shape of its targets
        self.close()

    def _signature(self):
        model = self.model
        return (
            model.store,
            model.device,
            model.loss,
            model.loss_weights,
            model.metrics,
            model.weighted_metrics,
            model.loss_scale,
            looked_at(model.walk()),
            len(model.layers),
        )

    def explain(self, say):
        """Say once what mixed precision is on a device without units for it."""
        precision, device = self.device.precision, self.device
        if precision and device.driver is None and not self._explained:
            say(f"{precision} on {device.name!r}: factors of products are rounded to 16 bits, for learning; not faster")
            self._explained = say is not loops.silent

    def is_current(self):
        """Whether the model is still the one this step was made for."""
        return all(a is b or a == b for a, b in zip(self.made_for, self._signature(), strict=True))

    def close(self):
        """Let the reused memory go."""
        self.begin, self._evaluation = EpochBegin(), None
        self._begin_anew()

    def _begin_anew(self):
        """Notes and memory of other layers, or in another way."""
        self.workspace = devices.Workspace(self.model.device)
        self.replays = Replays(self.plan, self.model.store, self.workspace, self.heads)

    def float64(self):
        """The graph on copies of the layers in float64, without the activations that are left to the losses."""
        graph = self.model.graph
        layers = {id(op.layer): op.layer for op in graph.ops}
        copies = dict(zip(layers, testing.float64_copies(list(layers.values())), strict=True))
        for head in self.heads:
            if head.instead is not None:
                copies[head.instead[0]].activation = activations.linear
        return graph.replaced(copies)

    def totals(self, noted=False):
        """Fresh totals of an epoch's training, with other metrics than those that are at work still: a callback may
        train on a batch of its own, and an error may have left an epoch half done."""
        used = self._measured is not None and self._measured() is not None
        totals = [head.totals(noted, used) for head in self.heads]
        if self.device.driver is not None and self._sums is None:
            self._sums = self.device.running_sums(places_of(totals))  # graphs add to these
        whole = (NotedTotals if noted else EpochTotals)(self.heads, totals, self._sums)
        if not (noted or used):
            self._measured = weakref.ref(whole)
        return whole

    def evaluation(self):
        """An `Evaluation` that no other thread uses, the step's own if it is free."""
        own = self._evaluation
        if own is None or not own.taken.acquire(blocking=False):
            own = self._evaluation = Evaluation(self)
            own.taken.acquire()
        return own

    def keep(self, totals):
        """Leave a test's figures in the metrics that the user gave, whole."""
        totals.read()
        for head, own in zip(self.heads, totals.totals, strict=True):
            head.keep(own)

    def train(self, x, y, w, totals):
        """Forward, loss, backward and update on a batch of host arrays; adds to `totals`."""
        model, first = self.model, self.first
        xs, targets, ws = self.parts(x, y, w)
        model.store.narrow()
        if first and model.check_gradients:
            check_custom_gradients(model, self, xs, targets, ws)
        batch = batch_of(self.heads, xs, targets, ws, self.device.driver is not None and self.replays.possible)
        replay = None if batch is None else self.replays.find(batch.arrays, self._which(batch))
        if replay is None:
            self.prepare()
        optimizer = model.optimizer
        weighed = optimizer.takes_closure or self.adds_up
        if replay is not None and (replay.updates or not weighed) and self._repeat(replay, batch, totals):
            self.first = False  # nothing else is left
            return
        check = FirstStep(self.plan.layers) if first else None
        xs = self.workspace.given(xs)
        with self._undone_without_room(), devices.use_workspace(self.workspace):
            if self.adds_up and self.parts_differ:
                self._accumulate(xs, targets, ws, totals, check)
                self.first = False
                return
            before = totals.sums() if optimizer.takes_closure else None
            updated = False
            if replay is None or not weighed or not self._replayed(replay, batch, totals):
                updated = self._noted_gradients(batch, xs, targets, ws, totals, check)
            if optimizer.takes_closure:
                optimizer.step(model, lambda: self._again(xs, targets, ws), totals.since(before))
            elif not updated:
                self._update(*[sum(totals.latest)] if self.adds_up else [])
        self.first = False

    @property
    def adds_up(self):
        """Whether micro-batches add up to one gradient."""
        optimizer = self.model.optimizer
        return not optimizer.takes_closure and optimizer.gradient_accumulation_steps is not None

    def _which(self, batch):
        """Of the graphs for such batches."""
        return None if self.device.driver is None else batch.which(turn_of(self))

    @contextlib.contextmanager
    def _undone_without_room(self):
        """On a GPU: a step that ends in MemoryError leaves moving statistics, random numbers and a gradient that adds
        up, unless it has parts, as if it had not begun; weights are changed last of all."""
        state, driver, before = self.model.store.state, self.device.driver, None
        if driver is None:
            yield
            return
        steps, optimizer = self.counters(), self.model.optimizer
        accumulated, parts = optimizer.accumulated, list(optimizer.parts)
        if state.size:
            before = driver.array(state.shape, state.dtype)
            driver.copy(state, before)
        try:
            yield
        except MemoryError:
            if before is not None:
                driver.copy(before, state)
            for layer, number in steps:
                layer.step = number
            if not (parts or optimizer.parts):
                optimizer.accumulated = accumulated
            raise

    def _repeat(self, replay, batch, totals):
        """A noted step, and what of the optimizer's is not in it; whether it is done."""
        if not self._replayed(replay, batch, totals):
            self.replays.give_up(replay)
            return False
        if not replay.updates:
            self._update()
        return True

    def _replayed(self, replay, batch, totals):
        """Whether the noted step could be made on this batch."""
        scaling = None if replay.updates else self.scaling  # else the device does it all
        if scaling is not None:
            scaling.refresh()
        done = replay.add(batch, totals)
        if done and scaling is not None:
            scaling.unscale()
        return done

    def _update(self, *weight):
        """The optimizer's step, but for gradients that overflowed."""
        if self.scaling is None or self.scaling.finite:
            self.model.optimizer.step(self.model, *weight)

    def _noted_gradients(self, batch, xs, targets, ws, totals, check):
        """As `gradients`, noted where that is of use; the `Batch`, None: it cannot be. Whether weights are updated
        too."""
        if batch is None or not self.replays.wants(batch.arrays):
            self.gradients(xs, targets, totals, check, ws=ws)
            return False
        if self.device.driver is not None:
            count = len(xs)
            captured = self.replays.capture(lambda: CapturedStep(self, batch, count), batch.arrays, self._which(batch))
            if captured is not None and self._replayed(captured, batch, totals):
                return captured.updates
            self.gradients(xs, targets, totals, check, ws=ws)
            return False
        target = targets[0]
        if np.may_share_memory(xs[0], target):  # each must be told from the other
            target = target.copy()
        with self.replays.noting(x=xs[0], target=target) as notes:
            self.gradients(xs, [target], totals, notes=notes)
        return False

    def gradients(self, xs, targets, totals, check=None, notes=None, ws=None, unscale=True):
        """Forward, loss, backward and penalties, on inputs that lie on the device.

        Without `unscale` the gradients of a scaled loss stay so: whether they are finite is for the host to read."""
        outputs, marks = self.plan.forward(xs, True, check)
        dys = self.score(outputs, marks, targets, ws or [None] * len(targets), totals, gradient=True)
        self._demand_numbers(totals)
        if notes is not None:
            notes.mark(outputs[0])
        del outputs
        self._backward(dys, check, unscale)
        self.penalize(totals, len(xs[0]), gradient=True)

    def _demand_numbers(self, totals):
        """Stop before backward where the loss is no number, if that is known: on a GPU only `npdl.cuda.debug()` waits
        for it."""
        if not totals.watched:
            return
        if self.device.driver is not None:
            if not (totals.careful or self.device.driver.debugging):
                return
            totals.read()
        totals.demand_numbers()

    def _backward(self, dys, check=None, unscale=True):
        """Backward, of a scaled loss too."""
        with self.plan.unread_gradients():
            if self.scaling is None:
                self.plan.backward(dys, check)
                return
            with self.scaling.penalties():
                self.plan.backward(dys, check)
            if unscale:
                self.scaling.unscale()

    def penalize(self, totals, samples, gradient=False):
        """Add the penalties to `totals`, and their gradients."""
        if self.penalized:
            totals.add_penalty(penalties(self.penalized, gradient, totals.penalty_there(samples)), samples)

    def _accumulate(self, xs, targets, ws, totals, check):
        """A micro-batch of several outputs, or with penalties: a backward for each that is a mean over others."""
        model, optimizer = self.model, self.model.optimizer
        outputs, marks = self.plan.forward(xs, True, check)
        dys = self.score(outputs, marks, targets, ws, totals, gradient=True)
        self._demand_numbers(totals)
        del outputs
        counts = totals.latest
        parts = [part for part, head in enumerate(self.heads) if head.loss is not None]
        chosen = any(mark is not None for mark in marks)  # a count that is not the number of samples
        chosen = chosen or any(getattr(self.heads[part].loss, "counts_parts", False) for part in parts)
        differ = len({counts[part] for part in parts}) > 1 or (chosen and len(parts) > 1)
        differ = differ or any(ws[part] is not ws[parts[0]] for part in parts)
        if any(name is None for _, name, _ in self.penalized):  # penalties of outputs, which are means over all samples
            differ = differ or chosen or any(ws[part] is not None for part in parts)
        if not differ and not optimizer.parts:
            self._backward(dys, check)
            self.penalize(totals, len(xs[0]), gradient=True)
            self._update(sum(counts))
            return
        if self.scaling is not None:
            raise ValueError(
                "gradient_accumulation_steps keeps the gradients of outputs and penalties that are means over other "
                'samples apart, and mixed_float16 knows one of them only; use precision="mixed_bfloat16"'
            )
        with self.plan.unread_gradients():
            for number, part in enumerate(parts):
                alone = [dy if place in self.heads[part].places else None for place, dy in enumerate(dys)]
                with unpenalized():
                    self.plan.backward_again(alone, check if number == 0 else None)
                optimizer.gather(model, number, counts[part])
            self.plan.backward([None] * len(dys))  # the penalties' alone
            if self.penalized:
                self.penalize(totals, len(xs[0]), gradient=True)
                optimizer.gather(model, len(parts), len(xs[0]))
            optimizer.step(model)

    def _again(self, xs, targets, ws):
        """The gradients of the same batch with other weights; returns the loss, which counts nowhere."""
        apart = self._apart()
        self.gradients(xs, targets, apart, ws=ws)
        return apart.logs()["loss"]

    def look_through(self, x, y, w, watch):
        """Forward, loss and backward of a batch once more, in memory of their own; the loss, which counts nowhere.

        `watch.forward(layer, x, y)` and `watch.backward(layer, dx)` are called after each layer. The gradients are
        written; weights, moving statistics and the steps of layers are afterwards what they were.

        Raises:
            NotFinite: forward came to its end, and the loss is no number.
        """
        xs, targets, ws = self.parts(x, y, w)
        self.prepare()
        store, workspace, steps = self.model.store, devices.Workspace(self.device), self.counters()
        state = np.array(self.device.to_host(store.state))
        try:
            for layer, number in steps:
                layer.step = max(number - 1, 0)  # the random numbers of that batch
            with devices.use_workspace(workspace), watch.inside(self.plan.layers):
                apart = self._apart()
                apart.watched = apart.careful = True
                self.gradients(workspace.given(xs), targets, apart, watch, ws=ws, unscale=False)
                return apart.logs()["loss"]
        finally:
            self.device.write(store.state, state)
            for layer, number in steps:
                layer.step = number

    def counters(self):
        """[(layer, its `step`)]: which random numbers come next."""
        return [(layer, layer.step) for layer in self.model.walk() if isinstance(getattr(layer, "step", None), int)]

    def careful(self):
        """Fresh totals for steps each of which is done by itself, and stops before backward where its loss is none."""
        self._begin_anew()
        self.replays.possible = False
        totals = self.totals()
        totals.watched = totals.careful = True
        return totals

    def _apart(self):
        """Totals of a batch that counts nowhere."""
        parts = [Totals(head.loss, (), ()) for head in self.heads]
        driver = self.device.driver
        return EpochTotals(self.heads, parts, driver and self.device.running_sums(places_of(parts)))

    @property
    def stops(self):
        """Whether a loss that is no number ends it all: a loss scale skips that step, and L-BFGS raises by itself."""
        return self.scaling is None and not self.model.optimizer.takes_closure

    def validate(self, y):
        """Check targets once, before training."""
        for head, one in zip(self.heads, (y,) if self.model.is_plain else y, strict=True):
            head.validate(one)

    def parts(self, x, y, w, dtype=None):
        """(inputs, targets as the losses take them, sample weights), a tuple each."""
        if self.model.is_plain:
            plain = w is None and dtype is None and type(x) is type(y) is np.ndarray
            if plain and (x.shape, y.shape) == self._checked[0]:  # all that is left to do is to convert the targets
                return (x,), (np.ascontiguousarray(y, self._checked[1]).reshape(self._checked[2]),), (None,)
            self.model.check_shapes((x.shape[1:],))
            head = self.heads[0]
            target = head.target(y, len(x), dtype)
            if plain and type(head.loss) in LOSSES and "prepare" not in vars(head.loss):
                self._checked = (x.shape, y.shape), target.dtype, target.shape
            return (x,), (target,), (head.weights(w, len(x)),)
        self.model.check_shapes([one.shape[1:] for one in x])
        y = (None,) * len(self.heads) if y is None else y
        w = w if isinstance(w, tuple) else (w,) * len(self.heads)
        targets = [head.target(one, len(x[0]), dtype) for head, one in zip(self.heads, y, strict=True)]
        return x, targets, [head.weights(one, len(x[0])) for head, one in zip(self.heads, w, strict=True)]

    def prepare(self):
        """Have the plan be what the layers are now; whether others run from now on, with memory of their own."""
        anew = self.plan.prepare()
        if anew:
            self._begin_anew()
        return anew

    def score(self, outputs, marks, targets, ws, totals, gradient=False):
        """Add losses and metrics to `totals`; returns dL/d output of each, None without a loss."""
        totals.begin()
        given = [
            head.score(head.of(outputs), head.of(marks), target, w, own, gradient)
            for head, target, w, own in zip(self.heads, targets, ws, totals.totals)
        ]
        return given if len(given) == len(outputs) else by_place(self.heads, given, len(outputs))
