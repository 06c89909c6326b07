"""An epoch with its data pipeline, and the way to an accuracy."""

from benchmarks import nets
from benchmarks.rows.row import Row

SAMPLES = 60_000
_EPOCH = {"samples": SAMPLES, "batch": 64}
_FLOPS = nets.flops("mlp", SAMPLES, training=True)

ROWS = [
    Row("epoch/mlp/DataLoader", "epoch", _EPOCH, flops=_FLOPS, goal=3.0, against="epoch_loader", weight=5),
    Row("epoch/mlp/tensor-slices", "epoch", _EPOCH, flops=_FLOPS, against="epoch_slices", weight=5),
    Row("epoch/mlp/MLPClassifier", "epoch", _EPOCH, flops=_FLOPS, opponent="sklearn", weight=5),
    Row("accuracy/mnist-cnn/98-percent", "accuracy", {"goal": 0.98, "seeds": 3}),
]
