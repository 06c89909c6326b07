"""Kernels of each family by Numba's own simulator, against the reference and the stand-in (simulated.py)."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
SCRIPT = pathlib.Path(__file__).parent / "simulated.py"
CASES = (
    "sums", "products", "transposed", "softmax", "gelu", "cross_entropy", "layer_norm", "batch_norm", "attention",
    "convolution", "pooling", "embedding", "dropout", "adam",
)  # fmt: skip


@pytest.fixture(scope="module")
def differences():
    """By the names of cases: what differs, of one process for all."""
    environment = {
        **os.environ,
        "NUMBA_ENABLE_CUDASIM": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == set(CASES)
    return found


@pytest.mark.parametrize("case", CASES)
def test_as_the_simulator_computes(differences, case):
    assert not differences[case], differences[case]
