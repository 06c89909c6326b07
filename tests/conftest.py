"""Fixtures for all tests."""

import gc
import os
import pathlib
import shutil
import tempfile

import numpy as np
import pytest

import npdl
from npdl import layers

OWN = "NPDL_STAND_IN_CACHE"
SPREAD = {"test_ptx.py", "test_layers.py", "test_software_gpu.py"}
"""Files in tests/cuda whose tests need different kernels."""


def pytest_configure(config):
    """All processes of a run share what the stand-in compiles; if the variable names a folder, so do later runs."""
    if not os.environ.get(OWN):
        config.own_folder = os.environ[OWN] = tempfile.mkdtemp(prefix="npdl-stand-in-")


def pytest_unconfigure(config):
    if hasattr(config, "own_folder"):
        shutil.rmtree(config.own_folder, ignore_errors=True)
        del os.environ[OWN]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n 2 --dist loadgroup` one process runs all tests of a file in tests/cuda: their kernels are compiled once.

    What two files need is compiled once, too, but where both need it at the same time (shelf.py). Not by marks
    `xdist_group`: pytest-xdist 3.8 hands them on in a variable that pytest 9.2 no longer reads."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        def _split_scope(self, nodeid):
            file = pathlib.PurePosixPath(nodeid.split("::")[0])
            return str(file) if file.parent.name == "cuda" and file.name not in SPREAD else nodeid

        # pytest-xdist 3.8 hands a test that ended its process to the next one, and may wait for ever.
        def remove_node(self, node):
            units = self.assigned_work[node]
            crashed = next((name for unit in units.values() for name, done in unit.items() if not done), None)
            left = {scope: {**unit, crashed: True} if crashed in unit else unit for scope, unit in units.items()}
            self.assigned_work[node] = {scope: unit for scope, unit in left.items() if not all(unit.values())}
            super().remove_node(node)
            return crashed

        def schedule(self):
            super().schedule()
            for node in self.nodes if self.collection else ():  # a process begins when it knows its second test
                self._reschedule(node)

        def _reschedule(self, node):
            if node in self.registered_collections:  # else it is new, and asks for work by itself
                super()._reschedule(node)

    return ByFile(config, log)


def pytest_collection_finish():
    """Garbage is looked for less often: Numba makes many objects, and a sixth of its time went into looking at them."""
    gc.freeze()  # thousands of tests are none
    gc.set_threshold(100_000, 20, 100)


class Around(layers.Layer):
    """y = x + inner(x): a layer of the user's own with a layer inside."""

    def __init__(self, width, activation=None, **base):
        super().__init__(**base)
        self.width, self.activation = width, activation
        self.inner = layers.Dense(width, activation=activation, name="inner")

    def build(self, input_shape):
        return self.inner.build_once(input_shape)

    def walk(self):
        yield self
        yield from self.inner.walk()

    def forward(self, x, training=False):
        return x + self.inner.forward(x, training)

    def backward(self, dy):
        return self.inner.backward(dy) + dy


@pytest.fixture
def around():
    """The class of a layer of the user's own with a layer inside."""
    return Around


@pytest.fixture
def rng():
    """A NumPy generator; the same numbers in every test."""
    return np.random.default_rng(0)


@pytest.fixture
def data_folder():
    """The folder of real data sets; the test is skipped where there is none."""
    folder = os.environ.get("NPDL_DATA")
    if not folder or not pathlib.Path(folder).is_dir():
        pytest.skip("needs the real data sets: set NPDL_DATA to their folder")
    return pathlib.Path(folder)


@pytest.fixture(autouse=True)
def _threads_are_put_back():
    before = npdl.get_num_threads()
    yield
    npdl.set_num_threads(before)
