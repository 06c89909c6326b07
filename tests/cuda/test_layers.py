"""Every layer of the suite on a GPU's arrays: what tests/layers asks `check_layer` about, one training step each.

y, dx, every gradient and the state in float32 on the stand-in against the reference in float64, by norm; and the same
bits from a graph.
"""

import functools
import importlib.util
import inspect
import itertools
import pathlib

import numpy as np
import pytest

from npdl import devices, layers, random, testing
from npdl.models.captured import Captured
from npdl.testing.chain import nudge_array

FOLDER = pathlib.Path(__file__).parents[1] / "layers"
ALSO = (
    (layers.UpSampling1D(3), (4, 2), None),
    (layers.UpSampling3D((3, 1, 2)), (2, 1, 3, 3), None),
    (layers.ActivityRegularization(0.1, 0.2), (4,), None),
)
"""Of classes that no test of the folder asks `check_layer` about without more."""
NOT_HERE = {
    "Layer": "the base of all",
    "Lambda": "functions of the user's own, on NumPy's arrays",
    **dict.fromkeys(
        ("Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"),
        "on the host, before a model",
    ),
}
ONE_TEMPLATE = {"test_every_name_as_the_end_of_a_layer"}
"""Tests of which each case would compile a kernel of its own that differs in a formula, and test_activation.py has
those: the end of a product is here with the activations that other tests ask for."""
CLOSE = 1e-5


def asked_of(function):
    """(layer, shape of a sample, integers) of each call of `check_layer` in a test, whose parameters it is given."""
    found = []

    def note(layer, input_shape, *, strict=True, integers=None, **options):
        if strict:  # else it works on NumPy's arrays
            found.append((layer, tuple(input_shape), integers))

    marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"]
    names = [
        [name.strip() for name in m.args[0].split(",")] if isinstance(m.args[0], str) else m.args[0] for m in marks
    ]
    if set(itertools.chain(*names)) != inspect.signature(function).parameters.keys():
        return []  # it takes more: fixtures
    scope = function.__globals__
    before = testing.check_layer, scope.get("check_layer")
    testing.check_layer = scope["check_layer"] = note
    try:
        for values in itertools.product(*(mark.args[1] for mark in marks)):
            given = {}
            for own, value in zip(names, values, strict=True):
                value = getattr(value, "values", value) if type(value).__name__ == "ParameterSet" else value
                given |= dict(zip(own, value if len(own) > 1 else (value,), strict=True))
            function(**given)
    finally:
        testing.check_layer, scope["check_layer"] = before
    return found


@functools.cache
def cases():
    """{name: [(layer, shape, integers)]} by the files of the folder."""
    found = {}
    for file in sorted(FOLDER.glob("test_*.py")):
        if file.stem.endswith("_torch"):
            continue
        spec = importlib.util.spec_from_file_location(f"cases_of_{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        named = {name: value for name, value in vars(module).items() if name.startswith("test_") and callable(value)}
        tests = [value for name, value in named.items() if name not in ONE_TEMPLATE]
        asked = [one for test in tests if "check_layer(" in inspect.getsource(test) for one in asked_of(test)]
        if asked:
            found[file.stem.removeprefix("test_")] = asked
    return {**found, "others": list(ALSO)}


def weights_of(case):
    """Values in float32, none exactly 0 or 1."""
    layer, input_shape, _ = case
    layer = type(layer).from_config(layer.get_config()).init(input_shape, seed=5)
    found = []
    for weight in layer.store.weights:
        values = np.array(layer.store.values(weight))
        nudge_array(values, random.key(5, "weights", weight.name), 0.5)
        found.append(values)
    return found


def step(case, dtype, device):
    """{name: array on the host} of a training step."""
    layer, input_shape, integers = case
    layer = type(layer).from_config(layer.get_config()).init(input_shape, dtype, seed=5, device=device)
    for weight, values in zip(layer.store.weights, weights_of(case), strict=True):
        layer.store.assign(weight, values)
    shape = (3, *(5 if size is None else size for size in input_shape))
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype("float32").astype(dtype)
    if integers is not None:
        x = rng.integers(0, integers, shape).astype("int32")
    y = layer.forward(layer.device.from_host(x), True)
    dy = rng.standard_normal(y.shape).astype("float32").astype(dtype)
    dx = layer.backward(layer.device.from_host(dy))
    results = {"y": y, "dx": dx}
    for number, part in enumerate(layer.walk()):
        results |= {f"gradient of {number} {part.name}/{name}": grad for name, grad in part.grads.items()}
        results |= {f"state {number} {part.name}/{name}": array for name, array in part.state.items()}
    return {name: np.array(layer.device.to_host(array)) for name, array in results.items() if array is not None}


@pytest.mark.parametrize("name", cases())
def test_step(name, place):
    wrong = []
    for case in cases()[name]:
        layer, shape, _ = case
        exact, found = step(case, "float64", "reference"), step(case, "float32", place)
        assert exact.keys() == found.keys()
        whole = max((np.linalg.norm(array) for key, array in exact.items() if "gradient" in key), default=0)
        for key, want in exact.items():
            assert found[key].shape == want.shape
            off, size = np.linalg.norm(found[key] - want), np.linalg.norm(want)
            size = size if size > 1e-10 * whole else whole  # 0 but for rounding, as a bias before a normalization
            if not off <= CLOSE * size:
                wrong.append(f"{layer!r} of {shape}: {key} is off by {off / size:.1e}")
    assert not wrong, "\n".join(wrong)


def test_no_layer_is_left_out():
    tested = {type(part).__name__ for asked in cases().values() for layer, *_ in asked for part in layer.walk()}
    assert not NOT_HERE.keys() & tested
    assert set(layers.__all__) - tested == NOT_HERE.keys()


def three_steps(case, place, graph):
    """What three training steps leave, of which a `graph` makes the last two: another batch, weights and step each."""
    layer, input_shape, integers = case
    layer = type(layer).from_config(layer.get_config()).init(input_shape, seed=5, device=place)
    device, rng, found, made, captured = layer.device, np.random.default_rng(0), [], None, None
    shape, workspace = (3, *(5 if size is None else size for size in input_shape)), devices.Workspace(device)

    def run(x, dy=None):
        with devices.use_workspace(workspace):
            y = layer.forward(x, dy is not None)
            return [y] if dy is None else [one for one in (y, layer.backward(dy)) if one is not None]

    for number in range(3):
        x = rng.standard_normal(shape).astype("float32")
        x = x if integers is None else rng.integers(0, integers, shape).astype("int32")
        made = made or run(device.from_host(x))[0].shape
        batch = x, rng.standard_normal(made).astype("float32")
        if number == 0 or not graph:
            arrays = run(*map(device.from_host, batch))
        else:
            captured = captured or Captured(device, batch, list(layer.walk()), run, workspace)
            captured.start(batch)
            arrays = captured.output
        arrays = [*arrays, *(one for part in layer.walk() for one in (*part.grads.values(), *part.state.values()))]
        found += [device.to_host(array) for array in arrays]
        for part in layer.walk():
            found.append(np.array(part.step))
            part.step += 2 * (part.step > 0)
        for weight in layer.store.weights:
            layer.store.assign(weight, layer.store.values(weight) * np.float32(1.25))
    return found


NO_GRAPH = {"ActivityRegularization", "FractionalMaxPooling2D", "FractionalMaxPooling3D"}
"""What gives the host numbers, or gets some from there, in each step."""


@pytest.mark.parametrize("name", cases())
def test_steps_as_a_graph(name, place):
    asked = cases()[name]
    if name == "activation":  # whose formulas differ in kernels alone
        asked = {type(case[0]): case for case in asked}.values()
    for case in asked:
        if type(case[0]).__name__ in NO_GRAPH or any(part.penalizes for part in case[0].walk()):
            with pytest.raises(devices.NotInGraph):
                three_steps(case, place, True)
            continue
        for a, b in zip(three_steps(case, place, True), three_steps(case, place, False), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{case[0]!r} of {case[1]}")
