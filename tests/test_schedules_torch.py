"""Schedules against torch.optim.lr_scheduler, over hundreds of steps."""

import warnings

import pytest

from npdl import schedules as s

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch

STEPS = 400
lr = torch.optim.lr_scheduler

# name -> (ours, theirs, the learning rate of their optimizer)
PAIRS = {
    "StepLR": (s.StepDecay(0.1, 30, 0.3), lambda o: lr.StepLR(o, 30, 0.3), 0.1),
    "MultiStepLR": (s.MultiStepDecay(0.1, [5, 70, 300], 0.3), lambda o: lr.MultiStepLR(o, [5, 70, 300], 0.3), 0.1),
    "ExponentialLR": (s.ExponentialDecay(0.1, 1, 0.99), lambda o: lr.ExponentialLR(o, 0.99), 0.1),
    "LinearLR": (s.LinearWarmup(0.1, 50, 0.1 / 3), lambda o: lr.LinearLR(o, 1 / 3, total_iters=50), 0.1),
    "PolynomialLR": (s.PolynomialDecay(0.1, 300, 0.0, 0.7), lambda o: lr.PolynomialLR(o, 300, 0.7), 0.1),
    "CosineAnnealingLR": (
        s.CosineDecay(0.1, 399, alpha=0.05), lambda o: lr.CosineAnnealingLR(o, 399, eta_min=0.005), 0.1,
    ),
    "CosineAnnealingWarmRestarts": (
        s.CosineDecayRestarts(0.1, 25, t_mul=2.0), lambda o: lr.CosineAnnealingWarmRestarts(o, 25, 2), 0.1,
    ),
    "OneCycleLR": (s.OneCycle(0.1, STEPS), lambda o: lr.OneCycleLR(o, 0.1, STEPS), 0.1),
    "OneCycleLR linear": (
        s.OneCycle(0.1, STEPS, 0.2, "linear", 10.0, 100.0),
        lambda o: lr.OneCycleLR(o, 0.1, STEPS, None, None, 0.2, "linear", div_factor=10, final_div_factor=100),
        0.1,
    ),
    "OneCycleLR three phases": (
        s.OneCycle(0.1, STEPS, 0.4, three_phase=True),
        lambda o: lr.OneCycleLR(o, 0.1, STEPS, pct_start=0.4, three_phase=True),
        0.1,
    ),
    "CyclicLR": (s.Cyclic(0.01, 0.1, 20, 33), lambda o: lr.CyclicLR(o, 0.01, 0.1, 20, 33), 0.1),
    "CyclicLR triangular2": (
        s.Cyclic(0.01, 0.1, 20, mode="triangular2"), lambda o: lr.CyclicLR(o, 0.01, 0.1, 20, mode="triangular2"), 0.1,
    ),
    "CyclicLR exp_range": (
        s.Cyclic(0.01, 0.1, 20, mode="exp_range", gamma=0.99),
        lambda o: lr.CyclicLR(o, 0.01, 0.1, 20, mode="exp_range", gamma=0.99),
        0.1,
    ),
    "LambdaLR, Noam": (
        s.Noam(512, 100),
        lambda o: lr.LambdaLR(o, lambda t: 512**-0.5 * min((t + 1) ** -0.5, (t + 1) * 100**-1.5)),
        1.0,
    ),
    "SequentialLR": (
        s.SequentialSchedule([s.LinearWarmup(0.1, 20, 0.01), s.ExponentialDecay(0.1, 1, 0.99)], [20]),
        lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 0.1, total_iters=20), lr.ExponentialLR(o, 0.99)], [20]),
        0.1,
    ),
    "ChainedScheduler": (
        s.ChainedSchedule([s.LinearWarmup(1.0, 50, 0.1), s.StepDecay(0.1, 30, 0.9)]),
        lambda o: lr.ChainedScheduler([lr.LinearLR(o, 0.1, total_iters=50), lr.StepLR(o, 30, 0.9)]),
        0.1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_the_same_rates(name):
    ours, make, first = PAIRS[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=first, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR calls its own part in a way that it warns of
        scheduler = make(optimizer)
        for step in range(STEPS):
            want = optimizer.param_groups[0]["lr"]
            assert ours(step) == pytest.approx(want, rel=1e-10, abs=1e-14), step
            optimizer.step()
            if step + 1 < STEPS:
                scheduler.step()
