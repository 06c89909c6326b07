"""Training beside PyTorch: weights of steps, losses of several outputs, accumulated micro-batches of two outputs."""

import numpy as np
import pytest

from npdl import Model, layers, losses
from npdl.optimizers import SGD

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
N, T = 12, 4


def linear(layer):
    """PyTorch's layer of the same weights."""
    kernel, bias = layer.get_weights()
    other = torch.nn.Linear(*kernel.shape).double()
    with torch.no_grad():
        other.weight.copy_(torch.tensor(kernel.T))
        other.bias.copy_(torch.tensor(bias))
    return other


def demand_equal(layer, other):
    for mine, its in zip(layer.get_weights(), (other.weight, other.bias), strict=True):
        np.testing.assert_allclose(mine, its.detach().numpy().T, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("accumulated", (None, 3))
def test_two_outputs_with_weights_of_their_own(rng, accumulated):
    """Five steps of SGD; npdl's in micro-batches too."""
    x, tags, number = rng.normal(size=(N, T, 3)), rng.integers(0, 5, (N, T)), rng.normal(size=(N, 1))
    w, v = rng.random((N, T)) + 0.1, rng.random(N) + 0.1
    w[rng.random((N, T)) < 0.4] = v[rng.random(N) < 0.4] = 0
    inputs = layers.Input((T, 3))
    hidden = layers.Dense(6, activation="tanh")
    h = hidden(inputs)
    outs = {"tags": layers.Dense(5, name="tags"), "number": layers.Dense(1, name="number")}
    model = Model(
        inputs, {"tags": outs["tags"](h), "number": outs["number"](layers.Flatten()(h))}, seed=0, dtype="float64"
    )
    chosen = {"tags": losses.SparseCategoricalCrossentropy(from_logits=True), "number": "mse"}
    model.compile(SGD(0.3, gradient_accumulation_steps=accumulated), chosen, loss_weights={"tags": 1.0, "number": 0.7})
    nets = [linear(layer) for layer in (hidden, *outs.values())]
    optimizer = torch.optim.SGD([p for net in nets for p in net.parameters()], lr=0.3)
    given = [torch.tensor(one) for one in (x, tags, number, w, v)]
    for _ in range(5):
        model.fit(
            x, {"tags": tags, "number": number}, sample_weight={"tags": w, "number": v},
            batch_size=5 if accumulated else N, shuffle=False, verbose=0,
        )  # fmt: skip
        xs, ts, ns, ws, vs = given
        optimizer.zero_grad()
        z = torch.tanh(nets[0](xs))
        each = torch.nn.functional.cross_entropy(nets[1](z).permute(0, 2, 1), ts, reduction="none")
        squares = (nets[2](z.flatten(1)) - ns)[:, 0] ** 2
        ((each * ws).sum() / (ws != 0).sum() + 0.7 * (squares * vs).sum() / (vs != 0).sum()).backward()
        optimizer.step()
    for layer, net in zip((hidden, *outs.values()), nets, strict=True):
        demand_equal(layer, net)


def test_triplets(rng):
    """One encoder, three inputs, `TripletMarginLoss` over the list of outputs."""
    x = [rng.normal(size=(N, 4)) for _ in range(3)]
    first, second = layers.Dense(6, activation="tanh"), layers.Dense(3)
    inputs = [layers.Input((4,)) for _ in x]
    model = Model(inputs, [second(first(one)) for one in inputs], seed=0, dtype="float64")
    model.compile(SGD(0.5), losses.TripletMarginLoss(margin=2.0))
    one, two = linear(first), linear(second)
    optimizer = torch.optim.SGD([*one.parameters(), *two.parameters()], lr=0.5)
    for _ in range(5):
        model.fit(x, batch_size=N, shuffle=False, verbose=0)
        optimizer.zero_grad()
        parts = [two(torch.tanh(one(torch.tensor(part)))) for part in x]
        torch.nn.functional.triplet_margin_loss(*parts, margin=2.0).backward()
        optimizer.step()
    demand_equal(first, one)
    demand_equal(second, two)
