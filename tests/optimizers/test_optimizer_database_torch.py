"""PyTorch's own database of optimizers and their settings, each over 50 steps against npdl's."""

import math

import numpy as np
import pytest

from npdl import layers, optimizers
from npdl.params import ParamStore
from npdl.schedules import InverseTimeDecay

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytest.importorskip("expecttest", reason="PyTorch's database of optimizers needs it")
pytestmark = pytest.mark.torch

STEPS = 50

# PyTorch's class -> npdl's, and PyTorch's arguments -> npdl's; PyTorch's defaults are read from its class
CLASSES = {
    "ASGD": (optimizers.ASGD, {}),
    "Adadelta": (optimizers.Adadelta, {"eps": "epsilon"}),
    "Adafactor": (optimizers.Adafactor, {"beta2_decay": "beta_2_decay", "d": "clip_threshold"}),
    "Adagrad": (optimizers.Adagrad, {"eps": "epsilon"}),
    "Adam": (optimizers.Adam, {"eps": "epsilon"}),
    "AdamW": (optimizers.AdamW, {"eps": "epsilon"}),
    "Adamax": (optimizers.Adamax, {"eps": "epsilon"}),
    "LBFGS": (optimizers.LBFGS, {}),
    "Muon": (optimizers.Muon, {}),
    "NAdam": (optimizers.Nadam, {"eps": "epsilon"}),
    "RAdam": (optimizers.RAdam, {"eps": "epsilon"}),
    "RMSprop": (optimizers.RMSprop, {"eps": "epsilon", "alpha": "rho"}),
    "Rprop": (optimizers.Rprop, {}),
    "SGD": (optimizers.SGD, {}),
}
LEFT_OUT = {
    "SparseAdam": "for sparse gradients, which npdl does not have",
}
HOW = {"foreach", "fused", "differentiable", "capturable", "maximize"}  # PyTorch's ways of computing; and a sign


def ours(name, defaults, given):
    """npdl's optimizer with PyTorch's settings: its defaults, and what the database gives."""
    cls, renamed = CLASSES[name]
    settings = {key: value.item() if torch.is_tensor(value) else value for key, value in {**defaults, **given}.items()}
    settings["learning_rate"] = settings.pop("lr")
    for key in ({*HOW, "initial_lr", "adjust_lr_fn"}) & settings.keys():
        settings.pop(key)
    if "betas" in settings:
        settings["beta_1"], settings["beta_2"] = settings.pop("betas")
    if name == "Adagrad":
        rate, decay = settings["learning_rate"], settings.pop("lr_decay")
        settings["learning_rate"] = InverseTimeDecay(rate, 1, decay) if decay else rate
    if name == "Adafactor":
        first, settings["epsilon_2"] = settings.pop("eps")
        settings["epsilon_1"] = first or float(np.finfo("float64").eps)
    if name == "Muon":
        settings["muon_a"], settings["muon_b"], settings["muon_c"] = settings.pop("ns_coefficients")
        settings["epsilon"] = settings.pop("eps")
    if name in ("Adam", "AdamW"):  # in PyTorch the one is the other with this argument
        settings.pop("decoupled_weight_decay", None)
    return cls(**{renamed.get(key, key): value for key, value in settings.items()})


class Problem:
    """Least squares with a curved term: L = ‖x A + b − y‖² / 2N + Σ log cosh, in both engines from the same arrays."""

    def __init__(self, only_matrices):
        rng = np.random.default_rng(0)
        self.layer = layers.Dense(5, use_bias=not only_matrices, bias_initializer="ones").init(
            (7,), dtype="float64", seed=1
        )
        self.x, self.y = rng.standard_normal((20, 7)), rng.standard_normal((20, 5))
        self.tensors = [
            torch.from_numpy(self.layer.store.values(weight)).requires_grad_() for weight in self.layer.store.weights
        ]
        self.store: ParamStore = self.layer.store

    def loss_and_gradient(self, weights):
        kernel, bias = weights[0], weights[1] if len(weights) > 1 else 0.0
        r = self.x @ kernel + bias - self.y
        dr = r / len(r) + np.tanh(r) / len(r)
        loss = (r * r).sum() / 2 / len(r) + (np.logaddexp(r, -r) - np.log(2)).sum() / len(r)
        return loss, [self.x.T @ dr, dr.sum(axis=0)][: len(weights)]

    def ours(self, sign):
        loss, gradients = self.loss_and_gradient([self.store.values(weight) for weight in self.store.weights])
        for weight, gradient in zip(self.store.weights, gradients):
            self.layer.grads[weight.name][...] = sign * gradient
        return loss

    def theirs(self):
        loss, gradients = self.loss_and_gradient([tensor.detach().numpy() for tensor in self.tensors])
        for tensor, gradient in zip(self.tensors, gradients):
            tensor.grad = torch.from_numpy(gradient)
        return torch.tensor(loss)

    def error(self):
        """The largest difference of two weights, relative to the largest weight of the tensor."""
        pairs = [
            (self.store.values(weight), tensor.detach().numpy())
            for weight, tensor in zip(self.store.weights, self.tensors)
        ]
        return max(np.abs(mine - yours).max() / np.abs(yours).max() for mine, yours in pairs)


@pytest.fixture
def doubles(monkeypatch):
    """PyTorch in float64 throughout: NAdam keeps a number in the default type, Muon rounds its matrices to bfloat16."""
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    yield
    torch.set_default_dtype(torch.float32)


def compare(name, cls, given):
    """The error after 50 steps, relative."""
    problem = Problem(only_matrices=name == "Muon")
    theirs = cls(problem.tensors, **given)
    mine = ours(name, theirs.defaults, given)
    start, sign = problem.error(), -1.0 if given.get("maximize") else 1.0  # maximize: npdl gets the other gradient
    assert start == 0
    for _ in range(STEPS):
        if name == "LBFGS":
            mine.step(problem.layer, lambda: problem.ours(1.0))
            theirs.step(problem.theirs)
        else:
            problem.ours(sign)
            problem.theirs()
            mine.step(problem.layer)
            theirs.step()
    return problem.error()


@pytest.mark.usefixtures("doubles")
def test_every_setting_of_the_database(capsys):
    from torch.testing._internal.common_optimizers import optim_db

    inputs = compared = 0
    seen, left_out, wrong = set(), [], []
    for info in optim_db:
        name = info.optim_cls.__name__
        for case in info.optim_inputs_func(device="cpu"):
            inputs += 1
            if name in LEFT_OUT:
                left_out.append(f"{name} ({case.desc}): {LEFT_OUT[name]}")
                continue
            error = compare(name, info.optim_cls, case.kwargs)
            compared += 1
            seen.add(name)
            if not error < 1e-8 or math.isnan(error):
                wrong.append(f"{name} ({case.desc}): {error:.1e}")
    with capsys.disabled():
        print(f"\nPyTorch's database: {len(seen)} of {len(optim_db)} optimizers, {compared} of {inputs} inputs")
        print("\n".join(f"  left out: {line}" for line in left_out))
    assert wrong == []
    assert (len(seen), compared) >= (14, 87)


@pytest.mark.usefixtures("doubles")
def test_muon_with_the_root_mean_square_of_adam(rng):
    """Matrices as PyTorch's with adjust_lr_fn="match_rms_adamw", vectors as AdamW's with a decay of their own."""
    layer = layers.Dense(7).init((5,), dtype="float64")
    weights = [torch.tensor(np.array(layer.params[name]), requires_grad=True) for name in ("kernel", "bias")]
    theirs = [
        torch.optim.Muon(weights[:1], 0.02, 0.1, 0.9, ns_steps=3, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(weights[1:], 0.02, weight_decay=0.3, eps=1e-7),
    ]
    mine = optimizers.Muon(
        0.02, weight_decay=0.1, adam_weight_decay=0.3, momentum=0.9, ns_steps=3, adam_lr_ratio=1.0, rms_rate=0.2
    )
    for _ in range(5):
        for name, weight in zip(("kernel", "bias"), weights, strict=True):
            grad = rng.normal(size=weight.shape)
            layer.grads[name][...] = grad
            weight.grad = torch.tensor(grad)
        for one in theirs:
            one.step()
        mine.step(layer)
    for name, weight in zip(("kernel", "bias"), weights, strict=True):
        np.testing.assert_allclose(layer.params[name], weight.detach().numpy(), rtol=1e-9)
