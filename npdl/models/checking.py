"""check_graph: the gradients of a whole model against central differences."""

import numpy as np

from npdl import devices, random, testing
from npdl.penalties import penalized, penalties
from npdl.testing.chain import put_back


def check_graph(step, xs, targets, ws, *, nudge=1e-3, tolerance=1e-6, entries=30, seed=0):
    """Check every weight's gradient, and every layer's dL/dx (of a graph, the model's), in a float64 copy.

    Args:
        step: of the model.
        xs, targets, ws: inputs of a batch, and for each of the step's heads targets and sample weights.
        nudge, tolerance, entries, seed: as for `npdl.testing.check_chain`.

    Returns:
        a `Report`.
    """
    graph, head = step.float64(), step.heads[0]
    options = {"tolerance": tolerance, "entries": entries, "seed": seed}
    chain = graph.chains[0]
    if len(graph.chains) == 1 and not graph.repeated and not chain.several and not chain.many and head.weight == 1:
        return testing.check_chain(chain.layers, xs[0], head.loss, targets[0], ws[0], nudge=nudge, **options)
    with devices.use_workspace(None):
        return _Checked(step, graph, xs, targets, ws, nudge, seed).compare(options)


class _Checked:
    """A graph in float64 with its losses, which can be run again and again."""

    def __init__(self, step, graph, xs, targets, ws, nudge, seed):
        self.graph, self.targets, self.ws = graph, targets, ws
        self.heads = [(h, None if h.loss is None else testing.copy_of(h.loss)) for h in step.heads]
        self.parts = list({id(part): part for op in graph.ops for part in op.layer.walk()}.values())
        self.penalized = penalized([op.layer for op in graph.ops])
        self.xs = [np.array(x, None if x.dtype.kind == "i" else np.float64) for x in xs]
        for place, part in enumerate(self.parts):
            for array in (*part.params.values(), *part.state.values()):
                testing.nudge_array(array, random.key(seed, "nudge", place), nudge)
        for place, x in enumerate(self.xs):
            testing.nudge_array(x, random.key(seed, "nudge", place, "input"), nudge)
        self.before = [(p, p.step, {name: a.copy() for name, a in p.state.items()}) for p in self.parts]
        self.states = {id(part): state for part, _, state in self.before if state}
        self.views = testing.Views([op.layer for op in graph.ops])

    def terms(self):
        """The losses times their weights, and the penalties, after a forward; dropout draws the same mask each time."""
        put_back(self.before)
        with devices.use_workspace(devices.Workspace(self.graph.device)):
            outputs, _ = self.graph.forward(self.xs, True, look=self._hold)
            penalty = [penalties(self.penalized)] if self.penalized else []
            outputs = [np.array(y) for y in outputs]
        losses = [
            head.weight * loss.forward(target, head.of(outputs), w)
            for (head, loss), target, w in zip(self.heads, self.targets, self.ws, strict=True)
            if loss is not None
        ]
        return np.array(losses + penalty)

    def _hold(self, layer, x, y):
        """After each call of a layer: state stays where it was. What one call of a BatchNormalization writes there,
        another that is fixed to inference would read, and backward takes it as given."""
        for part in layer.walk():
            for name, values in self.states.get(id(part), {}).items():
                part.state[name][...] = values

    def compare(self, options):
        """The report."""
        put_back(self.before)
        with devices.use_workspace(devices.Workspace(self.graph.device)):  # as in fit, where dy may be written over
            outputs, _ = self.graph.forward(self.xs, True, look=self._hold)
            outputs = [np.array(y) for y in outputs]
            dys = [None] * len(outputs)
            for (head, loss), target, w in zip(self.heads, self.targets, self.ws, strict=True):
                if loss is not None:
                    loss.forward(target, head.of(outputs), w)
                    head.put(loss.backward(), dys)
            for (head, _), place in ((pair, place) for pair in self.heads for place in pair[0].places):
                dys[place] = None if dys[place] is None else head.weight * dys[place]
            dxs = [None if dx is None else np.array(dx) for dx in self.graph.backward(dys)]
            penalties(self.penalized, gradient=True)
        self.views.demand()
        tensors = [
            testing.Tensor("model", f"input {place}", x, dx, self.terms)
            for place, (x, dx) in enumerate(zip(self.xs, dxs, strict=True))
            if dx is not None and x.dtype.kind == "f"
        ]
        for part in self.parts:
            for name, array in part.params.items():
                tensors.append(testing.Tensor(part.name, name, array, np.array(part.grads[name]), self.terms))
        return testing.compare(tensors, **options)
