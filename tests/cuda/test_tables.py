"""GPUs have every kernel that the CPU has, called in the same way."""

import importlib
import inspect

import pytest

from npdl.devices.registry import FAMILIES, kernel_table


def test_every_kernel_is_there():
    assert sorted(set(kernel_table("cpu")) - set(kernel_table("cuda"))) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_they_are_called_in_the_same_way(family):
    reference, cuda = (importlib.import_module(f"npdl.kernels.{package}.{family}") for package in ("reference", "cuda"))
    for name in FAMILIES[family]:
        there, here = (inspect.signature(getattr(module, name)) for module in (reference, cuda))
        assert str(here) == str(there), name
