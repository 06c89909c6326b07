"""dropout: Philox against published numbers, the mask's rules, the compiled kernel equal to the reference in bits."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import dropout as reference
from npdl.kernels.reference.philox import philox

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import dropout as cpu

KERNELS = ["reference", pytest.param("cpu", marks=needs_compiled)]
KEY = (0x12345678, 0xDEADBEEF)
FULL = 0xFFFFFFFF


def run(kernels, x, rate, key=KEY, step=3, noise_shape=None):
    out = np.full_like(x, np.nan)
    {"reference": reference, "cpu": globals().get("cpu")}[kernels].dropout(
        x, rate, key, step, out=out, noise_shape=noise_shape
    )
    return out


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((FULL, FULL, FULL, FULL), (FULL, FULL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_numbers(counter, key, words):
    """Random123's known-answer vectors for philox4x32-10."""
    counters = np.array([counter, counter], np.uint32)
    np.testing.assert_array_equal(philox(counters, key), [words, words])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_mask_comes_from_the_stated_words(kernels, dtype):
    """Element e of sample n takes word e mod 4 of counter (step, n, e // 4, 0): kept if its top 24 bits reach rate."""
    out = run(kernels, np.ones((3, 2, 5), dtype), 0.3, step=7)
    for n in range(3):
        for e in range(10):
            word = int(philox(np.array([[7, n, e // 4, 0]], np.uint32), KEY)[0, e % 4])
            expected = np.dtype(dtype).type(1 / 0.7) if (word >> 8) / 2**24 >= 0.3 else 0
            assert out[n].flat[e] == expected


@pytest.mark.parametrize("kernels", KERNELS)
def test_rate_and_independence(kernels):
    x = np.ones((40, 5000), "float32")
    for rate in (0.1, 0.5, 0.9):
        kept = run(kernels, x, rate) != 0
        assert abs(kept.mean() - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / x.size)
    half = run(kernels, x, 0.5) != 0
    assert abs((half == np.roll(half, 1, axis=1)).mean() - 0.5) < 0.01
    assert abs((half[0] == half[1]).mean() - 0.5) < 0.04
    assert abs((half == (run(kernels, x, 0.5, step=4) != 0)).mean() - 0.5) < 0.01
    assert abs((half == (run(kernels, x, 0.5, key=(KEY[0], 1)) != 0)).mean() - 0.5) < 0.01


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_edges(kernels, dtype, rng):
    x = rng.standard_normal((4, 7)).astype(dtype)
    np.testing.assert_array_equal(run(kernels, x, 0), x)
    np.testing.assert_array_equal(run(kernels, x, 1), np.zeros_like(x))
    np.testing.assert_array_equal(run(kernels, x[2:3], 0.5), run(kernels, x[[2, 0]], 0.5)[:1])  # sample 0 of its batch
    assert run(kernels, x[:0], 0.5).shape == (0, 7)
    mask = run(kernels, np.ones((4, 7), "float32"), 0.4) != 0
    np.testing.assert_array_equal(run(kernels, x, 0.4) != 0, mask)  # the dtype does not matter
    x[:] = np.nan
    np.testing.assert_array_equal(np.isnan(run(kernels, x, 0.4)), mask)  # a dropped value is 0 whatever it was


@pytest.mark.parametrize("kernels", KERNELS)
def test_noise_shape_repeats_the_mask(kernels):
    x = np.ones((6, 5, 4, 3), "float32")
    channels = run(kernels, x, 0.5, noise_shape=(1, 1, 3))
    assert (channels == channels[:, :1, :1]).all() and len(np.unique(channels[:, 0, 0], axis=0)) > 1
    rows = run(kernels, x, 0.5, noise_shape=(5, 1, 1))
    assert (rows == rows[:, :, :1, :1]).all() and len(np.unique(rows[:, :, 0, 0])) == 2
    np.testing.assert_array_equal(channels[:, 0, 0], run(kernels, x[:, 0, 0].copy(), 0.5))


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize(
    ("shape", "noise_shape"),
    [
        ((3,), None), ((5, 7), None), ((2, 3, 5, 7), None), ((2, 1025), None), ((2, 40000), None), ((0, 3), None),
        ((700, 30), None), ((3, 5, 6, 4), (1, 1, 4)), ((3, 5, 6, 4), (5, 1, 1)), ((3, 5, 6, 4), (1, 6, 1)),
        ((3, 5, 6, 4), (5, 6, 4)), ((3, 5, 6), (1, 1)), ((2, 60, 50, 3), (60, 1, 3)), ((2, 1, 4), (1, 1)),
    ],
)  # fmt: skip
def test_cpu_equals_reference_in_bits(rng, shape, noise_shape, dtype):
    x = rng.standard_normal(shape).astype(dtype)
    x.flags.writeable = False
    for rate in (0, 0.25, 0.5, 1 / 3, 0.999, 1):
        y = run("cpu", x, rate, noise_shape=noise_shape)
        assert y.tobytes() == run("reference", x, rate, noise_shape=noise_shape).tobytes()
        own = x.copy()
        cpu.dropout(own, rate, KEY, 3, out=own, noise_shape=noise_shape)
        assert own.tobytes() == y.tobytes()


@needs_compiled
def test_bits_do_not_depend_on_threads_and_build(rng, same_bits):
    few, many = rng.standard_normal((3, 50001)), rng.standard_normal((900, 6, 7)).astype("float32")
    same_bits(cpu, lambda: [run("cpu", few, 0.3), run("cpu", many, 0.3), run("cpu", many, 0.3, noise_shape=(6, 1))])


@needs_compiled
def test_wrong_calls_raise():
    x = np.zeros((2, 3, 4), "float32")
    with pytest.raises(ValueError, match=r"dropout: out must have shape \(2, 3, 4\), got \(2, 12\)"):
        cpu.dropout(x, 0.5, KEY, 0, out=np.zeros((2, 12), "float32"))
    with pytest.raises(ValueError, match=r"dropout: rate must be from 0 to 1, got 1\.5"):
        cpu.dropout(x, 1.5, KEY, 0, out=x)
    for noise_shape in ((3, 2), (4,), (2, 3, 4)):
        with pytest.raises(ValueError, match=r"does not broadcast over samples of shape \(3, 4\); use 1s in it"):
            cpu.dropout(x, 0.5, KEY, 0, out=x, noise_shape=noise_shape)
    with pytest.raises(TypeError, match="dropout works in float32 or float64"):
        cpu.dropout(np.zeros(3, "int32"), 0.5, KEY, 0, out=np.zeros(3, "int32"))
    with pytest.raises(ValueError, match="got a single number"):
        cpu.dropout(np.zeros((), "float32"), 0.5, KEY, 0, out=np.zeros((), "float32"))
    crooked = np.zeros(13, "uint8")[1:].view("float32")
    for x, out, name in ((crooked, crooked.copy(), "x"), (crooked.copy(), crooked, "out")):
        with pytest.raises(ValueError, match=rf"dropout: {name} is not aligned in memory.*pass {name}\.copy\(\)"):
            cpu.dropout(x, 0.5, KEY, 0, out=out)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("key", (7, (1,), (1, 2, 3), (1.0, 2), (0, 2**32), (-1, 0), "ab", None))
def test_a_key_is_two_words(kernels, key):
    with pytest.raises(
        ValueError, match=r"dropout: key must be two integers from 0 to 2\*\*32 - 1, got .* pass e\.g\."
    ):
        run(kernels, np.ones((2, 3), "float32"), 0.5, key=key)
    x = np.ones((2, 3), "float32")
    assert (run(kernels, x, 0.5, key=np.array(KEY, "uint32")) == run(kernels, x, 0.5)).all()
