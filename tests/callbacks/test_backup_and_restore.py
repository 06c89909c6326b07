"""BackupAndRestore: a run that is killed and resumed ends in the same bits."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers
from npdl.callbacks import BackupAndRestore, LambdaCallback


def whole_run(folder, save_freq, die_at=0):
    """[training steps done, weights, moving statistics]; at the step `die_at` the process is killed."""
    rng, steps = np.random.default_rng(0), []
    x, y = rng.normal(size=(50, 4)).astype("float32"), rng.integers(0, 3, 50)
    stack = [layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(3)]
    model = Sequential(stack, seed=7)
    model.compile(npdl.optimizers.Adam(0.01), "sparse_categorical_crossentropy")

    def die(batch, logs):
        steps.append(batch)
        if len(steps) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    backup = BackupAndRestore(folder, save_freq)
    model.fit(x, y, batch_size=16, epochs=4, verbose=0, callbacks=[backup, LambdaCallback(on_train_batch_end=die)])
    return [len(steps), model.store.data.tobytes(), model.store.state.tobytes()]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_killed_and_resumed_is_the_same(tmp_path):
    steps, *undisturbed = whole_run(tmp_path / "none", "epoch")
    assert steps == 16 and not (tmp_path / "none").exists()
    for save_freq, left in (("epoch", 12), (3, 10)):
        folder = tmp_path / f"backup {save_freq}"
        killed = subprocess.run([sys.executable, __file__, folder, str(save_freq), "7"], timeout=120)
        assert killed.returncode == -signal.SIGKILL
        assert len(list(folder.iterdir())) == 1
        assert whole_run(folder, save_freq) == [left, *undisturbed]
        assert not folder.exists()


class Stop(Exception):
    pass


@pytest.fixture
def train(rng):
    """train(callback, stop=epoch) -> (model, History); after that epoch's end an exception."""
    x, y = rng.normal(size=(24, 4)).astype("float32"), rng.integers(0, 3, 24)

    def fit(*callbacks, stop=None, epochs=4, width=5):
        def look(epoch, logs):
            if epoch == stop:
                raise Stop

        model = Sequential([layers.Dense(width, "relu"), layers.Dense(3)], seed=1)
        model.compile(npdl.optimizers.SGD(0.5, momentum=0.9), "sparse_categorical_crossentropy")
        try:
            model.fit(x, y, 8, epochs, 0, [*callbacks, LambdaCallback(on_epoch_end=look)])
        except Stop:
            pass
        return model

    return fit


def test_learning_rate_and_seed_go_on(train, tmp_path):
    backup = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    first = train(backup, stop=1)
    first.optimizer.learning_rate = 0.125
    first.save(tmp_path / "b" / "backup-000002-000000000.npdl")
    again = train(BackupAndRestore(tmp_path / "b", delete_checkpoint=False))
    assert again.optimizer.learning_rate == 0.125
    assert again.history.epoch == [2, 3]
    assert again.optimizer.iterations == 12


def test_a_broken_save_and_the_one_before(train, tmp_path):
    train(BackupAndRestore(tmp_path, double_checkpoint=True), stop=2)
    older, last = sorted(tmp_path.iterdir())
    last.write_bytes(b"half")
    model = train(BackupAndRestore(tmp_path, double_checkpoint=True))
    assert model.history.epoch == [2, 3] and not tmp_path.exists() and not older.exists()
    assert np.array_equal(model.store.data, train().store.data)


def test_a_save_of_another_model(train, tmp_path):
    train(BackupAndRestore(tmp_path / "b"), stop=1)
    with pytest.raises(ValueError, match=r"no save in .* can be gone on from \(.*shape.*\); if it is of another run"):
        train(BackupAndRestore(tmp_path / "b"), width=6)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: BackupAndRestore(""), "backup_dir must name a folder"),
        (
            lambda: BackupAndRestore("b", save_freq=0),
            'save_freq must be "epoch" or a number of batches, at least 1, got 0',
        ),
        (lambda: BackupAndRestore("b", save_freq="batch"), "got 'batch'"),
    ],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()


if __name__ == "__main__":  # the child that is killed
    whole_run(sys.argv[1], sys.argv[2] if sys.argv[2] == "epoch" else int(sys.argv[2]), int(sys.argv[3]))
