"""Random matrix products."""

import numpy as np

from fuzzing.case import SMOOTH, wide
from npdl import activations
from npdl.kernels.cpu import matmul
from npdl.kernels.reference import matmul as ref_matmul


def fuzz_matmul(case):
    m, n, k = case.pick(0, case.size(), case.size()), case.size(), case.size(3000)
    ta, tb = bool(case.whole(0, 1)), bool(case.whole(0, 1))
    case.note(m=m, n=n, k=k, transpose_a=ta, transpose_b=tb)
    a, b = case.numbers(*((k, m) if ta else (m, k))), case.numbers(*((n, k) if tb else (k, n)))
    fn, bias = case.pick(None, *SMOOTH, activations.softmax), case.pick(None, case.numbers(n))
    add, times = case.pick(None, case.numbers(m, n)), case.pick(None, case.numbers(m, n))
    case.note(activation=fn, bias=bias is not None, add=add is not None, times=times is not None)
    out, z = case.out(m, n), case.pick(None, case.out(m, n))
    how = {"activation": fn, "transpose_a": ta, "transpose_b": tb}
    case.run(matmul.matmul, a, b, out=out, bias=bias, add=add, times=times, z=z, **how)
    a64, b64, bias64, add64, times64 = wide(a, b, bias, add, times)
    expected = {"out": np.empty((m, n)), "z": np.empty((m, n))}
    ref_matmul.matmul(a64, b64, bias=bias64, add=add64, times=times64, **how, **expected)
    scale = abs(a64.T if ta else a64) @ abs(b64.T if tb else b64) + (0 if bias is None else abs(bias64))
    scale = (scale + (0 if add is None else abs(add64))) * (1 if times is None else np.maximum(abs(times64), 1))
    case.close("out", out, expected["out"], k, scale)
    if z is not None:
        case.close("z", z, expected["z"], k, scale)
    if not ta and m:
        row = case.out(1, n)
        last = {name: x if x is None else case.place(x[m - 1 :]) for name, x in (("add", add), ("times", times))}
        case.run(matmul.matmul, case.place(a[m - 1 :]), b, out=row, bias=bias, **last, **how)
        case.equal("the last row alone", row, out[m - 1 :])


def fuzz_sum_rows(case):
    rows, columns = case.whole(0, 4) * case.size(3000), case.size()
    case.note(rows=rows, columns=columns)
    x, out = case.numbers(rows, columns), case.out(columns)
    case.run(matmul.sum_rows, x, out=out)
    case.close("out", out, x.sum(axis=0, dtype="float64"), rows, abs(x).sum(axis=0, dtype="float64"))
