"""Random activations, and penalties and constraints of weights."""

import numpy as np

from fuzzing.case import ELEMENTWISE, reference_of, wide
from npdl import activations, constraints, regularizers
from npdl.kernels.cpu import activation, regularize
from npdl.kernels.reference import activation as ref_activation


def fuzz_activation(case):
    fn = case.note(
        activation=case.pick(
            *ELEMENTWISE, *(kind(axis) for kind in (activations.Softmax, activations.LogSoftmax) for axis in (0, 1, -1))
        )
    )
    rows = fn.code in (9, 10)
    lowest = int(rows and fn.axis == 0)  # a softmax of nothing is an error
    shape = case.note(shape=(case.whole(lowest, 4), case.size(), case.size(2000)))
    z, dy = case.numbers(*shape, scale=case.pick(1, 4, 30)), case.numbers(*shape)
    y, dz = case.out(*shape), case.out(*shape)
    case.run(activation.activation, z, fn, out=y)
    z64, dy64, y64 = wide(z, dy, y)
    expected = reference_of(ref_activation.activation, {"out": shape}, z64, fn)["out"]
    # e^z is as exact as z: an error of ½ ulp of z − max z is an error of that size in the exponent
    length = shape[1] + shape[2] if rows else 1
    case.close("y", y, expected, length, max(1, abs(z64).max(initial=0)))
    saved, saved64 = (z, z64) if fn.needs == "z" else (y, y64)
    case.run(activation.activation_grad, dy, saved, fn, out=dz)
    expected = reference_of(ref_activation.activation_grad, {"out": shape}, dy64, saved64, fn)["out"]
    size = np.abs(dy64).max(initial=0) * max(1, abs(saved64).max(initial=0))
    case.close("dz", dz, expected, length, size)
    same = case.out(*shape)
    same[...] = z
    case.run(activation.activation, same, fn, out=same)
    case.equal("y in place", same, y)


fuzz_activation_grad = fuzz_activation


def fuzz_glu(case):
    axis, half = case.note(axis=case.pick(0, 1, 2, -1)), [case.size(40), case.size(40), case.size(90)]
    whole = [2 * n if a == axis % 3 else n for a, n in enumerate(half)]
    x, dy, y, dx = case.numbers(*whole, scale=case.pick(1, 30)), case.numbers(*half), case.out(*half), case.out(*whole)
    case.run(activation.glu, x, axis, out=y)
    case.run(activation.glu_grad, dy, x, axis, out=dx)
    x64, dy64 = wide(x, dy)
    case.close("y", y, reference_of(ref_activation.glu, {"out": half}, x64, axis)["out"], 1)
    expected = reference_of(ref_activation.glu_grad, {"out": whole}, dy64, x64, axis)["out"]
    case.close("dx", dx, expected, 1, abs(x64).max() * abs(dy64).max())


fuzz_glu_grad = fuzz_glu


def fuzz_prelu(case):
    shape = case.note(shape=(case.whole(0, 9), case.size(), case.size(90)))
    x, dy, alpha = case.numbers(*shape), case.numbers(*shape), case.numbers(*shape[1:])
    y, dx, dalpha = (case.out(*shape) for _ in range(3))
    case.run(activation.prelu, x, alpha, out=y)
    case.run(activation.prelu_grad, dy, x, alpha, dx=dx, dalpha=dalpha)
    case.equal("y", y, np.where(x > 0, x, alpha * x))
    case.equal("dx", dx, np.where(x > 0, dy, alpha * dy))
    case.equal("dalpha", dalpha, np.where(x > 0, 0, dy * x))


fuzz_prelu_grad = fuzz_prelu


def fuzz_penalty(case):
    fn = case.note(fn=regularizers.L1L2(case.pick(0, 0.5), case.pick(0, 0.25)))
    x = case.numbers(case.size(40), case.size(3000))
    out, dx = case.out(1, dtype="float64"), case.out(*x.shape, fill=0.5)
    case.run(regularize.penalty, x, fn, out=out)
    case.close("out", out, fn(x), x.size, fn(x))
    case.run(regularize.penalty_grad, x, fn, out=dx, scale=0.25)
    case.close("dx", dx, 0.5 + 0.25 * fn.gradient(x.astype("float64")), 1)


fuzz_penalty_grad = fuzz_penalty


def fuzz_constrain(case):
    axis = case.pick(0, 1, 2, -1, [0, 1], [0, 2], [1, 2])
    limits = constraints.MaxNorm(1.5, axis), constraints.MinMaxNorm(0.5, 2, 0.5, axis), constraints.UnitNorm(axis)
    fn = case.note(fn=case.pick(*limits, constraints.NonNeg()))
    w = case.numbers(case.size(40), case.size(40), case.size(90))
    out = case.out(*w.shape)
    case.run(regularize.constrain, w, fn, out=out)
    case.close("out", out, fn(w.astype("float64")), w.size, 1)
