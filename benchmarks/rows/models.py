"""Training steps and inference of whole nets."""

from benchmarks import nets
from benchmarks.rows.row import Row

SEQUENCES = {"gpt": (12, 1.4), "lstm": (32, 1.2)}  # batch, goal
BATCHES = {"mlp": (1, 64, 256), "mnist": (64, 256), "cifar": (64, 256), "vgg": (64,), "resnet20": (64,)}
TRAINING_GOALS = {("mlp", 1): 6.0, ("cifar", 64): 2.5, ("cifar", 256): 2.5, ("vgg", 64): 2.3}
COMPILED = (("mlp", 64), ("mnist", 64), ("cifar", 64), ("vgg", 64))  # compiling takes up to a minute a row, ...
COMPILED_INFERENCE = (("mnist", 64), ("vgg", 64))  # ... so here it is two nets


def _row(group, net, batch, **more):
    training = group.endswith("train")
    return Row(
        f"{group}/{net}/{batch}",
        "train" if training else "infer",
        {"net": net, "batch": batch},
        flops=nets.flops(net, batch, training),
        weight=4.0 if training else 2.0,
        **more,
    )


ROWS = [
    *(
        _row("train", net, batch, goal=TRAINING_GOALS.get((net, batch), 1.2), quick=True)
        for net, batches in BATCHES.items()
        for batch in batches
    ),
    *(_row("infer", net, batch, goal=1.0, quick=batch <= 64) for net, batches in BATCHES.items() for batch in batches),
    *(_row("sequence-train", net, batch, goal=goal, quick=True) for net, (batch, goal) in SEQUENCES.items()),
    *(_row("sequence-infer", net, batch, goal=1.0, quick=True) for net, (batch, _) in SEQUENCES.items()),
    *(_row("compiled-train", net, batch, against="train_compiled") for net, batch in COMPILED),
    *(_row("compiled-infer", net, batch, against="infer_compiled") for net, batch in COMPILED_INFERENCE),
]
