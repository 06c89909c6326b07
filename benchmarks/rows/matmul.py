"""Matrix products: square ones, and those of the nets' dense layers, forward and both gradients."""

from benchmarks.rows.row import Row


def _row(name, m, n, k, transpose_a=False, transpose_b=False, **more):
    options = {"m": m, "n": n, "k": k, "transpose_a": transpose_a, "transpose_b": transpose_b}
    product = f"A{'t' if transpose_a else ''}B{'t' if transpose_b else ''}"  # AtB is AᵀB
    moved = 4 * (m * k + k * n + m * n)
    return Row(f"matmul/{name}/{product}", "matmul", options, flops=2 * m * n * k, bytes=moved, **more)


DENSE = {"mlp-64": (64, 784, 128), "mlp-256": (256, 784, 128), "cifar-64": (64, 8192, 256), "vgg-64": (64, 4096, 10)}

ROWS = [
    _row("512x512x512", 512, 512, 512, quick=True),
    _row("512x512x512", 512, 512, 512, transpose_a=True),
    _row("512x512x512", 512, 512, 512, transpose_b=True),
    _row("1024x1024x1024", 1024, 1024, 1024),
]
for _name, (_rows, _width, _units) in DENSE.items():
    ROWS += [
        _row(f"{_name}:{_rows}x{_units}x{_width}", _rows, _units, _width, quick=_name == "cifar-64"),  # y = x W
        _row(f"{_name}:{_width}x{_units}x{_rows}", _width, _units, _rows, transpose_a=True),  # dW = xᵀ dy
        _row(f"{_name}:{_rows}x{_width}x{_units}", _rows, _width, _units, transpose_b=True),  # dx = dy Wᵀ
    ]
