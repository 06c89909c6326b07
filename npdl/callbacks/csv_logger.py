"""CSVLogger: the logs of each epoch in a file."""

import csv
import os
from pathlib import Path
from typing import Any

from npdl.callbacks.base import Callback

MISSING = "NA"  # what Keras writes


class CSVLogger(Callback):
    """Write one row an epoch: its number, counted from 0, and the values in the logs, columns sorted by name.

    Each row is on disk before the next epoch begins. Where a name comes up later, such as `val_loss` with
    `validation_freq=2`, a column is added, with NA in the rows before.

    Args:
        filename: where to; missing folders are made.
        separator: between columns.
        append: go on after the rows of an existing file instead of replacing it.
    """

    def __init__(self, filename, separator=",", append=False):
        self.filename, self.separator, self.append = Path(os.fspath(filename)), separator, append
        self._columns: Any = None  # names, once the file has them

    def on_train_begin(self, logs=None):
        self._columns = None
        self.filename.parent.mkdir(parents=True, exist_ok=True)
        if self.append and self.filename.exists():
            with self.filename.open(newline="", encoding="utf-8") as file:
                self._columns = next(csv.reader(file, delimiter=self.separator), None)
        else:
            self.filename.write_text("", encoding="utf-8")

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch, **{name: logs[name] for name in sorted(logs or {})}}
        if self._columns is None or not row.keys() <= set(self._columns):
            self._widen(row)
        self._write(self.filename, [row])

    def _widen(self, row):
        """Rewrite the file with the columns that `row` has and it has not."""
        rows = []
        if self._columns is not None:
            with self.filename.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file, delimiter=self.separator))
        names = {*(self._columns or ()), *row} - {"epoch"}
        self._columns = ["epoch", *sorted(names)]
        wider = self.filename.with_name(self.filename.name + ".tmp")
        self._write(wider, [dict(zip(self._columns, self._columns, strict=True)), *rows])
        wider.replace(self.filename)

    def _write(self, path, rows):
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval=MISSING, delimiter=self.separator).writerows(rows)
