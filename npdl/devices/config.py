"""What runs here: threads, the compiled build, and which implementation serves each kernel."""

import platform

import numpy as np

from npdl.devices.base import Kernels
from npdl.devices.registry import FAMILIES, kernel_table
from npdl.devices.versions import version
from npdl.kernels.cpu import compiled

_build = Kernels({name: f"npdl.kernels.cpu.build:{name}" for name in ("get_num_threads", "set_num_threads", "info")})


def get_num_threads():
    """How many threads the compiled kernels use."""
    return _build.get_num_threads() if compiled() else 1


def set_num_threads(n):
    """Use n threads in all kernels of this process from now on; no result depends on it, to the last bit.

    Raises:
        ValueError: n is not a whole number of at least 1.
    """
    if compiled():
        _build.set_num_threads(n)


def fallbacks(device="cpu"):
    """The kernels of a device that the NumPy reference serves because there is nothing better."""
    return sorted(name for name, target in kernel_table(device).items() if ".reference." in target)


def show_config(print_fn=print):
    """Print versions, the compiled build, the threads, and what serves each kernel of the `cpu` device."""
    lines = [
        f"npdl {version('npdl-engine') or 'not installed'}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, Numba {version('numba') or 'not installed'}, {platform.system()} {platform.machine()}"
    ]
    if compiled():
        info = _build.info()
        lines += [
            f"build {info['build']} (installed: {', '.join(compiled())}), {info['compiler']}",
            f"bits: {info['bits']}" + ("" if info["fma"] else " (no fused multiply-add in this build)"),
            f"threads: {info['threads']}",
        ]
    else:
        lines.append("no compiled kernels: reinstall without NPDL_NO_KERNELS=1 to be fast")
    table = kernel_table("cpu")
    for family, kernels in FAMILIES.items():
        for source in ("cpu", "reference"):
            served = [name for name in kernels if f".{source}." in table[name]]
            if served:
                what = {"cpu": "compiled", "reference": "NumPy"}[source]
                lines.append(f"{family:>12}  {what:<9} {', '.join(served)}")
    print_fn("\n".join(lines))
