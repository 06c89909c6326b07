"""The kernels in numba.cuda (kernel.py says how one is written), float32.

Without a GPU they run on the device `stand-in` (npdl/devices/cuda/stand_in.py); the driver of a real one is not there
yet.
"""

from pathlib import Path

NO_FAMILIES = (
    "__init__", "channels", "element_formulas", "elementary", "index", "kernel", "memory", "philox", "reduction",
    "strided",
)  # fmt: skip
"""Files of this folder that hold what the families are written with."""


def families():
    """The kernel families, one file each, that this package serves."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_FAMILIES))
