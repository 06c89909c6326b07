"""Attention as numba.cuda kernels, which keep tiles of 32 queries and 32 keys and never all the probabilities.

A block of 32 x 8 threads has 32 rows of its own, queries or keys of one head, and goes through the others 32 at a time:

    s[i, j]    = own[i] · other[j]              a tile in shared memory; thread (x, y) has i = y, y + 8 ..., j = x
    s[i, j]    becomes a weight                 of the probabilities P, or of their gradient dS
    acc[i, c] += Σⱼ s[i, j] x[j, c]             columns c = x and x + 32 of 64; more columns are another block's

Forward (Q's rows, x = v) the weights of a row are e^(s − top), where top is the largest s so far: as that grows, what
was added up before shrinks by e^(old − new), and the division by the sum comes at the end (Milakov and Gimelshein,
Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022). Backward that runs again and leaves
each row's top and 1 / Σ; with these a tile's P and dS are made again where they are needed: for dq, dk and dv.
All sums have an order that the shapes set.

A thread goes through the rows i in steps of `cuda.blockDim.y`, which is 8: said as a number, the compiler lays the four
rows out one after another and keeps their addresses, in a third more registers.
"""

import math

from numba import cuda, float32

from npdl.kernels.checks import key_words
from npdl.kernels.cuda.kernel import Bytes, Float, Floats, Int, UInt, device, expect, kernel, launch, launch_each
from npdl.kernels.cuda.memory import areas, viewed
from npdl.kernels.cuda.philox import word_of
from npdl.kernels.reference.dropout import MASK_BITS

TILE, WIDE, THREADS = 32, 64, (32, 8)
CAUSAL, QUERIES, KEYS, VALUES, PAIRS = 1, 2, 4, 8, 16
"""Bits of `masks`: which of them there are."""


@device
def may(n, t, s, queries, keys, masks, query_mask, key_mask, value_mask, pair_mask):
    """Whether query t of sample n may look at key s."""
    looks = masks & CAUSAL == 0 or s <= t
    if looks and masks & QUERIES != 0:
        looks = query_mask[n * queries + t] != 0
    if looks and masks & KEYS != 0:
        looks = key_mask[n * keys + s] != 0
    if looks and masks & VALUES != 0:
        looks = value_mask[n * keys + s] != 0
    if looks and masks & PAIRS != 0:
        looks = pair_mask[(n * queries + t) * keys + s] != 0
    return looks


@device
def dropped(value, n, element, threshold, step, k0, k1, scale):
    """value · m: of dropout; all of it where the threshold is 0."""
    if threshold == 0:
        return value
    word = word_of(step, n, element, k0, k1)
    return value * scale if word >> (32 - MASK_BITS) >= threshold else float32(0)


@device
def tile_product(a, a_at, a_count, a_step, b, b_at, b_count, b_step, size, sa, sb, s):
    """s[i, j] = a[i] · b[j], rows of `size` numbers, `step` apart; those from `count` on are 0.

    32 numbers of each row at a time lie in sa and sb. s is read by others only behind a barrier.
    """
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    s0, s1, s2, s3 = float32(0), float32(0), float32(0), float32(0)
    start = 0
    while start < size:
        cuda.syncthreads()
        i = y
        while i < 32:
            inside = start + x < size
            sa[i, x] = a[a_at + i * a_step + start + x] if inside and i < a_count else float32(0)
            sb[i, x] = b[b_at + i * b_step + start + x] if inside and i < b_count else float32(0)
            i += cuda.blockDim.y
        cuda.syncthreads()
        for d in range(32):
            w = sb[x, d]
            s0 += sa[y, d] * w
            s1 += sa[y + 8, d] * w
            s2 += sa[y + 16, d] * w
            s3 += sa[y + 24, d] * w
        start += 32
    s[y, x], s[y + 8, x], s[y + 16, x], s[y + 24, x] = s0, s1, s2, s3


@device
def add_rows(s, x, x_at, x_count, x_step, columns, sx, acc):
    """acc[i, c] += Σⱼ s[i, j] x[j, c], rows of x from `count` and columns from `columns` on being 0."""
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    cuda.syncthreads()
    j = ty
    while j < 32:
        at = x_at + j * x_step + tx
        sx[j, tx] = x[at] if j < x_count and tx < columns else float32(0)
        sx[j, tx + 32] = x[at + 32] if j < x_count and tx + 32 < columns else float32(0)
        j += cuda.blockDim.y
    cuda.syncthreads()
    a0, a1, a2, a3 = float32(0), float32(0), float32(0), float32(0)
    b0, b1, b2, b3 = float32(0), float32(0), float32(0), float32(0)
    for j in range(32):
        left, right = sx[j, tx], sx[j, tx + 32]
        w = s[ty, j]
        a0 += w * left
        b0 += w * right
        w = s[ty + 8, j]
        a1 += w * left
        b1 += w * right
        w = s[ty + 16, j]
        a2 += w * left
        b2 += w * right
        w = s[ty + 24, j]
        a3 += w * left
        b3 += w * right
    acc[ty, tx] += a0
    acc[ty + 8, tx] += a1
    acc[ty + 16, tx] += a2
    acc[ty + 24, tx] += a3
    acc[ty, tx + 32] += b0
    acc[ty + 8, tx + 32] += b1
    acc[ty + 16, tx + 32] += b2
    acc[ty + 24, tx + 32] += b3


@device
def next_top(s, top, factor):
    """A thread a row: the largest of its numbers so far, and by how much the sums before shrink."""
    x = cuda.threadIdx.x
    cuda.syncthreads()
    if cuda.threadIdx.y == 0:
        before = top[x]
        high = before
        for j in range(32):
            if s[x, j] > high or s[x, j] != s[x, j]:
                high = s[x, j]
        top[x] = high
        factor[x] = float32(1) if high == before else math.exp(before - high)
    cuda.syncthreads()


@kernel
def attend(
    q: Floats, k: Floats, v: Floats, out: Floats, tops: Floats, shares: Floats, wants_rows: Int,
    query_mask: Bytes, key_mask: Bytes, value_mask: Bytes, pair_mask: Bytes,
    queries: Int, keys: Int, heads: Int, groups: Int, size: Int, value_size: Int, scale: Float, masks: Int,
    threshold: UInt, step: UInt, k0: UInt, k1: UInt, kept: Float,
):  # fmt: skip
    """out: a block for each 32 queries, 64 columns, head and sample. For backward also top and 1 / Σ of each row."""
    sa = cuda.shared.array((32, 33), float32)
    sb = cuda.shared.array((32, 33), float32)
    s = cuda.shared.array((32, 33), float32)
    sx = cuda.shared.array((32, 64), float32)
    acc = cuda.shared.array((32, 64), float32)
    top = cuda.shared.array(32, float32)
    factor = cuda.shared.array(32, float32)
    total = cuda.shared.array(32, float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    tiles, chunks = (queries + 31) // 32, (value_size + 63) // 64
    first = cuda.blockIdx.x % tiles * 32
    place = cuda.blockIdx.x // tiles
    chunk = place % chunks * 64
    head = place // chunks % heads
    n = place // chunks // heads
    group = head // (heads // groups)
    rows, columns = min(32, queries - first), min(64, value_size - chunk)
    q_step, k_step, v_step = heads * size, groups * size, groups * value_size
    q_at = ((n * queries + first) * heads + head) * size
    i = ty
    while i < 32:
        acc[i, tx] = float32(0)
        acc[i, tx + 32] = float32(0)
        i += cuda.blockDim.y
    if ty == 0:
        top[tx] = float32(-math.inf)
        total[tx] = float32(0)
    stop = min(keys, first + 32) if masks & CAUSAL != 0 else keys
    key = 0
    while key < stop:
        count = min(32, stop - key)
        k_at = ((n * keys + key) * groups + group) * size
        tile_product(q, q_at, rows, q_step, k, k_at, count, k_step, size, sa, sb, s)
        i = ty
        while i < 32:
            looks = i < rows and tx < count
            if looks:
                looks = may(n, first + i, key + tx, queries, keys, masks, query_mask, key_mask, value_mask, pair_mask)
            s[i, tx] = s[i, tx] * scale if looks else float32(-math.inf)
            i += cuda.blockDim.y
        next_top(s, top, factor)
        i = ty
        while i < 32:
            w = s[i, tx]
            s[i, tx] = float32(0) if w == float32(-math.inf) else math.exp(w - top[i])
            acc[i, tx] *= factor[i]
            acc[i, tx + 32] *= factor[i]
            i += cuda.blockDim.y
        cuda.syncthreads()
        if ty == 0:
            part = float32(0)
            for j in range(32):
                part += s[tx, j]
            total[tx] = total[tx] * factor[tx] + part
        if threshold != 0:
            cuda.syncthreads()
            i = ty
            while i < 32:
                element = (head * queries + first + i) * keys + key + tx
                s[i, tx] = dropped(s[i, tx], n, element, threshold, step, k0, k1, kept)
                i += cuda.blockDim.y
        v_at = ((n * keys + key) * groups + group) * value_size + chunk
        add_rows(s, v, v_at, count, v_step, columns, sx, acc)
        key += 32
    cuda.syncthreads()
    i = ty
    while i < 32:
        if i < rows:
            row = (n * queries + first + i) * heads + head
            at = row * value_size + chunk + tx
            share = float32(0) if total[i] == float32(0) else float32(1) / total[i]
            if wants_rows and chunk == 0 and tx == 0:
                tops[row], shares[row] = top[i], share
            if tx < columns:
                out[at] = acc[i, tx] * share
            if tx + 32 < columns:
                out[at + 32] = acc[i, tx + 32] * share
        i += cuda.blockDim.y


@kernel
def find_deltas(dout: Floats, out: Floats, deltas: Floats, n: Int, size: Int):
    """δ = Σ P dP = dout · out of each row (N, T, H)."""
    row = cuda.grid(1)
    while row < n:
        total = float32(0)
        for i in range(row * size, (row + 1) * size):
            total += dout[i] * out[i]
        deltas[row] = total
        row += cuda.gridsize(1)


@kernel
def attend_grad(
    of_queries: Int, of_scores: Int,
    own: Floats, other: Floats, own_value: Floats, other_value: Floats, x: Floats,
    tops: Floats, shares: Floats, deltas: Floats, out: Floats,
    query_mask: Bytes, key_mask: Bytes, value_mask: Bytes, pair_mask: Bytes,
    queries: Int, keys: Int, heads: Int, groups: Int, size: Int, value_size: Int, scale: Float, masks: Int,
    threshold: UInt, step: UInt, k0: UInt, k1: UInt, kept: Float,
):  # fmt: skip
    """dq (of_queries, of_scores): own q and dout, others k and v, x = k. dk (of_scores): own k and v, others q and
    dout, x = q. dv: the same, but x = dout.

    A block for each 32 rows of out, 64 columns, head (dk and dv: group, whose heads are added up) and sample.
    """
    sa = cuda.shared.array((32, 33), float32)
    sb = cuda.shared.array((32, 33), float32)
    s = cuda.shared.array((32, 33), float32)
    e = cuda.shared.array((32, 33), float32)
    sx = cuda.shared.array((32, 64), float32)
    acc = cuda.shared.array((32, 64), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    mine, others = queries if of_queries else keys, keys if of_queries else queries
    my_heads, other_heads = heads if of_queries else groups, groups if of_queries else heads
    width = size if of_scores else value_size
    tiles, chunks = (mine + 31) // 32, (width + 63) // 64
    first = cuda.blockIdx.x % tiles * 32
    place = cuda.blockIdx.x // tiles
    chunk = place % chunks * 64
    my_head = place // chunks % my_heads
    n = place // chunks // my_heads
    each = heads // groups
    head = my_head if of_queries else my_head * each
    last_head = head if of_queries else head + each - 1
    rows, columns = min(32, mine - first), min(64, width - chunk)
    own_row = (n * mine + first) * my_heads + my_head
    own_at, own_step = own_row * size, my_heads * size
    own_value_at, own_value_step = own_row * value_size, my_heads * value_size
    other_step, other_value_step, x_step = other_heads * size, other_heads * value_size, other_heads * width
    i = ty
    while i < 32:
        acc[i, tx] = float32(0)
        acc[i, tx + 32] = float32(0)
        i += cuda.blockDim.y
    start, stop = 0, others
    if masks & CAUSAL != 0:
        start = 0 if of_queries else first
        stop = min(others, first + 32) if of_queries else others
    while head <= last_head:
        at = start
        while at < stop:
            count = min(32, stop - at)
            other_row = (n * others + at) * other_heads + (head // each if of_queries else head)
            other_at, other_value_at, x_at = other_row * size, other_row * value_size, other_row * width + chunk
            tile_product(own, own_at, rows, own_step, other, other_at, count, other_step, size, sa, sb, s)
            if of_scores:
                tile_product(
                    own_value, own_value_at, rows, own_value_step, other_value, other_value_at, count,
                    other_value_step, value_size, sa, sb, e,
                )  # fmt: skip
            i = ty
            while i < 32:
                t = first + i if of_queries else at + tx
                key = at + tx if of_queries else first + i
                looks = i < rows and tx < count
                if looks:
                    looks = may(n, t, key, queries, keys, masks, query_mask, key_mask, value_mask, pair_mask)
                w = s[i, tx] * scale
                s[i, tx] = float32(0)
                if looks and w != float32(-math.inf):
                    row = (n * queries + t) * heads + head
                    element = (head * queries + t) * keys + key
                    p = math.exp(w - tops[row]) * shares[row]
                    if of_scores:
                        slope = dropped(e[i, tx], n, element, threshold, step, k0, k1, kept)
                        s[i, tx] = scale * p * (slope - deltas[row])
                    else:
                        s[i, tx] = dropped(p, n, element, threshold, step, k0, k1, kept)
                i += cuda.blockDim.y
            add_rows(s, x, x_at, count, x_step, columns, sx, acc)
            at += 32
        head += 1
    cuda.syncthreads()
    i = ty
    while i < 32:
        if i < rows:
            here = ((n * mine + first + i) * my_heads + my_head) * width + chunk + tx
            if tx < columns:
                out[here] = acc[i, tx]
            if tx + 32 < columns:
                out[here + 32] = acc[i, tx + 32]
        i += cuda.blockDim.y


# ---- as every device calls them


def _sizes(kernel, q, k, v, scale):
    """(queries, keys, heads, groups, size, value_size)"""
    for name, array in (("q", q), ("k", k), ("v", v)):
        if len(array.shape) != 4:
            raise ValueError(f"{kernel}: {name} must be (samples, places, heads, size), got shape {array.shape}")
    samples, queries, heads, size = q.shape
    keys, groups, value_size = k.shape[1], k.shape[2], v.shape[3]
    if not groups or heads % groups:
        raise ValueError(f"{kernel}: the {heads} heads of q must be a multiple of those of k, got {groups}")
    if not size or not value_size:
        raise ValueError(f"{kernel}: heads must have at least one number, got q {q.shape} and v {v.shape}")
    expect(kernel, "k", k, (samples, keys, groups, size))
    expect(kernel, "v", v, (samples, keys, groups, value_size))
    if not 0 < scale < math.inf:
        raise ValueError(f"{kernel}: scale must be a number above 0, got {scale!r}")
    return queries, keys, heads, groups, size, value_size


def _masks(kernel, samples, sizes, causal, *masks):
    """The masks, and the bits that say which there are."""
    queries, keys = sizes[:2]
    shapes = (samples, queries), (samples, keys), (samples, keys), (samples, queries, keys)
    names, bits = ("query_mask", "key_mask", "value_mask", "mask"), CAUSAL if causal else 0
    for name, array, shape, bit in zip(names, masks, shapes, (QUERIES, KEYS, VALUES, PAIRS), strict=True):
        expect(kernel, name, array, shape)
        if array is not None:
            if array.dtype != bool:
                raise TypeError(f"{kernel}: {name} must be bool, got {array.dtype}; pass {name}.astype(bool)")
            bits |= bit
    return [viewed(array, "uint8") for array in masks], bits


def _dropout(kernel, rate, key, step):
    """(threshold, step, two words of the key, scale) as the kernels take them."""
    if not 0 <= rate < 1:
        raise ValueError(f"{kernel}: rate must be at least 0 and below 1, got {rate!r}")
    if rate == 0:
        return 0, 0, 0, 0, 1.0
    return math.ceil(rate * 2**MASK_BITS), step, *key_words(kernel, key), 1 / (1 - rate)


def _blocks(rows, columns, heads, samples):
    return -(-rows // TILE) * -(-columns // WIDE) * heads * samples


def attention(
    q, k, v, scale, *, out,
    causal=False, query_mask=None, key_mask=None, value_mask=None, mask=None, rate=0.0, key=None, step=0,
):  # fmt: skip
    """out = P m v,  P = softmax(scale q kᵀ)"""
    sizes = _sizes("attention", q, k, v, scale)
    expect("attention", "out", out, (*q.shape[:3], v.shape[3]))
    masks, bits = _masks("attention", len(q), sizes, causal, query_mask, key_mask, value_mask, mask)
    drop = _dropout("attention", rate, key, step)
    if out.size:
        blocks = _blocks(q.shape[1], v.shape[3], q.shape[2], len(q))
        launch(attend, blocks, THREADS, q, k, v, out, None, None, 0, *masks, *sizes, scale, bits, *drop)


def attention_grad(
    dout, q, k, v, scale, *, dq, dk, dv,
    causal=False, query_mask=None, key_mask=None, value_mask=None, mask=None, rate=0.0, key=None, step=0,
):  # fmt: skip
    """dq, dk, dv of `attention`, from dout = dL/dout"""
    kernel = "attention_grad"
    sizes = _sizes(kernel, q, k, v, scale)
    shape = (*q.shape[:3], v.shape[3])
    for name, array, like in (("dout", dout, shape), ("dq", dq, q.shape), ("dk", dk, k.shape), ("dv", dv, v.shape)):
        expect(kernel, name, array, like)
    masks, bits = _masks(kernel, len(q), sizes, causal, query_mask, key_mask, value_mask, mask)
    end = (*masks, *sizes, scale, bits, *_dropout(kernel, rate, key, step))
    (samples, queries, heads, size), (_, keys, groups, value_size) = q.shape, v.shape
    count = samples * queries * heads
    tops, shares, deltas, out = areas(q.memory.driver, count, count, count, dout.size)
    rows = tops, shares, deltas
    if count:
        blocks = _blocks(queries, value_size, heads, samples)
        launch(attend, blocks, THREADS, q, k, v, out, tops, shares, 1, *end)
        launch_each(find_deltas, count, dout, out, deltas, count, value_size)
        blocks = _blocks(queries, size, heads, samples)
        launch(attend_grad, blocks, THREADS, 1, 1, q, k, dout, v, k, *rows, dq, *end)
    if k.size:
        blocks = _blocks(keys, size, groups, samples)
        launch(attend_grad, blocks, THREADS, 0, 1, k, q, v, dout, q, *rows, dk, *end)
        blocks = _blocks(keys, value_size, groups, samples)
        launch(attend_grad, blocks, THREADS, 0, 0, k, q, v, dout, dout, *rows, dv, *end)
