"""Every kernel compiled for real GPUs, with no GPU: no slow arithmetic, no spilled registers, room for many threads."""

import importlib
import pkgutil
import re

import pytest

from npdl.kernels import cuda as package
from npdl.kernels.cuda.kernel import Kernel


def has_toolkit():
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return all(load_nvidia_dynamic_lib(name) for name in ("nvvm", "nvJitLink"))
    except (ImportError, RuntimeError):
        return False


pytestmark = pytest.mark.skipif(not has_toolkit(), reason='compiling for GPUs needs pip install ".[cuda]"')
CAPABILITIES = ((8, 0), (9, 0))  # A100, H100
REGISTERS = 64  # of a thread: with 64, one of an A100's processors holds 1,024 threads
DOUBLES = {
    "weighted_total", "number_adder", "penalty_part", "penalty_total",  # a loss is added up in float64
    "sum_pieces", "join_pieces",  # and so are the norms of tensors
    "lamb_moments", "trust_ratios", "factored_squares", "factored_sizes",
}  # fmt: skip


def kernels():
    """(name, kernel) of the whole package, of each variant that a function makes."""
    found = {}
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Kernel):
                found[value] = name
            elif hasattr(value, "keys_of_kernels"):
                found.update({value(*key): f"{name}{key}" for key in value.keys_of_kernels})
    return {name: kernel for kernel, name in found.items()}.items()


@pytest.mark.parametrize("capability", CAPABILITIES, ids="sm_{0[0]}{0[1]}".format)
@pytest.mark.parametrize("kernel", [pytest.param(kernel, id=name) for name, kernel in kernels()])
def test_compiles_well(kernel, capability):
    from npdl.devices.cuda import compiler

    text = compiler.ptx(kernel, capability)
    doubles = re.findall(r"\.f64\b", text)
    assert not doubles or kernel.name in DOUBLES, f"{len(doubles)} in float64: a literal without float32()?"
    _, report = compiler.cubin(kernel, capability)
    assert re.search(r"\b0 bytes spill stores, 0 bytes spill loads", report), report
    assert int(re.search(r"Used (\d+) registers", report).group(1)) <= REGISTERS, report
