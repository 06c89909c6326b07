"""Metrics as numba.cuda kernels: a value for each number or row of the output, then their sum in float64.

Formulas: npdl/metrics/accuracy.py and regression.py.
"""

from numba import cuda, float32, float64, int64

from npdl.kernels.cuda.kernel import Doubles, Float, Floats, Int, Ints, Long, Longs, kernel, launch, launch_each
from npdl.kernels.cuda.memory import areas
from npdl.kernels.cuda.reduction import fold_sum

EQUAL, BINARY, SQUARED, ABSOLUTE = range(4)
KINDS = {"equal": EQUAL, "binary": BINARY, "squared": SQUARED, "absolute": ABSOLUTE}


@kernel
def element_values(target: Floats, y: Floats, values: Floats, n: Long, kind: Int, threshold: Float):
    """t = y; t = (y > threshold); (y − t)²; |y − t|"""
    i = cuda.grid(1)
    while i < n:
        t = target[i]
        d = y[i] - t
        if kind == EQUAL:
            v = float32(1) if y[i] == t else float32(0)
        elif kind == BINARY:
            said = float32(1) if y[i] > threshold else float32(0)
            v = float32(1) if said == t else float32(0)
        elif kind == SQUARED:
            v = d * d
        else:
            v = abs(d)
        values[i] = v
        i += cuda.gridsize(1)


@kernel
def row_values(labels: Longs, target: Floats, y: Floats, values: Floats, n: Long, classes: Int, k: Int, sparse: Int):
    """Whether the class, the label or the largest of the target's row, has the largest output: k = 0, the first of
    equal ones; else whether fewer than k outputs are larger than its own. A thread for each row."""
    row = cuda.grid(1)
    while row < n:
        start = row * classes
        label = int64(0)
        if sparse:
            label = int64(labels[row])
        best, own = int64(0), int64(0)
        for c in range(1, classes):
            v, top = y[start + c], y[start + best]
            if v > top or (v != v and top == top):
                best = int64(c)
            if not sparse:
                v, top = target[start + c], target[start + own]
                if v > top or (v != v and top == top):
                    own = int64(c)
        if not sparse:
            label = own
        right = label == best
        if k > 0:
            right = label >= 0 and label < classes
            if right:
                chosen = y[start + label]
                larger = 0
                for c in range(classes):
                    if y[start + c] > chosen:
                        larger += 1
                right = larger < k and chosen == chosen
        values[row] = float32(1) if right else float32(0)
        row += cuda.gridsize(1)


row_values_of_int32 = row_values.retyped(labels=Ints)


@kernel
def value_sum(values: Floats, out: Doubles, n: Long):
    """out[0] = Σ values, one block."""
    s = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    total = float64(0)
    i = t
    while i < n:
        total += float64(values[i])
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        out[0] = s[0]


def elements(target, y, kind, threshold, *, out):
    """out[0] = the sum of the values of all numbers, for one of `KINDS`."""
    (values,) = areas(y.memory.driver, y.size)
    launch_each(element_values, y.size, target, y, values, y.size, KINDS[kind], threshold)
    launch(value_sum, 1, 256, values, out, y.size)


def rows(target, y, k, sparse, *, out):
    """out[0] = how many rows of classes are right; `sparse`: the target holds labels."""
    n, classes = y.size // y.shape[-1], y.shape[-1]
    (values,) = areas(y.memory.driver, n)
    one = row_values_of_int32 if sparse and target.dtype == "int32" else row_values
    given = (target, None) if sparse else (None, target)
    launch_each(one, n, *given, y, values, n, classes, k, int(sparse))
    launch(value_sum, 1, 256, values, out, n)
