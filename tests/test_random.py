"""Random numbers: exact bits, distributions, and the inverse normal against the standard library's."""

import hashlib
import math
import statistics
import subprocess
import sys

import numpy as np
import pytest

from npdl import random
from npdl.kernels.reference import normal

KEY = random.key(0, "test")
NORMAL = statistics.NormalDist()


@pytest.fixture
def seedless():
    """Leave no seed set behind."""
    yield
    random.set_seed(None)


# ---- keys and seeds


def test_key_is_a_hash_of_seed_and_path():
    digest = hashlib.blake2b(b"7s7:dropouti3:", digest_size=8).digest()
    assert random.key(7, "dropout", 3) == tuple(np.frombuffer(digest, "<u4").tolist())
    assert random.key(0) == (2642226052, 1977601347)


def test_keys_of_different_paths_differ():
    paths = [
        (),
        ("a",),
        ("b",),
        ("a", "b"),
        ("ab",),
        ("a", 1),
        ("a", "1"),
        (1,),
        (-1,),
        ("1",),
        (1, 1),
        (11,),
        ("",),
        ("s1:a",),
    ]
    keys = {random.key(seed, *path) for seed in (0, 1, 2**64 - 1) for path in paths}
    assert len(keys) == 3 * len(paths)


def test_numpy_numbers_make_the_same_key():
    assert random.key(np.int64(5), np.int32(2)) == random.key(5, 2)


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, ValueError, r"a seed lies in 0 \.\.\. 2\*\*64 - 1, got -1; pass e\.g\. seed=1"),
        (2**64, ValueError, r"got 18446744073709551616; pass e\.g\. seed=0"),
        (1.0, TypeError, r"a seed is a whole number, got 1\.0; pass e\.g\. seed=0, or seed=None"),
        ("0", TypeError, "a seed is a whole number, got '0'"),
        (None, TypeError, "a seed is a whole number, got None"),
        (True, TypeError, "a seed is a whole number, got True"),
        (np.True_, TypeError, "a seed is a whole number"),
    ],
)
def test_bad_seeds(seed, error, message):
    with pytest.raises(error, match=message):
        random.key(seed)
    if seed is not None:
        with pytest.raises(error, match=message):
            random.set_seed(seed)


def test_bad_path():
    with pytest.raises(TypeError, match=r"whole numbers and strings, got 1\.5"):
        random.key(0, "a", 1.5)


def test_set_seed_repeats_the_drawn_seeds(seedless):
    random.set_seed(5)
    first = [random.draw_seed() for _ in range(4)]
    random.set_seed(5)
    assert [random.draw_seed() for _ in range(4)] == first == [306279626, 2539202354, 352377482, 238997225]
    assert len(set(first)) == 4
    random.set_seed(6)
    assert random.draw_seed() not in first


def test_without_set_seed_drawn_seeds_differ(seedless):
    random.set_seed(5)
    fixed = [random.draw_seed() for _ in range(4)]
    random.set_seed(None)
    drawn = [random.draw_seed() for _ in range(4)]
    assert len(set(drawn)) == 4 and drawn != fixed
    assert all(random.check_seed(seed) < 2**32 for seed in drawn)


# ---- the bits are a promise


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("draw", "recorded"),
    [
        (lambda k, n: random.uniform(k, (n,)), "0f940c4c2daa7eff"),
        (lambda k, n: random.uniform(k, (n,), -0.3, 0.7), "63bce4d476773f2a"),
        (lambda k, n: random.normal(k, (n,)), "9bc71b157ec93871"),
        (lambda k, n: random.truncated_normal(k, (n,), 1.0, 0.05), "4437742e64c02b52"),
        (lambda k, n: random.integers(k, (n,), -5, 100), "70fc74b27deb66ea"),
        (lambda k, n: random.permutation(k, n), "620cc8648fbfef8b"),
    ],
    ids=["uniform", "uniform in a range", "normal", "truncated normal", "integers", "permutation"],
)
def test_recorded_bits(draw, recorded):
    assert digest(draw(KEY, 10001)) == recorded


def test_first_values():
    assert random.uniform(KEY, (3,)).tolist() == [0.562974073771724, 0.49676362762535253, 0.6799038753392526]
    assert random.normal(KEY, (3,)).tolist() == [0.15851392038496978, -0.008112471483904874, 0.4674300192566015]
    assert random.integers(KEY, (5,), 0, 10).tolist() == [9, 5, 3, 0, 7]
    assert random.permutation(KEY, 8).tolist() == [4, 1, 7, 0, 2, 5, 6, 3]


def test_words_are_philox_of_the_counter():
    """Word i of 64 bits is half of Philox at counter i div 2; the first is Random123's known answer for zeros."""
    assert random._words((0, 0), 3).tolist() == [0xE169C58D6627E8D5, 0x9B00DBD8BC57AC4C, random._words((0, 0), 9)[2]]


@pytest.mark.parametrize("draw", [random.uniform, random.normal, random.truncated_normal])
def test_more_numbers_begin_with_the_same(draw):
    long = draw(KEY, (101,))
    for n in (0, 1, 2, 50):
        np.testing.assert_array_equal(draw(KEY, (n,)), long[:n])
    np.testing.assert_array_equal(draw(KEY, (20, 5)), long[:100].reshape(20, 5))
    assert draw(KEY, ()) == long[0]
    assert long.dtype == np.float64


# ---- distributions


def ks(sample, cdf):
    """Kolmogorov-Smirnov distance times √n; above 1.95 with probability 0.001."""
    x = np.sort(sample.reshape(-1))
    n = len(x)
    expected = np.array([cdf(value) for value in x.tolist()])
    steps = np.arange(n + 1) / n
    return math.sqrt(n) * max((steps[1:] - expected).max(), (expected - steps[:-1]).max())


LOW, HIGH = NORMAL.cdf(-2), NORMAL.cdf(2)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("draw", "cdf"),
    [
        (lambda k: random.uniform(k, (20000,), -1, 3), lambda x: (x + 1) / 4),
        (lambda k: random.normal(k, (20000,), 2.0, 3.0), statistics.NormalDist(2, 3).cdf),
        (lambda k: random.truncated_normal(k, (20000,)), lambda x: (NORMAL.cdf(x) - LOW) / (HIGH - LOW)),
    ],
    ids=["uniform", "normal", "truncated normal"],
)
def test_distribution(draw, cdf, seed):
    assert ks(draw(random.key(seed, "distribution")), cdf) < 1.95


def test_moments_of_the_normal():
    x = random.normal(random.key(3), (400_000,))
    bound = 4 / math.sqrt(len(x))  # four standard errors of the mean
    assert abs(x.mean()) < bound
    assert abs((x**2).mean() - 1) < bound * math.sqrt(2)
    assert abs((x**3).mean()) < bound * math.sqrt(15)
    assert abs((x**4).mean() - 3) < bound * math.sqrt(96)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < bound


def test_truncated_normal_stays_within_two():
    x = random.truncated_normal(random.key(1), (400_000,), 10.0, 0.5)
    assert x.min() >= 9.0 and x.max() <= 11.0
    assert np.std(x) == pytest.approx(0.5 * 0.87962566103423978, rel=0.005)
    assert x.min() < 9.01 and x.max() > 10.99


def test_uniform_range():
    x = random.uniform(random.key(4), (100_000,))
    assert 0 <= x.min() < 1e-4 and 1 - 1e-4 < x.max() < 1
    tight = random.uniform(random.key(4), (1000,), 1.0, np.nextafter(1.0, 2.0))  # rounding would reach the limit
    assert set(tight.tolist()) == {1.0}


def test_uniform_and_integers_of_an_empty_range():
    with pytest.raises(ValueError, match=r"uniform needs low < high, got low=1\.0, high=1\.0; swap them"):
        random.uniform(KEY, (2,), 1.0, 1.0)
    with pytest.raises(ValueError, match="integers needs low < high, got low=3, high=3; high itself is never drawn"):
        random.integers(KEY, (2,), 3, 3)


def test_integers():
    x = random.integers(random.key(5), (60_000,), -2, 4)
    counts = np.bincount(x + 2, minlength=6)
    assert x.dtype == np.int64 and len(counts) == 6
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 20.5  # chi square, 5 degrees of freedom, 0.001
    assert random.integers(random.key(5), (2, 3), 7, 8).tolist() == [[7] * 3] * 2
    wide = random.integers(random.key(5), (1000,), -(2**63), 2**63 - 1)
    assert wide.min() < -(2**62) and wide.max() > 2**62


def test_permutation():
    for n in (0, 1, 2, 1000):
        p = random.permutation(random.key(6), n)
        assert p.dtype == np.int64 and sorted(p.tolist()) == list(range(n))
    counts = np.zeros((4, 4))
    for i in range(4000):
        counts[np.arange(4), random.permutation(random.key(6, i), 4)] += 1
    assert ((counts - 1000) ** 2 / 1000).sum() < 27.9  # chi square, 9 degrees of freedom, 0.001


# ---- the functions behind them


def test_inverse_normal_against_the_standard_library():
    p = np.concatenate([
        random.uniform(KEY, (3000,)), 2.0 ** -np.arange(1, 1000), 1 - 2.0 ** -np.arange(2, 53),
        [0.075, np.nextafter(0.075, 0), 0.925, np.nextafter(0.925, 1), np.exp(-25), 1e-300],
    ])  # fmt: skip
    expected = np.array([NORMAL.inv_cdf(x) for x in p.tolist()])
    np.testing.assert_allclose(random.inverse_normal(p), expected, rtol=1e-12, atol=1e-15)


def test_inverse_normal_undoes_the_normal():
    z = np.linspace(-8, 2, 401)
    p = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in z.tolist()])
    np.testing.assert_allclose(random.inverse_normal(p), z, rtol=1e-12, atol=1e-13)


def test_log_against_the_standard_library():
    x = np.concatenate([
        random.uniform(KEY, (3000,), 1e-6, 3.0), 2.0 ** np.arange(-1074, 1024), 1 + 2.0 ** -np.arange(1, 53),
        1 - 2.0 ** -np.arange(1, 54), [math.sqrt(0.5), np.nextafter(math.sqrt(0.5), 0), 5e-324],
    ])  # fmt: skip
    np.testing.assert_allclose(normal.log(x), [math.log(v) for v in x.tolist()], rtol=1e-15, atol=0)


def test_cut_is_the_normal_distribution_below_minus_two():
    assert pytest.approx(0.5 * math.erfc(math.sqrt(2)), rel=1e-15) == random.BELOW_TWO


def test_another_process_draws_the_same():
    code = "from npdl import random; print(random.normal(random.key(1, 'p'), (3,)).tobytes().hex())"
    out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == random.normal(random.key(1, "p"), (3,)).tobytes().hex()
