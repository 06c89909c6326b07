"""Case: the arguments of one random call of a kernel, and what is wrong with its results."""

import os

import numpy as np

from npdl import activations
from npdl.kernels.cpu import build

FIRST_SEED = int(os.environ.get("NPDL_FUZZ_SEED", "1"))
GUARD = 37
ELEMENTWISE = [
    activations.linear, activations.relu, activations.ReLU(0.1, 6.0, 0.5), activations.leaky_relu, activations.ELU(1.7),
    activations.gelu, activations.GELU(approximate=True), activations.sigmoid, activations.tanh, activations.selu,
    activations.CELU(0.7), activations.silu, activations.mish, activations.softplus, activations.log_sigmoid,
    activations.softsign, activations.squareplus,
]  # fmt: skip
SMOOTH = [
    fn for fn in ELEMENTWISE if fn.code not in (2,)
]  # a jump or a kink at a threshold other than 0 is no epilogue


class Case:
    """The arguments of one random call, and what is wrong with its results."""

    def __init__(self, kernel, seed):
        self.rng = np.random.default_rng(seed)
        self.kernel, self.seed = kernel, seed
        self.dtype = np.dtype(self.pick("float32", "float64"))
        self.eps = np.finfo(self.dtype).eps
        self.threads = self.whole(1, 3)
        self.facts, self.guarded = {}, []

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def whole(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def note(self, **facts):
        """Keep arguments for the message of a failure; returns the last."""
        self.facts.update(facts)
        return [*facts.values()][-1]

    def size(self, largest=300):
        """More often small than large, often odd."""
        return self.whole(1, self.pick(3, 9, 17, 33, 70, largest))

    def place(self, values):
        """The same array, at an address that is a multiple of its number's size and of no more."""
        flat = np.empty(values.size + 1, values.dtype)[self.whole(0, 1) :][: values.size]
        flat[...] = values.ravel()
        return flat.reshape(values.shape)

    def numbers(self, *shape, scale=1.0):
        return self.place((scale * self.rng.standard_normal(shape)).astype(self.dtype))

    def shares(self, *shape):
        """From 0.001 to 1"""
        return self.place(self.rng.uniform(0.001, 1, shape).astype(self.dtype))

    def out(self, *shape, dtype=None, fill=np.nan):
        """An output between guard numbers."""
        dtype = np.dtype(dtype or self.dtype)
        size = int(np.prod(shape))
        memory = np.full(size + 2 * GUARD, 77, dtype)
        inside = memory[GUARD : GUARD + size]
        inside[...] = fill
        self.guarded.append(memory)
        return inside.reshape(shape)

    def fail(self, what):
        raise AssertionError(
            f"{self.kernel}: {what}\n  {self.dtype}, {self.threads} threads, {self.facts}\n"
            f"  again: NPDL_FUZZ=1 NPDL_FUZZ_SEED={self.seed} pytest tests/kernels/test_fuzz.py -k '[{self.kernel}]'"
        )

    def run(self, kernel, *args, **kwargs):
        """Call it; neither the guards nor the inputs may change."""
        arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray)]
        inputs = [a for a in arrays if not any(np.shares_memory(a, memory) for memory in self.guarded)]
        before = [a.tobytes() for a in inputs]
        build.set_num_threads(self.threads)
        kernel(*args, **kwargs)
        for memory in self.guarded:
            if (memory[:GUARD] != 77).any() or (memory[-GUARD:] != 77).any():
                self.fail("wrote outside an output")
        if [a.tobytes() for a in inputs] != before:
            self.fail("changed an input")

    def equal(self, name, got, expected):
        if not np.array_equal(got, expected, equal_nan=got.dtype.kind == "f"):
            self.fail(f"{name} differs at {np.argwhere(got != expected)[:3].tolist()}")

    def close(self, name, got, expected, length, scale=None):
        """Within the rounding of a sum of `length` products whose absolute values add up to `scale`.

        Errors of single additions are independent: they grow with √length, 8 times that is never reached by chance. The
        constant covers what is fixed (activations, transforms of Winograd's kind, which spread an error over a tile:
        hence the largest `scale` counts for all elements)."""
        expected = np.asarray(expected)
        top = max(np.abs(x).max(initial=0) for x in (expected, 0 if scale is None else scale)) + 1e-30
        bound = 8 * self.eps * (np.sqrt(length) + 8) * top
        wrong = ~(np.abs(got - expected) <= bound)  # a NaN is wrong
        if wrong.any():
            at = tuple(np.argwhere(wrong)[0].tolist())
            self.fail(f"{name}{list(at)} is {got[at]!r}, expected {expected[at]!r} ± {bound:.2g}; {wrong.sum()} such")


def wide(*arrays):
    return [None if a is None else a.astype("float64") for a in arrays]


def reference_of(kernel, shapes, *args, **kwargs):
    """What a reference kernel gives for outputs of these shapes (name -> shape), in float64."""
    outs = {name: np.empty(shape) for name, shape in shapes.items()}
    kernel(*args, **kwargs, **outs)
    return outs
