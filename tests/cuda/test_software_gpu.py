"""The real driver, cuda.core, cuBLAS' calls and graphs of CUDA, on a GPU of software: in a process of its own."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent / "software"
LIBRARIES = {"libcuda.so.1": "libcuda.c", "libcublas.so.13": "libcublas.c"}
COMPILER = next(filter(None, map(shutil.which, ("gcc", "clang"))), None)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or COMPILER is None, reason="needs Linux and a C compiler"),
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("cuda", "numba_cuda")), reason="needs the cuda extra"
    ),
]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("libraries")
    for name, source in LIBRARIES.items():
        flags = ["-O1", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, FOLDER / source, "-ldl"]
        subprocess.run([COMPILER, *map(str, flags)], check=True)
    return folder


def run(libraries, *command):
    """Run Python beside the libraries; what it prints."""
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(libraries),
        "PYTHONPATH": os.pathsep.join([str(FOLDER), *filter(None, sys.path)]),
    }
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300, cwd=FOLDER
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "case",
    (
        "memory", "uploads", "training", "mixed", "graph", "steady", "forgotten", "two", "faults", "broken", "columns",
        "benchmarks",
    ),
)  # fmt: skip
def test_on_the_software_gpu(libraries, case):
    assert "fine" in run(libraries, "cases.py", case)


def test_the_tests_of_a_real_gpu(libraries):
    """Of `pytest -m gpu` some: what they ask the driver for is there."""
    files = [str(FOLDER.parent / f"test_{name}.py") for name in ("update", "layerwise", "embed", "moving")]
    which = "-m", "gpu", "-k", "nothing or kept or tiles or sizes"
    said = run(libraries, "-m", "pytest", "-p", "plugin", "-p", "no:cacheprovider", "-q", *which, *files)
    assert " passed" in said and "skipped" not in said, said
