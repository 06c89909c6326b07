"""What each engine costs before and beside the arithmetic: each figure from processes of its own."""

from benchmarks.rows.row import Row


def _peak(net, above_imports):
    name = "peak" if above_imports else "whole-process"
    options = {"net": net, "batch": 64, "above_imports": above_imports}
    return Row(f"memory/{name}/{net}-64", "peak", options, unit="B", goal=1.0 if above_imports else None)


ROWS = [
    Row("start/import", "import", quick=True),
    Row("start/first-step", "first_step"),
    *(_peak(net, above_imports) for above_imports in (True, False) for net in ("mlp", "cifar", "vgg")),
    Row("memory/new-arrays-in-a-step/vgg-64", "new_arrays", {"net": "vgg", "batch": 64}, unit="B", opponent=None),
    *(
        Row(
            f"neighbours/{busy}-busy/{net}-{batch}", "beside_busy", {"net": net, "batch": batch, "busy": busy}, unit="x"
        )
        for net, batch in (("mnist", 64), ("cifar", 16))
        for busy in (1, 2)
    ),
    Row("neighbours/numpy/mnist-64", "beside_numpy", {"net": "mnist", "batch": 64}, unit="x", opponent=None),
    Row("size/package", "package_size", unit="B", quick=True),
    Row("size/with-dependencies", "whole_size", unit="B", quick=True),
]
