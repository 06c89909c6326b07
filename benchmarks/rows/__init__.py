"""All rows, family by family."""

import fnmatch

from benchmarks.rows import activations, convolution, cuda, image, matmul, models, optimizers, pipeline, processes
from benchmarks.rows.row import Row

FAMILIES = (models, matmul, convolution, image, activations, optimizers, pipeline, processes)
ROWS: list[Row] = [row for family in FAMILIES for row in family.ROWS]
OF_DEVICE: dict[str, list[Row]] = {"cpu": ROWS, "cuda": cuda.ROWS}


def select(patterns=(), quick=False, device="cpu"):
    """The device's rows whose name matches a shell pattern, or begins with it; all where there is no pattern."""

    def wanted(row):
        return not patterns or any(row.name.startswith(p) or fnmatch.fnmatchcase(row.name, p) for p in patterns)

    return [row for row in OF_DEVICE[device] if wanted(row) and (row.quick or not quick)]


__all__ = ["OF_DEVICE", "ROWS", "Row", "select"]
