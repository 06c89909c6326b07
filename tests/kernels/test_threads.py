"""Threads: the same bits for any number of them, for two callers at once, and in a forked child."""

import concurrent.futures
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.geometry import window2d

if not compiled():
    pytest.skip("installed without compiled kernels", allow_module_level=True)

from npdl.kernels.cpu import build, conv, matmul


@pytest.fixture(autouse=True)
def _threads_are_put_back():
    before = build.get_num_threads()
    yield
    build.set_num_threads(before)


def work(rng, dtype="float32"):
    """A function that runs kernels large enough to be shared, and returns all results in one array."""
    a = rng.standard_normal((700, 300)).astype(dtype)
    b = rng.standard_normal((300, 200)).astype(dtype)
    long, dz = rng.standard_normal((9000, 40)).astype(dtype), rng.standard_normal((9000, 24)).astype(dtype)
    images = rng.standard_normal((40, 13, 12, 8)).astype(dtype)
    convolutions = []
    for filters, groups in ((20, 1), (20, 2), (16, 8)):  # few channels, groups, depthwise
        g = window2d((13, 12, 8), (3, 3), (2, 1), "same", (1, 1), filters, groups)
        w = rng.standard_normal((3, 3, 8 // groups, filters)).astype(dtype)
        convolutions.append((g, w, rng.standard_normal((40, g.out_h, g.out_w, filters)).astype(dtype)))

    def run():
        out = [np.empty(shape, dtype) for shape in ((700, 200), (40, 24), (40,))]
        matmul.matmul(a, b, out=out[0])
        matmul.matmul(long, dz, out=out[1], transpose_a=True)
        matmul.sum_rows(long, out=out[2])
        for g, w, dy in convolutions:
            y, dx, dw = np.empty_like(dy), np.empty_like(images), np.empty_like(w)
            conv.conv2d(images, w, g, out=y)
            conv.conv2d_dx(dy, w, g, out=dx)
            conv.conv2d_dkernel(images, dy, g, out=dw)
            out += y, dx, dw
        return np.concatenate([array.ravel() for array in out])

    return run


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_any_number_of_threads_gives_the_same_bits(rng, dtype):
    run = work(rng, dtype)
    build.set_num_threads(1)
    expected = run()
    assert np.isfinite(expected).all()
    for threads in (2, 3, 5):
        build.set_num_threads(threads)
        assert build.get_num_threads() == threads
        for _ in range(3):
            np.testing.assert_array_equal(run(), expected)


def test_two_callers_at_once(rng):
    """Python threads that call kernels at the same time do not share working memory."""
    build.set_num_threads(2)
    jobs = [work(rng) for _ in range(4)]
    expected = [job() for job in jobs]
    start = threading.Barrier(len(jobs))

    def repeat(job):
        start.wait()
        return [job() for _ in range(10)]

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        for results, right in zip(pool.map(repeat, jobs), expected):
            for result in results:
                np.testing.assert_array_equal(result, right)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_works(rng):
    """The child has none of the parent's threads; it must not wait for them."""
    build.set_num_threads(2)
    run = work(rng)
    expected = run()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of every fork beside threads
        child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(run(), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(run(), expected)


def test_the_interpreter_ends_while_kernels_run():
    code = """
import threading, time
import numpy as np
from npdl.kernels.cpu import build, matmul
build.set_num_threads(2)
def repeat():
    a, out = np.ones((300, 300), "float32"), np.empty((300, 300), "float32")
    while True:
        matmul.matmul(a, a, out=out)
for _ in range(3):
    threading.Thread(target=repeat, daemon=True).start()
time.sleep(0.2)
"""
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("n", (0, -1, 1.5, "2", None, True, 2**31, 2**70))
def test_set_num_threads_wants_a_number(n):
    with pytest.raises(ValueError, match=r"set_num_threads needs a whole number of at least 1 and below 2\*\*31, got"):
        build.set_num_threads(n)


def test_set_num_threads_takes_whole_numbers_of_numpy():
    before = build.get_num_threads()
    build.set_num_threads(np.int64(3))
    try:
        assert build.get_num_threads() == 3
    finally:
        build.set_num_threads(before)


@pytest.mark.parametrize(
    ("settings", "expected"),
    (
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"NPDL_NUM_THREADS": "5", "OMP_NUM_THREADS": "3"}, 5),
        ({"NPDL_NUM_THREADS": "many"}, None),
    ),
)
def test_default_number_of_threads(settings, expected):
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "NPDL_NUM_THREADS")} | settings
    code = "from npdl.kernels.cpu import build; print(build.get_num_threads())"
    result = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    if expected is None:
        expected = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert int(result.stdout) == expected
