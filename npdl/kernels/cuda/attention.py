"""Attention as numba.cuda kernels, which keep tiles of 32 queries and 32 keys and never all the probabilities.

A block of 32 x 8 threads has 32 rows of its own, queries or keys of one head, and goes through the others 32 at a time:

    s[i, j]    = own[i] · other[j]              a tile in shared memory; thread (x, y) has i = y, y + 8 ..., j = x
    s[i, j]    becomes a weight                 of the probabilities P, or of their gradient dS
    acc[i, c] += Σⱼ s[i, j] x[j, c]             columns c = x and x + 32 of 64; more columns are another block's

Forward (Q's rows, x = v) the weights of a row are e^(s − top), where top is the largest s so far: as that grows, what
was added up before shrinks by e^(old − new), and the division by the sum comes at the end (Milakov and Gimelshein,
Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022). Backward that runs again and leaves
each row's top and 1 / Σ; with these a tile's P and dS are made again where they are needed: for dq by the rows of q,
for dk and dv by those of k. All sums have an order that the shapes set.

Registers decide how many blocks a processor holds. So a thread goes through the rows i, and eight at a time through the
numbers that it multiplies, in steps of `cuda.blockDim.y`, which is 8: said as a number, the compiler lays all out one
after another. A barrier, which it may not repeat, keeps it from doing so to the weights; places are counted in 32 bits;
and dropout's keys are made when they are needed (`word_from`). That leaves 72 registers forward and 128 for dq, three
blocks of 256 threads and two. For dk and dv, which hold two sums, it is 128 or, on an H100, 168: one block there, but
scores and weights are made once for both. A limit of 128 spills 6 numbers, of 64 up to 140.
"""

import math

from numba import cuda, float32, int32

from npdl.kernels.checks import attention_sizes, key_words
from npdl.kernels.cuda.dropout import step_of
from npdl.kernels.cuda.kernel import Bytes, Float, Floats, Int, Ints, UInt, device, expect, kernel, launch, launch_each
from npdl.kernels.cuda.memory import areas, viewed
from npdl.kernels.cuda.philox import word_from
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
def dropped(value, n, element, threshold, step, step_at, counted, k0, k1, scale, turn):
    """value · m: of dropout; all of it where the threshold is 0. `turn` is 0, which the compiler must not know."""
    if threshold == 0:
        return value
    word = word_from(turn, step_of(step, step_at, counted), n, element, k0, k1)
    return value * scale if word >> (32 - MASK_BITS) >= threshold else float32(0)


@device
def tile_product(a, a_at, a_count, a_step, b, b_at, b_count, b_step, size, room, s):
    """s[i, j] = a[i] · b[j], rows of `size` numbers, `step` apart; those from `count` on are 0.

    32 numbers of each row at a time lie in room: a's above b's. s is read by others only behind a barrier.
    """
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    s0, s1, s2, s3 = float32(0), float32(0), float32(0), float32(0)
    start = 0
    while start < size:
        cuda.syncthreads()
        i = y
        while i < 32:
            inside = start + x < size
            room[i, x] = a[a_at + i * a_step + start + x] if inside and i < a_count else float32(0)
            room[i + 32, x] = b[b_at + i * b_step + start + x] if inside and i < b_count else float32(0)
            i += cuda.blockDim.y
        cuda.syncthreads()
        d = 0
        while d < 32:
            for k in range(8):
                w = room[x + 32, d + k]
                s0 += room[y, d + k] * w
                s1 += room[y + 8, d + k] * w
                s2 += room[y + 16, d + k] * w
                s3 += room[y + 24, d + k] * w
            d += cuda.blockDim.y
        start += 32
    s[y, x], s[y + 8, x], s[y + 16, x], s[y + 24, x] = s0, s1, s2, s3


@device
def add_rows(s, x, x_at, x_count, x_step, columns, room, acc):
    """acc[i, c] += Σⱼ s[i, j] x[j, c], rows of x from `count` and columns from `columns` on being 0.

    In room columns 0 ... 31 of x lie above columns 32 ... 63.
    """
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    cuda.syncthreads()
    j = ty
    while j < 32:
        at = x_at + j * x_step + tx
        room[j, tx] = x[at] if j < x_count and tx < columns else float32(0)
        room[j + 32, tx] = x[at + 32] if j < x_count and tx + 32 < columns else float32(0)
        j += cuda.blockDim.y
    cuda.syncthreads()
    a0, a1, a2, a3 = float32(0), float32(0), float32(0), float32(0)
    b0, b1, b2, b3 = float32(0), float32(0), float32(0), float32(0)
    j = 0
    while j < 32:
        for k in range(8):
            left, right = room[j + k, tx], room[j + k + 32, tx]
            w = s[ty, j + k]
            a0 += w * left
            b0 += w * right
            w = s[ty + 8, j + k]
            a1 += w * left
            b1 += w * right
            w = s[ty + 16, j + k]
            a2 += w * left
            b2 += w * right
            w = s[ty + 24, j + k]
            a3 += w * left
            b3 += w * right
        j += cuda.blockDim.y
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


@device
def clear(acc, x, y):
    """acc = 0, by thread (x, y) where it will add up"""
    for i in range(4):
        acc[y + 8 * i, x] = float32(0)
        acc[y + 8 * i, x + 32] = float32(0)


@device
def keep_rows(acc, out, at, step, rows, columns, x, y):
    """Rows of `out`, `step` apart, from acc; thread (x, y) writes what it has added up."""
    i = y
    while i < rows:
        if x < columns:
            out[at + i * step + x] = acc[i, x]
        if x + 32 < columns:
            out[at + i * step + x + 32] = acc[i, x + 32]
        i += 8


@kernel
def attend(
    q: Floats, k: Floats, v: Floats, out: Floats, tops: Floats, shares: Floats, wants_rows: Int,
    query_mask: Bytes, key_mask: Bytes, value_mask: Bytes, pair_mask: Bytes,
    queries: Int, keys: Int, heads: Int, groups: Int, size: Int, value_size: Int, scale: Float, masks: Int,
    threshold: UInt, step: UInt, step_at: Ints, counted: Int, k0: UInt, k1: UInt, kept: Float,
):  # fmt: skip
    """out: a block for each 32 queries, 64 columns, head and sample. For backward also top and 1 / Σ of each row."""
    room = cuda.shared.array((64, 33), float32)
    s = cuda.shared.array((32, 33), float32)
    acc = cuda.shared.array((32, 64), float32)
    top = cuda.shared.array(32, float32)
    factor = cuda.shared.array(32, float32)
    total = cuda.shared.array(32, float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    tiles, chunks = (queries + 31) // 32, (value_size + 63) // 64
    first = int32(cuda.blockIdx.x % tiles * 32)
    place = int32(cuda.blockIdx.x // tiles)
    chunk = int32(place % chunks * 64)
    head = int32(place // chunks % heads)
    n = int32(place // chunks // heads)
    group = int32(head // (heads // groups))
    rows, columns = min(32, queries - first), min(64, value_size - chunk)
    q_step, k_step, v_step = heads * size, groups * size, groups * value_size
    q_at = ((n * queries + first) * heads + head) * size
    clear(acc, tx, ty)
    if ty == 0:
        top[tx] = float32(-math.inf)
        total[tx] = float32(0)
    stop = int32(min(keys, first + 32)) if masks & CAUSAL != 0 else keys
    key = int32(0)
    while key < stop:
        count = int32(min(32, stop - key))
        k_at = ((n * keys + key) * groups + group) * size
        tile_product(q, q_at, rows, q_step, k, k_at, count, k_step, size, room, s)
        i = ty
        while i < 32:
            looks = i < rows and tx < count
            if looks:
                looks = may(n, first + i, key + tx, queries, keys, masks, query_mask, key_mask, value_mask, pair_mask)
            s[i, tx] = s[i, tx] * scale if looks else float32(-math.inf)
            cuda.syncthreads()
            i += cuda.blockDim.y
        next_top(s, top, factor)
        i = ty
        while i < 32:
            w = s[i, tx]
            s[i, tx] = float32(0) if w == float32(-math.inf) else math.exp(w - top[i])
            acc[i, tx] *= factor[i]
            acc[i, tx + 32] *= factor[i]
            cuda.syncthreads()
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
                s[i, tx] = dropped(
                    s[i, tx], n, element, threshold, step, step_at, counted, k0, k1, kept, cuda.threadIdx.z
                )
                cuda.syncthreads()
                i += cuda.blockDim.y
        v_at = ((n * keys + key) * groups + group) * value_size + chunk
        add_rows(s, v, v_at, count, v_step, columns, room, acc)
        key = int32(key + 32)
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
def attend_grad_queries(
    dout: Floats, q: Floats, k: Floats, v: Floats, tops: Floats, shares: Floats, deltas: Floats, dq: Floats,
    query_mask: Bytes, key_mask: Bytes, value_mask: Bytes, pair_mask: Bytes,
    queries: Int, keys: Int, heads: Int, groups: Int, size: Int, value_size: Int, scale: Float, masks: Int,
    threshold: UInt, step: UInt, step_at: Ints, counted: Int, k0: UInt, k1: UInt, kept: Float,
):  # fmt: skip
    """dq = scale dS k: a block for each 32 queries, 64 columns, head and sample."""
    room = cuda.shared.array((64, 33), float32)
    s = cuda.shared.array((32, 33), float32)
    e = cuda.shared.array((32, 33), float32)
    acc = cuda.shared.array((32, 64), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    tiles, chunks = (queries + 31) // 32, (size + 63) // 64
    first = int32(cuda.blockIdx.x % tiles * 32)
    place = int32(cuda.blockIdx.x // tiles)
    chunk = int32(place % chunks * 64)
    head = int32(place // chunks % heads)
    n = int32(place // chunks // heads)
    group = int32(head // (heads // groups))
    rows = int32(min(32, queries - first))
    own = int32((n * queries + first) * heads + head)
    clear(acc, tx, ty)
    stop = int32(min(keys, first + 32)) if masks & CAUSAL != 0 else keys
    key = int32(0)
    while key < stop:
        count = int32(min(32, stop - key))
        other = int32((n * keys + key) * groups + group)
        tile_product(q, own * size, rows, heads * size, k, other * size, count, groups * size, size, room, s)
        tile_product(
            dout, own * value_size, rows, heads * value_size, v, other * value_size, count, groups * value_size,
            value_size, room, e,
        )  # fmt: skip
        i = ty
        while i < 32:
            looks = i < rows and tx < count
            if looks:
                looks = may(n, first + i, key + tx, queries, keys, masks, query_mask, key_mask, value_mask, pair_mask)
            w = s[i, tx] * scale
            s[i, tx] = float32(0)
            if looks and w != float32(-math.inf):
                row = int32(own + i * heads)
                element = (head * queries + first + i) * keys + key + tx
                slope = dropped(e[i, tx], n, element, threshold, step, step_at, counted, k0, k1, kept, cuda.threadIdx.z)
                s[i, tx] = scale * (math.exp(w - tops[row]) * shares[row]) * (slope - deltas[row])
            cuda.syncthreads()
            i += cuda.blockDim.y
        add_rows(s, k, other * size + chunk, count, groups * size, size - chunk, room, acc)
        key = int32(key + 32)
    cuda.syncthreads()
    keep_rows(acc, dq, own * size + chunk, heads * size, rows, size - chunk, tx, ty)


@kernel
def attend_grad_keys(
    dout: Floats, q: Floats, k: Floats, v: Floats, tops: Floats, shares: Floats, deltas: Floats, dk: Floats, dv: Floats,
    query_mask: Bytes, key_mask: Bytes, value_mask: Bytes, pair_mask: Bytes,
    queries: Int, keys: Int, heads: Int, groups: Int, size: Int, value_size: Int, scale: Float, masks: Int,
    threshold: UInt, step: UInt, step_at: Ints, counted: Int, k0: UInt, k1: UInt, kept: Float,
):  # fmt: skip
    """dk = scale dSᵀ q, dv = (P m)ᵀ dout: a block for each 32 keys, 64 columns, group, whose heads are added up, and
    sample."""
    room = cuda.shared.array((64, 33), float32)
    s = cuda.shared.array((32, 33), float32)
    e = cuda.shared.array((32, 33), float32)
    acc_k = cuda.shared.array((32, 64), float32)
    acc_v = cuda.shared.array((32, 64), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    tiles, chunks = (keys + 31) // 32, (max(size, value_size) + 63) // 64
    first = int32(cuda.blockIdx.x % tiles * 32)
    place = int32(cuda.blockIdx.x // tiles)
    chunk = int32(place % chunks * 64)
    group = int32(place // chunks % groups)
    n = int32(place // chunks // groups)
    rows = int32(min(32, keys - first))
    own = int32((n * keys + first) * groups + group)
    clear(acc_k, tx, ty)
    clear(acc_v, tx, ty)
    head = int32(group * (heads // groups))
    while head < (group + 1) * (heads // groups):
        query = first if masks & CAUSAL != 0 else int32(0)
        while query < queries:
            count = int32(min(32, queries - query))
            other = int32((n * queries + query) * heads + head)
            tile_product(k, own * size, rows, groups * size, q, other * size, count, heads * size, size, room, s)
            tile_product(
                v, own * value_size, rows, groups * value_size, dout, other * value_size, count, heads * value_size,
                value_size, room, e,
            )  # fmt: skip
            i = ty
            while i < 32:
                key, t = int32(first + i), int32(query + tx)
                looks = i < rows and tx < count
                if looks:
                    looks = may(n, t, key, queries, keys, masks, query_mask, key_mask, value_mask, pair_mask)
                w = s[i, tx] * scale
                slope = e[i, tx]
                s[i, tx], e[i, tx] = float32(0), float32(0)
                if looks and w != float32(-math.inf):
                    row = int32(other + tx * heads)
                    p = math.exp(w - tops[row]) * shares[row]
                    m = dropped(
                        float32(1),
                        n,
                        (head * queries + t) * keys + key,
                        threshold,
                        step,
                        step_at,
                        counted,
                        k0,
                        k1,
                        kept,
                        cuda.threadIdx.z,
                    )
                    slope = slope * m if m != float32(0) else float32(0)
                    s[i, tx], e[i, tx] = scale * p * (slope - deltas[row]), p * m
                cuda.syncthreads()
                i += cuda.blockDim.y
            add_rows(s, q, other * size + chunk, count, heads * size, size - chunk, room, acc_k)
            add_rows(e, dout, other * value_size + chunk, count, heads * value_size, value_size - chunk, room, acc_v)
            query = int32(query + 32)
        head = int32(head + 1)
    cuda.syncthreads()
    keep_rows(acc_k, dk, own * size + chunk, groups * size, rows, size - chunk, tx, ty)
    keep_rows(acc_v, dv, own * value_size + chunk, groups * value_size, rows, value_size - chunk, tx, ty)


# ---- as every device calls them


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


def _dropout(kernel, driver, rate, key, step):
    """(threshold, step and whether it lies in memory, two words of the key, scale) as the kernels take them."""
    if not 0 <= rate < 1:
        raise ValueError(f"{kernel}: rate must be at least 0 and below 1, got {rate!r}")
    if rate == 0:
        return 0, 0, None, 0, 0, 0, 1.0
    words = key_words(kernel, key)
    return math.ceil(rate * 2**MASK_BITS), *driver.counter(step), *words, 1 / (1 - rate)


def _blocks(rows, columns, heads, samples):
    return -(-rows // TILE) * -(-columns // WIDE) * heads * samples


def attention(
    q, k, v, scale, *, out,
    causal=False, query_mask=None, key_mask=None, value_mask=None, mask=None, rate=0.0, key=None, step=0,
):  # fmt: skip
    """out = P m v,  P = softmax(scale q kᵀ)"""
    samples, *sizes = attention_sizes("attention", q, k, v, scale, expect)
    expect("attention", "out", out, (*q.shape[:3], v.shape[3]))
    masks, bits = _masks("attention", samples, sizes, causal, query_mask, key_mask, value_mask, mask)
    drop = _dropout("attention", q.memory.driver, rate, key, step)
    if out.size:
        blocks = _blocks(sizes[0], sizes[-1], sizes[2], samples)
        launch(attend, blocks, THREADS, q, k, v, out, None, None, 0, *masks, *sizes, scale, bits, *drop)


def attention_grad(
    dout, q, k, v, scale, *, dq, dk, dv,
    causal=False, query_mask=None, key_mask=None, value_mask=None, mask=None, rate=0.0, key=None, step=0,
):  # fmt: skip
    """dq, dk, dv of `attention`, from dout = dL/dout"""
    kernel = "attention_grad"
    samples, *sizes = attention_sizes(kernel, q, k, v, scale, expect)
    queries, keys, heads, groups, size, value_size = sizes
    shape = (*q.shape[:3], v.shape[3])
    for name, array, like in (("dout", dout, shape), ("dq", dq, q.shape), ("dk", dk, k.shape), ("dv", dv, v.shape)):
        expect(kernel, name, array, like)
    masks, bits = _masks(kernel, samples, sizes, causal, query_mask, key_mask, value_mask, mask)
    end = (*masks, *sizes, scale, bits, *_dropout(kernel, q.memory.driver, rate, key, step))
    count = samples * queries * heads
    tops, shares, deltas, out = areas(q.memory.driver, count, count, count, dout.size)
    rows = tops, shares, deltas
    if count:
        blocks = _blocks(queries, value_size, heads, samples)
        launch(attend, blocks, THREADS, q, k, v, out, tops, shares, 1, *end)
        launch_each(find_deltas, count, dout, out, deltas, count, value_size)
        blocks = _blocks(queries, size, heads, samples)
        launch(attend_grad_queries, blocks, THREADS, dout, q, k, v, *rows, dq, *end)
    if k.size:
        blocks = _blocks(keys, max(size, value_size), groups, samples)
        launch(attend_grad_keys, blocks, THREADS, dout, q, k, v, *rows, dk, dv, *end)
