"""The public interface: what `__all__` says, what an import loads, docstrings, and the examples in them."""

import ast
import doctest
import importlib
import importlib.util
import inspect
import pathlib
import subprocess
import sys
import types

import pytest

ROOT = pathlib.Path(importlib.util.find_spec("npdl").submodule_search_locations[0])
HEAVY = (
    "numba", "llvmlite", "matplotlib", "pandas", "sklearn", "torch", "scipy", "safetensors", "IPython", "PIL", "cupy",
    "tkinter", "pytest", "importlib.metadata",
)  # fmt: skip


def modules():
    """The names of all modules in npdl, but for those of GPUs, which are imported when one is asked for."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[:2] not in (("kernels", "cuda"), ("devices", "cuda")) and parts[0] != "interop":
            yield ".".join(("npdl", *(part for part in parts if part != "__init__")))


MODULES = list(modules())


def packages():
    """The public packages: npdl, and those of its subpackages that have an `__all__`."""
    for name in MODULES:
        module = importlib.import_module(name)
        if hasattr(module, "__path__") and (name == "npdl" or hasattr(module, "__all__")):
            yield module


def public():
    """(full name, object) of every class and function that a user finds without an underscore on the way."""
    seen = set()
    names = [name for name in MODULES if name.count(".") == 1 and not name.startswith("npdl.kernels")]
    for module in map(importlib.import_module, ["npdl", *names]):
        for name in getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")]):
            thing = getattr(module, name)
            own = getattr(thing, "__module__", "") or ""
            if isinstance(thing, (type, types.FunctionType)) and own.startswith("npdl") and id(thing) not in seen:
                seen.add(id(thing))
                yield f"{module.__name__}.{name}", thing


def test_all_is_what_is_imported():
    for module in packages():
        tree = ast.parse(pathlib.Path(module.__file__).read_text(encoding="utf-8"))
        bound = set()
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                bound |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                bound.add(node.name)
            elif isinstance(node, ast.Assign):
                bound |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        bound |= set(vars(module).get("_LATE", ()))
        bound = {name for name in bound if not name.startswith("_")}
        assert sorted(module.__all__) == sorted(bound), module.__name__
        assert len(set(module.__all__)) == len(module.__all__), module.__name__


def test_all_of_the_modules_exists():
    for name in MODULES:
        module = importlib.import_module(name)
        for item in getattr(module, "__all__", ()):
            assert hasattr(module, item), f"{name}.{item}"


def test_star_import():
    namespace = {}
    exec("from npdl import *", namespace)
    assert "Sequential" in namespace and "layers" in namespace


def test_import_loads_numpy_only():
    code = f"import sys, npdl; print([name for name in {HEAVY!r} if name in sys.modules], 'numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[] True"


def test_import_of_any_module_loads_no_plotting_or_frames():
    """One by one, in one fresh process: an import that only works after another one, or that loads too much, shows."""
    names = [name for name in MODULES if not name.startswith("npdl.kernels")]
    code = (
        f"import importlib, sys\n[importlib.import_module(name) for name in {names!r}]\n"
        f"print([name for name in {HEAVY[:7]!r} if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_every_module_has_a_docstring():
    for name in MODULES:
        assert importlib.import_module(name).__doc__, name


def test_everything_public_has_a_docstring():
    found = dict(public())
    assert len(found) > 50
    without = [name for name, thing in found.items() if not inspect.getdoc(thing) or thing.__doc__ is None]
    assert without == []


def test_public_methods_have_a_docstring_of_their_own_or_inherited():
    without = []
    for name, thing in public():
        if isinstance(thing, type):
            for attribute in vars(thing):
                value = inspect.getattr_static(thing, attribute)
                if attribute.startswith("_") or not isinstance(
                    value, (types.FunctionType, property, classmethod, staticmethod)
                ):
                    continue
                if not inspect.getdoc(getattr(thing, attribute)):
                    without.append(f"{name}.{attribute}")
    assert without == []


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write a file
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
