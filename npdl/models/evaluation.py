"""Evaluation: what `evaluate` runs for each batch."""

import threading

from npdl import devices
from npdl.models.batch import batch_of
from npdl.models.captured import CapturedTest
from npdl.models.replay import Replays
from npdl.models.totals import EpochTotals, NotedTotals, places_of


class Evaluation:
    """Loss and metrics of one batch after another, without training, in memory that is reused; on a GPU as a graph.

    Several threads may test, each with one of its own.

    Args:
        step: a `Step`.

    Attributes:
        taken: a lock, held by the thread that uses it.
        workspace, replays: as of the `Step`.
    """

    def __init__(self, step):
        self._step, self.device, self.taken = step, step.device, threading.Lock()
        self._losses = [head.test_loss() for head in step.heads]
        self._sums = None  # on a GPU, to which graphs add
        self._begin()

    def _begin(self):
        """Notes and memory of other layers; a test may be going on."""
        self.workspace, self.replays = devices.Workspace(self.device), None
        if self.device.driver is not None:
            step = self._step
            self.replays = Replays(step.plan, step.model.store, self.workspace, step.heads)

    def close(self):
        """Give it back at the end of a test, on a GPU with its graphs unless they have much memory."""
        if self.replays is None or self.workspace.nbytes > self.device.most_kept:
            self._begin()
        self.taken.release()

    def totals(self, noted=False):
        """Fresh totals, with copies of metrics."""
        heads = zip(self._step.heads, self._losses, strict=True)
        totals = [head.test_totals(loss, noted) for head, loss in heads]
        if self.device.driver is not None and self._sums is None:
            self._sums = self.device.running_sums(places_of(totals))
        return (NotedTotals if noted else EpochTotals)(self._step.heads, totals, self._sums)

    def test(self, x, y, w, totals):
        """Loss and metrics of a batch of host arrays; adds to `totals`."""
        step = self._step
        xs, targets, ws = step.parts(x, y, w)
        step.model.store.narrow()
        batch = None
        if self.replays is not None:
            batch = batch_of(step.heads, xs, targets, ws, self.replays.possible)
        replay = None if batch is None else self.replays.find(batch.arrays, batch.which())
        if replay is None and step.prepare():
            self._begin()  # other layers run from now on, with memory of their own
            batch = None
        with devices.use_workspace(self.workspace):
            if batch is not None and replay is None and self.replays.wants(batch.arrays):
                replay = self.replays.capture(lambda: CapturedTest(self, batch, len(xs)), batch.arrays, batch.which())
            if replay is None or not replay.add(batch, totals):
                self.score(self.workspace.given(xs), targets, ws, totals)

    def score(self, xs, targets, ws, totals):
        """As `test`, of inputs that lie on the device."""
        step = self._step
        outputs, marks = step.plan.forward(xs, False)
        step.score(outputs, marks, targets, ws, totals)
        step.penalize(totals, len(xs[0]))
