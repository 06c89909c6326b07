"""Every activation on the stand-in against its formula."""

import numpy as np
import pytest

from npdl import activations
from npdl.activations import CELU, GELU, LeakyReLU, LogSoftmax, ReLU, Softmax, Sparsemax, Threshold
from npdl.kernels.cuda.elementary import FORWARD

RNG = np.random.default_rng(0)
EACH = (
    activations.linear, activations.relu, ReLU(0.1, 2.0, 0.3), LeakyReLU(0.2), activations.elu, GELU(),
    GELU(approximate=True), activations.sigmoid, activations.tanh, activations.selu, CELU(0.5), activations.silu,
    activations.softplus, activations.log_sigmoid, activations.softsign, activations.mish, activations.exponential,
    activations.hard_sigmoid, activations.hard_silu, activations.hard_shrink, activations.soft_shrink,
    activations.tanh_shrink, Threshold(0.3, 0.1), activations.squareplus, activations.sparse_plus,
    activations.Softplus(1.7, 2.0), Softmax(),
    Softmax(axis=1), LogSoftmax(), Sparsemax(), Sparsemax(axis=1),
)  # fmt: skip


def test_every_code_is_here():
    assert set(FORWARD) <= {fn.code for fn in EACH}


@pytest.mark.parametrize("fn", EACH, ids=repr)
def test_formula(compare, fn):
    z = (3 * RNG.standard_normal((7, 37, 5))).astype("float32")
    z[0, 0] = [0, -0.0, 80, -80, 1e-30]
    dy = RNG.standard_normal(z.shape).astype("float32")
    compare("activation", "activation", z, fn, out={"out": z.shape})
    y = fn(z)
    compare("activation", "activation_grad", dy, fn.kept(y, z), fn, out={"out": z.shape}, rtol=1e-5, atol=1e-5)


def test_not_a_number_stays(device):
    from npdl.kernels.cuda.activation import activation

    z = np.array([np.nan, 1], "float32")
    for fn in EACH:
        if fn.code in FORWARD:
            out = device.alloc((2,), "float32")
            activation(device.from_host(z), fn, out=out)
            assert np.isnan(device.to_host(out)[0]), fn


def test_an_activation_of_your_own_is_refused(device):
    from npdl.kernels.cuda.activation import activation

    class Cube(activations.Activation):
        def __call__(self, z):
            return z**3

    z = device.zeros((2,), "float32")
    with pytest.raises(TypeError, match=r"activation of your own, in NumPy.*model.to\('cpu'\)"):
        activation(z, Cube(), out=z)
