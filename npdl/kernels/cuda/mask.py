"""Masks, and arrays filled, copied, multiplied, chosen, joined and parted, as numba.cuda kernels.

Kernels see bool as uint8, 0 or 1.
"""

from numba import cuda, float32, types

from npdl.kernels.cuda import merge
from npdl.kernels.cuda.kernel import Bytes, Float, Floats, Int, Ints, Long, Longs, expect, kernel, launch, launch_each
from npdl.kernels.cuda.memory import viewed
from npdl.kernels.cuda.reduction import fold_max, threads_for


@kernel
def any_other(x: Floats, value: Float, out: Bytes, width: Int):
    """Whether a row holds another number than `value`, a block a row."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    found = float32(0)
    i = t
    while i < width:
        if x[cuda.blockIdx.x * width + i] != value:
            found = float32(1)
        i += cuda.blockDim.x
    s[t] = found
    fold_max(s)
    if t == 0:
        out[cuda.blockIdx.x] = 1 if s[0] > float32(0) else 0


@kernel
def choose_rows(mask: Bytes, a: Floats, b: Floats, out: Floats, n: Long, width: Int, has_a: Int, has_b: Int):
    i = cuda.grid(1)
    while i < n:
        v = float32(0)
        if mask[i // width]:
            if has_a:
                v = a[i]
        elif has_b:
            v = b[i]
        out[i] = v
        i += cuda.gridsize(1)


@kernel
def both_kernel(a: Bytes, b: Bytes, out: Bytes, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = a[i] & b[i]
        i += cuda.gridsize(1)


@kernel
def fill_kernel(value: Float, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = value
        i += cuda.gridsize(1)


@kernel
def copy_kernel(x: Floats, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = x[i]
        i += cuda.gridsize(1)


fill_bytes = fill_kernel.retyped(value=types.uint8, out=Bytes)
fill_ints = fill_kernel.retyped(value=Int, out=Ints)
fill_longs = fill_kernel.retyped(value=Long, out=Longs)
copy_bytes = copy_kernel.retyped(x=Bytes, out=Bytes)
copy_longs = copy_kernel.retyped(x=Longs, out=Longs)
FILLS = {
    "float32": (fill_kernel, float), "int32": (fill_ints, int), "int64": (fill_longs, int), "bool": (fill_bytes, bool),
    "uint8": (fill_bytes, int),
}  # fmt: skip
COPIES = {1: (copy_bytes, "uint8"), 4: (copy_kernel, "float32"), 8: (copy_longs, "int64")}
"""By the bytes of an element: to copy it is to move bits."""


def masking(x, value, *, out):
    """out = whether any number of a row is not `value`"""
    expect("masking", "out", out, x.shape[:-1])
    if out.size:
        launch(any_other, out.size, threads_for(x.shape[-1]), x, value, viewed(out, "uint8"), x.shape[-1])


def mask_rows(x, mask, *, out):
    """out = rows of x where the mask is true, else 0; out may be x."""
    expect("mask_rows", "mask", mask, x.shape[:-1])
    expect("mask_rows", "out", out, x.shape)
    choose(mask, x, None, out=out)


def both(a, b, *, out):
    """out = a ∧ b"""
    expect("both", "b", b, a.shape)
    expect("both", "out", out, a.shape)
    launch_each(both_kernel, out.size, *(viewed(array, "uint8") for array in (a, b, out)), out.size)


def choose(mask, a, b, *, out):
    """out = rows of a where the mask is true, else of b; None is 0."""
    for name, array in (("a", a), ("b", b), ("out", out)):
        expect("choose", name, array, (*mask.shape, out.shape[-1]))
    launch_each(
        choose_rows, out.size, viewed(mask, "uint8"), a, b, out, out.size, out.shape[-1],
        int(a is not None), int(b is not None),
    )  # fmt: skip


def fill(value, *, out):
    """out = value"""
    if out.dtype.name not in FILLS:
        raise TypeError(f"fill: out must be one of {', '.join(FILLS)} on a GPU, got {out.dtype}")
    one, kind = FILLS[out.dtype.name]
    launch_each(one, out.size, kind(value), viewed(out, "uint8") if out.dtype.name == "bool" else out, out.size)


def copy(x, *, out):
    """out = x"""
    expect("copy", "out", out, x.shape)
    if x.dtype != out.dtype:
        raise TypeError(f"copy: out must be {x.dtype} like x, got {out.dtype}")
    one, dtype = COPIES[x.dtype.itemsize]
    launch_each(one, x.size, viewed(x, dtype), viewed(out, dtype), x.size)


def times(a, b, *, out):
    """out = a b; b may be a number, out may be a."""
    expect("times", "out", out, a.shape)
    if isinstance(b, (int, float)):
        merge.scale(a, b, out=out)
        return
    expect("times", "b", b, a.shape)
    merge.multiply(a, b, out=out)


def join(a, b, *, out):
    """out = a and b side by side"""
    _side_by_side("join", a, b, "out", out)
    axis = len(out.shape) - 1
    merge.put_part(a, axis, 0, out=out)
    merge.put_part(b, axis, a.shape[-1], out=out)


def part(x, *, a, b):
    """a and b, which lie side by side in x"""
    _side_by_side("part", a, b, "x", x)
    axis = len(x.shape) - 1
    merge.take_part(x, axis, 0, out=a)
    merge.take_part(x, axis, a.shape[-1], out=b)


def _side_by_side(kernel, a, b, name, whole):
    expect(kernel, "b", b, (*a.shape[:-1], b.shape[-1]))
    expect(kernel, name, whole, (*a.shape[:-1], a.shape[-1] + b.shape[-1]))
