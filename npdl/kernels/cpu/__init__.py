"""The CPU's kernels: thin wrappers that check shapes, around the compiled module that `build` picks."""

import functools
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

BUILDS = ("v4", "v3", "v2", "neon", "plain")
"""Names of the compiled modules that there may be, best first."""

_folder = Path(__file__).parent


@functools.cache
def compiled():
    """The builds that are installed, best first; nothing is imported."""
    return tuple(name for name in BUILDS if any((_folder / f"_{name}{end}").exists() for end in EXTENSION_SUFFIXES))


@functools.cache
def families():
    """The kernel families, one file each, that this package serves; `reference` serves the rest.

    Without compiled kernels these are the two that Numba compiles.
    """
    if not compiled():
        return ("layerwise", "update")
    return tuple(sorted(path.stem for path in _folder.glob("*.py") if path.stem not in ("__init__", "build")))
