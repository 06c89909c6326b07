"""Builds: which is chosen, that they agree to the last bit, and that the source compiles in all of them."""

import contextlib
import ctypes
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import types

import pytest

from npdl.kernels import cpu
from npdl.kernels.cpu import build

SOURCES = pathlib.Path(__file__).parents[2] / "kernels"
needs_compiled = pytest.mark.skipif(not cpu.compiled(), reason="installed without compiled kernels")

HASHES = """
import hashlib
import numpy as np
from npdl.kernels.cpu import build, conv, matmul
from npdl.kernels.geometry import window2d

rng = np.random.default_rng(0)

def show(name, *arrays):
    assert all(np.isfinite(array).all() for array in arrays), name
    print(name, hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())

for dtype in ("float32", "float64"):
    for m, n, k in ((1, 40, 300), (13, 17, 5), (97, 33, 257), (200, 10, 700), (24, 130, 64)):
        for ta in (False, True):
            for tb in (False, True):
                a = rng.standard_normal((k, m) if ta else (m, k)).astype(dtype)
                b = rng.standard_normal((n, k) if tb else (k, n)).astype(dtype)
                out, bias = np.empty((m, n), dtype), rng.standard_normal(n).astype(dtype)
                matmul.matmul(a, b, out=out, bias=bias, transpose_a=ta, transpose_b=tb)
                show(f"matmul {dtype} {m} {n} {k} {ta} {tb}", out)
    x, dz, w = (rng.standard_normal(shape).astype(dtype) for shape in ((5000, 20), (5000, 9), (20, 9)))
    total = np.empty(20, dtype)
    matmul.matmul(x, dz, out=w, transpose_a=True)
    matmul.sum_rows(x, out=total)
    wide = np.empty(100, dtype)
    matmul.sum_rows(x.reshape(1000, 100), out=wide)
    show(f"sums {dtype}", w, total, wide)
    for geometry in (
        ((9, 8, 6), (3, 3), (1, 1), "same", (1, 1), 10, 1), ((9, 8, 6), (3, 3), (2, 2), "same", (1, 1), 33, 1),
        ((9, 8, 6), (2, 5), (2, 1), "valid", (2, 1), 4, 2), ((6, 7, 70), (3, 3), (1, 1), "same", (1, 1), 20, 1),
        ((10, 10, 3), (5, 5), (1, 1), "same", (1, 1), 64, 1), ((20, 21, 16), (3, 3), (2, 2), "same", (1, 1), 20, 1),
        ((9, 8, 38), (3, 3), (2, 1), "same", (1, 1), 38, 38), ((9, 8, 5), (3, 3), (1, 1), "same", (1, 2), 15, 5),
    ):
        g = window2d(*geometry)
        shapes = (7, *geometry[0]), (7, g.out_h, g.out_w, g.filters), (*geometry[1], g.channels // g.groups, g.filters)
        x, dy, w = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
        conv.conv2d(x, w, g, out=y)
        conv.conv2d_dx(dy, w, g, out=dx)
        conv.conv2d_dkernel(x, dy, g, out=dw)
        show(f"conv {dtype} {geometry}", y, dx, dw)
"""


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-P", "-c", code], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


@needs_compiled
def test_builds_agree_to_the_last_bit():
    results = {name: python(HASHES, NPDL_BUILD=name) for name in cpu.compiled() if name in ("v3", "v4")}
    lines = {name: result.stdout.splitlines() for name, result in results.items() if result.returncode == 0}
    for name, result in results.items():
        assert result.returncode == 0 or "cannot be used here" in result.stderr, (name, result.stderr)
    if len(lines) < 2:
        pytest.skip(f"needs a processor with AVX-512 and builds v3 and v4; there is {', '.join(lines) or 'neither'}")
    assert len(lines["v3"]) > 50
    assert lines["v3"] == lines["v4"]


@needs_compiled
def test_build_that_does_not_exist():
    result = python("from npdl.kernels.cpu import build", NPDL_BUILD="v9")
    assert "NPDL_BUILD=v9 cannot be used here: it is not installed; this machine runs" in result.stderr


def test_build_that_this_processor_does_not_run(monkeypatch):
    older = types.SimpleNamespace(cpu_level=lambda: 3)
    monkeypatch.setattr(build, "compiled", lambda: ("v4", "v3", "v2"))
    monkeypatch.setattr(build, "_load", lambda name: older)
    monkeypatch.delenv("NPDL_BUILD", raising=False)
    assert build._choose() == ("v3", older)
    monkeypatch.setenv("NPDL_BUILD", "v4")
    with pytest.raises(
        ImportError, match="v4 cannot be used here: the processor is x86-64-v3; this machine runs v3, v2"
    ):
        build._choose()


def test_builds_of_which_the_lowest_is_not_there(monkeypatch):
    module = types.SimpleNamespace(cpu_level=lambda: 4)
    monkeypatch.setattr(build, "compiled", lambda: ("v4",))
    monkeypatch.setattr(build, "_load", lambda name: module)
    monkeypatch.delenv("NPDL_BUILD", raising=False)
    assert build._choose() == ("v4", module)
    module.cpu_level = lambda: 2
    with pytest.raises(ImportError, match="compiled for v4, the processor is x86-64-v2; build them"):
        build._choose()


def test_info():
    info = build.info()
    assert info["build"] in (cpu.compiled() or ("none",))
    assert info["bits"] == ("portable" if info["fma"] else "this build only")
    assert info["fma"] == (info["build"] in ("v3", "v4", "neon"))
    assert info["threads"] == build.get_num_threads() >= 1
    assert info["compiler"]


def test_without_compiled_kernels(monkeypatch):
    monkeypatch.setattr(cpu, "compiled", lambda: ())
    cpu.families.cache_clear()
    assert cpu.families() == ("layerwise", "update")
    monkeypatch.undo()
    cpu.families.cache_clear()
    assert "update" in cpu.families()
    assert ("matmul" in cpu.families()) == bool(cpu.compiled())


def test_the_package_itself_loads_nothing():
    code = (
        "import sys, npdl.kernels.cpu as cpu; cpu.families();"
        "print([name for name in sys.modules if name.startswith('npdl.kernels.cpu.')])"
    )
    assert python(code).stdout.strip() == "[]"


@pytest.mark.parametrize("lib", (build.lib, build.NoKernels), ids=str)
def test_run_blocks_calls_a_function_by_its_address(lib):
    seen = (ctypes.c_int64 * 10)()

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
    def block(context, number, work):
        (ctypes.c_int64 * 10).from_address(context)[number] += number + 1

    lib.run_blocks(ctypes.cast(block, ctypes.c_void_p).value, ctypes.addressof(seen), 10)
    assert list(seen) == list(range(1, 11))


X86 = ["-march=x86-64-v2"], ["-march=x86-64-v3"], ["-march=x86-64-v4"]
PARTS = ["-DNPDL_PART=0"], ["-DNPDL_PART=32"], ["-DNPDL_PART=64"]


@pytest.mark.skipif(not (SOURCES / "engine.h").exists(), reason="needs the source tree")
@pytest.mark.parametrize("compiler", ("gcc", "clang"))
@pytest.mark.parametrize("flags", (X86 if platform.machine() == "x86_64" else ([],)) + PARTS, ids=" ".join)
def test_the_source_compiles_without_a_warning(compiler, flags):
    """In every instruction set, and each of the three parts of a module."""
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    checks = ["-fsyntax-only", "-O1", "-Wall", "-Werror", "-Wno-unused-function", "-Wno-unknown-pragmas"]
    result = subprocess.run(
        [compiler, *checks, *flags, "-x", "c", str(SOURCES / "engine.h")], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_a_folder_of_sources_without_kernels_says_so(tmp_path, monkeypatch):
    """Who starts Python beside the sources gets them, and not what is installed."""
    monkeypatch.setattr(cpu, "_folder", tmp_path / "npdl" / "kernels" / "cpu")
    assert cpu.compiled.__wrapped__() == ()  # an installation without kernels, which was asked for
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "engine.h").touch()
    with pytest.warns(UserWarning, match="Start Python in another folder"):
        cpu.compiled.__wrapped__()
    for value, warns in (("0", True), ("1", False)):
        monkeypatch.setenv("NPDL_NO_KERNELS", value)
        with pytest.warns(UserWarning) if warns else contextlib.nullcontext():
            assert cpu.compiled.__wrapped__() == ()


@pytest.mark.skipif(not (SOURCES / "engine.h").exists(), reason="needs the source tree")
def test_a_source_distribution_has_the_kernels_of_every_machine(tmp_path):
    """Also where it is made without compiling any; and no part of the tests, which would lack the others."""
    pytest.importorskip("setuptools", reason="needs setuptools and Cython")
    shutil.copytree(SOURCES, tmp_path / "kernels")
    files = "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"
    for name in (*files, "npdl/__init__.py", "tests/test_docs.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(SOURCES.parent / name, tmp_path / name)
    command = [sys.executable, "setup.py", "-q", "sdist"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"NPDL_NO_KERNELS": "1"}, check=True, capture_output=True)
    (made,) = (tmp_path / "dist").iterdir()
    with tarfile.open(made) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    wanted = {f"kernels/{path.name}" for path in SOURCES.iterdir() if path.suffix in (".c", ".h", ".pxi", ".pyx")}
    assert len(wanted) > 60 and wanted | {"npdl/__init__.py", "setup.py"} <= names
    assert not any(name.startswith("tests") for name in names)
