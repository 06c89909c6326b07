"""Circle: embeddings of one label near each other and far from the others, the worst pairs first."""

from npdl.losses.elements import finite
from npdl.losses.triplets import Embedded


class Circle(Embedded):
    """Circle loss: of the rows of a batch those of one label shall point the same way, others elsewhere. A pair weighs
    the more the farther it is from where it should be.

        forward     dₐᵦ = max(1 − eₐ·eᵦ, 0)
                    pₐᵦ = γ max(d + m, 0) (d − m)               b of a's label
                    nₐᵦ = γ max(1 + m − d, 0) (1 − m − d)       b of another label
                    Lₐ = N/V ln(1 + Σ e^p Σ e^n)                L = Σ wₐ Lₐ / M
        backward    dxₐ = wₐ/M N/V σ(ln Σ e^p + ln Σ e^n)       dSₐᵦ = −dxₐ (e^p/Σ e^p p' + e^n/Σ e^n n'),
                    with p' = 2 γ d and n' = −2 γ (1 − d), 0 where max gives 0      de = (dS + dSᵀ) e

    V is the number of rows with another one of their label and one of another label in the batch, N that of all:
    without weights L is the mean over those V. Others add nothing. As in Keras the weights max(...) of the pairs are
    learnt through, which the paper holds fixed; Keras leaves rows out of V, too, whose loss is too small for the dtype.

    Shapes: y_true (N,) or (N, 1), whole numbers · y_pred e (N, D), rows of length 1 (`layers.UnitNormalization`) ·
    S, d (N, N) · M samples of non-zero weight.

    Args:
        gamma: γ, how much the worst pairs count before the others.
        margin: m, 0 for the strictest.
        remove_diagonal: whether a row is left out of those of its own label.
        reduction, name, dtype: as of `Loss`.

    References: Sun et al., Circle Loss: A Unified Perspective of Pair Similarity Optimization, 2020.

    >>> loss = Circle(gamma=1.0, margin=0.0)
    >>> round(loss.forward([0, 0, 1], [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), 4)
    0.9737
    """

    def __init__(
        self, gamma=80.0, margin=0.4, remove_diagonal=True, reduction="sum_over_batch_size", name="circle", dtype=None
    ):
        super().__init__(name, reduction, dtype)
        self.gamma = finite(type(self).__name__, "gamma", gamma)
        self.margin = finite(type(self).__name__, "margin", margin)
        self.remove_diagonal = bool(remove_diagonal)

    def _given(self, y_true, e):
        s = self.buffer("similarities", (len(e), len(e)), e.dtype)
        self.k.matmul(e, e, out=s, transpose_b=True)  # S = e eᵀ
        return y_true, s, self.gamma, self.margin, not self.remove_diagonal

    def values(self, y_true, y_pred, out):
        self.k.circle(*self._given(y_true, y_pred), out=out)

    def gradient(self, y_true, y_pred, scale, out):
        given = self._given(y_true, y_pred)
        ds, half = self.buffer("ds", given[1].shape, y_pred.dtype), self.buffer("half", y_pred.shape, y_pred.dtype)
        self.k.circle_grad(*given, scale, out=ds)
        self.k.matmul(ds, y_pred, out=half)
        self.k.matmul(ds, y_pred, out=out, add=half, transpose_a=True)  # de = (dS + dSᵀ) e
