"""Makes the package `benchmarks`, which is not installed, importable without putting the source tree on the path."""

import importlib.util
import pathlib
import sys

if "benchmarks" not in sys.modules:
    _folder = pathlib.Path(__file__).parents[2] / "benchmarks"
    _spec = importlib.util.spec_from_file_location(
        "benchmarks", _folder / "__init__.py", submodule_search_locations=[str(_folder)]
    )
    sys.modules["benchmarks"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["benchmarks"])
