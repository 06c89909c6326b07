"""Learning-rate schedules: Keras' formulas written out, limits, configuration, bad arguments, in an optimizer."""

import json
import math

import numpy as np
import pytest

from npdl import Sequential, layers, load_model, optimizers, schedules
from npdl.schedules import (
    ChainedSchedule,
    CosineDecay,
    CosineDecayRestarts,
    Cyclic,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    LinearWarmup,
    MultiStepDecay,
    Noam,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    SequentialSchedule,
    StepDecay,
    exact,
)


def restarts(step, first=7, t_mul=1.5, m_mul=0.9, alpha=0.1):
    i = math.floor(math.log(1 - step / first * (1 - t_mul)) / math.log(t_mul))
    share = (step / first - (1 - t_mul**i) / (1 - t_mul)) / t_mul**i
    return (1 - alpha) * 0.5 * m_mul**i * (1 + math.cos(math.pi * share)) + alpha


def along(*points, cosine=False):
    """A function along straight lines through (step, value), or with the slope of half a cosine, flat at the ends."""
    steps, values = zip(*points, strict=True)

    def value(t):
        place = max(i for i, step in enumerate(steps) if i == 0 or step < t)
        share = np.interp(t, steps, range(len(steps))) - place
        share = (1 - math.cos(math.pi * share)) / 2 if cosine else share
        return values[place] + (values[min(place + 1, len(values) - 1)] - values[place]) * share

    return value


def saw(t, cycle=50, up=20):
    """Up to 1 in 20 steps and down to 0 in 30, again and again."""
    return np.interp(t % cycle, [0, up, cycle], [0, 1, 0])


# schedule -> the formula as Keras or PyTorch documents it
FORMULAS = [
    (ExponentialDecay(0.3, 7, 0.9), lambda t: 0.3 * 0.9 ** (t / 7)),
    (ExponentialDecay(0.3, 7, 0.9, staircase=True), lambda t: 0.3 * 0.9 ** math.floor(t / 7)),
    (InverseTimeDecay(0.3, 7, 0.9), lambda t: 0.3 / (1 + 0.9 * t / 7)),
    (InverseTimeDecay(0.3, 7, 0.9, staircase=True), lambda t: 0.3 / (1 + 0.9 * math.floor(t / 7))),
    (PolynomialDecay(0.3, 50, 0.01, 1.7), lambda t: 0.29 * (1 - min(t, 50) / 50) ** 1.7 + 0.01),
    (
        PolynomialDecay(0.3, 50, 0.01, 0.5, cycle=True),
        lambda t: 0.29 * (1 - t / (50 * max(1, math.ceil(t / 50)))) ** 0.5 + 0.01,
    ),
    (PiecewiseConstantDecay([10, 20], [3, 2, 1]), lambda t: 3 if t <= 10 else 2 if t <= 20 else 1),
    (CosineDecay(0.3, 50, 0.1), lambda t: 0.3 * (0.9 * 0.5 * (1 + math.cos(math.pi * min(t, 50) / 50)) + 0.1)),
    (
        CosineDecay(0.01, 50, 0.1, warmup_target=0.4, warmup_steps=20),
        lambda t: 0.01 + 0.39 * t / 20 if t < 20 else CosineDecay(0.4, 50, 0.1)(t - 20),
    ),
    (CosineDecayRestarts(0.3, 7, 1.5, 0.9, 0.1), lambda t: 0.3 * restarts(t)),
    (MultiStepDecay(0.1, [3, 30, 30], 0.5), lambda t: 0.1 * 0.5 ** sum(t >= step for step in (3, 30, 30))),
    (StepDecay(0.1, 30), lambda t: 0.1 * 0.1 ** (t // 30)),
    (OneCycle(0.5, 101, anneal_strategy="linear"), along((0, 0.02), (29.3, 0.5), (100, 2e-6))),
    (OneCycle(0.5, 100), along((0, 0.02), (29, 0.5), (99, 2e-6), cosine=True)),
    (
        OneCycle(0.5, 100, three_phase=True, anneal_strategy="linear"),
        along((0, 0.02), (29, 0.5), (58, 0.02), (99, 2e-6)),
    ),
    (Cyclic(0.1, 0.3, 20, 30), lambda t: 0.1 + 0.2 * saw(t)),
    (Cyclic(0.1, 0.3, 20, 30, "triangular2"), lambda t: 0.1 + 0.2 * saw(t) * 0.5 ** (t // 50)),
    (Cyclic(0.1, 0.3, 20, 30, "exp_range", 0.99), lambda t: 0.1 + 0.2 * saw(t) * 0.99**t),
    (
        LinearWarmup(ExponentialDecay(0.3, 7, 0.9), 10, 0.1),
        lambda t: 0.1 + 0.2 * t / 10 if t < 10 else 0.3 * 0.9 ** ((t - 10) / 7),
    ),
    (
        SequentialSchedule([0.5, ExponentialDecay(0.3, 7, 0.9)], [20]),
        lambda t: 0.5 if t < 20 else 0.3 * 0.9 ** ((t - 20) / 7),
    ),
    (
        ChainedSchedule([ExponentialDecay(0.3, 7, 0.9), InverseTimeDecay(1.0, 7, 0.9), 0.5]),
        lambda t: 0.3 * 0.9 ** (t / 7) / (1 + 0.9 * t / 7) * 0.5,
    ),
    (Noam(512, 40, 2.0), lambda t: 2 * 512**-0.5 * min((t + 1) ** -0.5, (t + 1) * 40**-1.5)),
]
OTHERS = [
    OneCycle(0.1, 100, three_phase=True), Cyclic(0.1, 0.2, 30), CosineDecayRestarts(0.3, 7, 1.0, 0.5),
    SequentialSchedule([LinearWarmup(0.5, 10), StepDecay(0.1, 5)], [20]),
    ChainedSchedule([LinearWarmup(1.0, 10), CosineDecay(0.3, 50)]),
]  # fmt: skip
ALL = [*(schedule for schedule, _ in FORMULAS), *OTHERS]


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=lambda x: type(x).__name__)
def test_formulas(schedule, formula):
    for step in range(400):
        assert schedule(step) == pytest.approx(formula(step), rel=1e-13, abs=1e-16), step


@pytest.mark.parametrize("schedule", ALL, ids=lambda x: type(x).__name__)
def test_configuration_and_values(schedule):
    values = [schedule(step) for step in range(300)]
    assert all(isinstance(value, (int, float)) and 0 <= value < 10 for value in values)
    config = json.loads(json.dumps(schedules.serialize(schedule)))
    for twin in (schedules.get(config), eval(repr(schedule))):
        assert twin == schedule and [twin(step) for step in range(300)] == values
    assert schedules.get(schedule) is schedule


def test_joined():
    warm = LinearWarmup(StepDecay(0.1, 5), 10, initial_learning_rate=0.05)
    assert [warm(step) for step in (0, 5, 10, 14, 15)] == pytest.approx([0.05, 0.075, 0.1, 0.1, 0.01])
    joined = SequentialSchedule([0.5, StepDecay(0.1, 5), 0.2], [3, 10])
    assert [joined(step) for step in (2, 3, 8, 10)] == pytest.approx([0.5, 0.1, 0.01, 0.2])
    assert OneCycle(0.1, 100)(1000) == 0.1 / 25 / 1e4


@pytest.mark.parametrize(
    ("make", "error", "message"),
    (
        (lambda: CosineDecay("a", 10), TypeError, "CosineDecay: initial_learning_rate must be a number, got 'a'; pass"),
        (lambda: CosineDecay(-1, 10), ValueError, "initial_learning_rate must be at least 0, got -1; pass e.g."),
        (lambda: CosineDecay(1, 0), ValueError, "decay_steps must be at least 1, got 0; pass e.g. decay_steps=1000"),
        (lambda: CosineDecay(1, 1.5), ValueError, "decay_steps must be a whole number of steps, got 1.5"),
        (lambda: CosineDecay(1, 10, warmup_steps=3), ValueError, "warmup_steps needs .*; pass warmup_target=0.1"),
        (lambda: StepDecay(0.1, 0), ValueError, "StepDecay: step_size must be at least 1, got 0"),
        (lambda: MultiStepDecay(0.1, [3, 1]), ValueError, r"milestones must ascend, got \[3, 1\]; pass e.g."),
        (lambda: PiecewiseConstantDecay([1], [1]), ValueError, "needs ascending boundaries and one value more"),
        (lambda: OneCycle(0.1, 10, anneal_strategy="x"), ValueError, 'anneal_strategy must be "cos" or "linear"'),
        (lambda: OneCycle(0.1, 10, pct_start=2), ValueError, "pct_start must be at least 0 and at most 1, got 2"),
        (lambda: Cyclic(0.1, 1, mode="square"), ValueError, "mode must be \"triangular\", .* got 'square'"),
        (lambda: SequentialSchedule([0.1], [5]), ValueError, "needs ascending milestones, one fewer than schedules"),
        (lambda: ChainedSchedule([]), ValueError, "needs at least one schedule"),
        (lambda: LinearWarmup(lambda step: 1, 5), TypeError, "LinearWarmup: learning_rate must be a number"),
        (lambda: schedules.get("cosine"), TypeError, "must be an object of npdl.schedules, got 'cosine'"),
        (lambda: schedules.get({"class_name": "CosinDecay"}), ValueError, "unknown schedule 'CosinDecay'"),
        (lambda: LearningRateSchedule()(0), NotImplementedError, r"needs __call__\(self, step\)"),
    ),
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_own_functions_are_right_to_two_units():
    rng = np.random.default_rng(0)
    for x in rng.uniform(-300, 300, 2000).tolist():
        assert exact.exp(x) == pytest.approx(math.exp(x), rel=5e-16)
        assert exact.cos(10 * x) == pytest.approx(math.cos(10 * x), abs=3e-16)
        assert exact.log(abs(x)) == pytest.approx(math.log(abs(x)), rel=5e-16, abs=1e-16)
    assert exact.power(2.0, -1.5) == pytest.approx(2**-1.5, rel=1e-15) and exact.cos(math.pi) == -1
    with pytest.raises(OverflowError, match="no float64"):
        exact.exp(710.0)


# ---- in an optimizer


def make_model(**optimizer):
    model = Sequential([layers.Dense(3)], seed=0)
    model.compile(optimizers.SGD(**optimizer), "mse")
    return model


def test_an_optimizer_takes_the_rate_of_its_step(rng, tmp_path):
    x, y = rng.standard_normal((40, 4), "float32"), rng.standard_normal((40, 3), "float32")
    schedule = PiecewiseConstantDecay([1], [0.5, 0.25])
    model, by_hand = make_model(learning_rate=schedule), make_model(learning_rate=0.5)
    for rate in (0.5, 0.5, 0.25):
        by_hand.optimizer.learning_rate = rate
        assert model.optimizer.learning_rate == rate
        model.train_on_batch(x, y)
        by_hand.train_on_batch(x, y)
    np.testing.assert_array_equal(model.predict(x), by_hand.predict(x))
    assert repr(model.optimizer) == f"SGD(learning_rate={schedule!r})"

    model.save(tmp_path / "m.npdl")
    other = load_model(tmp_path / "m.npdl")
    assert other.optimizer.get_config() == model.optimizer.get_config() and other.optimizer.iterations == 3
    for each in (model, other):
        each.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.predict(x), other.predict(x))

    with pytest.raises(
        TypeError, match=r"SGD: the learning rate comes from Piecewise.* and cannot be set; compile with"
    ):
        model.optimizer.learning_rate = 0.1


def test_a_schedule_of_ones_own():
    class Wrong(LearningRateSchedule):
        def __call__(self, step):
            return -1.0

    optimizer = optimizers.Adam(Wrong())
    with pytest.raises(ValueError, match=r"Adam: the schedule's learning rate must be at least 0 .* got -1.0"):
        print(optimizer.learning_rate)
