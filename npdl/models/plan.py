"""Plan: what a training step leaves out, activations and gradients that nobody reads, and the order of the rest."""

import contextlib
import operator
import threading

import numpy as np

from npdl import activations, devices
from npdl.layers.chains import lowest_to_learn
from npdl.models import graph as graphs
from npdl.models.fusion import follow, fuse, looked_at, twins
from npdl.models.repeated import clear

PLAIN = (bool, int, float, str, tuple, type(None), np.generic, activations.Activation)
"""Types of the attributes that are compared from step to step: one look at each of them is cheap."""


def watch(part, names=None):
    """(attributes of a layer, what gets some of them): those of `names` that it has, None: all plain ones."""
    mine = vars(part)
    if names is None:
        names = [name for name, value in mine.items() if isinstance(value, PLAIN) and not name.startswith("_")]
        names = [name for name in names if name != "step"]  # it counts, and says nothing about the layer
    return mine, operator.itemgetter(*([name for name in names if name in mine] or ["needs_dx"]))


def look(watched):
    """What they are now, in some microseconds; by their number it sees a `forward` put on a layer."""
    return [(len(mine), some(mine)) for mine, some in watched]


def unchanged(seen, watched):
    """Whether they are what `look` saw; one that is gone, or that is an array now, counts as changed."""
    try:
        return bool(seen == look(watched))
    except (KeyError, ValueError):
        return False


class Run:
    """A chain as a step runs it.

    Attributes:
        layers: what to run, ReLUs fused; `owners` stand at the same places.
        trained: those of them that backward goes through; `untrained` come before them and forget at once.
        reads_on: whether somebody below reads dL/dx of the first.
        sources, several, targets, many, last: as of `Chain`.
    """

    def __init__(self, chain):
        self.sources, self.several, self.targets, self.many, self.last = (
            chain.sources, chain.several, chain.targets, chain.many, chain.last,
        )  # fmt: skip
        self.layers, self.owners, self.penalized = chain.layers, chain.owners, chain.penalized
        self.fixed = chain.fixed
        self.untrained, self.trained, self.reads_on = (), self.layers, False

    def learn(self, below):
        """Settle how far backward goes, given whether something below learns; returns whether it goes here at all."""
        self.reads_on = below
        lowest = 0 if below else lowest_to_learn(self.owners)
        self.untrained, self.trained = self.layers[:lowest], self.layers[lowest:]
        return bool(self.trained)


class Plan:
    """Which layers a step runs, and where its backward stops.

    Args:
        graph: of the model.
        instead: {id of a layer: what runs in its place}.

    Attributes:
        runs: the chains as they are run, after `prepare`.
    """

    def __init__(self, graph, instead=()):
        self.graph, self.runs = graph, [Run(chain) for chain in graph.chains]
        self.parts = [part for chain in graph.chains for layer in chain.owners for part in layer.walk()]
        self.given = [([dict(instead).get(id(x), x) for x in chain.layers], chain.owners) for chain in graph.chains]
        self._twins, self._watched, self._unread = [], [], []
        self._looked_at, self._seen = None, None
        self._making = threading.Lock()  # several threads may evaluate one model

    @property
    def layers(self):
        """All layers that run, in order."""
        return [layer for run in self.runs for layer in run.layers]

    def prepare(self):
        """Make the layers to run what the model's are now: a callback may freeze one or set an attribute at any time.

        Returns:
            whether they are others than before, so that nobody asks for the memory of those any more.
        """
        if unchanged(self._seen, self._watched):
            return False
        with self._making:
            return self._make()

    def _make(self):
        anew = self._looked_at != (now := looked_at(self.parts))
        if anew:
            self._looked_at = now
            for run, given in zip(self.runs, self.given, strict=True):
                run.layers, run.owners = fuse(*given)
            self._twins = twins(self.layers)
        for other in self._twins:
            follow(other)
        learns = set()  # slots below which something learns
        for run in self.runs:
            if run.learn(any(slot in learns for slot in run.sources)):
                learns.update(run.targets)
        self._unread = [layer for run in self.runs if not run.reads_on for layer in _lowest(run.trained)]
        self._watched = self._watch()
        self._seen = look(self._watched)
        return anew

    def _watch(self):
        """(attributes of a layer, what gets some of them): all plain ones where a twin follows, else what decides."""
        followed, watched = {id(other.twin_of[0]) for other in self._twins}, []
        for part in self.parts:
            watched.append(watch(part, None if id(part) in followed else ("trainable", "activation")))
        return watched

    # ---- running

    def forward(self, xs, training, check=None):
        """(outputs, their masks), lists."""
        return graphs.run(self.runs, self.graph, xs, training, look=check and check.forward)

    def backward_again(self, dys, check=None):
        """As `backward`, which comes once more after this: what was saved stays."""
        workspace = devices.current_workspace()
        workspace.again = True
        try:
            self.backward(dys, check, again=True)
        finally:
            workspace.again = False

    def backward(self, dys, check=None, again=False):
        """Assign the gradients of the layers that learn."""
        graph = self.graph
        parts = graphs.given_for(graph.outputs, dys)
        for run in reversed(self.runs):
            if not run.trained:
                continue
            dy = graphs.gathered(graph, run, parts)
            if dy is None:
                for layer in run.trained:
                    clear(layer)
                continue
            for layer in reversed(run.trained):
                dy = layer.backward(dy)
                if check:
                    check.backward(layer, dy)
                if not again:
                    graphs.let_go(layer)
            if run.reads_on:
                graphs.spread(run, dy, parts)

    @contextlib.contextmanager
    def unread_gradients(self):
        """While it lasts, the lowest layers that learn need not make an input gradient."""
        unread = self._unread
        try:
            for layer in unread:
                layer.needs_dx = False
            yield
        finally:
            for layer in unread:
                layer.needs_dx = True


def _lowest(layers):
    """The lowest layer of a chain that begins with one that learns; if it is a container, those of its chains too."""
    for layer in layers[:1]:
        yield layer
        for chain in _entrances(layer):
            yield from _lowest(chain[lowest_to_learn(chain) :])


def _entrances(layer):
    """The chains inside a layer that read its x."""
    return layer.entrances() if hasattr(layer, "entrances") else ()
