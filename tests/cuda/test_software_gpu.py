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


def run(libraries, case):
    """Run one function of software/cases.py; what it prints."""
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(libraries),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, str(FOLDER / "cases.py"), case]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "case", ("memory", "training", "mixed", "graph", "steady", "forgotten", "two", "faults", "columns", "benchmarks")
)
def test_on_the_software_gpu(libraries, case):
    assert "fine" in run(libraries, case)
