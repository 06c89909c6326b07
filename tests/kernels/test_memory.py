"""Out of memory: a kernel that gets no working memory raises MemoryError, and the process goes on."""

import pathlib
import subprocess
import sys

import pytest

from npdl.kernels.cpu import compiled

pytestmark = [
    pytest.mark.skipif(not compiled(), reason="installed without compiled kernels"),
    pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="limits its memory as Linux does"),
]

BEGIN = """
import resource
import numpy as np
from npdl.kernels.cpu import build, conv, dropout, group_norm, layer_norm, loss, matmul, norm
from npdl.kernels.geometry import window2d

def limited(run):
    '''run() while the process may take 1 MB more than it has.'''
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20), resource.RLIM_INFINITY))
    try:
        return run()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

def ones(*shape):
    return np.ones(shape, "float32")

def check(kernel, expected, out, run):
    out[...] = np.nan
    try:
        limited(run)
    except MemoryError as error:
        print(error)
    else:
        raise SystemExit("no MemoryError")
    run()
    np.testing.assert_allclose(out, expected, rtol=1e-5)
"""

CALLS = {
    "matmul": """
a, b, out = ones(16384, 255), ones(16384, 255), ones(255, 255)
check("matmul", 16384, out, lambda: matmul.matmul(a, b, out=out, transpose_a=True))
""",
    "sum_rows": """
x, out = ones(600, 1 << 20), ones(1 << 20)
check("sum_rows", 600, out, lambda: matmul.sum_rows(x, out=out))
""",
    "conv2d_dkernel": """
g = window2d((28, 28, 28), (3, 3), (1, 1), "valid", (1, 1), 250)
x, dz, out = ones(80, 28, 28, 28), ones(80, 26, 26, 250), ones(3, 3, 28, 250)
check("conv2d_dkernel", 80 * 26 * 26, out, lambda: conv.conv2d_dkernel(x, dz, g, out=out))
""",
    "batch_norm_statistics": """
x, mean, variance = ones(600, 1 << 18), ones(1 << 18), ones(1 << 18)
check("batch_norm_statistics", 1, mean, lambda: norm.batch_norm_statistics(x, mean=mean, variance=variance))
""",
    "batch_norm": """
x, out, one = ones(4, 1 << 20), ones(4, 1 << 20), ones(1 << 20)
check("batch_norm", 1, out, lambda: norm.batch_norm(x, one, one, one, one, 0.0, out=out))
""",
    "layer_norm_grad": """
x, zero, one, out = ones(600, 1 << 15), np.zeros(600, "float32"), ones(600), ones(1 << 15)
check("layer_norm_grad", 600, out, lambda: layer_norm.layer_norm_grad(x, x, zero, one, None, dgamma=out))
""",
    "group_norm": """
x, out = ones(4, 1, 1 << 18), ones(4, 1, 1 << 18)
check("group_norm", 0, out, lambda: group_norm.group_norm(x, 1, None, None, 1e-3, out=out))
""",
    "group_norm_grad": """
x, zero, one, out = ones(40, 1, 1 << 14), np.zeros((40, 1), "float32"), ones(40, 1), ones(1 << 14)
check("group_norm_grad", 40, out, lambda: group_norm.group_norm_grad(x, x, 1, zero, one, None, dgamma=out))
""",
    "categorical_cross_entropy": """
t, z, out = ones(4, 1 << 20) / (1 << 20), ones(4, 1 << 20), ones(4)
run = lambda: loss.categorical_cross_entropy(t, z, True, 0.0, out=out)
check("categorical_cross_entropy", np.log(1 << 20), out, run)
""",
    "dropout": """
x, out = ones(2, 3, 1 << 20), ones(2, 3, 1 << 20)
check("dropout", 1, out, lambda: dropout.dropout(x, 0.0, (1, 2), 3, out=out, noise_shape=(1, 1 << 20)))
""",
}


def python(code, threads):
    code = f"{BEGIN}\nbuild.set_num_threads({threads})\n{code}"
    return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("threads", (1, 3))
@pytest.mark.parametrize("kernel", CALLS)
def test_memory_error(kernel, threads):
    result = python(CALLS[kernel], threads)
    assert result.returncode == 0, result.stderr
    message = result.stdout.strip()
    assert message.startswith(f"{kernel} found no ") and message.endswith(
        " bytes of working memory; use a smaller batch_size"
    ), message
    assert int(message.split()[3].replace(",", "")) > 1 << 20


def test_without_memory_for_threads_the_caller_works_alone():
    code = """
x, out = ones(1 << 20), ones(1 << 20)
x *= 2
limited(lambda: norm.moving_average(x, 0.5, out=out))
np.testing.assert_array_equal(out, 1.5)
from npdl import activations
from npdl.kernels.cpu import activation
limited(lambda: activation.activation(x, activations.relu, out=out))
np.testing.assert_array_equal(out, 2)
threads = len(__import__("os").listdir("/proc/self/task"))
activation.activation(x, activations.relu, out=out)
print(threads, len(__import__("os").listdir("/proc/self/task")))
"""
    result = python(code, 3)
    assert result.returncode == 0, result.stderr
    before, after = map(int, result.stdout.split())
    assert after == before + 2
