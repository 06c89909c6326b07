"""Every kernel compiled for real GPUs, with no GPU: no slow arithmetic, no spilled registers, room for many threads."""

import re

import pytest

from npdl.devices.cuda import find
from npdl.kernels.cuda import bodies, wide
from npdl.kernels.cuda.kernel import every_kernel, guarded, outside_names


def has_toolkit():
    try:
        return bool(find.library("nvvm", "nvidia-nvvm") and find.library("nvJitLink", "nvidia-nvjitlink"))
    except (ImportError, RuntimeError):
        return False


pytestmark = pytest.mark.skipif(not has_toolkit(), reason='compiling for GPUs needs pip install ".[cuda]"')
CAPABILITIES = ((8, 0), (9, 0))  # A100, H100
REGISTERS = 64  # of a thread: with 64, one of an A100's processors holds 1,024 threads
MOST = {"attend": 80, "attend_grad_queries": 128, "attend_grad_keys": 168}
"""Registers of kernels that multiply tiles: a processor holds three blocks of 256 threads, two, and two or one."""
WIDE = {wide.load: "ld.global.v4.f32", wide.store: "st.global.v4.f32"}
"""What a kernel that calls these moves four numbers at once by."""
DOUBLES = {
    "weighted_total", "number_adder", "penalty_part", "penalty_total",  # a loss is added up in float64
    "sum_pieces", "join_pieces", "clip_scales", "value_sum",  # and so are the norms of tensors, and metrics
    "lamb_moments", "trust_ratios", "factored_squares", "factored_sizes",
}  # fmt: skip


@pytest.mark.parametrize("kernel", [pytest.param(kernel, id=name) for name, kernel in every_kernel().items()])
def test_compiles_well(kernel):
    from npdl.devices.cuda import compiler

    text = compiler.ptx(kernel)
    doubles = re.findall(r"\.f64\b", text)
    assert not doubles or kernel.name in DOUBLES, f"{len(doubles)} in float64: a literal without float32()?"
    called = outside_names(kernel.function).values()
    for function, instruction in WIDE.items():
        assert (instruction in text) == (function in called), f"{instruction} and {function.__name__}"
    for capability in CAPABILITIES:
        _, report = compiler.cubin(kernel, capability)
        assert re.search(r"\b0 bytes spill stores, 0 bytes spill loads", report), report
        assert int(re.search(r"Used (\d+) registers", report).group(1)) <= MOST.get(kernel.name, REGISTERS), report


@pytest.mark.parametrize(
    "kernel, loads, stores",
    (
        (guarded(bodies.adam(False, None)), 4, 3), (guarded(bodies.combine(True)), 2, 1),
        (bodies.sgd(False, False, None), 2, 1), (bodies.sgd(True, True, None), 3, 2), (bodies.adam(False, None), 4, 3),
        (bodies.adam(True, None), 5, 4), (bodies.rmsprop(True, True), 5, 4), (bodies.combine(True), 2, 1),
    ),
    ids=str,
)  # fmt: skip
def test_an_update_moves_each_array_once(kernel, loads, stores):
    """By 16 bytes: once in each turn of a thread."""
    from npdl.devices.cuda import compiler

    text = compiler.ptx(kernel)
    assert "spill" not in text and ".f64" not in text
    assert (text.count("ld.global.v4.f32"), text.count("st.global.v4.f32")) == (loads, stores)
