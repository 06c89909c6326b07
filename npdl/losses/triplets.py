"""TripletSemiHardLoss: embeddings of one label near each other, found in the batch."""

import numpy as np

from npdl.losses import targets
from npdl.losses.base import Loss
from npdl.losses.elements import finite

METRICS = ("L2", "squared-L2", "angular")


class Embedded(Loss):
    """A loss of embeddings (N, D) whose labels say which of the batch belong together."""

    def check_shape(self, shape, output_shape):
        own = type(self).__name__
        if len(output_shape) != 2:
            raise ValueError(
                f"{own} needs embeddings (N, D), the outputs have shape {targets.show(output_shape)}; end the model "
                "with layers.Flatten() or layers.Dense(D)"
            )
        targets.check_length(own, shape, output_shape)
        targets.check_same_shape(own, shape, (output_shape[0],) if len(shape) == 1 else (output_shape[0], 1))

    def validate(self, y_true, output_shape):
        own, y = type(self).__name__, targets.as_numbers(type(self).__name__, y_true)
        self.check_shape(y.shape, output_shape)
        targets.check_finite(own, y)
        if (y != np.floor(y)).any():
            raise ValueError(
                f"{own}: labels must be whole numbers, got {y[y != np.floor(y)][0]}; number the kinds of samples"
            )

    def prepare(self, y_true, dtype, output_shape=None):
        """int32 labels (N,): those of the batch, numbered in ascending order."""
        labels = super().prepare(y_true, None, output_shape).reshape(-1)
        return np.unique(labels, return_inverse=True)[1].astype("int32")


class TripletSemiHardLoss(Embedded):
    """FaceNet's loss: of the rows of a batch those of one label shall be nearer to each other than to any other, by a
    margin. Each pair (a, p) of one label is compared with the row n that is hard, but not the hardest: the nearest of
    another label with d(a, n) > d(a, p), and where there is none the farthest.

        forward     Lₐ = N/P Σ_p max(d(a, p) − d(a, n) + m, 0)          L = Σ wₐ Lₐ / M
        backward    de = Σₐ wₐ/M N/P Σ_p (∂d(a, p)/∂e − ∂d(a, n)/∂e),  over the pairs whose loss is above 0

    P is the number of such pairs in the batch, N that of its rows: without weights L is the mean over the pairs, as in
    TensorFlow Addons. The loss of a row depends on the others of its batch; take large batches, that hold several rows
    of a label. A batch of one label gives 0.

    Shapes: y_true (N,) or (N, 1), whole numbers · y_pred e (N, D), usually rows of length 1
    (`layers.UnitNormalization`) · M samples of non-zero weight.

    Args:
        margin: m.
        distance_metric: d(a, b), "L2" for ‖e_a − e_b‖, "squared-L2" for its square, "angular" for 1 − the cosine of the
            angle.
        reduction, name, dtype: as of `Loss`.

    Raises:
        ValueError: another metric.

    References: F. Schroff, D. Kalenichenko, J. Philbin, FaceNet, 2015.

    >>> TripletSemiHardLoss(margin=1.0).forward([0, 0, 1], [[0.0], [1.0], [1.5]])
    1.0
    """

    def __init__(
        self, margin=1.0, distance_metric="L2", reduction="sum_over_batch_size", name="triplet_semi_hard_loss",
        dtype=None,
    ):  # fmt: skip
        super().__init__(name, reduction, dtype)
        self.margin = finite(type(self).__name__, "margin", margin)
        if distance_metric not in METRICS:
            known = " and ".join(f'"{metric}"' for metric in METRICS)
            raise ValueError(f"TripletSemiHardLoss knows distance_metric={known}, got {distance_metric!r}")
        self.distance_metric = distance_metric

    def _distances(self, y_pred):
        """(rows to compare, whether d is a norm, its factor, of angles 1 / the lengths of the rows given)."""
        if self.distance_metric != "angular":
            return y_pred, self.distance_metric == "L2", 1.0, None
        unit = self.buffer("unit", y_pred.shape, y_pred.dtype)
        inverse = self.buffer("inverse", (len(y_pred),), y_pred.dtype)
        self.k.unit_norm(y_pred, out=unit, inverse=inverse)
        return unit, False, 0.5, inverse  # 1 − cos = ‖u − v‖² / 2

    def values(self, y_true, y_pred, out):
        e, root, factor, _ = self._distances(y_pred)
        self.k.semi_hard(y_true, e, self.margin, root, factor, out=out)

    def gradient(self, y_true, y_pred, scale, out):
        e, root, factor, inverse = self._distances(y_pred)
        self.k.semi_hard_grad(y_true, e, self.margin, root, factor, scale, out=out)
        if inverse is not None:
            self.k.unit_norm_grad(out, y_pred, inverse, dx=out)
