"""Times npdl alone, row by row, to be compared with an earlier commit: pytest benchmarks --benchmark-only"""

import pytest

from benchmarks import processes
from benchmarks.engines import npdl
from benchmarks.rows import ROWS

ONCE = {(row.operation, repr(row.options)): row for row in ROWS if row.operation not in processes.MEASURES}
"""Rows that differ in their opponent alone are one here."""


@pytest.mark.parametrize("row", ONCE.values(), ids=lambda row: row.name)
def test_operation(benchmark, row):
    options = dict(row.options)
    npdl.set_threads(options.pop("threads", 0) or npdl.default_threads)
    calls = npdl.OPERATIONS[row.operation](**options)
    benchmark.group = row.group
    benchmark(list(calls.values())[-1])
