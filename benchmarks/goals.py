"""What the suite is to show, and whether it does."""

import fnmatch
from dataclasses import dataclass

from benchmarks.rows import OF_DEVICE, cuda
from benchmarks.summary import geometric_mean


@dataclass(frozen=True)
class Goal:
    """A figure of one or several rows that is to reach a number.

    Attributes:
        title: in words.
        rows: shell patterns of the rows' names.
        target: the number.
        figure: "least" ratio, "mean" ratio (geometric), npdl's own "value", which is to be below, or npdl's least
            "share" of the speed of a copy.
        unit: of a value: "s", "B" or "x".
    """

    title: str
    rows: tuple[str, ...]
    target: float
    figure: str = "least"
    unit: str = "x"


def _conv(batch, direction, sizes):
    return tuple(f"conv3/{batch}x{size}/{direction}" for size in sizes)


WIDE = ("32x32x64-64", "16x16x64-128", "16x16x128-128", "8x8x128-256", "8x8x256-256")
WAYS = (("forward", "forward"), ("input gradient", "dx"), ("weight gradient", "dw"))

GOALS = [
    Goal("training step, geometric mean of the nine nets", ("train/*",), 2.5, "mean"),
    Goal("training step, the slowest row", ("train/*",), 1.2),
    Goal("inference, the slowest row", ("infer/*",), 1.0),
    Goal("training step, MLP, batch 1", ("train/mlp/1",), 6.0),
    Goal("training step, LSTM of 256 units, 64 steps, batch 32", ("sequence-train/lstm/32",), 1.2),
    Goal("training step, VGG-like", ("train/vgg/64",), 2.3),
    Goal("training step, CIFAR CNN, the slower row", ("train/cifar/*",), 2.5),
    Goal("training step, character GPT", ("sequence-train/gpt/*",), 1.4),
    *(
        Goal(f"3x3 convolutions from 64 channels, batch {batch}, {words}, the slowest row", _conv(batch, way, WIDE), t)
        for batch, targets in ((64, (2.4, 2.2, 2.2)), (8, (1.3, 1.2, 1.4)))
        for (words, way), t in zip(WAYS, targets, strict=True)
    ),
    Goal("3x3 convolution 64-64 at 14x14, batch 64, the slowest direction", _conv(64, "*", ("14x14x64-64",)), 1.8),
    *(
        Goal(f"3x3 convolution 32-32, batch 64, {words}", _conv(64, way, ("16x16x32-32",)), target)
        for (words, way), target in zip(WAYS, (1.7, 1.7, 1.0), strict=True)
    ),
    Goal("batch normalization with ReLU, the slowest row", ("norm-relu/*",), 1.2),
    Goal("pooling, the slowest row", ("pool/*",), 1.2),
    Goal("exp", ("elementary/exp/*",), 1.8),
    Goal("tanh, the slower row", ("elementary/tanh/*", "activation/tanh/forward"), 3.0),
    Goal("Adam on 2.2 million parameters", ("optimizer/adam/2.2e6",), 1.5),
    Goal("an epoch of the MLP, against DataLoader", ("epoch/mlp/DataLoader",), 3.0),
    Goal("import, on top of NumPy's", ("start/import",), 0.1, "value", "s"),
    Goal("new arrays in a steady training step", ("memory/new-arrays*",), 256 * 1024, "value", "B"),
    Goal("how much busy neighbours slow a step, against PyTorch's", ("neighbours/*-busy/*",), 1.0),
    Goal("steps and np.matmul in turn, by the sum of the two", ("neighbours/numpy/*",), 1.4, "value"),
    Goal("peak memory above the imports', the worse net", ("memory/peak/*",), 1.0),
    *(
        Goal(
            f"{precision}, training step of MLP, MNIST CNN and CIFAR CNN, against {whom}, the slowest row", rows, target
        )
        for mode, precision in cuda.MODES.items()
        for opponent, target in cuda.GOALS.items()
        for whom in (cuda.OPPONENTS[opponent],)
        for rows in (tuple(f"{mode}-train-{opponent}/{net}/*" for net in cuda.SMALL),)
    ),
    Goal("Adam on a GPU, the slowest size", ("gpu-optimizer/adam/*",), 1.0),
    Goal("Adam on a GPU, share of the speed of a copy at ten million", ("gpu-optimizer/adam/1e7",), 0.9, "share"),
]


@dataclass(frozen=True)
class Outcome:
    """A goal and what was measured: `value` is None where no row of it was, `missing` counts its rows that were not."""

    goal: Goal
    value: float | None
    missing: int
    where: str = ""

    @property
    def met(self):
        """None where it is not known."""
        if self.value is None or (self.missing and self.reached):
            return None
        return self.reached

    @property
    def reached(self):
        return self.value < self.goal.target if self.goal.figure == "value" else self.value >= self.goal.target


def judge(goal, results, peaks=None):
    """The Outcome of a goal; None where none of its rows was asked for. A share needs the machine's `peaks`."""

    def concerns(row):
        return any(fnmatch.fnmatchcase(row.name, pattern) for pattern in goal.rows)

    rows = [r for r in results if concerns(r.row)]
    all_rows = [row for of_device in OF_DEVICE.values() for row in of_device if concerns(row)]
    if not rows:
        return None
    if goal.figure == "value":
        values = [(r.ours.median, r.row.name) for r in rows if r.ours]
        value, where = max(values, default=(None, ""))
    elif goal.figure == "share":
        values = [(r.row.bytes / r.ours.median / peaks["bytes"][0], r.row.name) for r in rows if r.ours]
        value, where = min(values, default=(None, ""))
    else:
        values = [(r.ratio, r.row.name) for r in rows if r.ratio is not None]
        value, where = min(values, default=(None, ""))
        if values and goal.figure == "mean":
            value, where = geometric_mean(value for value, _ in values), ""
    return Outcome(goal, value, len(all_rows) - len(values), where if len(all_rows) > 1 else "")
