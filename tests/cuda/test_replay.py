"""What the stand-in catches, and what it computes."""

import numpy as np
import pytest
from numba import cuda, float32
from numba.core.errors import TypingError

from npdl.devices.cuda.stand_in.replay import DivergentBarrier, replay

ONE = (1, 1, 1)


def tiled_product(a, b, c, m, n, k):
    """16 x 16 tiles in shared memory."""
    sa = cuda.shared.array((16, 16), float32)
    sb = cuda.shared.array((16, 16), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.y * 16 + y
    column = cuda.blockIdx.x * 16 + x
    total = float32(0)
    start = 0
    while start < k:
        sa[y, x] = a[row * k + start + x] if row < m and start + x < k else float32(0)
        sb[y, x] = b[(start + y) * n + column] if column < n and start + y < k else float32(0)
        cuda.syncthreads()
        for i in range(16):
            total += sa[y, i] * sb[i, x]
        cuda.syncthreads()
        start += 16
    if row < m and column < n:
        c[row * n + column] = total


@pytest.mark.parametrize("m, n, k", ((1, 1, 1), (16, 16, 16), (100, 50, 70), (33, 17, 0)))
def test_a_tiled_product(m, n, k):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype("f4"), rng.standard_normal((k, n)).astype("f4")
    for order in (1, -1):
        c = np.full((m, n), np.nan, "f4")
        blocks = (-(-n // 16), -(-m // 16), 1)
        replay(tiled_product)(blocks, (16, 16, 1), a.ravel(), b.ravel(), c.ravel(), m, n, k, order=order)
        np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-5)


def test_a_missing_barrier_shows_in_the_order():
    def reverse(x, out):
        s = cuda.shared.array(64, float32)
        t = cuda.threadIdx.x
        s[t] = x[t]
        out[t] = s[63 - t]
        cuda.syncthreads()

    x, up, down = np.arange(64, dtype="f4"), np.zeros(64, "f4"), np.zeros(64, "f4")
    replay(reverse)(ONE, (64, 1, 1), x, up)
    replay(reverse)(ONE, (64, 1, 1), x, down, order=-1)
    assert not np.array_equal(up, down, equal_nan=True)
    assert np.isnan(up).any()  # what had not been written yet


def test_a_divergent_barrier_raises():
    def some_wait(out):
        if cuda.threadIdx.x != 0:
            cuda.syncthreads()
        out[cuda.threadIdx.x] = 1

    with pytest.raises(DivergentBarrier, match="some_wait: threads of one block disagree"):
        replay(some_wait)(ONE, (8, 1, 1), np.zeros(8, "f4"))


def test_an_index_beyond_the_end_raises():
    def copy(x, out):
        out[cuda.grid(1)] = x[cuda.grid(1)]

    with pytest.raises(IndexError):
        replay(copy)(ONE, (8, 1, 1), np.zeros(7, "f4"), np.zeros(8, "f4"))


@pytest.mark.parametrize("call", ("cuda.syncwarp()", "cuda.atomic.add(out, 0, 1)"))
def test_what_is_not_known_is_refused(call, tmp_path, monkeypatch):
    (tmp_path / "unknown_kernel.py").write_text(f"from numba import cuda\ndef kernel(out):\n    {call}\n")
    monkeypatch.syspath_prepend(tmp_path)
    kernel = __import__("unknown_kernel").kernel
    with pytest.raises(NotImplementedError, match="not known to the stand-in"):
        replay(kernel)


def test_blocks_that_depend_on_each_other_show_in_the_order():
    def chain(x):
        i = cuda.grid(1)
        if i >= 4:
            x[i] = x[i - 4] + float32(1)

    def chain_with_barriers(x):
        s = cuda.shared.array(1, float32)
        i = cuda.grid(1)
        if cuda.threadIdx.x == 0 and i >= 4:
            s[0] = x[i - 4] + float32(1)
        cuda.syncthreads()
        if i >= 4:
            x[i] = s[0]

    for kernel in (chain, chain_with_barriers):
        up, down = np.zeros(16, "f4"), np.zeros(16, "f4")
        replay(kernel)((4, 1, 1), (4, 1, 1), up)
        replay(kernel)((4, 1, 1), (4, 1, 1), down, order=-1)
        np.testing.assert_array_equal(up, np.arange(16) // 4)
        np.testing.assert_array_equal(down, np.arange(16) // 4 > 0)


def test_an_index_below_0_raises():
    def load(x, out):
        out[cuda.grid(1)] = x[cuda.grid(1) - 1]

    def store(x, out):
        out[cuda.grid(1) - 1] += x[cuda.grid(1)]

    def shared(x, out):
        s = cuda.shared.array((2, 8), float32)
        s[0, cuda.threadIdx.x - 1] = x[0]
        cuda.syncthreads()

    for kernel in (load, store, shared):
        with pytest.raises(IndexError, match="below 0"):
            replay(kernel)(ONE, (8, 1, 1), np.zeros(8, "f4"), np.zeros(8, "f4"))


def test_a_return_in_a_kernel_with_barriers_is_refused():
    def some_leave(x, out):
        t = cuda.threadIdx.x
        if t >= 4:
            return
        cuda.syncthreads()
        out[t] = x[t]

    with pytest.raises(NotImplementedError, match="return in a kernel with barriers"):
        replay(some_leave)


def test_loops_around_barriers_that_it_cannot_cut_are_refused():
    def counted(x, out):
        for i in range(4):
            out[i] = x[i]
            cuda.syncthreads()

    def left_early(x, out):
        i = 0
        while i < 4:
            if x[i] > 0:
                break
            cuda.syncthreads()
            i += 1

    def moved_on(x, out):
        i = 0
        while i < 4:
            i += 1
            if x[i] > 0:
                continue
            cuda.syncthreads()

    for kernel, text in (
        (counted, "a for loop around a barrier: write it as a while loop"),
        (left_early, "break and continue around a barrier"),
        (moved_on, "break and continue around a barrier"),
    ):
        with pytest.raises(NotImplementedError, match=text):
            replay(kernel)


def test_names_that_it_cannot_keep_apart_are_refused():
    def new_argument(x, out, n):
        n = n + 1
        cuda.syncthreads()
        out[0] = n

    def its_own(x, out):
        _t = cuda.grid(1)
        out[_t] = x[_t]

    def place_and_element(x, out):
        i = cuda.grid(1)
        out[i], i = x[i], 0

    for kernel, text in (
        (new_argument, "a new value for an argument in a kernel with barriers"),
        (its_own, "names that begin with an underscore"),
        (place_and_element, "writes a place and what says where"),
    ):
        with pytest.raises(NotImplementedError, match=text):
            replay(kernel)


def test_several_elements_at_once():
    def swapped(x, y):
        i = cuda.grid(1)
        x[i], y[i] = y[i], x[i]

    def both(x, y):
        i = cuda.grid(1)
        x[i] = y[i] = x[i] + y[i]

    x, y = np.arange(4, dtype="f4"), np.full(4, 7, "f4")
    replay(swapped)(ONE, (4, 1, 1), x, y)
    np.testing.assert_array_equal([x, y], [[7] * 4, range(4)])
    replay(both)(ONE, (4, 1, 1), x, y)
    np.testing.assert_array_equal([x, y], [[7, 8, 9, 10]] * 2)


def test_what_a_block_has_in_common_keeps_its_place_among_what_threads_do():
    def counted(x, out, n):
        s = cuda.shared.array(8, float32)
        t = cuda.threadIdx.x
        k = 1
        s[t] = x[t] * k
        k = k + n
        cuda.syncthreads()
        while k < 9:
            out[t] = s[7 - t] + k
            k *= 3
            cuda.syncthreads()
        out[t] += k

    x = np.arange(8, dtype="f4")
    for order in (1, -1):
        out = np.zeros(8, "f4")
        replay(counted)(ONE, (8, 1, 1), x, out, 1, order=order)
        np.testing.assert_array_equal(out, x[::-1] + 6 + 18)


def test_a_variable_of_the_block_before_is_gone():
    def once(out, counts):
        s = cuda.shared.array(4, float32)
        t = cuda.threadIdx.x
        if cuda.blockIdx.x == 0:
            v = float32(7)
            k = 7
        s[t] = float32(0)
        cuda.syncthreads()
        out[cuda.grid(1)] = v + s[t]
        counts[cuda.grid(1)] = k

    out, counts = np.zeros(8, "f4"), np.zeros(8, "i8")
    replay(once)((2, 1, 1), (4, 1, 1), out, counts)
    np.testing.assert_array_equal(out, [7] * 4 + [np.nan] * 4)
    assert (counts[4:] < -(2**60)).all()


def test_a_variable_of_a_loop_around_a_barrier_is_each_threads_own():
    def add_up(x, out, n):
        t = cuda.threadIdx.x
        k = 0
        while k < n:
            if k == 0:
                total = float32(0)
            total += x[t]
            out[t] = total
            k += 1
            cuda.syncthreads()

    x, out = np.array([1, 10, 100, 1000], "f4"), np.zeros(4, "f4")
    replay(add_up)(ONE, (4, 1, 1), x, out, 2)
    np.testing.assert_array_equal(out, 2 * x)


def test_a_kernels_names_are_its_own():
    def scaled(x, out, order, bx):
        s = cuda.shared.array(8, float32)
        threads = order
        t = cuda.threadIdx.x
        s[t] = x[t] * threads
        cuda.syncthreads()
        out[t] = s[7 - t] + bx

    x, out = np.arange(8, dtype="f4"), np.zeros(8, "f4")
    replay(scaled)(ONE, (8, 1, 1), x, out, 2, 1)
    np.testing.assert_array_equal(out, 2 * x[::-1] + 1)


def test_an_index_that_is_not_whole_is_refused():
    def half(x, out):
        out[0] = x[cuda.threadIdx.x / 2]

    with pytest.raises(TypingError, match="an index must be a whole number, got float64"):
        replay(half)(ONE, (4, 1, 1), np.zeros(4, "f4"), np.zeros(1, "f4"))
