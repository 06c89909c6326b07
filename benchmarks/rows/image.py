"""Pooling, batch normalization with ReLU, and softmax cross-entropy."""

import math

from benchmarks.rows.row import Row

SIZES = ((64, 32, 32, 64), (64, 16, 16, 128), (64, 8, 8, 256))  # after each pair of the VGG-like net
LOSSES = ((64, 10), (256, 1000))


def _name(shape):
    return "x".join(map(str, shape))


ROWS = []
for _shape in SIZES:
    _size = math.prod(_shape)
    _pool, _norm = {"shape": _shape}, {"shape": _shape}
    ROWS += [  # float32, and one byte for the place of each maximum
        Row(f"pool/{_name(_shape)}/forward", "pool_forward", _pool, bytes=4 * _size * 1.25, goal=1.2, quick=True),
        Row(f"pool/{_name(_shape)}/backward", "pool_backward", _pool, bytes=4 * _size * 1.25, goal=1.2),
        Row(f"norm-relu/{_name(_shape)}/forward", "norm_forward", _norm, bytes=4 * _size * 3, goal=1.2, quick=True),
        Row(f"norm-relu/{_name(_shape)}/backward", "norm_backward", _norm, bytes=4 * _size * 5, goal=1.2, quick=True),
    ]
ROWS += [
    Row(
        f"cross-entropy/{rows}x{classes}/forward+gradient",
        "cross_entropy",
        {"rows": rows, "classes": classes},
        bytes=4 * rows * classes * 2,
        quick=True,
    )
    for rows, classes in LOSSES
]
