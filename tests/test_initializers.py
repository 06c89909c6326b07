"""Initializers: Keras' formulas, exact bits, names and configs."""

import hashlib
import json
import math

import numpy as np
import pytest

from npdl import initializers, random
from npdl.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)

KEY = random.key(0, "test")
NAMES = (
    "zeros", "ones", "constant", "random_uniform", "random_normal", "truncated_normal", "variance_scaling",
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "orthogonal",
)  # fmt: skip
CHANGED = [
    Constant(0.5), RandomUniform(-1, 1, seed=3), RandomNormal(1.0, 2.0), TruncatedNormal(stddev=0.5),
    VarianceScaling(2.0, "fan_out", "uniform", seed=1), HeNormal(seed=4), GlorotUniform(seed=0), Orthogonal(gain=0.5),
    Constant([[1.0, 2.0], [3.0, 4.0]]),
]  # fmt: skip


class Checkered(Initializer):
    """A user's own."""

    def __init__(self, low=0.0, high=1.0):
        self.low, self.high = low, high

    def values(self, shape, key):
        return np.where(np.arange(math.prod(shape)) % 2, self.high, self.low).reshape(shape)


# ---- values


def test_constants():
    np.testing.assert_array_equal(Zeros()((2, 3), KEY), np.zeros((2, 3)))
    np.testing.assert_array_equal(Ones()((2, 3), KEY), np.ones((2, 3)))
    np.testing.assert_array_equal(Constant(2.5)((2, 3), KEY), np.full((2, 3), 2.5))
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Constant(values)((2, 3), KEY), values)
    with pytest.raises(
        ValueError, match=r"Constant holds an array of shape \(2, 3\), the weight has \(3, 2\); reshape"
    ):
        Constant(values)((3, 2), KEY)


def test_a_constant_cannot_be_changed_through_what_it_returned():
    constant = Constant(np.ones(2))
    constant((2,), KEY)[...] = 7
    np.testing.assert_array_equal(constant((2,), KEY), [1, 1])


def test_random_ones_are_the_draws_of_their_key():
    shape = (4, 5)
    np.testing.assert_array_equal(RandomUniform(-2, 3)(shape, KEY), random.uniform(KEY, shape, -2, 3))
    np.testing.assert_array_equal(RandomNormal(1, 2)(shape, KEY), random.normal(KEY, shape, 1, 2))
    np.testing.assert_array_equal(TruncatedNormal(1, 2)(shape, KEY), random.truncated_normal(KEY, shape, 1, 2))


def test_defaults_are_keras():
    assert RandomUniform().get_config() == {"minval": -0.05, "maxval": 0.05, "seed": None}
    assert RandomNormal().get_config() == TruncatedNormal().get_config() == {"mean": 0.0, "stddev": 0.05, "seed": None}
    assert VarianceScaling().get_config() == {
        "scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal", "seed": None,
        "input_axes": None, "output_axes": None,
    }  # fmt: skip
    assert Orthogonal().get_config() == {"gain": 1.0, "seed": None}
    assert Constant().get_config() == {"value": 0.0}
    assert HeNormal().get_config() == {"seed": None, "input_axes": None, "output_axes": None}


SHAPES = {(300, 200): (300, 200), (5, 3, 40, 60): (600, 900), (7, 50, 90): (350, 630)}


@pytest.mark.parametrize(("shape", "fans"), SHAPES.items(), ids=str)
@pytest.mark.parametrize(
    ("initializer", "variance", "cut"),
    [
        (GlorotUniform(), lambda i, o: 2 / (i + o), math.sqrt(3)),
        (GlorotNormal(), lambda i, o: 2 / (i + o), 2 / 0.87962566103423978),
        (HeUniform(), lambda i, o: 2 / i, math.sqrt(3)),
        (HeNormal(), lambda i, o: 2 / i, 2 / 0.87962566103423978),
        (LecunUniform(), lambda i, o: 1 / i, math.sqrt(3)),
        (LecunNormal(), lambda i, o: 1 / i, 2 / 0.87962566103423978),
        (VarianceScaling(3.0, "fan_out", "uniform"), lambda i, o: 3 / o, math.sqrt(3)),
        (VarianceScaling(3.0, "fan_out", "untruncated_normal"), lambda i, o: 3 / o, None),
        (VarianceScaling(0.5, "fan_avg", "normal"), lambda i, o: 1 / (i + o), 2 / 0.87962566103423978),
    ],
    ids=lambda value: "" if callable(value) and not isinstance(value, Initializer) else repr(value),
)
def test_variance_and_limits(initializer, variance, cut, shape, fans):
    """Standard deviation √variance, and nothing beyond `cut` of them; both are reached."""
    assert initializers.fans(shape) == fans
    x = initializer(shape, KEY)
    stddev = math.sqrt(variance(*fans))
    assert np.std(x) == pytest.approx(stddev, rel=0.02)
    assert abs(x.mean()) < 5 * stddev / math.sqrt(x.size)
    if cut is None:
        assert np.abs(x).max() > 3 * stddev
    else:
        assert 0.995 * cut * stddev < np.abs(x).max() <= cut * stddev * (1 + 1e-12)


def test_documented_limits():
    """Keras' documentation: limit = sqrt(6 / (fan_in + fan_out)), sqrt(6 / fan_in), sqrt(3 / fan_in)."""
    for initializer, limit in (
        (GlorotUniform(), math.sqrt(6 / (64 + 32))),
        (HeUniform(), math.sqrt(6 / 64)),
        (LecunUniform(), math.sqrt(3 / 64)),
    ):
        np.testing.assert_allclose(initializer((64, 32), KEY), random.uniform(KEY, (64, 32), -limit, limit), rtol=1e-14)


def test_fans_of_small_shapes():
    assert initializers.fans(()) == (1, 1)
    assert initializers.fans((9,)) == (9, 9)
    assert HeNormal()((0, 3), KEY).shape == (0, 3)  # no division by a fan of zero


# ---- orthogonal


@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 5), (7, 3), (3, 7), (64, 64), (3, 3, 4, 10), (2, 2, 3, 40), (6, 1), (1, 6)]
)
def test_orthogonal(shape):
    q = Orthogonal(gain=2.0)(shape, KEY).reshape(-1, shape[-1]) / 2
    gram = q @ q.T if len(q) < shape[-1] else q.T @ q
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-14)


def test_orthogonal_is_the_q_of_a_decomposition_with_positive_diagonal():
    """The first column is the first Gaussian column, normalised and not turned around."""
    g = random.normal(KEY, (6, 4))
    q = Orthogonal()((6, 4), KEY)
    np.testing.assert_allclose(q[:, 0], g[:, 0] / np.linalg.norm(g[:, 0]), rtol=1e-13)
    # every column is the part of its own Gaussian vector (taken back through the reflections before) that is new
    for k in range(4):
        h = np.eye(6)
        for j in range(k):
            v = np.zeros(6)
            v[j:] = g[j:, j]
            v[j] += math.copysign(np.linalg.norm(v), v[j])
            h = h @ (np.eye(6) - 2 * np.outer(v, v) / (v @ v))
        x = np.zeros(6)
        x[k:] = g[k:, k]
        np.testing.assert_allclose(q[:, k], h @ x / np.linalg.norm(x), atol=1e-13)


def test_orthogonal_matrices_are_equally_likely():
    """Entries have mean 0 and variance 1/n, half are rotations, the trace has variance 1."""
    n = 4
    q = np.stack([Orthogonal()((n, n), random.key(i)) for i in range(1500)])
    np.testing.assert_allclose(q.mean(axis=0), 0, atol=4.5 * math.sqrt(1 / n / 1500))
    np.testing.assert_allclose((q**2).mean(axis=0), 1 / n, atol=0.03)
    assert abs((np.linalg.det(q) > 0).mean() - 0.5) < 0.05
    assert np.var(np.trace(q, axis1=1, axis2=2)) == pytest.approx(1, abs=0.15)


def test_orthogonal_of_a_vector():
    with pytest.raises(ValueError, match=r"Orthogonal needs a weight of at least two axes, got shape \(3,\)"):
        Orthogonal()((3,), KEY)


# ---- seeds and bits


def digest(array):
    return hashlib.sha256(array.astype("<f8").tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("glorot_uniform", "dd97971944f563ad"),
        ("glorot_normal", "795ada4e1838bbc8"),
        ("he_uniform", "cbeb929755030cfb"),
        ("he_normal", "eb750904947ce518"),
        ("lecun_uniform", "3f4588d846e5243e"),
        ("lecun_normal", "c8d3ec1fc23591f5"),
        ("orthogonal", "56cf2955359c7cc7"),
    ],
)
def test_recorded_bits(name, recorded):
    assert digest(initializers.get(name)((3, 5, 7, 11), KEY)) == recorded


def test_a_seed_takes_the_place_of_the_key():
    other = random.key(1, "other")
    first = HeNormal(seed=5)((3, 4), KEY)
    np.testing.assert_array_equal(HeNormal(seed=5)((3, 4), other), first)
    assert not np.array_equal(HeNormal(seed=6)((3, 4), KEY), first)
    assert not np.array_equal(HeNormal()((3, 4), KEY), HeNormal()((3, 4), other))


def test_without_key_one_is_drawn():
    assert not np.array_equal(RandomNormal()((50,)), RandomNormal()((50,)))
    random.set_seed(1)
    first = RandomNormal()((50,))
    random.set_seed(1)
    np.testing.assert_array_equal(RandomNormal()((50,)), first)
    random.set_seed(None)


def test_values_are_float64():
    for name in NAMES:
        assert initializers.get(name)((4, 5), KEY).dtype == np.float64


# ---- names, configs


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    initializer = initializers.get(name)
    assert initializers.serialize(initializer) == name
    assert initializers.get(type(initializer).__name__) == initializer
    assert initializers.get(type(initializer)) == initializer
    assert initializers.get(initializer) is initializer
    assert repr(initializer) == f"{type(initializer).__name__}()"


@pytest.mark.parametrize("initializer", CHANGED, ids=repr)
def test_config_round_trip(initializer):
    saved = json.loads(json.dumps(initializers.serialize(initializer)))
    assert saved.keys() == {"class_name", "config"}
    again = initializers.get(saved)
    assert again == initializer and hash(again) == hash(initializer)
    assert eval(repr(initializer)) == initializer
    shape = (2, 2)
    np.testing.assert_array_equal(again(shape, KEY), initializer(shape, KEY))


def test_repr_names_what_was_changed():
    assert repr(VarianceScaling(2.0, seed=3)) == "VarianceScaling(scale=2.0, seed=3)"


def test_equality():
    assert HeNormal() == HeNormal() != HeNormal(seed=1)
    assert HeNormal() != VarianceScaling(2.0) and HeNormal() != "he_normal"
    assert VarianceScaling(distribution="normal") == VarianceScaling()


def test_numpy_array_is_its_values():
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(initializers.get(values)((2, 3), KEY), values)


def test_plain_function():
    def ramp(shape):
        return np.arange(math.prod(shape)).reshape(shape)

    initializer = initializers.get(ramp)
    np.testing.assert_array_equal(initializer((2, 3), KEY), [[0, 1, 2], [3, 4, 5]])
    assert initializers.serialize(initializer) is ramp
    assert initializers.get(ramp) == initializer
    with pytest.raises(ValueError, match=r"made values of shape \(3,\) for a weight of shape \(2, 3\); return exactly"):
        initializers.get(lambda shape: np.zeros(3))((2, 3), KEY)


def test_own_class():
    initializer = Checkered(high=2.0)
    np.testing.assert_array_equal(initializers.get(initializer)((2, 2), KEY), [[0, 2], [0, 2]])
    assert initializers.serialize(initializer) == {"class_name": "Checkered", "config": {"low": 0.0, "high": 2.0}}
    assert repr(initializer) == "Checkered(high=2.0)"
    with pytest.raises(NotImplementedError, match=r"Initializer needs values\(self, shape, key\)"):
        Initializer()((2,), KEY)


@pytest.mark.parametrize(
    ("identifier", "error", "message"),
    [
        ("he_norml", ValueError, "unknown initializer 'he_norml'; did you mean 'he_normal'. there are zeros, ones"),
        ("Glorot-Uniform", ValueError, "did you mean 'glorot_uniform'"),
        ("xyzzy", ValueError, "unknown initializer 'xyzzy'; there are zeros"),
        (None, TypeError, 'got None; pass e.g. "glorot_uniform" or "zeros"'),
        (3, TypeError, "must be a name, an npdl.initializers object, an array or a function of the shape, got 3"),
        ({"class_name": "Unknown"}, TypeError, "got {'class_name': 'Unknown'}"),
    ],
)
def test_unknown(identifier, error, message):
    with pytest.raises(error, match=message):
        initializers.get(identifier)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: RandomUniform(1, 1),
            ValueError,
            "RandomUniform needs minval < maxval, got minval=1, maxval=1; swap them",
        ),
        (
            lambda: RandomNormal(stddev=-1),
            ValueError,
            "RandomNormal needs stddev of at least 0, got -1; pass e.g. stddev=0.05",
        ),
        (lambda: TruncatedNormal(stddev=math.nan), ValueError, "TruncatedNormal needs stddev of at least 0, got nan"),
        (lambda: VarianceScaling(0), ValueError, "VarianceScaling needs scale above 0, got 0; pass e.g. scale=1.0"),
        (lambda: VarianceScaling(mode="fan"), ValueError, "no mode 'fan'; pass one of fan_in, fan_out, fan_avg"),
        (
            lambda: VarianceScaling(distribution="cauchy"),
            ValueError,
            "no distribution 'cauchy'; pass one of truncated_normal",
        ),
        (lambda: HeNormal(seed=-1), ValueError, r"a seed lies in 0 \.\.\. 2\*\*64 - 1, got -1"),
        (lambda: Orthogonal(seed="x"), TypeError, "a seed is a whole number, got 'x'"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
