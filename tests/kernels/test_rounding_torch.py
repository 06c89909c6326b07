"""Rounding to bfloat16 and float16 against PyTorch's."""

import numpy as np
import pytest

from npdl import devices

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_random_bits(kind):
    bits = np.random.default_rng(0).integers(0, 1 << 32, 300_000, np.uint32)
    x = bits[np.isfinite(bits.view(np.float32))].view(np.float32)
    expected = torch.from_numpy(x).to(getattr(torch, kind)).float().numpy()
    for device in ("reference", "cpu"):
        out = np.empty_like(x)
        getattr(devices.get(device).kernels, f"round_{kind}")(x, out=out)
        np.testing.assert_array_equal(out.view(np.uint32), expected.view(np.uint32))
