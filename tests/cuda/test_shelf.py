"""What the stand-in compiles, kept in files: found by another process, and never by a kernel that differs."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import cuda, float32

from npdl.devices.cuda.stand_in import replay as replaying
from npdl.devices.cuda.stand_in import shelf
from npdl.kernels.cuda.kernel import device

ONE = (1, 1, 1)
ANOTHER_PROCESS = """
import numpy as np
from npdl.devices.cuda.stand_in import generator, shelf
from npdl.devices.cuda.stand_in.replay import replay
from npdl.kernels.cuda.activation import softmax

def refuse(*arguments):
    raise AssertionError("compiled again")

if {again}:
    generator._Library._optimize_final_module = refuse
z, out = np.array([0, 1, 2, 5], "f4"), np.zeros(4, "f4")
for order in (1, -1):
    replay(softmax.function)((2, 1, 1), (8, 1, 1), z, out, np.int32(2), np.int32(1), np.int32(0), order=order)
    np.testing.assert_allclose(out.reshape(2, 2).sum(1), 1, rtol=1e-6)
print(out.tobytes().hex())
try:
    replay(softmax.function)((3, 1, 1), (8, 1, 1), z, out, np.int32(2), np.int32(1), np.int32(0))
except IndexError:
    print("IndexError")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NPDL_STAND_IN_CACHE", str(tmp_path))
    return tmp_path


def test_another_process_compiles_nothing(folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    printed = [
        subprocess.run(
            [sys.executable, "-c", ANOTHER_PROCESS.format(again=again)], env=environment, capture_output=True, text=True
        )
        for again in (False, True)
    ]
    assert printed[0].returncode == 0, printed[0].stderr
    assert printed[1].returncode == 0, printed[1].stderr
    assert printed[0].stdout == printed[1].stdout and "IndexError" in printed[1].stdout
    assert len(list(folder.iterdir())) == 2  # the program, and the types of its variables


def scaled(by):
    @device
    def times(v):
        return v * float32(by)

    def kernel(x):
        x[cuda.grid(1)] = times(x[cuda.grid(1)])

    return kernel


def test_a_number_that_a_kernel_closes_over_makes_it_another(folder):
    for by in (2, 3, 2):
        x = np.arange(4, dtype="f4")
        replaying.replay(scaled(by))(ONE, (4, 1, 1), x)
        np.testing.assert_array_equal(x, by * np.arange(4))
    assert len(list(folder.iterdir())) == 2


def test_other_types_are_another_program(folder):
    kernel = scaled(2)
    for dtype in ("f4", "f8"):
        x = np.arange(4, dtype=dtype)
        replaying.replay(kernel)(ONE, (4, 1, 1), x)
        np.testing.assert_array_equal(x, 2 * np.arange(4))
    assert len(list(folder.iterdir())) == 2


def test_nothing_is_kept_without_a_folder_or_of_a_thing_by_its_address(folder, monkeypatch):
    made = []
    for described in ("<object at 0x7f00>", "two"):
        for _ in range(2):
            shelf.kept(described, lambda: made.append(1))
    assert len(made) == 3 and len(list(folder.iterdir())) == 1
    monkeypatch.delenv("NPDL_STAND_IN_CACHE")
    shelf.kept("two", lambda: made.append(1))
    assert len(made) == 4 and shelf.folder() is None
