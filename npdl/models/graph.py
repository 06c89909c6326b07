"""Graph: the layers of a model, models inside it taken apart, in the order in which they run, without any tape.

Arrays lie in numbered slots. A chain is a run of layers of which each reads what the one before it makes, and nobody
else does; chains run in the order in which their first layers were called, and backward in the opposite one. A
Sequential is one chain. A gradient that several chains give for one slot is added up in the order of their calls.
"""

import copy
import itertools
from typing import NamedTuple

import numpy as np

from npdl import devices
from npdl.layers import masks, mode
from npdl.layers.node import has_several
from npdl.models.repeated import Repeated, clear


class Op(NamedTuple):
    """One call of a layer: the slots that it reads and makes, a tuple or the only one; whether fixed to inference."""

    layer: object
    sources: tuple
    several: bool
    targets: tuple
    many: bool
    fixed: bool


class Chain:
    """Layers one after the other.

    Attributes:
        layers: to run.
        owners: the model's layers at the same places.
        sources, several: the slots that the first layer reads, as a tuple or the only one.
        targets, many: the slots that the last layer makes.
        fixed: whether these calls do what inference does in training, too.
        last: for each source, whether nobody reads it later.
        penalized: whether there is a penalty on the output of a layer.
        untrained, trained: the layers, as far as backward does not go, and the others.
    """

    untrained = ()

    def __init__(self, op):
        self.layers, self.owners = [op.layer], [op.layer]
        self.trained = self.layers
        self.sources, self.several, self.targets, self.many, self.fixed = op[1:]
        self.last, self.penalized = (), False

    def append(self, op):
        """One more layer at the end."""
        self.layers.append(op.layer)
        self.owners.append(op.layer)
        self.targets, self.many = op.targets, op.many


class Graph:
    """The chains of a model.

    Args:
        model: built.

    Attributes:
        chains: in the order in which they run.
        inputs, outputs: the slots of the model's x and y.
        size: how many slots there are.
        ops: every call of a layer.
        shapes: {slot: shape} of what chains with a penalty on an output made in the last training forward.
    """

    def __init__(self, model):
        numbers = itertools.count()
        self.inputs, self.ops = [next(numbers) for _ in model.input_shapes], []
        self.outputs = self._take_apart(model, self.inputs, numbers, False)
        self.size, self.device, self.shapes = next(numbers), model.device, {}
        self._mark_repeated()
        self.chains = self._link()

    def _take_apart(self, model, slots, numbers, fixed):
        """The slots of a model's outputs; lists the calls of all layers inside."""
        if not hasattr(model, "steps"):  # a Sequential
            several = False
            for layer in model.layers:
                slots, several = self._call(layer, tuple(slots), several, numbers, fixed)
            return list(slots)
        known = dict(zip(model.input_nodes, slots, strict=True))
        for call in model.steps:
            sources, always = tuple(known[node] for node in call.inputs), fixed or call.fixed
            made, _ = self._call(call.layer, sources, call.several, numbers, always)
            known.update(zip(call.outputs, made, strict=True))
        return [known[node] for node in model.output_nodes]

    def _call(self, layer, slots, several, numbers, fixed):
        if hasattr(layer, "compile"):  # a model inside
            slots = self._take_apart(layer, slots, numbers, fixed)
            return slots, len(slots) > 1
        many = has_several(layer.output_shape)
        made = tuple(next(numbers) for _ in (layer.output_shape if many else [0]))
        self.ops.append(Op(layer, slots, several, made, many, fixed))
        return made, many

    def _mark_repeated(self):
        """Give each call of a layer that is called several times something of its own to keep."""
        calls = {}
        for place, op in enumerate(self.ops):
            calls.setdefault(id(op.layer), []).append(place)
        self.repeated = {}
        for places in calls.values():
            if len(places) > 1:
                together: list = []
                for place in places:
                    self.repeated[place] = Repeated(self.ops[place].layer, together)

    def _link(self):
        """Chains of the calls."""
        readers = [0] * self.size
        for slot in itertools.chain(self.outputs, *(op.sources for op in self.ops)):
            readers[slot] += 1
        chains, ending = [], {}
        for place, op in enumerate(self.ops):
            before = ending.get(op.sources[0]) if len(op.sources) == 1 and not op.several else None
            before = before if before is not None and before.fixed == op.fixed else None
            if before is not None and readers[op.sources[0]] == 1:
                before.append(op)
            else:
                before = Chain(op)
                chains.append(before)
            if place in self.repeated:
                before.layers[-1] = self.repeated[place]
            if not op.many:
                ending[op.targets[0]] = before
        seen = set(self.outputs)
        for chain in reversed(chains):
            parts = (part for layer in chain.owners for part in layer.walk())
            chain.penalized = any(part.penalizes for part in parts)
            chain.last = tuple(slot not in seen for slot in chain.sources)
            seen.update(chain.sources)
        return chains

    def replaced(self, others):
        """The same graph of other layers, on the host.

        Args:
            others: id of a layer -> what takes its place.
        """
        graph = copy.copy(self)
        graph.device, graph.ops = devices.get("cpu"), [op._replace(layer=others[id(op.layer)]) for op in self.ops]
        graph.shapes = {}
        graph._mark_repeated()
        graph.chains = graph._link()
        return graph

    def maker(self, slot):
        """The call that makes a slot, None for an input."""
        return next((op for op in self.ops if slot in op.targets), None)

    # ---- running

    def forward(self, xs, training=False, marks=None, look=None):
        """(outputs, their masks), lists, of the layers as they are; `look(layer, x, y)` before what comes next."""
        return run(self.chains, self, xs, training, marks, look)

    def backward(self, dys):
        """dL/dx of each input, of the layers as they are; None where there is none."""
        parts = given_for(self.outputs, dys)
        for chain in reversed(self.chains):
            dy = gathered(self, chain, parts)
            if dy is None:
                for layer in chain.layers:
                    clear(layer)
                continue
            for layer in reversed(chain.layers):
                dy = layer.backward(dy)
            spread(chain, dy, parts)
        return [total(self, slot, parts) for slot in self.inputs]


def run(chains, graph, xs, training, marks=None, look=None):
    """(outputs, masks) of chains on the slots of a graph; `look(layer, x, y)` is called after each layer."""
    values, found = [None] * graph.size, [None] * graph.size
    for i, slot in enumerate(graph.inputs):
        values[slot], found[slot] = xs[i], marks and marks[i]
    xs = None
    for chain in chains:
        if not chain.several:
            slot = chain.sources[0]
            x, mask = values[slot], found[slot]
            if chain.last[0]:
                values[slot] = None
        else:
            x, mask = tuple(values[slot] for slot in chain.sources), tuple(found[slot] for slot in chain.sources)
            mask = None if not any(one is not None for one in mask) else mask
            for slot, last in zip(chain.sources, chain.last):
                if last:
                    values[slot] = None
        if chain.fixed:
            with mode.fixed_call():
                x, mask = _through(chain, x, training, mask, look)
        else:
            x, mask = _through(chain, x, training, mask, look)
        if chain.many:
            for place, slot in enumerate(chain.targets):
                values[slot], found[slot] = x[place], mask[place] if isinstance(mask, tuple) else mask
        else:
            values[chain.targets[0]], found[chain.targets[0]] = x, mask
        if chain.penalized and training:
            graph.shapes.update({slot: values[slot].shape for slot in chain.targets})
    return [values[slot] for slot in graph.outputs], [found[slot] for slot in graph.outputs]


def _through(chain, x, training, mask, look):
    """(y, mask) of the layers of a chain."""
    for layer in chain.untrained:
        y, mask = masks.forward(layer, x, training, mask)
        if look is not None:
            look(layer, x, y)
        let_go(layer)  # no backward will come here
        x = y
    for layer in chain.trained:
        if mask is None and not layer.makes_mask:  # as masks.forward, without its call
            y = layer.forward(x, training)
        else:
            y, mask = masks.forward(layer, x, training, mask)
        if look is not None:
            look(layer, x, y)
        x = y
    return x, mask


def let_go(layer):
    """Forget what the layer saved in the workspace, whose memory then serves others."""
    for part in layer.walk():
        part.forget()


def gathered(graph, chain, parts):
    """dL/dy of a chain, as its last layer takes it; None where there is none at all, and no penalty inside it."""
    dy = tuple(total(graph, slot, parts) for slot in chain.targets)
    if all(one is None for one in dy):
        if not chain.penalized or chain.targets[0] not in graph.shapes:
            return None
        dy = tuple(_zeros(graph, slot, chain.owners[-1].dtype) for slot in chain.targets)
    return dy if chain.many else dy[0]


def _zeros(graph, slot, dtype):
    dy = graph.device.alloc(graph.shapes[slot], dtype)
    graph.device.write(dy, np.zeros(dy.shape, dy.dtype))
    return dy


def total(graph, slot, parts):
    """The sum of what was given for a slot, in the order of the calls; None where nothing was."""
    given = parts.pop(slot, ())
    if len(given) == 1:
        return given[0]
    given = [part for part in given if part is not None]
    if not given:
        return None
    dy, *others = given
    if others and devices.current_workspace() is None:  # in fit what is handed down may be written over
        dy = graph.device.alloc(dy.shape, dy.dtype)
        graph.device.write(dy, given[0])
    for part in others:
        graph.device.kernels.add(dy, part, out=dy)
    return dy


def given_for(slots, arrays):
    """{slot: list of the gradients that were given for it}."""
    if len(slots) == 1:
        return {slots[0]: [arrays[0]]}
    parts: dict[int, list] = {}
    for slot, array in zip(slots, arrays, strict=True):
        parts.setdefault(slot, []).append(array)
    return parts


def spread(chain, dx, parts):
    """Note what a chain's first layer gives for the slots that it reads: before what later calls gave."""
    if not chain.several:
        parts.setdefault(chain.sources[0], []).insert(0, dx)
        return
    layer, last = chain.owners[0], len(chain.sources) - 1
    given = [None] * (last + 1) if dx is None else list(dx)
    if not type(layer).__module__.startswith("npdl."):  # a layer of the user's own may give one array twice
        device = layer.device
        given[:last] = [part if part is None else _copied(device, part) for part in given[:last]]
    for slot, part in zip(reversed(chain.sources), reversed(given), strict=True):
        parts.setdefault(slot, []).insert(0, part)


def _copied(device, array):
    out = device.alloc(array.shape, array.dtype)
    device.write(out, device.to_host(array))
    return out
