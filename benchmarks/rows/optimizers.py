"""One update of all weights, from a thousand to twenty million."""

from benchmarks.rows.row import Row

STATE = {"sgd": 0, "sgd-momentum": 1, "adam": 2, "adamw": 2, "rmsprop": 1}  # arrays beside weights and gradients
SIZES = {"1e3": 1_000, "1e5": 100_000, "2.2e6": 2_200_000, "2e7": 20_000_000}

ROWS = [
    Row(
        f"optimizer/{name}/{label}",
        "optimizer",
        {"name": name, "size": size},
        bytes=4 * size * (3 + 2 * state),
        goal=1.5 if (name, label) == ("adam", "2.2e6") else None,
        quick=label == "2.2e6",
    )
    for name, state in STATE.items()
    for label, size in SIZES.items()
]
