"""The CPU's kernels: thin wrappers that check shapes, around the compiled module that `build` picks."""

import functools
import os
import warnings
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

BUILDS = ("v4", "v3", "v2", "neon", "plain")
"""Names of the compiled modules that there may be, best first."""

_folder = Path(__file__).parent


@functools.cache
def compiled():
    """The builds that are installed, best first; nothing is imported."""
    found = tuple(name for name in BUILDS if any((_folder / f"_{name}{end}").exists() for end in EXTENSION_SUFFIXES))
    sources, asked = _folder.parents[2], os.environ.get("NPDL_NO_KERNELS", "0") not in ("", "0")
    if not (found or asked) and (sources / "kernels" / "engine.h").exists():
        warnings.warn(
            f"npdl is imported from the folder of its sources, {sources}, where no kernels are compiled: NumPy does "
            "their work, many times slower. Start Python in another folder to get the npdl that is installed, or "
            "compile them here: pip install -e .",
            stacklevel=2,
        )
    return found


@functools.cache
def families():
    """The kernel families, one file each, that this package serves; `reference` serves the rest.

    Without compiled kernels these are the two that Numba compiles.
    """
    if not compiled():
        return ("layerwise", "update")
    return tuple(sorted(path.stem for path in _folder.glob("*.py") if path.stem not in ("__init__", "build")))
