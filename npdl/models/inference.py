"""Inference: what `predict` runs for each batch."""

import threading

from npdl import devices
from npdl.models.plan import Plan
from npdl.models.replay import Replays


class Inference:
    """A model's outputs of one batch after another, in memory that is reused.

    It writes nothing on the model, so that several threads may infer, each with one of its own.

    Args:
        model: built.

    Attributes:
        taken: a lock, held by the thread that uses it.
        behind: how many batches may be asked for before the first is taken.
    """

    def __init__(self, model):
        self.graph, self.store, self.device = model.graph, model.store, model.device
        self.plan, self.taken = Plan(self.graph), threading.Lock()
        self.behind = 0 if self.device.driver is None else 1
        self._begin()

    def _begin(self):
        self.workspace = devices.Workspace(self.device)
        self.replays = Replays(self.plan, self.store, self.workspace)

    def close(self):
        """Give it back at the end of a `predict`, without much of the memory."""
        if self.workspace.nbytes > self.device.most_kept:
            self._begin()
        self.taken.release()

    def is_current(self, model):
        """Whether the model is still the one that this was made for."""
        return self.graph is model.graph and self.store is model.store and self.device is model.device

    def ask(self, xs):
        """Ask for the outputs of host arrays; returns a function that gives them as host arrays, which the next call
        writes over, on a GPU the next but one."""
        outputs = self.outputs(xs)
        if not self.behind:
            return lambda: [self.device.to_host(y) for y in outputs]
        asked = [self.workspace.fetched(place, y) for place, y in enumerate(outputs)]
        return lambda: [given() for given in asked]

    def outputs(self, xs):
        """Of host arrays, on the device; the next call writes over them, as soon as nobody refers to them."""
        self.store.narrow()
        replay = self.replays.find(xs)
        if replay is None and self.plan.prepare():
            self._begin()  # other layers run from now on, with memory of their own
        with devices.use_workspace(self.workspace):
            if replay is not None and (outputs := replay.infer(*xs)) is not None:
                return outputs
            given, xs = xs, self.workspace.given(xs)
            if not self.replays.wants(given):
                return self.plan.forward(xs, False)[0]
            if self.device.driver is not None:
                captured = self.replays.capture_inference(lambda *xs: self.plan.forward(xs, False)[0], given)
                return self.plan.forward(xs, False)[0] if captured is None else captured.infer(*given)
            with self.replays.noting(x=xs[0]) as notes:
                outputs = self.plan.forward(xs, False)[0]
                if notes is not None:
                    notes.mark(outputs[0])
            return outputs
