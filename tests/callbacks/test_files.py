"""ModelCheckpoint and CSVLogger."""

import pytest

from npdl.callbacks import CSVLogger, LambdaCallback, ModelCheckpoint

LOGS = [{"loss": 1.0, "val_loss": v} for v in (3.0, 1.0, 2.0)]


def test_checkpoint_after_each_epoch(fit, model, tmp_path):
    fit([ModelCheckpoint(tmp_path / "new" / "m-{epoch:02d}-{val_loss:.2f}.npdl")], LOGS)
    names = ["m-01-3.00.npdl", "m-02-1.00.npdl", "m-03-2.00.npdl"]
    assert model.saved == [("model", str(tmp_path / "new" / name), i + 1) for i, name in enumerate(names)]
    assert (tmp_path / "new").is_dir()


def test_checkpoint_of_the_best(fit, model, tmp_path, capsys):
    checkpoint = ModelCheckpoint(tmp_path / "m.npdl", save_best_only=True, verbose=1)
    fit([checkpoint], LOGS)
    assert [weight for _, _, weight in model.saved] == [1, 2]
    assert "ModelCheckpoint: epoch 2 saved to" in (said := capsys.readouterr().out)
    assert "val_loss=1, was 3" in said and "epoch 3" not in said


def test_checkpoint_never_replaces_a_better_one_of_an_earlier_fit(fit, model, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "m.npdl", save_best_only=True)
    fit([checkpoint], LOGS)
    fit([checkpoint], [{"loss": 1.0, "val_loss": 2.0}, {"loss": 1.0, "val_loss": 0.5}])
    assert [weight for _, _, weight in model.saved] == [1, 2, 2]


def test_checkpoint_of_weights_and_a_threshold(fit, model):
    fit([ModelCheckpoint("w", save_best_only=True, save_weights_only=True, initial_value_threshold=1.5)], LOGS)
    assert model.saved == [("weights", "w", 2)]


def test_checkpoint_every_few_batches(fit, model):
    fit([ModelCheckpoint("{epoch}-{batch}", save_freq=3)], [{"loss": 1.0}] * 2, steps=4)
    assert [path for _, path, _ in model.saved] == ["1-3", "2-2"]


def test_checkpoint_bad_arguments(fit):
    with pytest.raises(ValueError, match=r"filepath '\{acc\}' asks for 'acc', but there are loss, val_loss, epoch"):
        fit([ModelCheckpoint("{acc}")], LOGS)
    with pytest.raises(ValueError, match=r"ModelCheckpoint watches 'val_los'.* did you mean 'val_loss'"):
        fit([ModelCheckpoint("m", "val_los", mode="min", save_best_only=True)], LOGS)
    with pytest.raises(ValueError, match='save_freq must be "epoch" or a number of batches, got 0'):
        ModelCheckpoint("m", save_freq=0)
    with pytest.raises(ValueError, match='known when an epoch ends, not every 5 batches; pass save_freq="epoch"'):
        ModelCheckpoint("m", save_best_only=True, save_freq=5)
    ModelCheckpoint("m", "val_joy")  # compared only with save_best_only


def test_csv(fit, tmp_path):
    path = tmp_path / "new" / "log.csv"
    fit([CSVLogger(path)], [{"loss": 1.5, "accuracy": 0.25}, {"loss": 0.5, "accuracy": 0.75}])
    assert path.read_text().splitlines() == ["epoch,accuracy,loss", "0,0.25,1.5", "1,0.75,0.5"]


def test_csv_replaces_or_appends(fit, tmp_path):
    path = tmp_path / "log.csv"
    for logger in (CSVLogger(path), CSVLogger(path), CSVLogger(path, append=True)):
        fit([logger], [{"loss": 1.0}])
    assert path.read_text().splitlines() == ["epoch,loss", "0,1.0", "0,1.0"]
    fit([CSVLogger(path, append=True)], [{"accuracy": 0.5, "loss": 2.0}])
    assert path.read_text().splitlines() == ["epoch,accuracy,loss", "0,NA,1.0", "0,NA,1.0", "0,0.5,2.0"]


def test_csv_gets_a_column_for_a_late_name(fit, tmp_path):
    path = tmp_path / "log.csv"
    fit([CSVLogger(path, separator=";")], [{"loss": 1.0}, {"loss": 2.0, "val_loss": 3.0}, {"loss": 4.0}], freq=2)
    assert path.read_text().splitlines() == ["epoch;loss;val_loss", "0;1.0;NA", "1;2.0;3.0", "2;4.0;NA"]
    assert [p.name for p in tmp_path.iterdir()] == ["log.csv"]
    fit([CSVLogger(path)], [{"loss": 1.0, "a": 2.0}, {"loss": 2.0, "b": 3.0}])  # one comes, another goes
    assert path.read_text().splitlines() == ["epoch,a,b,loss", "0,2.0,NA,1.0", "1,NA,3.0,2.0"]


def test_csv_rows_are_there_when_training_is_interrupted(fit, tmp_path):
    path = tmp_path / "log.csv"

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit([CSVLogger(path), LambdaCallback(on_epoch_end=interrupt)], [{"loss": 1.0}] * 3)
    assert path.read_text().splitlines() == ["epoch,loss", "0,1.0", "1,1.0"]
