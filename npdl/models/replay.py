"""Replay: the kernel calls of a step, noted once and then repeated, with nothing of Python between them.

Around its kernels a layer looks up weights, asks for memory and saves what backward needs, and it does so in every step
with the same result: the same kernels on the same memory, but for the batch. In a small net that takes longer than the
arithmetic. So a step on a batch like one before it is noted, and from then on its calls alone are repeated, while the
attributes of all layers stay what they were. Every bit stays the same. On a GPU the notes are a graph of its own.

Only models of npdl's own layers can be noted, whose Python does nothing else and decides nothing by the values of a
batch; on the host only one chain of those in `REPLAYED`. Random numbers are drawn from a layer's step, which a
repetition looks up, and what the host makes of them for a GPU is made anew.
"""

import contextlib
import operator
import threading

import numpy as np

from npdl import activations, devices, layers, losses
from npdl.kernels.counted import Counted
from npdl.models.captured import Captured, counting
from npdl.models.plan import look, unchanged, watch
from npdl.models.repeated import Repeated
from npdl.penalties import penalized

REPLAYED = {
    layers.Activation, layers.AdditiveAttention, layers.AlphaDropout, layers.Attention, layers.AveragePooling1D,
    layers.AveragePooling2D, layers.BatchNormalization, layers.Conv1D, layers.Conv2D, layers.Conv2DTranspose,
    layers.Dense, layers.DepthwiseConv2D, layers.Dropout, layers.ELU, layers.Embedding, layers.Flatten,
    layers.GaussianDropout, layers.GaussianNoise, layers.GELU, layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D, layers.GroupedQueryAttention, layers.GRU, layers.LayerNormalization,
    layers.LeakyReLU, layers.LSTM, layers.MaxPooling1D, layers.MaxPooling2D, layers.MultiHeadAttention,
    layers.PositionEmbedding, layers.ReLU, layers.Reshape, layers.Residual, layers.SeparableConv2D, layers.Sigmoid,
    layers.SimpleRNN, layers.SinePositionEncoding, layers.Softmax, layers.SpatialDropout1D, layers.SpatialDropout2D,
    layers.SpatialDropout3D, layers.StochasticDepth, layers.Tanh, layers.TokenAndPositionEmbedding,
    layers.TransformerDecoder, layers.TransformerEncoder,
}  # fmt: skip
"""Exact types: a subclass of yours may do more than its kernels. What is random in them follows from their step."""

ON_GPU = {Repeated, *map(vars(layers).get, layers.__all__)} - {layers.Lambda}
"""There all that npdl wrote: what looks at a batch's values copies them to the host, and so is no graph."""

LOSSES = {
    losses.BinaryCrossentropy, losses.CategoricalCrossentropy, losses.Huber, losses.MeanAbsoluteError,
    losses.MeanSquaredError, losses.SparseCategoricalCrossentropy,
}  # fmt: skip
LOSSES_ON_GPU = {kind for kind in map(vars(losses).get, losses.__all__) if isinstance(kind, type)}

OWN = {"forward", "backward", "values", "gradient", "values_and_gradient"}
"""Methods that a user may have put on one object, or for a while on a class."""

KINDS = REPLAYED | ON_GPU | LOSSES | LOSSES_ON_GPU
OF_A_KIND = {kind: operator.attrgetter(*[name for name in OWN if hasattr(kind, name)]) for kind in KINDS}
WRITTEN = {kind: of(kind) for kind, of in OF_A_KIND.items()}
"""What gets those methods of a class, and what they are as npdl wrote them."""


_one_at_a_time = threading.Lock()  # threads may share layers, and their kernels can stand in for one step at a time

WASTED = (
    3  # times that notes were of no use, since an attribute changed before the next step; then none are made any more
)

MOST = 8  # noted steps of a model: batches of ever new shapes would only cost memory


class Notes:
    """Stands for a device's table of kernels: makes each call, and notes it where it belongs to a workspace's step.

    Args:
        kernels: the table.
        workspace: of the step; other threads may run the same layers in others.
        given: arrays by name that will be others in each repetition.

    Attributes:
        calls: [(kernel, list of arguments, dict of named ones)].
        marked, output: how many of them are forward and loss, and what came out.
        possible: whether they can be repeated: only whole given arrays stand in them, and none of them came out.
        places: (name, list or dict of arguments, its key, shape) where a given array, or a view of it, stands; shape
            None: the array's own.
        steps: (list or dict of arguments, its key, the `Counted`) where the step of a layer stands.
        draws: {layer: how many} there are in the step.
    """

    def __init__(self, kernels, workspace, given):
        self.calls, self.places, self.marked, self.output, self.possible = [], [], 0, None, True
        self.steps, self.draws = [], {}
        self._kernels, self._workspace = kernels, workspace
        self._given = given

    def __getattr__(self, name):
        kernel = getattr(self._kernels, name)

        def call(*args, **named):
            kernel(*args, **named)
            if devices.current_workspace() is self._workspace:
                self._note(kernel, list(args), named)

        return call

    def _note(self, kernel, args, named):
        if kernel is self._kernels.activation_grad and args[2] is activations.linear and named["out"] is args[0]:
            return  # dy stays what it is
        for holder, items in ((args, enumerate(args)), (named, named.items())):
            for key, value in list(items):
                if isinstance(value, np.ndarray):
                    holder[key] = self._workspace.keep(value)
                    if (name := self._name_of(value)) is not None:
                        shape = None if value.shape == self._given[name].shape else value.shape
                        self.places.append((name, holder, key, shape))
                elif isinstance(value, Counted):
                    self.steps.append((holder, key, value))
        self.calls.append((kernel, args, named))

    def _name_of(self, array):
        """The name of the given array that this one is, in any shape; None: it is none of them."""
        for name, given in self._given.items():
            if np.may_share_memory(array, given):
                self.possible = self.possible and array.size == given.size
                return name
        return None

    def mark(self, output):
        """Say that forward and loss are done, and what came out."""
        self.possible = self.possible and self._name_of(output) is None
        self.marked, self.output = len(self.calls), self._workspace.keep(output)


class Replay:
    """One noted step: forward and loss, then backward; or forward alone.

    Args:
        notes: of the step.
        kernels: the device's own.
        head: of the model, None where there is no loss.

    Attributes:
        output: what the metrics see, or else the model's output.
        total, count: of the loss, after `before` has run.
        updates: whether the weights are changed too.
    """

    updates = False

    def __init__(self, notes, kernels, head):
        self.before, self.after, self.places = notes.calls[: notes.marked], notes.calls[notes.marked :], notes.places
        self.output, self.steps, self.draws = notes.output, notes.steps, notes.draws
        self.let_go()
        if head is not None:
            (self.total,) = [named["out"] for kernel, _, named in self.before if kernel is kernels.weighted_sum]
            self.count = head.loss.count
            if head.activation is not None and head.metrics:  # the probabilities were made last
                self.output = self.before[-1][2]["out"]

    def _give(self, given):
        """Put these arrays, by name, where those stood that were noted."""
        for name, holder, key, shape in self.places:
            holder[key] = given[name] if shape is None else given[name].reshape(shape)
        for holder, key, step in self.steps:
            holder[key] = step.now()

    def let_go(self):
        """Refer to no given array any more."""
        for _, holder, key, _ in self.places:
            holder[key] = None

    def _forward(self, **given):
        """Whether the kernels took these arrays: one refuses an index that its table does not have."""
        self._give(given)
        try:
            for kernel, args, named in self.before:
                kernel(*args, **named)
        except IndexError:
            self.let_go()
            return False
        for layer, draws in self.draws.items():
            layer.step += draws
        return True

    def add(self, batch, totals):
        """The gradients of a `Batch`; adds to the `EpochTotals`. False: a kernel refused it, and the layer says why."""
        x, target = batch.arrays
        if not self._forward(x=x, target=target):
            return False
        totals.begin()
        (own,) = totals.totals
        own.add_loss(self.total.item(), self.count)
        if own.metrics:
            own.add_metrics(target, self.output, None)
        try:
            if totals.watched:
                totals.demand_numbers()
            for kernel, args, named in self.after:
                kernel(*args, **named)
        finally:
            self.let_go()
        return True

    def infer(self, x):
        """The outputs, which the next call writes over. None: a kernel refused x, and the layer says why."""
        if not self._forward(x=x):
            return None
        self.let_go()
        return [self.output]


class Replays:
    """The noted steps of a plan, by the shapes of their batches.

    Args:
        plan: of the model.
        store: of the model.
        workspace: in which the steps are made.
        heads: what follows its outputs, none where they are only asked for.
    """

    def __init__(self, plan, store, workspace, heads=()):
        self.plan, self.store, self.workspace, self.heads = plan, store, workspace, heads
        self.on_gpu = store.device.driver is not None
        self.noted, self.met, self.wasted, self.repeated = {}, set(), 0, False
        self._latest = (), None  # the kind of the batch before, and its `Replay`
        self._watched, self._seen, self._data, self._outgrown = (), None, None, None
        self._rules, self._frozen = [], None
        self.possible = self._is_possible()
        self.kinds = [(kind, OF_A_KIND[kind]) for kind in (self._kinds() if self.possible else ())]
        self.written = [WRITTEN[kind] for kind, _ in self.kinds]

    def _is_possible(self):
        if not self.plan.runs:
            return False
        parts, heads = self._parts(), self.heads
        known, known_losses = (ON_GPU, LOSSES_ON_GPU) if self.on_gpu else (REPLAYED, LOSSES)
        return (
            (self.on_gpu or self._is_plain())
            and all(type(part) in known and not OWN & vars(part).keys() for part in parts)
            and not any(name is None for _, name, _ in penalized(parts))
            and all(type(head.loss) in known_losses for head in heads)
            and not any(OWN & vars(head.loss).keys() for head in heads)
        )

    def _is_plain(self):
        """On the host: whether it is one chain without penalties, masks, calls that are fixed to inference, weighed
        losses, and metrics that call kernels."""
        runs, graph, parts = self.plan.runs, self.plan.graph, self._parts()
        return (
            type(self.store.device) is devices.Device
            and len(runs) == len(graph.outputs) == len(graph.inputs) == 1
            and not (runs[0].several or runs[0].many or runs[0].fixed)
            and not any(part.makes_mask for part in parts)
            and not penalized(parts)
            and not any(head.loss.counts_parts for head in self.heads if head.loss is not None)
            and not any(head.weight != 1 or any(hasattr(one, "loss") for one in head.metrics) for head in self.heads)
        )

    def _parts(self):
        """All layers, and what runs in their places."""
        run = [part for layer in self.plan.layers for part in layer.walk()]  # what wraps a call, too
        return [*self.plan.parts, *run]

    def _kinds(self):
        """The classes whose methods a step runs."""
        return {type(part) for part in self._parts()} | {type(head.loss) for head in self.heads}

    def find(self, batch, which=None):
        """The `Replay` for a batch of these host arrays, None where there is none; `which`: of several for such arrays,
        `Batch.which`."""
        if not self.noted:
            return None
        if not self._is_current():
            self.noted.clear()
            self._latest = (), None
            self.wasted = 0 if self.repeated else self.wasted + 1
            self.repeated, self.possible = False, self.possible and self.wasted < WASTED
            return None
        kind = _kind(batch), which
        if kind != self._latest[0]:  # to compare it is cheap, to look it up takes a hash of each type
            self._latest = kind, self.noted.get(kind)
        replay = self._latest[1]
        if replay is None or self._debugs():
            return None
        for array in batch:
            if not array.flags.c_contiguous:
                return None
        self.repeated = True
        return replay

    def wants(self, batch):
        """Whether the step that comes is to be noted: one like it has been before."""
        if not self.possible or self._debugs() or not len(batch[0]) or len(self.met) > MOST or self._is_patched():
            return False
        kind = _kind(batch)
        if kind in self.met:
            if self.store.device.driver is not None:  # a batch is copied there
                return True
            mine = (self.store.data, self.store.grad, self.store.state)
            return all(
                array.flags.c_contiguous and not any(np.may_share_memory(array, own) for own in mine) for array in batch
            )
        self.met.add(kind)
        return False

    def _is_current(self):
        """Whether what was noted still lies where it lay, and every layer is what it was."""
        return (
            self._data is self.store.data
            and self._frozen == self._constants()
            and self._outgrown == self.workspace.outgrown
            and unchanged(self._seen, self._watched)
            and not self._is_patched()
        )

    def _constants(self):
        """What a noted step keeps as it was: the seed of random numbers; as a graph also whether products round their
        factors, the weights' copy in 16 bits, and the numbers of regularizers."""
        store = self.store
        if not self.on_gpu:
            return store.seed
        scales = [head.scaling.growth for head in self.heads if head.scaling is not None]
        return store.seed, store.device.driver.tf32, store.copy, [vars(one).copy() for one in self._rules], scales

    def _debugs(self):
        """Whether each call is to be made by the line of Python that asks for it."""
        return devices.debugging() or (self.on_gpu and self.store.device.driver.debugging)

    def _is_patched(self):
        """Whether a class has another method than npdl wrote, by `unittest.mock.patch.object(layers.Dense, ...)`."""
        return [of(kind) for kind, of in self.kinds] != self.written

    def _look(self):
        """Remember what is seen now, and settle `possible`; returns what has a table of kernels."""
        self._watched, self._data = [watch(part) for part in self.plan.parts], self.store.data
        self._rules = [rule for _, _, rule in penalized(self.plan.parts)]
        self._frozen = self._constants()
        self._outgrown, self._seen, kernels = self.workspace.outgrown, look(self._watched), self.store.device.kernels
        parts = [part for layer in self.plan.layers for part in layer.walk()]
        parts += [part for head in self.heads for part in (head, head.loss)]
        # neither a table of yours, nor what the batch before has left
        self.possible = all(part.k is kernels and not getattr(part, "stateful", False) for part in parts)
        return parts

    def capture_inference(self, run, xs):
        """Inference on a GPU as a graph: `run(*xs)`, arrays on the device, gives the outputs. As `capture`."""
        return self.capture(lambda: Captured(self.store.device, xs, (), run, self.workspace), xs)

    def capture(self, make, batch, which=None):
        """What `make()` captures for a batch of host arrays, from now on found for such ones; None if it cannot be a
        graph."""
        self._look()
        if not self.possible:
            return None
        self._latest = (), None
        try:
            captured = make()
        except devices.NotInGraph:  # a table that is made anew in each step, since there are too many to keep
            self.possible = False
            return None
        self.noted[_kind(batch), which] = captured
        return captured

    def give_up(self, replay):
        """Forget a graph that did not fit any more; after some there are none for this model."""
        if replay.updates:
            self.noted = {kind: other for kind, other in self.noted.items() if other is not replay}
            self._latest, self.wasted = ((), None), self.wasted + 1
            self.possible = self.possible and self.wasted < WASTED

    @contextlib.contextmanager
    def noting(self, **batch):
        """A context in which a step is made on this batch, and noted; it calls `mark` of the `Notes` that it gets."""
        parts, kernels = self._look(), self.store.device.kernels
        notes = Notes(kernels.full, self.workspace, batch)
        table = kernels.over(notes)  # in mixed precision rounding is noted, too
        if not _one_at_a_time.acquire(blocking=False):  # this step may be part of one that is noted: by a metric
            yield None
            return
        try:
            for part in parts if self.possible else ():
                part.k = table
            with counting(parts if self.possible else (), done=True) as notes.draws:
                yield notes if self.possible else None
        finally:
            for part in parts if self.possible else ():
                part.k = kernels
            _one_at_a_time.release()
        self.possible = self.possible and notes.possible
        if self.possible:
            self._latest = (), None
            self.noted[_kind(batch.values()), None] = Replay(notes, kernels.full, self.heads[0] if self.heads else None)


def _kind(batch):
    return tuple([(array.shape, array.dtype) for array in batch])
