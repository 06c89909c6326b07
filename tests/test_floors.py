"""Which part of npdl may import which: lower floors only, no cycles, nothing heavy, nothing hidden in a function."""

import ast
import graphlib
import importlib.util
import pathlib
import sys

import pytest

ROOT = pathlib.Path(importlib.util.find_spec("npdl").submodule_search_locations[0])
FLOORS = (
    {"kernels"},
    {"devices"},
    {"names", "random", "params", "initializers"},
    {"activations", "regularizers", "constraints", "penalties", "schedules"},
    {"layers"},
    {"losses", "metrics", "optimizers"},
    {"testing"},
    {"data", "viz", "utils"},
    {"callbacks"},
    {"models"},
    {"datasets", "cuda", "interop"},
    {"__init__"},
)
HARDWARE = {"kernels", "devices"}  # the parts that know Cython, Numba and CUDA
COMPILED = {"numba", "llvmlite", "cuda", "cupy", "Cython", "cython", "pyximport", "ctypes", "cffi"}


def name_of(path):
    """npdl/layers/dense.py -> npdl.layers.dense, npdl/layers/__init__.py -> npdl.layers"""
    parts = ("npdl", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def floor_of(module):
    """The number of the floor that a module stands on."""
    part = (module.split(".") + ["__init__"])[1]
    return next((number for number, parts in enumerate(FLOORS) if part in parts), None)


def imports(source):
    """(imported name, whether inside a function, line) of every import; `from a import b` imports a.b."""

    def walk(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                start = "." * child.level + (child.module or "")
                yield from ((f"{start}.{alias.name}", inside, child.lineno) for alias in child.names)
            else:
                function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from walk(child, inside or function)

    yield from walk(ast.parse(source), False)


def target(name, modules):
    """The module that `import name` reaches: the longest beginning that is one."""
    while name not in modules and "." in name:
        name = name.rpartition(".")[0]
    return name


def edges(sources):
    """module -> the modules of npdl that it imports."""
    graph = {}
    for module, source in sources.items():
        reached = {target(name, sources) for name, _, _ in imports(source) if name.split(".")[0] == "npdl"}
        graph[module] = reached - {module}
    return graph


def faults(sources):
    """Every breach of the rules, as text."""
    for module, reached in edges(sources).items():
        if floor_of(module) is None:
            yield f"{module} stands on no floor: give it a place in FLOORS"
            continue
        for other in sorted(reached):
            if floor_of(other) is None or floor_of(other) > floor_of(module):
                yield f"{module} imports {other}, from a higher floor"
    try:
        graphlib.TopologicalSorter(edges(sources)).prepare()
    except graphlib.CycleError as cycle:
        yield f"imports go round: {' -> '.join(cycle.args[1])}"
    for module, source in sources.items():
        yield from faults_of(module, source)


def faults_of(module, source):
    """The breaches that one module's text shows."""
    hardware = module.split(".")[1:2] and module.split(".")[1] in HARDWARE
    for name, inside, line in imports(source):
        where, root = f"{module}, line {line}: {name}", name.split(".")[0]
        if not root:
            yield f"{where}: write the whole name, starting with npdl"
        if root == "npdl" and inside:
            yield f"{where} is imported inside a function"
        if not hardware and root == "importlib" and module != "npdl":  # whose `__getattr__` imports what is seldom used
            yield f"{where}: only {sorted(HARDWARE)} import by name"
        if not hardware and (root in COMPILED or name.startswith(("npdl.kernels.cpu", "npdl.kernels.cuda"))):
            yield f"{where}: only {sorted(HARDWARE)} know compiled code"
        if not hardware and not inside and root not in {"npdl", "numpy", ""} | sys.stdlib_module_names:
            yield f"{where} is heavy: import it in the function that needs it"
    if "__import__" in {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}:
        yield f"{module}: __import__ hides an import"


def test_imports_keep_to_the_floors():
    assert len(SOURCES) > 10
    assert list(faults(SOURCES)) == []


GOOD = {
    "npdl": "from npdl import layers",
    "npdl.layers": "from npdl.layers.dense import Dense",
    "npdl.layers.base": "import numpy as np\nfrom npdl import random",
    "npdl.layers.dense": "from npdl.layers.base import Layer",
    "npdl.random": "import hashlib",
    "npdl.viz": "def f():\n    from matplotlib.figure import Figure",
    "npdl.kernels.cpu.update": "import numba",
}


def test_the_rules_allow_what_they_should():
    assert list(faults(GOOD)) == []


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("npdl.random", "from npdl import layers", "npdl.random imports npdl.layers, from a higher floor"),
        ("npdl.random", "import npdl", "npdl.random imports npdl, from a higher floor"),
        ("npdl.random", "from npdl import Sequential", "npdl.random imports npdl, from a higher floor"),
        ("npdl.random", "from npdl.layers.dense import Dense", "imports npdl.layers.dense, from a higher floor"),
        ("npdl.layers.base", "from npdl.layers.dense import Dense", "imports go round"),
        ("npdl.layers.base", "from npdl.layers import Dense", "imports go round"),
        (
            "npdl.layers.base",
            "def f():\n    from npdl import random",
            "line 2: npdl.random is imported inside a function",
        ),
        (
            "npdl.layers.base",
            "class A:\n    def f(self):\n        import npdl.random",
            "line 3: npdl.random is imported inside",
        ),
        ("npdl.layers.base", "f = lambda: __import__('npdl')", "__import__ hides an import"),
        ("npdl.layers.base", "import importlib", "import by name"),
        ("npdl.layers.base", "from . import dense", "write the whole name"),
        ("npdl.layers.base", "from npdl.kernels.cpu import matmul", "know compiled code"),
        ("npdl.layers.base", "def f():\n    import numba", "know compiled code"),
        ("npdl.layers.base", "from numba import cuda", "know compiled code"),
        ("npdl.viz", "import matplotlib", "matplotlib is heavy"),
        ("npdl.viz", "try:\n    import pandas as pd\nexcept ImportError:\n    pass", "pandas is heavy"),
        ("npdl.attic", "", "npdl.attic stands on no floor"),
    ],
)
def test_the_rules_find_each_breach(module, source, fault):
    found = list(faults(GOOD | {module: source}))
    assert any(fault in text for text in found), found


def layer_files():
    return sorted((ROOT / "layers").glob("*.py"))


def test_layer_files_are_short():
    for path in layer_files():
        if path.name == "__init__.py":  # the names of all layers, one a line
            continue
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= (250 if path.name == "base.py" else 150), f"{path.name} has {lines} lines"


def test_layers_know_no_device():
    """A layer asks `self.k`; where its arrays live is none of its business."""
    for path in layer_files():
        if path.name == "base.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert not used & {"device", "devices", "cuda", "numba", "ndarray"}, path.name
