"""Embeddings, counted indices and positions on the stand-in against the reference."""

import threading

import numpy as np
import pytest

from npdl.devices.cuda.kept import Kept
from npdl.kernels.cuda import embed, position

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


@pytest.mark.parametrize("dtype", ("int32", "int64"))
@pytest.mark.parametrize("shape, rows, width", (((2, 3), 5, 1), ((4, 65), 7, 33), ((300,), 400, 4), ((0, 2), 3, 2)))
def test_embedding(compare, dtype, shape, rows, width):
    ids = RNG.integers(0, rows, shape).astype(dtype)
    compare("embed", "embedding", ids, floats(rows, width), out={"out": (*shape, width)})
    compare("embed", "embedding_grad", floats(*shape, width), ids, out={"out": (rows, width)}, rtol=1e-5, atol=1e-5)
    found = np.array(ids % 3, dtype)
    compare("embed", "not_zero", found, out={"out": np.empty(shape, bool)})


def test_gradient_of_several_chunks(compare):
    ids = RNG.integers(0, 7, embed.CHUNK + 300)
    ids[:4000] = 3
    compare("embed", "embedding_grad", floats(len(ids), 3), ids, out={"out": (9, 3)}, rtol=1e-5, atol=1e-4)


def test_no_such_row(device):
    """NaN shows it; nothing is read or written outside the table."""
    ids = device.from_host(np.array([0, 3, -1, 2, 2]))
    out = device.alloc((5, 2), "float32")
    embed.embedding(ids, device.from_host(np.ones((3, 2), "float32")), out=out)
    np.testing.assert_array_equal(np.isnan(device.to_host(out)[:, 0]), [False, True, True, False, False])
    table = device.alloc((3, 2), "float32")
    embed.embedding_grad(device.from_host(np.ones((5, 2), "float32")), ids, out=table)
    np.testing.assert_array_equal(device.to_host(table), [[1, 1], [0, 0], [2, 2]])
    counts = device.alloc((1, 3), "float32")
    embed.count_ids(ids.reshape(1, 5), out=counts, most=1)
    assert np.isnan(device.to_host(counts)).all()
    taken = device.alloc((1, 5), "float32")
    embed.count_ids_grad(counts, ids.reshape(1, 5), out=taken)
    assert np.isnan(device.to_host(taken)).all()


@pytest.mark.parametrize("dtype", ("int32", "int64"))
def test_count_ids(compare, dtype):
    ids, weights = RNG.integers(0, 6, (50, 8)).astype(dtype), floats(50, 8)
    outs = {"out": (50, 6)}
    compare("embed", "count_ids", ids, out=outs)
    compare("embed", "count_ids", ids, out=outs, most=1)
    compare("embed", "count_ids", ids, out=outs, weights=weights)
    compare("embed", "count_ids_grad", floats(50, 6), ids, out={"out": (50, 8)})


@pytest.mark.parametrize("shape", ((1, 1, 2), (3, 7, 6), (2, 70, 5), (0, 3, 4)), ids=str)
def test_positions(compare, shape):
    x, positions, out = floats(*shape), floats(*shape[1:]), {"out": shape}
    for given in ((x, positions), (None, positions), (x, None), (None, None)):
        compare("position", "add_positions", *given, out=out)
    compare("position", "sine_positions", 10000, out=out)


@pytest.mark.parametrize("shape", ((1, 1, 1, 2), (2, 9, 3, 6), (1, 300, 1, 4), (0, 1, 1, 2)), ids=str)
def test_rotate(compare, shape):
    for back in (False, True):
        compare("position", "rotate", floats(*shape), 10000, 2.0, out={"out": shape}, back=back)


def test_tables_are_kept(device, monkeypatch):
    monkeypatch.setattr(device.driver, "kept", Kept(device.driver, threading.RLock()))
    x = device.zeros((2, 5, 1, 4), "float32")
    for _ in range(3):
        position.rotate(x, 10000, 1.0, out=device.alloc(x.shape, "float32"))
        position.sine_positions(10000, out=device.alloc((2, 5, 4), "float32"))
    assert len(device.driver.kept) == 2


def test_wrong_shapes(device):
    def x(*shape):
        return device.zeros(shape, "float32")

    ids = device.from_host(np.zeros((2, 3), "int32"))
    for message, call in (
        (r"embedding: table must have shape \(V, D\), got \(4,\)", lambda: embed.embedding(ids, x(4), out=x(2, 3, 4))),
        (r"embedding: out must have shape \(2, 3, 4\)", lambda: embed.embedding(ids, x(5, 4), out=x(2, 4))),
        (r"embedding_grad: dy must have shape", lambda: embed.embedding_grad(x(3, 2, 4), ids, out=x(5, 4))),
        (r"not_zero: out must have shape \(2, 3\)", lambda: embed.not_zero(ids, out=x(3))),
        (r"count_ids: ids must have shape \(R, T\), got \(6,\)", lambda: embed.count_ids(ids.reshape(6), out=x(2, 4))),
        (r"count_ids_grad: out must have", lambda: embed.count_ids_grad(x(2, 4), ids, out=x(2, 4))),
        (r"add_positions: positions must", lambda: position.add_positions(x(2, 3, 4), x(4, 3), out=x(2, 3, 4))),
        (r"rotate: x must be \(N, T, M, D\) with an even D", lambda: position.rotate(x(1, 1, 3), 1, 1, out=x(1, 1, 3))),
    ):
        with pytest.raises(ValueError, match=message):
            call()
