"""The sequence of scales against PyTorch's GradScaler."""

import numpy as np
import pytest

from npdl import layers
from npdl.optimizers import SGD, LossScale

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def test_scales_and_weights_of_a_run_with_overflows():
    rng = np.random.default_rng(0)
    layer, ours, optimizer = layers.Dense(3).init((4,), seed=0), LossScale(1024.0, 3), SGD(0.1, momentum=0.9)
    weights = [torch.nn.Parameter(torch.from_numpy(w)) for w in layer.get_weights()]
    theirs = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    stepper = torch.optim.SGD(weights, 0.1, momentum=0.9)
    for step in range(24):
        gradients = [rng.standard_normal(w.shape).astype("float32") for w in weights]
        if step in (2, 9, 10, 17):
            gradients[step % 2].reshape(-1)[-1] = np.nan if step == 9 else np.inf
        scale = theirs.scale(torch.tensor(1.0)).item()
        assert scale == ours.scale
        for name, weight, gradient in zip(layer.params, weights, gradients, strict=True):
            layer.grads[name][...] = gradient * np.float32(scale)
            weight.grad = torch.from_numpy(gradient * np.float32(scale))
        if ours.unscale(layer):
            optimizer.step(layer)
        theirs.step(stepper)
        theirs.update()
    assert (ours.skipped, optimizer.iterations) == (4, 20)
    for mine, weight in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_allclose(mine, weight.detach().numpy(), rtol=1e-5)
