"""Activations forward and backward, and the elementary functions under them."""

from benchmarks.rows.row import Row

SIZE = 1 << 20
NAMES = ("relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "sigmoid", "tanh", "softmax")
ELEMENTARY_GOALS = {"exp": 1.8, "tanh": 3.0}

ROWS = [
    *(
        Row(
            f"activation/{name}/{direction}",
            f"activation_{direction}",
            {"name": name, "size": SIZE},
            bytes=4 * SIZE * (2 if direction == "forward" else 3),
            goal=3.0 if (name, direction) == ("tanh", "forward") else None,
            quick=name in ("relu", "gelu", "tanh"),
        )
        for name in NAMES
        for direction in ("forward", "backward")
    ),
    *(
        Row(
            f"elementary/{name}/one-thread",
            "elementary",
            {"name": name, "size": SIZE, "threads": 1},
            bytes=4 * SIZE * 2,
            goal=goal,
            quick=True,
        )
        for name, goal in ELEMENTARY_GOALS.items()
    ),
]
