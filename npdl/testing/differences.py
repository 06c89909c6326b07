"""Gradients against central differences, in float64.

    dL/dt[i] ≈ (L(t[i] + h) − L(t[i] − h)) / 2h         along a direction v: Σ dL/dt · v ≈ (L(t + hv) − L(t − hv)) / 2h

The error is about h² of truncation and 2⁻⁵²/h of rounding, least near h = 2⁻¹⁷. Every entry of a small tensor is
compared; of a large one some random entries and the largest, and the whole of any tensor along a random direction.

Where L has a kink (ReLU at 0, a tie in max-pooling) within h, a smaller h tells; where it lies at t itself, backward
may give any slope between those to the left and to the right. So that zeros and ties in your data do not hide a wrong
gradient behind such kinks, and gammas of 1 and biases of 0 a missing factor or term, weights and inputs are first
moved a little at random (`nudge`), all in a copy.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from npdl import devices, random
from npdl.params import copied
from npdl.penalties import penalized, penalties
from npdl.testing.custom import Views, demand_arguments
from npdl.testing.report import Entry, Report, relative

STEP = 2.0**-17
FAR = 2.0**-10  # part of a tensor's size by which it is moved to see which terms of the loss it touches
SMALLER = (1.0, 2.0**-4, 2.0**-8)  # of STEP, tried in turn until backward and differences agree
ROUNDING = 20 * 2.0**-52  # of a term of the loss: what a forward of some depth loses
ALL_ENTRIES = 200  # a tensor of so many is compared whole


class Tensor(NamedTuple):
    """A tensor to move, and the gradient that backward gave for it.

    Attributes:
        layer, name: for the report.
        array: float64, C-contiguous; moved while checking and put back.
        gradient: of its shape.
        loss: called without arguments after each move, computes L: a number, or an array of terms to be summed.
    """

    layer: str
    name: str
    array: Any
    gradient: Any
    loss: Any


class _Slope(NamedTuple):
    """Slopes of L along a line, from three points."""

    central: float
    left: float
    right: float
    rounding: float  # bound of the rounding error of `central`


def _change(a, b):
    """(Σ a − b, what rounding may have added), over the terms that differ: the others cancel exactly."""
    a, b = np.ravel(a), np.ravel(b)
    differ = a != b
    a, b = a[differ], b[differ]
    return float(np.sum(a - b)), ROUNDING * float(np.sum(np.abs(a) + np.abs(b)))


def _touched(tensor):
    """Which terms of L the tensor has a part in: those that change where all of it is moved; all, if none does."""
    flat, here = tensor.array.reshape(-1), np.ravel(tensor.loss()).copy()
    start = flat.copy()
    try:
        flat += FAR * np.where(start == 0, 1.0, start)
        touched = np.ravel(tensor.loss()) != here
    finally:
        flat[:] = start
    return touched if touched.any() else np.ones_like(touched)


def _slope(tensor, move, h, touched, sides=False):
    """The slope of L along `move`: an index of the flat tensor, or a direction v.

    Args:
        h: how far to each side.
        touched: the terms of L that count for what rounding may do to the gradient.
        sides: compute the slopes to the left and to the right too.
    """
    flat = tensor.array.reshape(-1)
    single = isinstance(move, int)
    where, way = (slice(move, move + 1), 1.0) if single else (slice(None), move)
    start = flat[where].copy()

    def at(distance):
        flat[where] = start + distance * way
        came = float(flat[where][0] - start[0]) if single else distance  # what the sum was rounded to
        return came, np.array(tensor.loss())

    try:
        (up, above), (down, below) = at(h), at(-h)
        change, rounding = _change(above, below)
        central = change / (up - down)
        left = right = central
        if sides:
            _, here = at(0.0)
            left, right = _change(below, here)[0] / down, _change(above, here)[0] / up
        seen = np.abs(np.ravel(above)[touched])
        lost = ROUNDING * float(np.sum(seen))  # by backward itself, where all of the gradient cancels
        return _Slope(central, left, right, rounding / (up - down) + lost)
    finally:
        flat[where] = start


class _Check:
    """Compares the entries of one tensor."""

    def __init__(self, tensor, tolerance):
        self.tensor, self.tolerance = tensor, tolerance
        self.gradient = np.array(tensor.gradient, np.float64).reshape(-1)
        self.size = math.sqrt(float(np.mean(tensor.array**2)))
        self.entries, self.kinks, self.touched = [], [], _touched(tensor)

    def compare(self, moves, analytic, steps, names, scale):
        """Add an `Entry` for each move; `scale` is the least size of the slopes, which their largest may exceed."""
        first = [_slope(self.tensor, move, h, self.touched) for move, h in zip(moves, steps, strict=True)]
        scale = max([scale, *(abs(slope.central) for slope in first if math.isfinite(slope.central))])
        for move, a, h, name, slope in zip(moves, analytic, steps, names, first, strict=True):
            slope, agrees = self._settle(move, a, h, slope, scale)
            error = relative(abs(a - slope.central), scale)
            self.entries.append(Entry(self.tensor.layer, self.tensor.name, name, a, slope.central, error, agrees))

    def _settle(self, move, a, h, slope, scale):
        """(the slope with the h that was needed, whether backward's agrees with it)"""
        for smaller in SMALLER:
            if smaller < 1:
                slope = _slope(self.tensor, move, h * smaller, self.touched, sides=smaller == SMALLER[-1])
            if abs(a - slope.central) <= self.tolerance * scale + slope.rounding:
                return slope, True
        slack = self.tolerance * scale + 2 * slope.rounding
        if min(slope.left, slope.right) - slack <= a <= max(slope.left, slope.right) + slack:
            self.kinks.append(move)
            return slope._replace(central=a), True
        return slope, False

    def step(self, i):
        """h for entry i."""
        return STEP * max(abs(float(self.tensor.array.reshape(-1)[i])), self.size, 0.1)


def compare(tensors, *, tolerance=1e-6, entries=30, seed=0):
    """Compare gradients with central differences.

    Args:
        tensors: of `Tensor`.
        tolerance: largest |backward − differences| as a part of the largest number of the tensor's gradient.
        entries: how many random entries of a tensor of more than 200.
        seed: of the choice.

    Returns:
        a `Report`.
    """
    found, kinks = [], 0
    for place, tensor in enumerate(tensors):
        if np.shape(tensor.gradient) != tensor.array.shape:
            raise ValueError(
                f"{tensor.layer}: backward gives {tensor.name} a gradient of shape {np.shape(tensor.gradient)}, "
                f"expected {tensor.array.shape}"
            )
        n = tensor.array.size
        if not n:
            continue
        check, g = _Check(tensor, tolerance), np.asarray(tensor.gradient, np.float64).reshape(-1)
        if n <= ALL_ENTRIES:
            chosen = list(range(n))
        else:
            drawn = random.integers(random.key(seed, place, "entries"), (entries,), 0, n)
            chosen = sorted({int(np.argmax(np.abs(g))), *map(int, drawn)})
        names = [tuple(map(int, np.unravel_index(i, tensor.array.shape))) for i in chosen]
        largest = float(np.max(np.abs(g)))
        check.compare(chosen, [float(g[i]) for i in chosen], [check.step(i) for i in chosen], names, largest)
        v = random.normal(random.key(seed, place, "direction"), (n,))
        v[check.kinks] = 0.0
        h = STEP * max(check.size, 0.1) / n**0.25  # many entries move at once: less for each
        check.compare([v], [float(g @ v)], [h], ["direction"], float(np.sqrt(g @ g)))
        found += check.entries
        kinks += len(check.kinks)
    return Report(tolerance, found, len(tensors), kinks)


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


def float64_copies(layers):
    """Copies of built layers of one store, in float64 on the host; they share nothing that can be written."""
    twin = layers[0].store.twin("float64")
    if not isinstance(twin.data, np.ndarray):
        twin.to(devices.get("cpu"))
    return [twin.layers[layer.place] for layer in layers]


def gradient_check(layer, x, y=None, **options):
    """Check the gradients of a layer, or of a model with its loss, by central differences in a float64 copy.

        L = Σ forward(x) · r, r random;     dL/d(each weight) and dL/dx from backward(r)

    Args:
        layer: built, alone (`layer.init(...)`) or in a model. Or a model; then pass y too, for its loss.
        x: an input batch; a tuple of them for a layer of several inputs.
        y: targets of a model.
        options: of `check_chain`.

    Returns:
        a `Report`: `report.ok`, `print(report)`, `report.raise_if_wrong()`. No bit of the layer changes.

    Raises:
        RuntimeError: the layer is not built.
        ValueError: a layer has put an array of its own in the place of one in `params`, `grads` or `state`.
        TypeError: forward or backward takes other arguments than a layer's.

    >>> from npdl import layers
    >>> layer = layers.Dense(3, activation="tanh").init(input_shape=(4,), seed=0)
    >>> gradient_check(layer, [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]).ok
    True
    """
    if y is not None:
        return layer.gradient_check(x, y, **options)
    if layer.store is None:
        raise RuntimeError(f"{layer.name} has no weights yet; call layer.init(input_shape=(...), seed=0)")
    chain = [layer] if next(layer.walk()) is layer else list(layer.walk())  # a model's walk is its layers alone
    return check_chain(float64_copies(chain), x, **options)


def loss_check(loss, y_true, y_pred, sample_weight=None, **options):
    """Check the gradient of a loss by central differences of its forward.

    Args:
        loss: with `forward(y_true, y_pred, sample_weight)` and `backward()`; it is not changed.
        y_true: targets.
        y_pred: outputs, converted to float64; a tuple where the loss takes several.
        sample_weight: (N,) or None.
        options: tolerance, entries, seed, as of `check_chain`.

    Returns:
        a `Report`.
    """
    with devices.use_workspace(None):
        loss, several = copy_of(loss), isinstance(y_pred, tuple)
        parts = [np.array(part, np.float64) for part in (y_pred if several else (y_pred,))]
        demand_arguments(loss, "forward", "y_true, y_pred, sample_weight=None")

        def value():
            return loss.forward(y_true, tuple(parts) if several else parts[0], sample_weight)

        value()
        name, dy = getattr(loss, "name", None) or type(loss).__name__, loss.backward()
        slopes = [np.array(part) for part in (dy if several else (dy,))]
        names = [f"y_pred[{place}]" for place in range(len(parts))] if several else ["y_pred"]
        tensors = [Tensor(name, *tensor, value) for tensor in zip(names, parts, slopes, strict=True)]
        return compare(tensors, **options)


def copy_of(loss):
    """A copy on the host that can be run without a trace in the loss."""
    copy = object.__new__(type(loss))
    vars(copy).update(copied(vars(loss)))
    if hasattr(copy, "attach") and not isinstance(copy.device.zeros((0,), np.float64), np.ndarray):
        copy.attach(devices.get("cpu"))
    return copy
