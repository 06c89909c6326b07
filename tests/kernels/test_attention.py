"""Attention: the reference against loops and slopes, the compiled kernels against the reference."""

import math

import numpy as np
import pytest

from npdl import random
from npdl.kernels.cpu import compiled
from npdl.kernels.reference import attention as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import attention as cpu

TOLERANCE = {"float32": 3e-6, "float64": 1e-14}
KEY = random.key(5, "attention")
# samples, queries, keys, heads, groups, size, value_size: around 16 rows, chunks of 64, panels of 4 to 32, sums of 256.
SHAPES = [
    (1, 1, 1, 1, 1, 1, 1), (2, 3, 5, 2, 1, 3, 2), (1, 16, 16, 2, 2, 16, 8), (2, 17, 33, 4, 2, 5, 17),
    (2, 64, 64, 4, 4, 32, 32), (1, 65, 63, 3, 1, 33, 40), (1, 130, 48, 2, 2, 7, 65), (1, 20, 270, 2, 1, 9, 4),
    (1, 40, 31, 1, 1, 260, 300), (0, 4, 4, 2, 2, 3, 3), (2, 0, 4, 2, 2, 3, 3), (2, 3, 0, 2, 2, 3, 3),
]  # fmt: skip
KINDS = ("plain", "causal", "masks", "dropout")


def operands(rng, sizes, dtype="float64"):
    n, t, s, h, g, d, e = sizes
    shapes = (n, t, h, d), (n, s, g, d), (n, s, g, e), (n, t, h, e)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def options(rng, kind, sizes):
    n, t, s = sizes[:3]
    if kind == "masks":
        masks = {"query_mask": (n, t), "key_mask": (n, s), "value_mask": (n, s), "mask": (n, t, s)}
        return {"causal": t % 2 == 0, **{name: rng.random(shape) < 0.8 for name, shape in masks.items()}}
    if kind == "dropout":
        return {"rate": 0.3, "key": KEY, "step": 3, "causal": t % 2 == 1}
    return {"causal": kind == "causal"}


def attend(kernels, q, k, v, **how):
    out = np.full((*q.shape[:3], v.shape[3]), np.nan, q.dtype)
    kernels.attention(q, k, v, 1 / math.sqrt(q.shape[3]), out=out, **how)
    return out


def attend_grad(kernels, q, k, v, dout, **how):
    gradients = [np.full_like(a, np.nan) for a in (q, k, v)]
    kernels.attention_grad(dout, q, k, v, 1 / math.sqrt(q.shape[3]), **dict(zip(("dq", "dk", "dv"), gradients)), **how)
    return gradients


def test_reference_values(rng):
    sizes = 2, 3, 4, 4, 2, 5, 3
    q, k, v, _ = operands(rng, sizes)
    how = options(rng, "masks", sizes)
    out = attend(reference, q, k, v, **how)
    for n, t, h in np.ndindex(2, 3, 4):
        pairs = how["mask"][n, t] & how["query_mask"][n, t] & how["key_mask"][n] & how["value_mask"][n]
        may = [s for s in range(4) if pairs[s] and (s <= t or not how["causal"])]
        weights = [math.exp(sum(a * b for a, b in zip(q[n, t, h], k[n, s, h // 2])) / math.sqrt(5)) for s in may]
        for e in range(3):
            expected = sum(w * v[n, s, h // 2, e] for w, s in zip(weights, may)) / (sum(weights) or 1)
            assert abs(out[n, t, h, e] - expected) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_reference_gradients_are_the_slopes(rng, kind):
    sizes = 2, 3, 4, 4, 2, 3, 2
    *arrays, dout = operands(rng, sizes)
    how = options(rng, kind, sizes)
    for position, gradient in enumerate(attend_grad(reference, *arrays, dout, **how)):
        for i in np.ndindex(gradient.shape):
            up, down = ([a.copy() for a in arrays] for _ in range(2))
            up[position][i] += 1e-6
            down[position][i] -= 1e-6
            slope = (dout * (attend(reference, *up, **how) - attend(reference, *down, **how))).sum() / 2e-6
            assert abs(slope - gradient[i]) < 1e-7


@needs_compiled
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_cpu(rng, sizes, dtype, kind):
    arrays, how = operands(rng, sizes, dtype), options(rng, kind, sizes)
    wide = [a.astype("float64") for a in arrays]
    found = [attend(cpu, *arrays[:3], **how), *attend_grad(cpu, *arrays, **how)]
    expected = [attend(reference, *wide[:3], **how), *attend_grad(reference, *wide, **how)]
    for got, right in zip(found, expected, strict=True):
        assert np.isfinite(got).all()
        assert np.abs(got - right).max(initial=0) <= TOLERANCE[dtype] * (0.3 + 2 * np.abs(right).max(initial=0))


KERNELS = [reference, pytest.param("cpu", marks=needs_compiled)]


@pytest.fixture(params=KERNELS, ids=("reference", "cpu"))
def kernels(request):
    return cpu if request.param == "cpu" else request.param


def test_nothing_to_look_at(kernels, rng):
    """A query of which every key is masked gives 0 and sends nothing back; the others do not see it."""
    q, k, v, dout = operands(rng, (2, 5, 7, 2, 2, 4, 4), "float32")
    mask = np.ones((2, 5, 7), bool)
    mask[1, 3] = False
    out, (dq, dk, dv) = attend(kernels, q, k, v, mask=mask), attend_grad(kernels, q, k, v, dout, mask=mask)
    assert not out[1, 3].any() and not dq[1, 3].any() and all(np.isfinite(a).all() for a in (out, dq, dk, dv))
    rest = [attend(kernels, q, k, v), *attend_grad(kernels, q, k, v, dout)]
    np.testing.assert_array_equal(out[0], rest[0][0])
    nothing = np.zeros((2, 7), bool)
    results = [attend(kernels, q, k, v, key_mask=nothing), *attend_grad(kernels, q, k, v, dout, key_mask=nothing)]
    assert not any(a.any() for a in results)


def test_large_scores(kernels):
    """exp of the scores themselves would overflow."""
    q, k = np.full((1, 1, 1, 1), 1e4, "float32"), np.array([1e4, 1e4, 0], "float32").reshape(1, 3, 1, 1)
    v = np.array([1, 3, 100], "float32").reshape(1, 3, 1, 1)
    np.testing.assert_array_equal(attend(kernels, q, k, v), [[[[2]]]])


@needs_compiled
def test_subnormal_probabilities_are_0():
    """They would make every product that they are in slow."""
    q, k = np.ones((1, 1, 1, 1), "float32"), np.array([0, -86, -88, -100], "float32").reshape(1, 4, 1, 1)
    for place, expected in enumerate((1, math.exp(-86), 0, 0)):
        v = (np.arange(4) == place).astype("float32").reshape(1, 4, 1, 1)
        np.testing.assert_allclose(attend(cpu, q, k, v).item(), expected, rtol=1e-5)


def test_the_future_is_not_seen(kernels, rng):
    q, k, v, _ = operands(rng, (1, 40, 40, 2, 2, 8, 8), "float32")
    before = attend(kernels, q, k, v, causal=True)
    k[:, 23:], v[:, 23:] = 7, -7
    np.testing.assert_array_equal(attend(kernels, q, k, v, causal=True)[:, :23], before[:, :23])


@needs_compiled
@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_does_not_depend_on_its_batch(rng, kind):
    sizes = 5, 21, 34, 4, 2, 9, 6
    arrays, how = operands(rng, sizes, "float32"), options(rng, kind, sizes)
    whole = [attend(cpu, *arrays[:3], **how), *attend_grad(cpu, *arrays, **how)]
    part = slice(0, 1)  # dropout draws by the sample's number
    alone = {name: value[part] if isinstance(value, np.ndarray) else value for name, value in how.items()}
    found = [
        attend(cpu, *(a[part] for a in arrays[:3]), **alone),
        *attend_grad(cpu, *(a[part] for a in arrays), **alone),
    ]
    for one, all_ in zip(found, whole, strict=True):
        np.testing.assert_array_equal(one, all_[part])


@needs_compiled
@pytest.mark.parametrize("kind", KINDS)
def test_bits_do_not_depend_on_threads_and_build(rng, same_bits, kind):
    for sizes, dtype in (((3, 70, 70, 4, 2, 20, 20), "float32"), ((2, 19, 37, 2, 2, 5, 9), "float64")):
        arrays, how = operands(rng, sizes, dtype), options(rng, kind, sizes)
        same_bits(cpu, lambda a=arrays, how=how: [attend(cpu, *a[:3], **how), *attend_grad(cpu, *a, **how)])


@needs_compiled
def test_wrong_calls_raise(rng):
    q, k, v, dout = operands(rng, (2, 3, 4, 4, 2, 5, 6), "float32")
    out = np.zeros_like(dout)
    with pytest.raises(
        ValueError, match=r"attention: k must be \(samples, places, heads, size\), got shape \(3, 2, 5\)"
    ):
        cpu.attention(q, k[0, :3], v, 1.0, out=out)
    with pytest.raises(ValueError, match=r"attention: the 4 heads of q must be a multiple of those of k, got 3"):
        cpu.attention(q, np.zeros((2, 4, 3, 5), "float32"), v, 1.0, out=out)
    with pytest.raises(ValueError, match=r"attention: k must have shape \(2, 4, 2, 5\), got \(2, 4, 2, 6\)"):
        cpu.attention(q, v, v, 1.0, out=out)
    with pytest.raises(ValueError, match=r"attention: v must have shape \(2, 4, 2, 6\), got \(2, 3, 2, 6\)"):
        cpu.attention(q, k, v[:, :3].copy(), 1.0, out=out)
    with pytest.raises(ValueError, match=r"attention: heads must have at least one number"):
        cpu.attention(q, k, v[..., :0].copy(), 1.0, out=out[..., :0].copy())
    with pytest.raises(ValueError, match=r"attention: scale must be a number above 0, got 0"):
        cpu.attention(q, k, v, 0, out=out)
    with pytest.raises(ValueError, match=r"attention: key_mask must have shape \(2, 4\), got \(2, 3\)"):
        cpu.attention(q, k, v, 1.0, out=out, key_mask=np.ones((2, 3), bool))
    with pytest.raises(TypeError, match=r"attention: mask must be bool, got float64; pass mask\.astype\(bool\)"):
        cpu.attention(q, k, v, 1.0, out=out, mask=np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"attention: rate must be at least 0 and below 1, got 1"):
        cpu.attention(q, k, v, 1.0, out=out, rate=1, key=KEY)
    with pytest.raises(ValueError, match=r"attention_grad: dv must have shape \(2, 4, 2, 6\)"):
        cpu.attention_grad(dout, q, k, v, 1.0, dq=q.copy(), dk=k.copy(), dv=k.copy())
    with pytest.raises(TypeError, match=r"attention_grad: dk must be float32, got float64"):
        cpu.attention_grad(dout, q, k, v, 1.0, dq=q.copy(), dk=k.astype("float64"), dv=v.copy())
