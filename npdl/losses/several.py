"""Losses of several outputs at once: y_pred is a tuple of arrays, and so is dL/dy_pred."""

import math

import numpy as np

from npdl.losses import targets
from npdl.losses.base import Loss
from npdl.losses.elements import finite
from npdl.losses.margin import check_signs


class SeveralOutputs(Loss):
    """A loss whose y_pred is a tuple of arrays of one shape (N, ...), and its gradient a tuple of such.

    `outputs` names them. Output shapes that checks take are tuples of shapes; y_true goes with the first.
    """

    outputs: tuple[str, ...]
    whole_samples = True
    one_a_sample = False  # whether targets are (N,) or (N, 1); else they are like each output

    def check_outputs(self, output_shape):
        """Raise where these are not the shapes of the outputs that it takes."""
        own = type(self).__name__
        if len(output_shape) != len(self.outputs) or not all(isinstance(one, tuple) for one in output_shape):
            raise ValueError(
                f"{own} takes {len(self.outputs)} outputs ({', '.join(self.outputs)}), got {output_shape}; "
                "end the model with that many outputs"
            )
        if len(set(output_shape)) > 1:
            raise ValueError(
                f"{own}: the outputs must have one shape, got {', '.join(map(str, output_shape))}; "
                "end each branch of the model with as many units"
            )

    def check_shape(self, shape, output_shape):
        self.check_outputs(output_shape)
        own, first = type(self).__name__, output_shape[0]
        if self.one_a_sample:
            targets.check_length(own, shape, first)
            first = (first[0],) if len(shape) == 1 else (first[0], 1)
        targets.check_same_shape(own, shape, first)

    def prepare(self, y_true, dtype, output_shape=None):
        y = super().prepare(y_true, dtype, output_shape)
        return y.reshape(-1) if self.one_a_sample else y

    def _by_hand(self, y_true, y_pred):
        own = type(self).__name__
        if not isinstance(y_pred, (tuple, list)) or len(y_pred) != len(self.outputs):
            came = f"{len(y_pred)} of them" if isinstance(y_pred, (tuple, list)) else type(y_pred).__name__
            raise TypeError(f"{own} takes y_pred as a tuple ({', '.join(self.outputs)}), got {came}")
        y_pred = tuple(map(self.device.from_host, y_pred))
        for name, part in zip(self.outputs, y_pred, strict=True):
            if part.dtype not in (np.float32, np.float64) or part.dtype != y_pred[0].dtype:
                raise TypeError(
                    f"{own} takes outputs in float32 or float64, all in one of them, got {name} in {part.dtype}; "
                    f'pass {name}.astype("float32")'
                )
        shapes = tuple(part.shape for part in y_pred)
        host = self.device.to_host(y_true) if isinstance(y_true, type(y_pred[0])) else np.asarray(y_true)
        self.validate(host, shapes)
        return self.device.from_host(self.prepare(host, y_pred[0].dtype, shapes)), y_pred


class PairLoss(SeveralOutputs):
    """A formula of two outputs."""

    formula: str

    def constants(self):
        """The formula's numbers."""
        return (self.margin,)

    def values(self, y_true, y_pred, out):
        self.k.pair_loss(self.formula, y_true, *y_pred, self.constants(), out=out)

    def gradient(self, y_true, y_pred, scale, out):
        da, db = out
        self.k.pair_loss_grad(self.formula, y_true, *y_pred, self.constants(), scale, da=da, db=db)


class MarginRankingLoss(PairLoss):
    """PyTorch's ranking loss: of two outputs one shall be the larger by a margin.

        forward     Lₙ = Σ_d max(m − t (a − b), 0) / D              L = Σ wₙ Lₙ / M
        backward    dL/da = −wₙ / (M D) · (t where t (a − b) < m, else 0),  dL/db = −dL/da

    Shapes: y_true t, 1 where a shall be larger, else −1, and y_pred (a, b) all (N, ...), D elements a sample ·
    M samples of non-zero weight.

    Args:
        margin: m.
        reduction, name, dtype: as of `Loss`.

    >>> loss = MarginRankingLoss(margin=0.5)
    >>> loss.forward([[1.0], [-1.0]], ([[2.0], [2.0]], [[1.0], [1.0]]))
    0.75
    >>> da, db = loss.backward()
    >>> da.tolist(), db.tolist()
    ([[-0.0], [0.5]], [[0.0], [-0.5]])
    """

    formula, outputs = "margin_ranking", ("a", "b")

    def __init__(self, margin=0.0, reduction="sum_over_batch_size", name="margin_ranking_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        self.margin = finite(type(self).__name__, "margin", margin)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        check_signs(type(self).__name__, y_true, (-1, 1), "targets of 0 and 1 become 2 * y - 1")


class GaussianNLLLoss(PairLoss):
    """Negative log-likelihood of normal distributions whose means and variances are both predicted.

        forward     v = max(variance, ε)
                    Lₙ = Σ_d (ln v + (mean − t)² / v) / 2 / D  (+ ln(2π) / 2 where full)        L = Σ wₙ Lₙ / M
        backward    dL/dmean = wₙ / M · (mean − t) / v / D
                    dL/dvariance = wₙ / M · (1 / v − ((mean − t) / v)²) / 2 / D,  0 where variance < ε

    PyTorch hands the gradient on where the variance is below ε, too.

    Shapes: y_true t and y_pred (mean, variance) all (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        full: whether the constant is added.
        eps: ε.
        reduction, name, dtype: as of `Loss`.

    References: D. A. Nix, A. S. Weigend, Estimating the Mean and Variance of the Target Probability Distribution, 1994.

    >>> GaussianNLLLoss().forward([[1.0]], ([[3.0]], [[1.0]]))
    2.0
    """

    formula, outputs = "gaussian", ("mean", "variance")

    def __init__(self, full=False, eps=1e-6, reduction="sum_over_batch_size", name="gaussian_nll_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        self.full, self.eps = full, finite(type(self).__name__, "eps", eps, 0, above=True)

    def constants(self):
        return self.eps, 0.5 * math.log(2 * math.pi) if self.full else 0.0


class CosineEmbeddingLoss(PairLoss):
    """PyTorch's loss of angles: pairs that are alike shall point one way, others apart.

        forward     c = Σ a b / √((Σ a² + 10⁻¹²) (Σ b² + 10⁻¹²))
                    Lₙ = 1 − c where t = 1,  max(c − m, 0) where t = −1      L = Σ wₙ Lₙ / M
        backward    dc/da = b / (‖a‖ ‖b‖) − c a / ‖a‖²;  dL/da = wₙ / M · (−1, or 1 where c > m, else 0) dc/da

    Shapes: y_true t (N,) or (N, 1), 1 or −1 · y_pred (a, b) both (N, ...) · M samples of non-zero weight.

    Args:
        margin: m, −1 to 1.
        reduction, name, dtype: as of `Loss`.

    >>> round(CosineEmbeddingLoss().forward([1, -1], ([[1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [3.0, 0.0]])), 6)
    1.0
    """

    formula, outputs, one_a_sample = "cosine_embedding", ("a", "b"), True

    def __init__(self, margin=0.0, reduction="sum_over_batch_size", name="cosine_embedding_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        self.margin = finite(type(self).__name__, "margin", margin)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        check_signs(type(self).__name__, y_true, (-1, 1), "targets of 0 and 1 become 2 * y - 1")


class ContrastiveLoss(PairLoss):
    """Contrastive loss of pairs: those that are alike shall be near, others at least a margin apart.

        forward     d = ‖a − b‖
                    Lₙ = t d² + (1 − t) max(m − d, 0)²              L = Σ wₙ Lₙ / M
        backward    dL/da = wₙ / M · 2 (t − (1 − t) max(m − d, 0) / d) (a − b),  dL/db = −dL/da;  at d = 0 both are 0

    y_pred may also be one array of distances (N, ...), whose elements are then averaged:
    Lₙ = Σ_d (t d² + (1 − t) max(m − d, 0)²) / D.

    Shapes: y_true t (N,) or (N, 1), 1 for pairs that are alike, else 0 · y_pred (a, b) both (N, ...); of distances both
    (N, ...) · M samples of non-zero weight.

    Args:
        margin: m > 0.
        reduction, name, dtype: as of `Loss`.

    References: R. Hadsell, S. Chopra, Y. LeCun, Dimensionality Reduction by Learning an Invariant Mapping, 2006.

    >>> loss = ContrastiveLoss(margin=2.0)
    >>> loss.forward([1, 0], ([[0.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]))
    1.0
    >>> loss.forward([[1.0], [0.0]], [[1.0], [1.0]])
    1.0
    """

    formula, outputs, one_a_sample = "contrastive", ("a", "b"), True

    def __init__(self, margin=1.0, reduction="sum_over_batch_size", name="contrastive_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        self.margin = finite(type(self).__name__, "margin", margin, 0, above=True)

    def check_shape(self, shape, output_shape):
        if all(isinstance(one, tuple) for one in output_shape):
            super().check_shape(shape, output_shape)
        else:
            targets.check_same_shape(type(self).__name__, shape, output_shape)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        targets.check_range(type(self).__name__, np.asarray(y_true), "targets", "1 means alike, 0 not alike")

    def prepare(self, y_true, dtype, output_shape=None):
        pairs = output_shape is None or all(isinstance(one, tuple) for one in output_shape)
        y = Loss.prepare(self, y_true, dtype, output_shape)
        return y.reshape(-1) if pairs else y

    def values(self, y_true, y_pred, out):
        if isinstance(y_pred, tuple):
            return super().values(y_true, y_pred, out)
        self.k.element_loss("contrastive_distance", y_true, y_pred, self.constants(), out=out)

    def gradient(self, y_true, y_pred, scale, out):
        if isinstance(y_pred, tuple):
            return super().gradient(y_true, y_pred, scale, out)
        self.k.element_loss_grad("contrastive_distance", y_true, y_pred, self.constants(), scale, out=out)

    def _by_hand(self, y_true, y_pred):
        if isinstance(y_pred, tuple):
            return super()._by_hand(y_true, y_pred)
        return Loss._by_hand(self, y_true, y_pred)


class TripletMarginLoss(SeveralOutputs):
    """PyTorch's triplet loss: an anchor shall be nearer to what is like it than to what is not, by a margin.

        forward     d(x, y) = (Σ |x − y + ε|^p)^(1/p)
                    Lₙ = max(d(a, p) − d(a, n) + m, 0),  with swap d(a, n) is replaced by d(p, n) where that is smaller
                    L = Σ wₙ Lₙ / M
        backward    u(x, y) = sign(e) (|e| / d(x, y))^(p−1),  e = x − y + ε;  where Lₙ > 0:
                    dL/da = wₙ / M · (u(a, p) − u(a, n)),  dL/dp = −wₙ / M · u(a, p),  dL/dn = wₙ / M · u(a, n)

    Shapes: y_true is not looked at, None or any array of N rows · y_pred (anchor, positive, negative) all (N, ...) · M
    samples of non-zero weight.

    Args:
        margin: m > 0.
        p: the power of the norm, at least 1.
        eps: ε.
        swap: whether the negative's distance is the smaller of both.
        reduction, name, dtype: as of `Loss`.

    References: V. Balntas et al., Learning Local Feature Descriptors with Triplets and Shallow CNNs, 2016.

    >>> loss = TripletMarginLoss(margin=1.0, eps=0.0)
    >>> loss.forward(None, ([[0.0, 0.0]], [[0.0, 3.0]], [[2.0, 0.0]]))
    2.0
    >>> [part.tolist() for part in loss.backward()]
    [[[1.0, -1.0]], [[-0.0, 1.0]], [[-1.0, 0.0]]]
    """

    outputs, needs_targets = ("anchor", "positive", "negative"), False

    def __init__(
        self, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="sum_over_batch_size", name="triplet_margin_loss",
        dtype=None,
    ):  # fmt: skip
        super().__init__(name, reduction, dtype)
        own = type(self).__name__
        self.margin, self.p = finite(own, "margin", margin, 0, above=True), finite(own, "p", p, 1)
        self.eps, self.swap = finite(own, "eps", eps, 0), swap

    def check_shape(self, shape, output_shape):
        super().check_shape(output_shape[0] if isinstance(output_shape[0], tuple) else shape, output_shape)

    def validate(self, y_true, output_shape):
        self.check_shape(np.shape(y_true), output_shape)

    def prepare(self, y_true, dtype, output_shape=None):
        """Zeros: targets say nothing here."""
        return np.zeros(len(y_true) if np.ndim(y_true) else 0, dtype)

    def _constants(self):
        return float(self.margin), float(self.p), float(self.eps), float(self.swap)

    def values(self, y_true, y_pred, out):
        self.k.triplet_margin(*y_pred, self._constants(), out=out)

    def gradient(self, y_true, y_pred, scale, out):
        da, dp, dn = out
        self.k.triplet_margin_grad(*y_pred, self._constants(), scale, da=da, dp=dp, dn=dn)
