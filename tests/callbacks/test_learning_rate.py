"""LearningRateScheduler, ReduceLROnPlateau and TerminateOnNaN."""

import math

import numpy as np
import pytest

from npdl.callbacks import LambdaCallback, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN


@pytest.mark.parametrize(
    "schedule", [lambda epoch, rate: 0.1 / (epoch + 1), lambda epoch: np.float32(0.1) / (epoch + 1)]
)
def test_schedule_sets_the_rate_of_the_epoch(fit, model, schedule, capsys):
    seen = []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(model.optimizer.learning_rate))
    history = fit([LearningRateScheduler(schedule, verbose=1), watch], [{"loss": 1.0}] * 2)
    assert seen == pytest.approx([0.1, 0.1, 0.05, 0.05])
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.05])
    assert type(model.optimizer.learning_rate) is float
    assert "LearningRateScheduler: learning rate 0.05 in epoch 2" in capsys.readouterr().out


@pytest.mark.parametrize("value", [None, -1.0, math.nan, math.inf, "0.1", True])
def test_schedule_must_give_a_rate(fit, value):
    with pytest.raises(ValueError, match=r"schedule\(0, 0.1\) gave .*, expected a number of at least 0"):
        fit([LearningRateScheduler(lambda epoch, rate: value)], [{"loss": 1.0}])


def test_schedule_must_be_a_function():
    with pytest.raises(TypeError, match=r"takes a function of .* got 0.1; pass e.g. lambda epoch, rate: rate"):
        LearningRateScheduler(0.1)


def test_an_error_in_the_schedule_is_not_hidden(fit):
    def schedule(epoch, rate):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        fit([LearningRateScheduler(schedule)], [{"loss": 1.0}])


@pytest.mark.parametrize("callback", [LearningRateScheduler(lambda epoch: 0.1), ReduceLROnPlateau()])
def test_the_rate_must_be_a_number(fit, model, callback):
    model.optimizer.learning_rate = lambda step: 0.1
    with pytest.raises(ValueError, match=r"sets model.optimizer.learning_rate, which must be a number, got <function"):
        fit([callback], [{"loss": 1.0, "val_loss": 1.0}])


def rates(losses, values, **options):
    return losses(ReduceLROnPlateau(**options), values).history["learning_rate"]


def test_plateau_reduces_after_patience_epochs(losses, model, capsys):
    assert rates(losses, [3, 2, 2, 2, 2, 2, 2], factor=0.5, patience=2, verbose=1) == [0.1] * 4 + [0.05] * 2 + [0.025]
    assert "ReduceLROnPlateau: learning rate 0.05 after epoch 4, val_loss got no better" in capsys.readouterr().out


def test_plateau_min_delta_and_min_lr(losses, model):
    assert rates(losses, [1, 1 - 5e-5, 1 - 9e-5, 1, 1], factor=0.1, patience=1, min_lr=0.002) == pytest.approx(
        [0.1, 0.1, 0.01, 0.002, 0.002]
    )
    assert model.optimizer.learning_rate == 0.002


def test_plateau_cooldown(losses):
    found = rates(losses, [1] * 7, factor=0.5, patience=1, cooldown=2)
    assert found == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125]


def test_plateau_bad_arguments(fit):
    for factor in (0, 1, 1.5):
        with pytest.raises(ValueError, match="factor must lie between 0 and 1, got"):
            ReduceLROnPlateau(factor=factor)
    with pytest.raises(ValueError, match="ReduceLROnPlateau watches 'val_loss'"):
        fit([ReduceLROnPlateau()], [{"loss": 1.0}])


def test_plateau_waits_for_validated_epochs(fit, model):
    logs = [{"loss": 1.0}, {"loss": 1.0, "val_loss": 1.0}] * 2
    history = fit([ReduceLROnPlateau(patience=1, factor=0.5)], logs, freq=2)
    assert history.history["learning_rate"] == [0.1] * 4 and model.optimizer.learning_rate == 0.05


def test_plateau_can_be_used_again(losses, model):
    plateau = ReduceLROnPlateau(patience=2, factor=0.5)
    losses(plateau, [1, 2])
    losses(plateau, [5, 6])
    assert model.optimizer.learning_rate == 0.1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_terminate_on_nan(fit, model, bad, capsys):
    seen = []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    history = fit([TerminateOnNaN(), watch], [{"loss": 1.0}, {"loss": bad}, {"loss": 1.0}], steps=3)
    assert len(history.epoch) == 2 and seen == [0, 1, 2, 0]
    assert f"TerminateOnNaN: the loss is {bad} since batch 1, training stops" in capsys.readouterr().out
