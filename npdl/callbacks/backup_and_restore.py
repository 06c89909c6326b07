"""BackupAndRestore: go on after an interruption as if there had been none."""

import numbers
import os
import re
from pathlib import Path

from npdl.callbacks.base import Callback

NAME = re.compile(r"backup-(\d+)-(\d+)\.npdl")


class BackupAndRestore(Callback):
    """Save the whole state of `fit` as it runs; a later `fit` of the same call goes on where the last save was made.

    Weights, moving statistics, the optimizer's state and learning rate, the seed and the steps of the random numbers
    are saved, so that the resumed run ends in the same bits as one without interruption: killed, out of power, or moved
    to another machine. Make the model and call `fit` with the same arguments again, this callback among them; data from
    an iterator must begin where the epoch does. `History` has the epochs since the resumption, and what other callbacks
    have counted (`patience`) begins anew.

    Args:
        backup_dir: a folder of its own; it is made.
        save_freq: "epoch", or a number of batches. After a resumption in mid-epoch the batches that are done are left
            out, and the means of that epoch are those of the rest.
        double_checkpoint: whether the save before the last is kept too, to go back to if the last cannot be read.
        delete_checkpoint: whether the saves are deleted when `fit` ends as it should.

    Raises:
        ValueError: a bad argument, or a save of another model.
    """

    def __init__(self, backup_dir, save_freq="epoch", double_checkpoint=False, delete_checkpoint=True):
        if not os.fspath(backup_dir):
            raise ValueError('BackupAndRestore: backup_dir must name a folder, got ""; pass e.g. backup_dir="backup"')
        whole = isinstance(save_freq, numbers.Integral) and not isinstance(save_freq, bool)
        if save_freq != "epoch" and not (whole and save_freq >= 1):
            raise ValueError(
                f'BackupAndRestore: save_freq must be "epoch" or a number of batches, at least 1, got {save_freq!r}; '
                'pass e.g. save_freq="epoch"'
            )
        self.backup_dir, self.save_freq = Path(os.fspath(backup_dir)), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._epoch = self._batches = self._done = self._skipped = 0

    def on_train_begin(self, logs=None):
        self._batches, self._skipped = 0, 0
        problem = None
        for epoch, batch, path in reversed(self._saves()):
            try:
                self.model.load_state(path)
            except (ValueError, OSError) as error:
                problem = problem or error
                continue
            self.model.resume_from, self._skipped = (epoch, batch), batch
            return
        if problem is not None:
            raise ValueError(
                f"BackupAndRestore: no save in {self.backup_dir} can be gone on from ({problem}); "
                "if it is of another run, delete the folder or pass another backup_dir"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._done = epoch, self._skipped
        self._skipped = 0

    def on_train_batch_end(self, batch, logs=None):
        self._done += 1
        self._batches += 1
        if self.save_freq != "epoch" and self._batches % self.save_freq == 0:
            whole = self._done == self.params.get("steps")
            self._save(*((self._epoch + 1, 0) if whole else (self._epoch, self._done)))

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0)

    def on_train_end(self, logs=None):
        if self.delete_checkpoint:
            for *_, path in self._saves():
                path.unlink()
            if self.backup_dir.is_dir() and not any(self.backup_dir.iterdir()):
                self.backup_dir.rmdir()

    def _saves(self):
        """(epoch, batches done in it, path) of the saves, the oldest first."""
        found = [(NAME.fullmatch(path.name), path) for path in self.backup_dir.glob("*.npdl")]
        return sorted((int(match[1]), int(match[2]), path) for match, path in found if match)

    def _save(self, epoch, batch):
        """Write the save, whole under its name or not at all, and only then delete older ones."""
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        self.model.save(self.backup_dir / f"backup-{epoch:06d}-{batch:09d}.npdl")
        saves = self._saves()
        for *_, path in saves[: -2 if self.double_checkpoint else -1]:
            path.unlink()
