"""npdl, the engine that is measured."""

import numpy as np

import npdl
from benchmarks.engines.npdl import kernels, models

OPERATIONS = {**kernels.OPERATIONS, **models.OPERATIONS}
set_threads, default_threads = npdl.set_num_threads, npdl.get_num_threads()


def about():
    """Version, build and configuration.

    Raises:
        RuntimeError: a kernel of the `cpu` device is served by the NumPy reference.
    """
    fallen = npdl.devices.fallbacks("cpu")
    if fallen:
        raise RuntimeError(
            f"npdl ({npdl.__file__}) falls back to NumPy for {', '.join(fallen)}: that would be measured, not npdl. "
            'Build the kernels: pip install -e ".[benchmarks]"'
        )
    lines: list[str] = []
    npdl.show_config(lines.append)
    return {"name": "npdl", "version": npdl.__version__, "numpy": np.__version__, "config": "\n".join(lines)}
