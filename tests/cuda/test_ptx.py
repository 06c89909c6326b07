"""Every kernel compiled for real GPUs, with no GPU: no slow arithmetic, no spilled registers, room for many threads."""

import functools
import importlib
import pkgutil
import re

import pytest

from npdl.kernels import cuda as package
from npdl.kernels.cuda.elementary import FORWARD, SLOPES
from npdl.kernels.cuda.kernel import Kernel

pytest.importorskip("cuda.core", reason='needs pip install ".[cuda]"')
CAPABILITIES = ((8, 0), (9, 0))  # A100, H100
REGISTERS = 64  # of a thread: with 64, one of an A100's processors holds 1,024 threads
DOUBLES = {"weighted_total"}  # a loss is added up in float64, once a step by one thread
VARIANTS = {
    ("activation", "_forward"): FORWARD, ("activation", "_gradient"): SLOPES, ("matmul", "_epilogue"): FORWARD,
    ("loss", "_sparse"): ("int32", "int64"),
}  # fmt: skip


def kernels():
    """(id, kernel) of the whole package, one of each variant that a function makes."""
    for module in pkgutil.iter_modules(package.__path__):
        for name, value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).items():
            if isinstance(value, Kernel):
                yield f"{module.name}.{name}", value
            elif isinstance(value, functools._lru_cache_wrapper) and (module.name, name) in VARIANTS:
                for key in VARIANTS[module.name, name]:
                    yield f"{module.name}.{name}({key})", value(key)


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
