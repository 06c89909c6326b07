"""Optimizers against torch.optim, step by step over 1,000 steps."""

import types

import numpy as np
import pytest

from npdl import devices
from npdl.layers import Dense
from npdl.optimizers import (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lamb,
    Lion,
    Nadam,
    RAdam,
    RMSprop,
    Rprop,
)
from npdl.params import ParamStore

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch

STEPS = 1000

# (ours, theirs): the same hyper-parameters in both vocabularies
PAIRS = {
    "sgd": (lambda: SGD(0.01), lambda p: torch.optim.SGD(p, 0.01)),
    "sgd decay": (lambda: SGD(0.1, weight_decay=0.01), lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.01)),
    "sgd momentum": (lambda: SGD(0.01, momentum=0.9), lambda p: torch.optim.SGD(p, 0.01, momentum=0.9)),
    "sgd nesterov": (
        lambda: SGD(0.03, momentum=0.8, nesterov=True, weight_decay=0.02),
        lambda p: torch.optim.SGD(p, 0.03, momentum=0.8, nesterov=True, weight_decay=0.02),
    ),
    "adam": (lambda: Adam(), lambda p: torch.optim.Adam(p, 1e-3, eps=1e-7)),
    "adam betas": (
        lambda: Adam(0.1, beta_1=0.3, beta_2=0.95, epsilon=1e-3),
        lambda p: torch.optim.Adam(p, 0.1, (0.3, 0.95), 1e-3),
    ),
    "adam beta_1 0": (lambda: Adam(0.01, beta_1=0.0), lambda p: torch.optim.Adam(p, 0.01, (0.0, 0.999), 1e-7)),
    "adam decay": (
        lambda: Adam(0.01, epsilon=1e-8, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 0.01, eps=1e-8, weight_decay=0.1),
    ),
    "adamw": (lambda: AdamW(), lambda p: torch.optim.AdamW(p, 1e-3, eps=1e-7, weight_decay=0.004)),
    "adamw decay": (
        lambda: AdamW(0.02, weight_decay=0.2, beta_2=0.99),
        lambda p: torch.optim.AdamW(p, 0.02, (0.9, 0.99), 1e-7, weight_decay=0.2),
    ),
    "rmsprop": (lambda: RMSprop(), lambda p: torch.optim.RMSprop(p, 1e-3, 0.9, 1e-7)),
    "rmsprop momentum": (
        lambda: RMSprop(0.003, rho=0.99, momentum=0.5, weight_decay=0.01),
        lambda p: torch.optim.RMSprop(p, 0.003, 0.99, 1e-7, 0.01, 0.5),
    ),
    "rmsprop centered": (
        lambda: RMSprop(0.01, rho=0.95, epsilon=1e-5, centered=True),
        lambda p: torch.optim.RMSprop(p, 0.01, 0.95, 1e-5, centered=True),
    ),
    "rmsprop both": (
        lambda: RMSprop(0.002, momentum=0.9, centered=True, weight_decay=0.05),
        lambda p: torch.optim.RMSprop(p, 0.002, 0.9, 1e-7, 0.05, 0.9, True),
    ),
    "amsgrad": (
        lambda: Adam(0.01, amsgrad=True, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 0.01, eps=1e-7, weight_decay=0.1, amsgrad=True),
    ),
    "adamw amsgrad": (
        lambda: AdamW(0.01, amsgrad=True),
        lambda p: torch.optim.AdamW(p, 0.01, eps=1e-7, weight_decay=0.004, amsgrad=True),
    ),
    "adamax": (
        lambda: Adamax(0.01, weight_decay=0.1),
        lambda p: torch.optim.Adamax(p, 0.01, eps=1e-7, weight_decay=0.1),
    ),
    "nadam": (
        lambda: Nadam(0.01, weight_decay=0.1, decoupled_weight_decay=True),
        lambda p: torch.optim.NAdam(p, 0.01, eps=1e-7, weight_decay=0.1, decoupled_weight_decay=True),
    ),
    "radam": (
        lambda: RAdam(0.01, beta_2=0.99, weight_decay=0.1),
        lambda p: torch.optim.RAdam(p, 0.01, (0.9, 0.99), 1e-7, weight_decay=0.1),
    ),
    "adagrad": (
        lambda: Adagrad(0.1, weight_decay=0.1),
        lambda p: torch.optim.Adagrad(p, 0.1, 0, 0.1, 0.1, 1e-7),
    ),
    "adadelta": (
        lambda: Adadelta(1.0, weight_decay=0.1),
        lambda p: torch.optim.Adadelta(p, 1.0, 0.95, 1e-7, 0.1),
    ),
    "lion": (lambda: Lion(0.01, weight_decay=0.1), lambda p: TorchLion(p, lr=0.01, decay=0.1)),
    "lamb": (lambda: Lamb(0.01, weight_decay=0.1), lambda p: TorchLamb(p, lr=0.01, decay=0.1)),
    "adafactor": (
        lambda: Adafactor(0.05, weight_decay=0.1),
        lambda p: torch.optim.Adafactor(p, 0.05, eps=(1e-30, 1e-3), weight_decay=0.1),
    ),
}
"""Rprop is apart: a rounding that turns a sign turns it for good."""


class TorchLion(torch.optim.Optimizer):
    """The paper's algorithm 2, in PyTorch's tensors."""

    def __init__(self, params, lr, decay):
        super().__init__(params, {"lr": lr})
        self.decay = decay

    @torch.no_grad()
    def step(self):
        for p in self.param_groups[0]["params"]:
            m = self.state[p].setdefault("m", torch.zeros_like(p))
            u = torch.sign(0.9 * m + 0.1 * p.grad)
            p -= self.param_groups[0]["lr"] * (u + self.decay * p)
            m.mul_(0.99).add_(p.grad, alpha=0.01)


class TorchLamb(torch.optim.Optimizer):
    """The paper's algorithm 2 without a bound on ‖p‖, in PyTorch's tensors."""

    def __init__(self, params, lr, decay):
        super().__init__(params, {"lr": lr})
        self.decay = decay

    @torch.no_grad()
    def step(self):
        for p in self.param_groups[0]["params"]:
            state = self.state[p]
            m, v = state.setdefault("m", torch.zeros_like(p)), state.setdefault("v", torch.zeros_like(p))
            t = state["t"] = state.get("t", 0) + 1
            m.mul_(0.9).add_(p.grad, alpha=0.1)
            v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
            u = m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-7) + self.decay * p
            ratio = p.norm() / u.norm() if p.norm() > 0 and u.norm() > 0 else 1.0
            p -= self.param_groups[0]["lr"] * ratio * u


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.set_default_dtype(torch.float32)


def make_model(dtype):
    """Tensors of 35, 7, 77, 11 and 11 numbers."""
    layers = [Dense(7), Dense(11), Dense(1, use_bias=False)]
    for layer, inputs in zip(layers, (5, 7, 11)):
        layer.build_once((inputs,))
        layer.name += str(inputs)
    store = ParamStore(layers, devices.get("cpu"), dtype, 0).initialize()
    return types.SimpleNamespace(layers=layers, store=store)


def both(pair, dtype, frozen=(), steps=STEPS, sticks=False):
    """(our weights, PyTorch's weights), each (steps, n): the gradient is w − target + noise, of each side's own w."""
    torch.set_default_dtype(getattr(torch, dtype))  # NAdam keeps a number in this type
    rng = np.random.default_rng(0)
    make_ours, make_theirs = PAIRS[pair]
    model = make_model(dtype)
    for place in frozen:
        model.layers[place].trainable = False
    weights = [weight for weight in model.store.weights if weight.trainable]
    ours, tensors = make_ours(), [torch.from_numpy(model.store.values(weight)) for weight in weights]
    theirs = make_theirs([tensor.requires_grad_() for tensor in tensors])
    targets = [rng.standard_normal(weight.shape).astype(dtype) for weight in weights]
    mine, yours = [], []
    for step in range(steps):
        if step == steps // 2 and not sticks:  # the learning rate changes midway
            ours.learning_rate *= 0.3
            theirs.param_groups[0]["lr"] *= 0.3
        for weight, tensor, target in zip(weights, tensors, targets):
            noise = rng.standard_normal(weight.shape).astype(dtype) - target
            weight.layer.grads[weight.name][...] = weight.layer.params[weight.name] + noise
            tensor.grad = tensor.detach() + torch.from_numpy(noise)
        ours.step(model)
        theirs.step()
        mine.append(np.concatenate([weight.layer.params[weight.name].ravel() for weight in weights]))
        yours.append(np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors]))
    return np.array(mine), np.array(yours)


@pytest.mark.parametrize("pair", PAIRS)
def test_float64(pair):
    ours, theirs = both(pair, "float64")
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


def test_rprop():
    PAIRS["rprop"] = (
        lambda: Rprop(0.02, (0.4, 1.3), (1e-5, 2)),
        lambda p: torch.optim.Rprop(p, 0.02, (0.4, 1.3), (1e-5, 2)),
    )
    ours, theirs = both("rprop", "float64", steps=200, sticks=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)
    del PAIRS["rprop"]


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair != "lion"])  # a sign that rounding turns is a step
def test_float32(pair):
    ours, theirs = both(pair, "float32", steps=300)
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 if pair in ("lamb", "adafactor") else 2e-6)


@pytest.mark.parametrize("pair", ("sgd nesterov", "adam decay", "adamw decay", "rmsprop both"))
def test_frozen_layers(pair):
    ours, theirs = both(pair, "float64", frozen=(1,), steps=100)
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


def test_float32_is_as_near_to_float64_as_pytorch_is():
    for pair in ("sgd nesterov", "adam", "amsgrad", "adamw", "rmsprop both", "adamax", "nadam", "adagrad", "adadelta"):
        exact = both(pair, "float64", steps=300)[1]
        ours, theirs = both(pair, "float32", steps=300)
        assert np.abs(ours - exact).max() <= 3 * np.abs(theirs - exact).max()
