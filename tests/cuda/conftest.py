"""What the tests of GPU kernels share: a device whose driver is the stand-in, and the comparison with the reference."""

import importlib

import numpy as np
import pytest

from npdl import devices
from npdl.devices.cuda import find
from npdl.devices.cuda.device import CudaDevice
from npdl.devices.cuda.stand_in import StandIn
from npdl.kernels.cuda.kernel import Kernel

FLOAT32 = np.dtype("float32")


@pytest.fixture(params=["stand-in", pytest.param("cuda", marks=pytest.mark.gpu)])
def place(request):
    """The name of a device: `pytest -m gpu` runs the same tests on a GPU."""
    if request.param == "cuda" and (reason := find.obstacle(0)):
        pytest.skip(reason)
    return request.param


@pytest.fixture
def device(place):
    return CudaDevice(place, None, StandIn()) if place == "stand-in" else devices.get(place)


@pytest.fixture
def launches(device):
    """launches(call): the names of the kernels that it asks for, none of which is done."""

    def listed(call):
        with device.driver.rehearsal() as rehearsed:
            call()
        return [asked.name for asked, *_ in rehearsed.calls if isinstance(asked, Kernel)]

    return listed


@pytest.fixture
def compare(device):
    """compare(family, name, *arguments, out={name: shape or array}, rtol=..., **options)

    Runs a kernel on the stand-in, threads ascending and then descending, and the reference in float64. What the two
    orders give must be equal in every bit, and near the reference.
    """

    def run(family, name, *arguments, out, rtol=2e-6, atol=2e-6, **options):
        theirs = getattr(importlib.import_module(f"npdl.kernels.reference.{family}"), name)
        wide = {key: _wide(value) for key, value in out.items()}
        theirs(*map(_float64, arguments), **wide, **{key: _float64(value) for key, value in options.items()})
        ours = getattr(importlib.import_module(f"npdl.kernels.cuda.{family}"), name)
        results = []
        for order in (1, -1):
            device.driver.order = order
            made = {key: device.from_host(_narrow(value)) for key, value in out.items()}
            given = [_on(device, value) for value in arguments]
            ours(*given, **made, **{key: _on(device, value) for key, value in options.items()})
            results.append({key: device.to_host(array) for key, array in made.items()})
        for key, want in wide.items():
            up, down = results[0][key], results[1][key]
            np.testing.assert_array_equal(up, down, err_msg="depends on the order of threads")
            np.testing.assert_allclose(up, want, rtol=rtol, atol=atol, err_msg=f"{name}: {key}")

    return run


def _wide(value):
    """Where the reference writes: a shape, or an array that already holds something."""
    return np.full(value, np.nan) if isinstance(value, tuple) else np.array(value, np.float64)


def _narrow(value):
    if isinstance(value, tuple):
        return np.full(value, np.nan, FLOAT32)
    return value


def _float64(value):
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype == FLOAT32 else value


def _on(device, value):
    return device.from_host(value) if isinstance(value, np.ndarray) else value
