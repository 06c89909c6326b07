"""npdl, the engine that is measured."""

import numpy as np

import npdl
from benchmarks.engines.npdl import gpu, kernels, models

OPERATIONS = {**kernels.OPERATIONS, **models.OPERATIONS}
set_threads, default_threads, set_tf32 = npdl.set_num_threads, npdl.get_num_threads(), gpu.set_tf32


def use(device):
    """Work there from now on; returns what times calls."""
    kernels.use(device)
    return None if device == "cpu" else gpu.timer(kernels.place.driver)


def about():
    """Version, build and configuration, and the GPU.

    Raises:
        RuntimeError: a kernel of the device is served by the NumPy reference.
    """
    fallen = npdl.devices.fallbacks(kernels.place.name)
    if fallen:
        raise RuntimeError(
            f"npdl ({npdl.__file__}) falls back to NumPy for {', '.join(fallen)}: that would be measured, not npdl. "
            'Build the kernels: pip install -e ".[benchmarks]"'
        )
    lines: list[str] = []
    npdl.show_config(lines.append)
    found = {"name": "npdl", "version": npdl.__version__, "numpy": np.__version__, "config": "\n".join(lines)}
    return found if kernels.place.driver is None else {**found, "gpu": gpu.described()}
