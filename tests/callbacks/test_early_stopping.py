"""EarlyStopping."""

import math

import pytest

from npdl.callbacks import EarlyStopping


def test_it_stops_after_patience_epochs(losses, model):
    stopping = EarlyStopping(patience=2)
    history = losses(stopping, [3, 2, 2.5, 2.2, 1])
    assert len(history.epoch) == 4 and stopping.stopped_epoch == 3
    assert (stopping.best, stopping.best_epoch) == (2, 1)
    assert model.weight == 4


def test_patience_counts_again_after_a_better_value(losses):
    assert len(losses(EarlyStopping(patience=2), [3, 4, 2, 4, 1, 4, 4, 0]).epoch) == 7


def test_patience_zero_stops_at_the_first_worse_epoch(losses):
    assert len(losses(EarlyStopping(), [3, 2, 2, 1]).epoch) == 3


def test_the_first_epoch_stops_nothing(losses):
    assert len(losses(EarlyStopping(), [math.nan, 2, 3, 1]).epoch) == 3


def test_it_restores_the_best_weights(losses, model, capsys):
    losses(EarlyStopping(patience=1, restore_best_weights=True, verbose=1), [3, 1, 2, 3])
    assert model.weight == 2
    said = capsys.readouterr().out
    assert "EarlyStopping: stopped after epoch 3, val_loss got no better" in said
    assert "weights of epoch 2 restored (val_loss=1.0)" in said


def test_it_restores_the_best_weights_also_when_it_did_not_stop(losses, model):
    losses(EarlyStopping(patience=9, restore_best_weights=True), [3, 1, 2])
    assert model.weight == 2


def test_without_restore_the_last_weights_stay(losses, model):
    losses(EarlyStopping(patience=1), [1, 2, 3])
    assert model.weight == 2


def test_min_delta(losses):
    assert len(losses(EarlyStopping(min_delta=0.5, patience=2), [3, 2.8, 2.6, 2.4, 1]).epoch) == 3
    assert len(losses(EarlyStopping(min_delta=-0.5, patience=1), [3, 2.8, 2.2, 1]).epoch) == 2


def test_baseline(losses):
    assert len(losses(EarlyStopping(baseline=1.0, patience=2), [3, 2, 1.5, 1.2]).epoch) == 4  # better each time
    assert len(losses(EarlyStopping(baseline=1.0, patience=2), [3, 2, 4, 4, 4]).epoch) == 3  # never below 1, then worse
    assert len(losses(EarlyStopping(baseline=2.5, patience=2), [3, 2, 4, 4]).epoch) == 4


def test_start_from_epoch(losses):
    assert len(losses(EarlyStopping(start_from_epoch=3), [1, 2, 3, 4, 5, 6]).epoch) == 5


def test_nan_is_never_better(losses, model):
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    losses(stopping, [math.nan, 3, math.nan, math.nan, 1])
    assert stopping.best == 3 and stopping.stopped_epoch == 3 and model.weight == 2


@pytest.mark.parametrize(
    "name", ["accuracy", "val_sparse_categorical_accuracy", "val_auc", "r2_score", "top_k_accuracy"]
)
def test_auto_knows_what_rises(fit, name):
    stopping = EarlyStopping(name, patience=1)
    assert stopping.direction == "max"
    assert len(fit([stopping], [{"loss": 0.0, name: v} for v in (0.1, 0.2, 0.2, 0.5)]).epoch) == 3


@pytest.mark.parametrize("name", ["loss", "val_loss", "val_mean_squared_error", "mae", "binary_crossentropy"])
def test_auto_knows_what_falls(name):
    assert EarlyStopping(name).direction == "min"


def test_auto_asks_where_it_cannot_know():
    with pytest.raises(ValueError, match=r'EarlyStopping cannot tell .*val_joy.*; pass mode="min" or mode="max"'):
        EarlyStopping("val_joy")
    assert EarlyStopping("val_joy", mode="max").direction == "max"


def test_bad_arguments():
    with pytest.raises(ValueError, match='mode must be "auto", "min" or "max", got \'up\''):
        EarlyStopping(mode="up")
    with pytest.raises(ValueError, match="patience must be at least 0, got -1"):
        EarlyStopping(patience=-1)


def test_a_name_that_is_not_there_stops_in_the_first_epoch(fit):
    logs = [{"loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5}] * 3
    with pytest.raises(ValueError, match=r"EarlyStopping watches 'val_acuracy', .* did you mean 'val_accuracy'\?"):
        fit([EarlyStopping("val_acuracy", mode="max")], logs)
    with pytest.raises(
        ValueError, match="watches 'f1', but the logs have 'loss', 'val_loss', 'val_accuracy'; pass monitor"
    ):
        fit([EarlyStopping("f1")], logs)
    with pytest.raises(ValueError, match=r"pass validation_data=\(x, y\) or validation_split=0.1 to fit"):
        fit([EarlyStopping()], [{"loss": 1.0}])


def test_epochs_without_validation_are_left_out(fit):
    logs = [{"loss": 1.0}, {"loss": 1.0, "val_loss": 1.0}] * 3
    assert len(fit([EarlyStopping(patience=1)], logs, freq=2).epoch) == 4
    assert len(fit([EarlyStopping(patience=1)], logs, freq=[2, 4, 6]).epoch) == 4


def test_it_can_be_used_again(losses, model):
    stopping = EarlyStopping(patience=1, restore_best_weights=True)
    losses(stopping, [1, 2, 3])
    losses(stopping, [5, 4, 6])
    assert (stopping.best, stopping.best_epoch, model.weight) == (4, 1, 2)
