"""Four numbers at once: where addresses allow it, elsewhere one by one, and the same values."""

import numpy as np
import pytest
from numba import cuda, float32

from npdl import activations
from npdl.devices.cuda.stand_in.races import races
from npdl.devices.cuda.stand_in.replay import replay
from npdl.kernels.cuda import activation, dropout, matmul, merge, update
from npdl.kernels.cuda.kernel import Floats, Int, kernel
from npdl.kernels.cuda.wide import aligned, load, load4, store

RNG = np.random.default_rng(0)
SIZES = (1, 3, 4, 5, 8, 1030)  # of arrays: within four, at their edges, beyond a block's threads


@kernel
def doubled(x: Floats, out: Floats, n: Int, wide: Int):
    v = cuda.local.array(4, float32)
    i = 4 * cuda.grid(1)
    while i < n:
        load(x, i, n, wide, v)
        for k in range(4):
            v[k] *= float32(2)
        store(out, i, n, wide, v)
        i += 4 * cuda.gridsize(1)


def at_offset(device, host, offset):
    """The array on the device, `offset` numbers behind where a piece of memory begins."""
    whole = device.from_host(np.concatenate((np.full(offset, np.nan, "f4"), host.reshape(-1))))
    return whole[offset : whole.size].reshape(host.shape)


def test_aligned(device):
    x = device.from_host(np.zeros(16, "float32"))
    assert aligned(x, None, x[4:12]) == 1
    assert aligned(x, x[3:9]) == 0


def epilogue(x, y, out):
    matmul.finish(out, y.reshape(y.size)[0 : out.shape[-1]], activations.relu, None, add=y, made=x)


CALLS = {
    "add": lambda x, y, out: merge.add(x, y, out=out),
    "add relu": lambda x, y, out: merge.add(x, y, out=out, activation=activations.relu),
    "maximum": lambda x, y, out: merge.maximum(x, y, out=out),
    "scale": lambda x, y, out: merge.scale(x, 0.3, out=out),
    "gelu": lambda x, y, out: activation.activation(x, activations.gelu, out=out),
    "gelu slope": lambda x, y, out: activation.activation_grad(x, y, activations.gelu, out=out),
    "epilogue": epilogue,
    "dropout": lambda x, y, out: dropout.dropout(x, 0.4, (1, 2), 3, out=out),
    "noise": lambda x, y, out: dropout.gaussian_noise(x, 0.4, (1, 2), 3, out=out),
    "adam": lambda x, y, out: update.adam(
        out, x, y, y, np.array([[0, out.size, 1, 0.1, 1.0]]), np.array([0.1, 0.9, 0.99, 0.1, 0.01, 1e-7])
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_views_at_odd_addresses_are_right(device, call):
    for n in SIZES:
        shape = (n,) if call == "adam" else (1, n) if n % 2 else (2, n // 2)
        x, y, start = (RNG.random(shape).astype("f4") for _ in range(3))
        found = []
        for offsets in ((0, 0, 0), (1, 0, 0), (4, 2, 0), (0, 0, 3)):
            arrays = [at_offset(device, host, offset) for host, offset in zip((x, y, start), offsets, strict=True)]
            CALLS[call](*arrays)
            found.append(device.to_host(arrays[2]))
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])


def test_a_tensor_at_an_odd_place_beside_others(device):
    """Pieces that begin at a multiple of four go by fours, the others do not; what lies between is not touched."""
    segments = np.array([[0, 9, 1, 0, 1], [12, 20, 1, 0, 1], [21, 30, 1, 0, 1.0]])
    start, g = RNG.random(32).astype("f4"), RNG.random(32).astype("f4")
    p = device.from_host(start)
    update.sgd(p, device.from_host(g), None, segments, np.array([0.5, 0, 0, 0]))
    want = start - np.float32(0.5) * g
    want[[9, 10, 11, 20, 30, 31]] = start[[9, 10, 11, 20, 30, 31]]
    np.testing.assert_allclose(device.to_host(p), want, rtol=1e-6)


@pytest.mark.parametrize("n", (1, 4, 7))
def test_a_small_kernel(n):
    x, out = RNG.random(n).astype("f4"), np.full(n, np.nan, "f4")
    replay(doubled.function)((2, 1, 1), (1, 1, 1), x, out, np.int32(n), np.int32(1))
    np.testing.assert_array_equal(out, 2 * x)
    assert races(doubled, (2, 1, 1), (1, 1, 1), x, out, np.int32(n), np.int32(1)) == []


def test_four_at_an_odd_address_raise():
    x, out = np.zeros(12, "f4"), np.zeros(12, "f4")
    shifted = x[1:9] if x.ctypes.data % 16 == 0 else x
    with pytest.raises(ValueError, match="no multiple of 16"):
        replay(doubled.function)((1, 1, 1), (1, 1, 1), shifted, out, np.int32(8), np.int32(1))


def test_own_arrays_beside_barriers_are_refused():
    def waits(x):
        v = cuda.local.array(4, float32)
        load4(x, 0, v)
        cuda.syncthreads()
        x[0] = v[0]

    with pytest.raises(NotImplementedError, match=r"cuda.local.array in a kernel with barriers"):
        replay(waits)
