"""Fixtures for all tests."""

import os
import pathlib

import numpy as np
import pytest

import npdl


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
