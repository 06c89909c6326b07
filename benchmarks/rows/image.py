"""Pooling, batch normalization with ReLU, and softmax cross-entropy."""

import math

from benchmarks.rows.row import Row

SIZES = ((64, 32, 32, 64), (64, 16, 16, 128), (64, 8, 8, 256))  # after each pair of the VGG-like net
LOSSES = ((64, 10), (256, 1000))


def _name(shape):
    return "x".join(map(str, shape))


def _rows(group, operation, arrays):
    """Both directions at every size; `arrays` of float32 of the input's size are read and written."""
    for shape in SIZES:
        for direction, count in arrays.items():
            name, moved = f"{group}/{_name(shape)}/{direction}", 4 * math.prod(shape) * count
            quick = shape == SIZES[0]
            yield Row(name, f"{operation}_{direction}", {"shape": shape}, bytes=moved, goal=1.2, quick=quick)


ROWS = [
    *_rows("pool", "pool", {"forward": 1.3125, "backward": 1.3125}),  # with one byte a maximum
    *_rows("norm-relu", "norm", {"forward": 3, "backward": 5}),  # the statistics need a pass of their own
    *(
        Row(
            f"cross-entropy/{rows}x{classes}/forward+gradient",
            "cross_entropy",
            {"rows": rows, "classes": classes},
            bytes=4 * rows * classes * 2,
            quick=True,
        )
        for rows, classes in LOSSES
    ),
]
