"""Rows on a GPU: `--device cuda`.

What multiplies matrices stands twice, in float32 to the last bit and with factors rounded to TF32, in tables apart: a
pair always has the same on both sides. Whole nets stand against PyTorch three times: as it runs by itself, in a CUDA
graph with Adam fused, and compiled.
"""

import dataclasses

from benchmarks import nets
from benchmarks.rows import convolution, matmul, models, optimizers
from benchmarks.rows.row import Row

MODES = {"f32": "float32", "tf32": "TF32"}
OPPONENTS = {"eager": "PyTorch", "graph": "PyTorch in a CUDA graph", "compiled": "torch.compile"}
BATCHES = {
    **{name: batches[:1] for name, batches in models.BATCHES.items()},
    "mlp": models.BATCHES["mlp"],
    **{name: (batch,) for name, (batch, _) in models.SEQUENCES.items()},
}
GOALS = {"eager": 3.0, "graph": 1.0}
"""Of training steps, the nets below."""
SMALL = ("mlp", "mnist", "cifar")
SIZES = {"1e3": 1_000, "1e5": 100_000, "2.2e6": 2_200_000, "1e7": 10_000_000, "2e7": 20_000_000}
LARGE = (2048, 4096, 8192)
CHAIN = 10
"""Products of a graph."""


def _net(mode, what, opponent, net, batch):
    against = what if opponent == "eager" else f"{what}_{opponent}"
    goal = GOALS.get(opponent) if what == "train" and net in SMALL else None
    return Row(
        f"{mode}-{what}-{opponent}/{net}/{batch}",
        what,
        {"net": net, "batch": batch, "tf32": mode == "tf32"},
        flops=nets.flops(net, batch, what == "train"),
        goal=goal,
        against=against,
        weight=2.0,
        quick=opponent != "compiled",
    )


def _again(row, mode):
    """A row of the processor's, on a GPU."""
    options = {**row.options, "tf32": mode == "tf32"}
    return dataclasses.replace(row, name=f"{mode}-{row.name}", options=options, goal=None)


def _square(mode, n):
    options = {"m": n, "n": n, "k": n, "transpose_a": False, "transpose_b": False, "tf32": mode == "tf32"}
    return Row(f"{mode}-matmul/{n}x{n}x{n}/AB", "matmul", options, flops=2 * n**3, bytes=12 * n * n)


def _chain(mode, n):
    options = {"n": n, "count": CHAIN, "tf32": mode == "tf32"}
    return Row(f"{mode}-graph/{CHAIN}-products/{n}", "products_in_graph", options, flops=CHAIN * 2 * n**3, quick=True)


def _update(name, state, label, size):
    return Row(
        f"gpu-optimizer/{name}/{label}",
        "optimizer",
        {"name": name, "size": size},
        bytes=4 * size * (3 + 2 * state),
        goal=1.0 if name == "adam" else None,
        quick=name == "adam",
    )


ROWS = [
    *(
        _net(mode, what, opponent, net, batch)
        for mode in MODES
        for what in ("train", "infer")
        for opponent in OPPONENTS
        for net, batches in BATCHES.items()
        for batch in batches
    ),
    *(_update(name, state, *size) for name, state in optimizers.STATE.items() for size in SIZES.items()),
    *(row for mode in MODES for row in (*(_again(r, mode) for r in matmul.ROWS), *(_square(mode, n) for n in LARGE))),
    *(_chain(mode, 1024) for mode in MODES),
    *(
        _again(row, mode)
        for mode in MODES
        for group in ("conv3", "depthwise3", "conv5")
        for row in convolution.ROWS
        if row.group == group
    ),
    Row("gpu-launch/a-sum-of-one-number", "launch", quick=True),
    Row("gpu-start/first-step", "first_step", {"device": "cuda"}),
    *(
        Row(f"gpu-memory/{net}-64", "gpu_memory", {"net": net, "batch": 64, "device": "cuda"}, unit="B")
        for net in ("mlp", "cifar", "vgg")
    ),
]

_WORDS = {
    "train": "training step: forward, loss, backward, Adam; the batch is on the GPU",
    "infer": "inference; the batch is on the GPU, the result stays there",
}
TITLES = {
    **{
        f"{mode}-{what}-{opponent}": f"{precision}, {words}, against {whom}"
        for mode, precision in MODES.items()
        for what, words in _WORDS.items()
        for opponent, whom in OPPONENTS.items()
    },
    "gpu-optimizer": "One update of all weights, in eight tensors; the bytes' share is of a copy on the GPU",
    **{f"{mode}-matmul": f"{precision}, matrix products" for mode, precision in MODES.items()},
    **{f"{mode}-graph": f"{precision}, {CHAIN} products in one graph" for mode, precision in MODES.items()},
    **{
        f"{mode}-{group}": f"{precision}, {words}"
        for mode, precision in MODES.items()
        for group, words in (
            ("conv3", "3x3 convolutions"),
            ("depthwise3", "depthwise 3x3 convolution"),
            ("conv5", "5x5 convolutions of the MNIST net"),
        )
    },
    "gpu-launch": "One small kernel after another: what a launch costs",
    "gpu-start": "From the start of the process to the end of the first training step on the GPU",
    "gpu-memory": "Memory of the GPU in use after five training steps, the context's included",
}
