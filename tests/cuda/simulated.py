"""What test_simulator.py runs in a process with NUMBA_ENABLE_CUDASIM=1: kernels as Numba's own simulator runs them.

There each of a GPU's threads is a thread of the operating system, and a barrier one of those: nothing of the stand-in's
cutting and compiling is between a kernel and its result. It is slow, so sizes are small, each with an odd tail.
"""

import functools
import importlib
import json
import math
import sys
import types as python_types
import warnings

import numpy as np
from numba import cuda
from numba import types as numba_types
from numba.cuda.simulator import kernel as simulator
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
from numba.np.numpy_support import as_dtype

from npdl import activations
from npdl.devices.cuda.device import CudaDevice
from npdl.devices.cuda.stand_in import StandIn, races
from npdl.kernels.cuda.kernel import DeviceFunction, outside_names
from npdl.kernels.geometry import window


class Now:
    """`cuda` as the thread that asks sees it.

    The simulator changes a module's name `cuda` while a kernel runs, and again within each device function; of several
    threads in one such function the first that leaves it would take the name from the others.
    """

    def __getattr__(self, name):
        return getattr(simulator._get_kernel_context(), name)


NOW = Now()


@functools.cache
def in_python(function):
    """A function whose device functions are Python's, too, and whose numbers are rounded as on a GPU."""
    scope = {name: known(value) for name, value in outside_names(function).items()}
    cells = tuple(python_types.CellType(scope[name]) for name in function.__code__.co_freevars)
    return python_types.FunctionType(function.__code__, scope, function.__name__, None, cells)


def known(value):
    if isinstance(value, DeviceFunction):
        return in_python(value.function)
    if isinstance(value, numba_types.Integer) and value.signed:
        return as_dtype(value).type  # of shared memory, too
    return NOW if value is cuda else races._in_python(value)


class Simulated(StandIn):
    """The stand-in, with Numba's simulator in place of replay.py."""

    def _run(self, kernel, blocks, threads, given):
        given = [FakeCUDAArray(value) if isinstance(value, np.ndarray) else python(value) for value in given]
        cuda.jit(in_python(kernel.function))[blocks, threads](*given)


def python(number):
    """Whole numbers are Python's but for unsigned ones, which wrap round."""
    return int(number) if number.dtype.kind == "i" else number


# ---- cases: run(of, put), where of(family) is a module of kernels and put(array) an array on their device

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


def filled(*shape):
    return np.full(shape, np.nan, "float32")


X, Y, VECTOR, SHIFT = floats(2, 37), floats(2, 37), floats(37), floats(37)
IMAGE, KERNEL, FEW = floats(1, 4, 5, 3), floats(2, 2, 3, 5), window((4, 5, 3), (2, 2), (1, 1), "same", (1, 1), 5)
QUERIES, KEYS, VALUES = floats(1, 3, 1, 2), floats(1, 5, 1, 2), floats(1, 5, 1, 3)
SEEN = np.array([[True, False, True, True, False]])


def sums(of, put):
    """Two stages, and a block's shared memory."""
    out, total = put(filled(37)), put(filled(1, 1))
    of("matmul").sum_rows(put(X), out=out)
    of("einsum").sum_to(put(X), out=total)
    return out, total


def products(of, put):
    """A tiled product in shared memory."""
    out = put(filled(2, 3, 5, 2))
    of("einsum").einsum(put(floats(2, 3, 17)), put(floats(5, 17, 2)), "abc,ecd->abed", out=out)
    return (out,)


def transposed(of, put):
    out = put(filled(1, 9, 33))
    of("shape").permute(put(floats(1, 33, 9)), (0, 2, 1), out=out)
    return (out,)


def softmax(of, put):
    out, slope = put(filled(2, 37)), put(filled(2, 37))
    of("activation").activation(put(X), activations.softmax, out=out)
    of("activation").activation_grad(put(Y), out, activations.softmax, out=slope)
    return out, slope


def gelu(of, put):
    """By fours, and a tail of three."""
    out = put(filled(2, 37))
    of("activation").activation(put(X), activations.gelu, out=out)
    return (out,)


def cross_entropy(of, put):
    out, dy = put(filled(2)), put(filled(2, 37))
    labels, scale = np.array([36, 5], "int32"), put(np.full(2, 0.5, "float32"))
    of("loss").sparse_categorical_cross_entropy(put(labels), put(X), True, out=out, scale=scale, dy=dy)
    return out, dy


def layer_norm(of, put):
    out, mean, inverse = put(filled(2, 37)), put(filled(2)), put(filled(2))
    of("layer_norm").layer_norm(put(X), put(VECTOR), put(SHIFT), 1e-3, out=out, mean=mean, inverse=inverse)
    dx, dgamma, dbeta = put(filled(2, 37)), put(filled(37)), put(filled(37))
    of("layer_norm").layer_norm_grad(put(Y), put(X), mean, inverse, put(VECTOR), dx=dx, dgamma=dgamma, dbeta=dbeta)
    return out, mean, inverse, dx, dgamma, dbeta


def batch_norm(of, put):
    x, dy, gamma, beta = put(floats(9, 3)), put(floats(9, 3)), put(floats(3)), put(floats(3))
    mean, variance, out = put(filled(3)), put(filled(3)), put(filled(9, 3))
    of("norm").batch_norm_statistics(x, mean=mean, variance=variance)
    of("norm").batch_norm(x, mean, variance, gamma, beta, 1e-3, out=out)
    outs = {"dx": put(filled(9, 3)), "dgamma": put(filled(3)), "dbeta": put(filled(3))}
    of("norm").batch_norm_grad(dy, x, mean, variance, gamma, 1e-3, **outs)
    return mean, variance, out, *outs.values()


def attention(of, put):
    """Products of tiles, the largest of a row, and a mask."""
    out = put(filled(1, 3, 1, 3))
    of("attention").attention(put(QUERIES), put(KEYS), put(VALUES), 0.7, out=out, key_mask=put(SEEN))
    return (out,)


def convolution(of, put):
    out = put(filled(1, 4, 5, 5))
    of("conv").conv2d(put(IMAGE), put(KERNEL), FEW, out=out, bias=put(VECTOR[:5].copy()), activation=activations.relu)
    return (out,)


def pooling(of, put):
    out, whole = put(filled(1, 2, 2, 3)), put(filled(1, 3))
    winners = put(np.zeros((1, 2, 2, 3), "uint8"))
    of("pool").max_pool2d(put(IMAGE), window((4, 5, 3), (2, 2), (2, 2), "valid", (1, 1), 3), out=out, winners=winners)
    of("pool").global_average_pool2d(put(IMAGE), out=whole)
    return out, winners, whole


def embedding(of, put):
    """A sum over the occurrences of each row, in their order."""
    out = put(filled(5, 3))
    of("embed").embedding_grad(put(floats(2, 4, 3)), put(np.array([[1, 4, 1, 0], [4, 4, 2, 1]], "int32")), out=out)
    return (out,)


def dropout(of, put):
    """Random numbers of 32 bits that wrap round."""
    out = put(filled(2, 37))
    of("dropout").dropout(put(X), 0.4, (1, 2), 3, out=out)
    return (out,)


def adam(of, put):
    p, m, v = put(X.reshape(-1)[:39].copy()), put(np.zeros(39, "float32")), put(np.zeros(39, "float32"))
    segments = np.array([[0, 21, 1, 0, 1], [24, 32, 0.5, 0.1, 1], [33, 39, 1, 0.1, 0]])
    hyper = np.array([0.05, 0.9, 0.99, 0.1, 0.01, 1e-7])
    of("update").adam(p, put(Y.reshape(-1)[:39].copy()), m, v, segments, hyper)
    return p, m, v


CASES = (
    sums, products, transposed, softmax, gelu, cross_entropy, layer_norm, batch_norm, attention, convolution, pooling,
    embedding, dropout, adam,
)  # fmt: skip


def on_device(case, driver):
    global RNG
    RNG = np.random.default_rng(1)
    device = CudaDevice("stand-in", None, driver)
    made = case(lambda family: importlib.import_module(f"npdl.kernels.cuda.{family}"), device.from_host)
    return [device.to_host(array) for array in made]


def by_reference(case):
    global RNG
    RNG = np.random.default_rng(1)

    def put(array):
        return array.astype("float64") if array.dtype == "float32" else array.copy()

    return list(case(lambda family: importlib.import_module(f"npdl.kernels.reference.{family}"), put))


def compared(case):
    """Where it differs: a text, empty if nowhere."""
    simulated = Simulated()
    with np.errstate(all="ignore"):
        found = on_device(case, simulated)
    assert simulated.launched == {} and math.prod(len(array) for array in found)
    for name, others in (("stand-in", on_device(case, StandIn())), ("reference", by_reference(case))):
        for number, (array, other) in enumerate(zip(found, others, strict=True)):
            if not np.allclose(array, other, rtol=1e-5, atol=1e-5):
                return f"array {number} of {case.__name__} is not the {name}'s:\n{array}\n{other}"
    return ""


if __name__ == "__main__":
    sys.setswitchinterval(1e-4)  # while it looks whether all threads have come to a barrier, none of them runs
    warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that wrap round
    chosen = [case for case in CASES if case.__name__ in sys.argv[1:] or len(sys.argv) == 1]
    print(json.dumps({case.__name__: compared(case) for case in chosen}))
