"""check_layer: everything that a layer promises."""

import json

import numpy as np

from npdl import devices, random
from npdl.testing.chain import nudge_array
from npdl.testing.custom import Views, demand_arguments
from npdl.testing.gradients import gradient_check

CLOSE = {"float64": 1e-9, "float32": 1e-4}  # `cpu` against `reference`, as a part of the largest number
ANY_LENGTH = 5  # what an axis of any length gets
SPREAD = 0.5  # how far initial weights are moved, so that none is 0 or 1


def check_layer(layer, input_shape, *, batch=3, smallest_batch=1, strict=True, tolerance=1e-6, seed=0, integers=None):
    """Check all that a layer promises, in layers made anew from its `get_config()`.

    * backward is the gradient of forward, for every weight and the input, with `batch` samples and with the fewest;
    * the shape is what `build` said, float32 stays float32 and float64 float64, arrays are C-contiguous;
    * forward and backward write neither x nor dy (by hand), backward assigns gradients and may be called twice;
    * what it writes in `params`, `grads` and `state` goes into the model's arrays, not into others in their place;
    * backward without a training forward raises; an inference forward saves nothing, changes nothing, and gives each
      sample the same bits whatever batch it is in;
    * reused memory gives the same bits as fresh memory, 1, 2 and 3 threads the same, `strict` the same as `cpu`;
    * `reference` agrees with `cpu`;
    * `get_config` makes an equal layer and can be written to a model file.

    Args:
        layer: built or not; it is not changed.
        input_shape: one sample's shape; None stands for an axis of any length.
        batch: number of samples.
        smallest_batch: the smallest that training takes: 2 for a BatchNormalization of flat samples.
        strict: False is for layers that work on arrays with NumPy instead of `self.k`: the `strict` device is left out,
            and results may differ by rounding where else bits must be equal, since NumPy's products depend on the
            batch. So they may where npdl was installed without compiled kernels.
        tolerance: of the gradients.
        seed: of weights and inputs.
        integers: x are whole numbers from 0 to below that, for a layer that reads indices; it need not give a dx.

    Raises:
        AssertionError: says which promise is broken and where.
        TypeError: forward or backward takes other arguments than a layer's.

    >>> from npdl import layers
    >>> check_layer(layers.Dense(3, activation="relu"), input_shape=(4,))
    """
    case = _Case(layer, tuple(input_shape), seed, strict and not devices.fallbacks(), integers)
    _check_config(layer, case)
    demand_arguments(layer, "forward", "x, training=False")
    demand_arguments(layer, "backward", "dy")
    debug = devices.set_debug(True)  # what a layer takes from a buffer without having written it is NaN
    try:
        for dtype in ("float32", "float64"):
            if strict:
                _check_strict(case, batch, dtype)
            for n in sorted({smallest_batch, batch}):
                _check_training(case, n, dtype)
            _check_inference(case, batch, dtype)
            _check_reuse(case, (batch, batch + 2, smallest_batch, batch), dtype)
            _check_reference(case, batch, dtype)
        _check_threads(case, 16 * batch)
        for n in sorted({smallest_batch, batch}):
            gradient_check(case.make("float64"), case.x(n, "float64"), tolerance=tolerance).raise_if_wrong()
    finally:
        devices.set_debug(debug)


def _demand(promise, message):
    if not promise:
        raise AssertionError(message)


def _differs(a, b, exact):
    """What there is to say about two arrays that should be equal, "" where they are."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.shape} {a.dtype} instead of {b.shape} {b.dtype}"
    if a.tobytes() == b.tobytes():
        return ""
    if exact:
        differ = np.argwhere(~((a == b) | ((a != a) & (b != b))))
        return f"first at index {tuple(map(int, differ[0]))}" if len(differ) else "in the sign of a zero"
    off = float(np.max(np.abs(a - b)))
    close = off <= CLOSE[a.dtype.name] * max(float(np.max(np.abs(b))), 1.0)
    return "" if close else f"by {off:.1e} in {a.dtype}"


class _Case:
    """The layer to check: makes it anew, with the same weights, for any dtype and device, and inputs for it."""

    def __init__(self, layer, input_shape, seed, exact, integers):
        self.kind, self.config, self.input_shape, self.seed = type(layer), layer.get_config(), input_shape, seed
        self.name, self.exact = f"{layer.name} ({type(layer).__name__})", exact
        self.integers = integers

    def same(self, what, found, expected, exact=None):
        """Demand that two sets of results agree, and say where they do not."""
        for name, values in expected.items():
            differs = _differs(found[name], values, self.exact if exact is None else exact)
            _demand(not differs, f"{self.name}: {what}: {name} differs, {differs}")

    def make(self, dtype, device="cpu"):
        """A built layer; no weight of it is exactly 0 or 1."""
        layer = self.kind.from_config(self.config).init(self.input_shape, dtype=dtype, seed=self.seed, device=device)
        for weight in layer.store.weights:
            values = layer.store.values(weight)
            nudge_array(values, random.key(self.seed, "weights", weight.name), SPREAD)
            layer.store.assign(weight, values)
        return layer

    def x(self, n, dtype, purpose="x"):
        """n random samples."""
        shape = tuple(ANY_LENGTH if size is None else size for size in self.input_shape)
        if self.integers is not None:
            return random.integers(random.key(self.seed, purpose, n), (n, *shape), 0, self.integers).astype("int32")
        return random.normal(random.key(self.seed, purpose, n), (n, *shape)).astype(dtype)

    def dy(self, y):
        """A random dy for an output y."""
        return random.normal(random.key(self.seed, "dy", len(y)), y.shape).astype(y.dtype)


def _host(layer, **arrays):
    return {name: np.array(layer.device.to_host(array)) for name, array in arrays.items() if array is not None}


def _step(case, layer, x, backwards=1):
    """Host copies of all that a training forward and backward leave.

    Gradients hold NaN before backward, so that adding to them shows.
    """
    y = layer.forward(layer.device.from_host(x), True)
    results = _host(layer, y=y)
    dy = case.dy(results["y"])
    for part in layer.walk():
        for grad in part.grads.values():
            layer.device.write(grad, np.full(grad.shape, np.nan, grad.dtype))
    for _ in range(backwards):
        dx = layer.backward(layer.device.from_host(dy.copy()))
    grads = {f"gradient of {name}": array for name, array in _named(layer, "grads").items()}
    return {**results, **_host(layer, dx=dx, **grads, **_state(layer))}


def _named(layer, kind):
    """The arrays in `params`, `grads` or `state`, those of layers inside too, by name."""
    whose = {part: "" if part is layer else f"{part.name}/" for part in layer.walk()}
    return {f"{whose[part]}{name}": array for part in whose for name, array in getattr(part, kind).items()}


def _state(layer):
    return {f"state {name}": array for name, array in _named(layer, "state").items()}


def _infer(layer, x):
    return _host(layer, y=layer.forward(layer.device.from_host(x), False))


def _check_config(layer, case):
    config = layer.get_config()
    try:
        written = json.loads(json.dumps(config))
    except TypeError as error:
        raise AssertionError(f"{case.name}: get_config() cannot be written to a model file: {error}") from None
    again = type(layer).from_config(written).get_config()
    _demand(
        again == config, f"{case.name}: a layer made from get_config() has another configuration: {again}, not {config}"
    )


def _check_array(case, what, array, shape, dtype):
    _demand(hasattr(array, "dtype"), f"{case.name}: {what} is no array but {array!r}")
    _demand(array.shape == shape, f"{case.name}: {what} has shape {array.shape}, expected {shape}")
    _demand(array.dtype == dtype, f"{case.name}: {what} is {array.dtype}, expected {dtype}, the dtype of x")
    _demand(array.flags.c_contiguous, f"{case.name}: {what} is not C-contiguous; return np.ascontiguousarray(...)")


def _check_training(case, n, dtype):
    layer, x = case.make(dtype), case.x(n, dtype)
    views = Views([layer])
    _demand_raises(case, layer, x, "before any forward")
    kept, y = x.copy(), layer.forward(x, True)
    _demand(
        len(y.shape) == len(layer.output_shape) + 1,
        f"{case.name}: y has shape {y.shape}, build said {(n, *layer.output_shape)}",
    )
    out = tuple(s if e is None else e for s, e in zip(y.shape[1:], layer.output_shape, strict=True))
    _check_array(case, "y", y, (n, *out), dtype)
    _demand(np.isfinite(y).all(), f"{case.name}: y is not finite")
    given = y.copy()
    dy = case.dy(y)
    dx = layer.backward(dy)
    _demand(not views.replaced(), views.replaced())
    if dx is not None or case.integers is None:
        _check_array(case, "dx", dx, x.shape, dtype)
    _demand(x.tobytes() == kept.tobytes(), f"{case.name}: x was written")
    _demand(dy.tobytes() == case.dy(y).tobytes(), f"{case.name}: dy was written; ask self.inplace where to write")
    _demand(y.tobytes() == given.tobytes(), f"{case.name}: backward changed y")
    once, twice = (_step(case, case.make(dtype), x, backwards=times) for times in (1, 2))
    case.same("backward called twice", twice, once)
    for name, values in once.items():
        _demand(np.isfinite(values).all(), f"{case.name}: {name} is not finite, or is added to instead of assigned")
    used = case.make(dtype)
    _step(case, used, case.x(n, dtype, "other x"))
    for part, fresh in zip(used.walk(), case.make(dtype).walk(), strict=True):
        for name, values in _host(fresh, **fresh.state).items():
            used.device.write(part.state[name], values)
        part.step = 0
    case.same("a second training step and a first", _step(case, used, x), once)
    top = case.make(dtype)
    top.needs_dx = False
    results = _step(case, top, x)
    case.same("with needs_dx=False", results, {key: value for key, value in once.items() if key in results})


def _demand_raises(case, layer, x, when):
    shape = (len(x), *(ANY_LENGTH if size is None else size for size in layer.output_shape))
    try:
        layer.backward(np.zeros(shape, layer.dtype))
    except RuntimeError:
        return
    raise AssertionError(f"{case.name}: backward {when} must raise; read what forward kept by self.saved()")


def _check_inference(case, n, dtype):
    layer, x = case.make(dtype), case.x(n, dtype)
    layer.forward(x, True)
    steps, state = [part.step for part in layer.walk()], _host(layer, **_state(layer))
    kept, whole = x.copy(), _infer(layer, x)["y"]
    _demand(np.isfinite(whole).all(), f"{case.name}: y of an inference forward is not finite")
    _demand_raises(case, layer, x, "after an inference forward")
    case.same("an inference forward", _host(layer, **_state(layer)), state)
    _demand([part.step for part in layer.walk()] == steps, f"{case.name}: an inference forward raised step")
    _demand(x.tobytes() == kept.tobytes(), f"{case.name}: x was written")
    for i in range(n):
        alone = _infer(layer, x[i : i + 1])
        case.same(f"sample {i} alone and in a batch of {n}", alone, {"y": whole[i : i + 1]})


def _check_reuse(case, sizes, dtype):
    by_hand, reusing = case.make(dtype), case.make(dtype)
    reusing.may_overwrite = True  # as in a model
    training, inference = devices.Workspace(reusing.device), devices.Workspace(reusing.device)
    for i, n in enumerate(sizes):
        x = case.x(n, dtype, f"x{i}")
        what = f"a batch of {n} in reused memory and in fresh memory"
        expected = _step(case, by_hand, x)
        with devices.use_workspace(training):
            found = _step(case, reusing, x)
        case.same(what, found, expected)
        expected = _infer(by_hand, x)
        with devices.use_workspace(inference):
            found = _infer(reusing, x)
        case.same(f"{what}, inference", found, expected)


def _both(case, layer, x):
    """Training step and inference together."""
    return {**_step(case, layer, x), "inference y": _infer(layer, x)["y"]}


def _check_strict(case, n, dtype):
    x = case.x(n, dtype)
    try:
        found = _both(case, case.make(dtype, "strict"), x)
    except (TypeError, AttributeError) as error:
        raise AssertionError(
            f"{case.name} does not run on the strict device, whose arrays do only what a GPU's can: {error}; "
            "use the kernels of self.k, or say strict=False"
        ) from error
    case.same("on the strict device", found, _both(case, case.make(dtype), x))


def _check_reference(case, n, dtype):
    x = case.x(n, dtype)
    found, expected = (_both(case, case.make(dtype, device), x) for device in ("reference", "cpu"))
    case.same("reference and cpu", found, expected, exact=False)


def _check_threads(case, n):
    x, before = case.x(n, "float32"), devices.get_num_threads()
    try:
        results = {}
        for threads in (1, 2, 3):
            devices.set_num_threads(threads)
            results[threads] = _both(case, case.make("float32"), x)
            case.same(f"with {threads} threads and with one", results[threads], results[1])
    finally:
        devices.set_num_threads(before)
