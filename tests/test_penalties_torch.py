import numpy as np
import pytest

import npdl
from npdl import Sequential, layers, regularizers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def cosines(w):
    u = w / w.norm(dim=1, keepdim=True)
    p = u @ u.T
    return (p.abs().sum() - p.diagonal().abs().sum()) / (len(w) * (len(w) - 1))


@pytest.mark.parametrize(
    ("regularizer", "formula"),
    [
        (regularizers.L1(0.3), lambda w: 0.3 * w.abs().sum()),
        (regularizers.L2(0.3), lambda w: 0.3 * (w * w).sum()),
        (regularizers.L1L2(0.2, 0.3), lambda w: 0.2 * w.abs().sum() + 0.3 * (w * w).sum()),
        (regularizers.OrthogonalRegularizer(0.3), lambda w: 0.3 * cosines(w)),
        (regularizers.OrthogonalRegularizer(0.3, "columns"), lambda w: 0.3 * cosines(w.T)),
    ],
    ids=lambda value: None if callable(value) and hasattr(value, "__name__") else repr(value),
)
@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_weights_and_outputs(rng, regularizer, formula, device):
    layer = layers.Dense(5, "tanh", kernel_regularizer=regularizer, activity_regularizer=regularizer)
    model = Sequential([layers.Input((4,)), layer], seed=0, dtype="float64").to(device)
    x, target = rng.normal(size=(7, 4)), rng.normal(size=(7, 5))
    loss = npdl.losses.MeanSquaredError()
    value = loss.forward(target, model.forward(x, training=True))
    dx = model.backward(loss.backward())
    value += model.add_penalties()
    tx = torch.tensor(x, requires_grad=True)
    W, b = (torch.tensor(w, requires_grad=True) for w in layer.get_weights())
    y = torch.tanh(tx @ W + b)
    expected = torch.nn.functional.mse_loss(y, torch.tensor(target)) + formula(W) + formula(y) / 7
    expected.backward()
    assert value == pytest.approx(float(expected.detach()), rel=1e-10)
    for got, grad in ((dx, tx.grad), (layer.grads["kernel"], W.grad), (layer.grads["bias"], b.grad)):
        assert np.abs(got - grad.numpy()).max() <= 1e-9 * np.abs(grad.numpy()).max()
