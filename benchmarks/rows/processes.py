"""What each engine costs before and beside the arithmetic: each figure from processes of its own."""

from benchmarks.rows.row import Row

ROWS = [
    Row("start/import", "import", quick=True),
    Row("start/first-step", "first_step", quick=True),
    Row("memory/peak/cifar-64", "peak", {"net": "cifar", "batch": 64}, unit="B", goal=1.0),
    Row("memory/peak/vgg-64", "peak", {"net": "vgg", "batch": 64}, unit="B", goal=1.0),
    Row("memory/new-arrays-in-a-step/vgg-64", "new_arrays", {"net": "vgg", "batch": 64}, unit="B", opponent=None),
    Row("size/package", "package_size", unit="B", quick=True),
    Row("size/with-dependencies", "whole_size", unit="B", quick=True),
]
