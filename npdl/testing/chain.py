"""check_chain: layers one after the other, run again and again to compare their gradients with differences."""

import numpy as np

from npdl import devices, random
from npdl.params import copied
from npdl.penalties import penalized, penalties
from npdl.testing.custom import Views, demand_arguments
from npdl.testing.differences import Tensor, compare


def nudge_array(array, key, amount):
    """Move a host array in place: nonzero entries by up to that part of them, zeros up by up to that much."""
    if np.issubdtype(array.dtype, np.floating) and amount:
        u = random.uniform(key, array.shape, -1.0, 1.0)
        array[...] = np.where(array == 0, amount * np.abs(u), array * (1 + amount * u))


def put_back(before):
    """Have layers begin again: [(layer, its step, {name: its state})]; stateful ones with states of 0."""
    for part, step, state in before:
        part.step = step
        for name, values in state.items():
            part.state[name][...] = values
        if hasattr(part, "reset_state"):
            part.reset_state()


def copy_of(loss):
    """A copy on the host that can be run without a trace in the loss."""
    copy = object.__new__(type(loss))
    vars(copy).update(copied(vars(loss)))
    if hasattr(copy, "attach") and not isinstance(copy.device.zeros((0,), np.float64), np.ndarray):
        copy.attach(devices.get("cpu"))
    return copy


def float64_copies(layers):
    """Copies of built layers of one store, in float64 on the host; they share nothing that can be written."""
    store = layers[0].store
    on_host = isinstance(store.data, np.ndarray)
    twin = store.twin("float64", store.device.full if on_host else devices.get("cpu"))
    return [twin.layers[layer.place] for layer in layers]


class _Chain:
    """Layers one after the other and a loss; any tail of them can be run again.

    Each layer is checked in the tail that it begins, on its own input moved a little: a ReLU below leaves zeros, which
    are ties for a max-pooling.
    """

    def __init__(self, layers, loss, y, sample_weight, seed):
        self.layers, self.loss, self.y, self.sample_weight, self.seed = layers, loss, y, sample_weight, seed
        self.before = [
            [(part, part.step, {name: a.copy() for name, a in part.state.items()}) for part in layer.walk()]
            for layer in layers
        ]
        self.views, self.r, self.penalized = Views(layers), None, penalized(layers)
        for layer in layers:
            demand_arguments(layer, "forward", "x, training=False")
            demand_arguments(layer, "backward", "dy")

    def terms(self, output):
        """L, or its terms, and the penalties: without a loss L = Σ y · r for random numbers r."""
        if self.loss is None and self.r is None:
            self.r = random.normal(random.key(self.seed, "r"), output.shape)
        terms = output * self.r if self.loss is None else self.loss.forward(self.y, output, self.sample_weight)
        return np.append(terms, penalties(self.penalized)) if self.penalized else terms

    def forward(self, i, x):
        """y of layer i; dropout draws the same mask each time, and moving statistics do not move on."""
        put_back(self.before[i])
        return self.layers[i].forward(x, True)

    def output(self, first, x):
        """y of the layers from `first` on."""
        for i in range(first, len(self.layers)):
            x = self.forward(i, x)
        return x

    def run(self, first, x):
        """L of the layers from `first` on."""
        return self.terms(self.output(first, x))

    def backward(self, first, x):
        """dL/dx of layer `first`; in reused memory as in `fit`, where a layer may write over the dy that it gets."""
        workspace = devices.Workspace(self.layers[first].device)
        with devices.use_workspace(workspace):
            output = self.output(first, x)
        self.terms(output)
        dy = self.r.copy() if self.loss is None else self.loss.backward()
        with devices.use_workspace(workspace):
            for layer in reversed(self.layers[first:]):
                if dy is None:
                    raise ValueError(f"{layer.name} gets no dy: the backward of the layer after it returned None")
                dy = layer.backward(dy)
        return dy

    def tensors(self, x, nudge):
        """A `Tensor` for every weight and every layer's input."""
        found = []
        for i, layer in enumerate(self.layers):
            x = _each(np.array, x)  # a copy: a layer's y may be a view of its x
            for place, one in enumerate(_several(x)):
                purpose = ("input",) if place == 0 else ("input", place)
                nudge_array(one, random.key(self.seed, "nudge", i, *purpose), nudge)
            dx = self.backward(i, x)
            penalties(penalized(self.layers[i : i + 1]), gradient=True)
            self.views.demand()
            mine = [(p.name, name, p.params[name], p.grads[name]) for p in layer.walk() for name in p.params]
            given = dx if isinstance(dx, (tuple, list)) else [dx] * len(_several(x))
            for place, (one, d) in reversed(list(enumerate(zip(_several(x), given, strict=True)))):
                if d is not None and np.issubdtype(one.dtype, np.floating):
                    name = f"input {place}" if isinstance(x, tuple) else "input"
                    mine.insert(0, (layer.name, name, one, d))
            found += [
                Tensor(owner, name, array, np.array(gradient), lambda i=i, x=x: self.run(i, x))
                for owner, name, array, gradient in mine
            ]
            x = self.forward(i, x)
        return found


def _several(x):
    """The inputs of a layer, as a tuple."""
    return x if isinstance(x, tuple) else (x,)


def _each(function, x):
    """The function of an array, or of each in a tuple of inputs."""
    return tuple(map(function, x)) if isinstance(x, tuple) else function(x)


def _as_float64(x):
    return np.array(x, np.float64) if np.issubdtype(np.asarray(x).dtype, np.floating) else np.array(x)


def check_chain(layers, x, loss=None, y=None, sample_weight=None, *, nudge=1e-3, tolerance=1e-6, entries=30, seed=0):
    """Check every weight's gradient and every layer's dL/dx in a chain of layers.

    Args:
        layers: built in float64 on the host, one after the other; their weights are moved and not put back.
        x: an input batch; a tuple of them for a layer of several inputs.
        loss: with `forward(y, output, sample_weight)` and `backward()`; None takes Σ output · r, r random.
        y, sample_weight: what the loss takes.
        nudge: how far weights and every layer's input are moved at random before checking, as a part of their size.
        tolerance: largest error as a part of the largest number of the tensor's gradient.
        entries: how many random entries of a tensor of more than 200.
        seed: of all that is random here.

    Returns:
        a `Report`.
    """
    with devices.use_workspace(None):
        x = _each(_as_float64, x)
        for place, part in enumerate(part for layer in layers for part in layer.walk()):
            for name, array in (*part.params.items(), *part.state.items()):
                nudge_array(array, random.key(seed, "nudge", place, name), nudge)
        if loss is not None:
            loss = copy_of(loss)
        chain = _Chain(layers, loss, y, sample_weight, seed)
        return compare(chain.tensors(x, nudge), tolerance=tolerance, entries=entries, seed=seed)
