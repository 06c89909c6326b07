"""Attention on the stand-in against the reference: tiles' edges, masks, groups, dropout."""

import numpy as np
import pytest

from npdl.kernels.cuda.attention import attention, attention_grad

RNG = np.random.default_rng(0)
KEY = (12345, 4000000000)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


def bools(*shape):
    return RNG.random(shape) < 0.7


def check(compare, samples, queries, keys, heads, groups, size, value_size, **more):
    q, k, v = floats(samples, queries, heads, size), floats(samples, keys, groups, size), None
    v, dout = floats(samples, keys, groups, value_size), floats(samples, queries, heads, value_size)
    scale = 0.7 / size**0.5
    compare("attention", "attention", q, k, v, scale, out={"out": dout.shape}, **more, rtol=1e-5, atol=1e-5)
    grads = {"dq": q.shape, "dk": k.shape, "dv": v.shape}
    compare("attention", "attention_grad", dout, q, k, v, scale, out=grads, **more, rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("causal", (False, True))
@pytest.mark.parametrize(
    "sizes",
    (
        (1, 1, 1, 1, 1, 1, 1), (2, 32, 32, 2, 2, 32, 64), (2, 33, 31, 2, 1, 5, 65), (1, 70, 40, 4, 2, 33, 3),
        (1, 40, 70, 3, 1, 65, 130), (0, 3, 4, 2, 1, 4, 4), (2, 3, 0, 2, 1, 4, 4), (2, 0, 3, 2, 1, 4, 4),
    ),
    ids=str,
)  # fmt: skip
def test_sizes(compare, sizes, causal):
    check(compare, *sizes, causal=causal)


@pytest.mark.parametrize("causal", (False, True))
def test_masks(compare, causal):
    samples, queries, keys = 2, 35, 37
    masks = {
        "query_mask": bools(samples, queries), "key_mask": bools(samples, keys), "value_mask": bools(samples, keys),
        "mask": bools(samples, queries, keys),
    }  # fmt: skip
    masks["key_mask"][1] = False  # a sample that looks at nothing
    for name, mask in masks.items():
        check(compare, samples, queries, keys, 2, 1, 8, 8, causal=causal, **{name: mask})
    check(compare, samples, queries, keys, 2, 1, 8, 8, causal=causal, **masks)


def test_dropout(compare):
    check(compare, 2, 35, 37, 4, 2, 8, 8, rate=0.3, key=KEY, step=7, causal=True, key_mask=bools(2, 37))


def test_large_scores(compare):
    """The largest of a row comes late, and early; e^s alone would overflow."""
    q, k, v = np.full((1, 2, 1, 4), 30, "float32"), floats(1, 70, 1, 4), floats(1, 70, 1, 4)
    q[0, 1] *= -1
    k[0, :, 0] = np.linspace(-5, 5, 70, dtype="float32")[:, None]
    compare("attention", "attention", q, k, v, 1.0, out={"out": (1, 2, 1, 4)}, rtol=1e-5, atol=1e-5)


def test_not_a_number_stays_in_its_rows(device):
    q, k, v = floats(1, 40, 1, 4), floats(1, 40, 1, 4), floats(1, 40, 1, 4)
    q[0, 35] = np.nan
    out = device.alloc(q.shape, "float32")
    attention(*map(device.from_host, (q, k, v)), 1.0, out=out)
    found = np.isnan(device.to_host(out)).all(axis=(2, 3))[0]
    np.testing.assert_array_equal(np.flatnonzero(found), [35])


@pytest.mark.parametrize(
    "error, message, changes",
    (
        (ValueError, r"q must be \(samples, places, heads, size\)", {"q": (2, 3, 4)}),
        (ValueError, "the 3 heads of q must be a multiple of those of k, got 2", {"q": (2, 5, 3, 4)}),
        (ValueError, r"v must have shape \(2, 6, 2, 4\), got", {"v": (2, 7, 2, 4)}),
        (ValueError, "scale must be a number above 0, got 0", {"scale": 0}),
        (ValueError, r"out must have shape \(2, 5, 4, 4\)", {"out": (2, 5, 4, 3)}),
        (ValueError, r"key_mask must have shape \(2, 6\)", {"key_mask": (2, 5)}),
        (TypeError, r"key_mask must be bool, got float32; pass key_mask.astype\(bool\)", {"key_mask": (2, 6)}),
        (ValueError, "rate must be at least 0 and below 1, got 1", {"rate": 1}),
        (ValueError, "key must be two integers", {"rate": 0.5}),
    ),
)
def test_wrong_calls(device, error, message, changes):
    given = {"q": (2, 5, 4, 4), "k": (2, 6, 2, 4), "v": (2, 6, 2, 4), "scale": 1.0, "out": (2, 5, 4, 4)} | changes
    given = {k: device.zeros(v, "float32") if isinstance(v, tuple) else v for k, v in given.items()}
    with pytest.raises(error, match=message):
        attention(**given)


def test_wrong_gradients(device):
    def zeros(*shape):
        return device.zeros(shape, "float32")

    q, dk = zeros(2, 5, 4, 4), zeros(2, 5, 4, 3)
    with pytest.raises(ValueError, match=r"attention_grad: dk must have shape \(2, 5, 4, 4\), got"):
        attention_grad(q, q, q, q, 1.0, dq=q, dk=dk, dv=q)
