"""Losses that are likelihoods or divergences of distributions: Poisson, Kullback-Leibler, generalized cross-entropy."""

import numpy as np

from npdl.losses import targets
from npdl.losses.elements import ElementLoss, finite


class Poisson(ElementLoss):
    """Negative log-likelihood of counts t under Poisson distributions of mean p, up to a constant.

        forward     Lₙ = Σ_d (p − t ln(p + ε)) / D,  ε = 10⁻⁷               L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / M · (1 − t / (p + ε)) / D

    Shapes: y_true t and y_pred p (N, ...), D elements a sample, p > 0 · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    >>> loss = Poisson()
    >>> round(loss.forward([[0.0, 2.0]], [[1.0, 1.0]]), 6)
    1.0
    >>> loss.backward().round(6).tolist()
    [[0.5, -0.5]]
    """

    formula = "poisson"

    def __init__(self, reduction="sum_over_batch_size", name="poisson", dtype=None):
        super().__init__(name, reduction, dtype)

    def constants(self, shape):
        return (1e-7, 0)


class PoissonNLLLoss(ElementLoss):
    """PyTorch's Poisson loss, whose outputs are by default the logarithm of the mean, so that any number will do.

        forward     Lₙ = Σ_d (eᵖ − t p) / D                         log_input=True
                    Lₙ = Σ_d (p − t ln(p + ε)) / D                  else
                    full: each term + t ln t − t + ln(2πt) / 2 where t > 1
        backward    dL/dp = wₙ / M · (eᵖ − t) / D,  or  wₙ / M · (1 − t / (p + ε)) / D

    Shapes: y_true t and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        log_input: whether y_pred is the logarithm of the mean.
        full: whether Stirling's approximation of ln t! is added.
        eps: ε.
        reduction, name, dtype: as of `Loss`.

    >>> PoissonNLLLoss().forward([[2.0]], [[0.0]])
    1.0
    """

    def __init__(
        self, log_input=True, full=False, eps=1e-8, reduction="sum_over_batch_size", name="poisson_nll_loss",
        dtype=None,
    ):  # fmt: skip
        super().__init__(name, reduction, dtype)
        self.log_input, self.full, self.eps = log_input, full, finite(type(self).__name__, "eps", eps, 0)
        self.formula = "poisson_log" if log_input else "poisson"

    def constants(self, shape):
        return self.eps, float(self.full)


class KLDivergence(ElementLoss):
    """Kullback-Leibler divergence of the predicted distribution over classes from the target's.

        forward     Lₙ = mean over positions of Σ_c t_c ln(t_c / p_c),  t and p kept in [10⁻⁷, 1]     L = Σ wₙ Lₙ / M
        backward    dL/dp = −wₙ / M · t / p / P,  0 where p is outside [10⁻⁷, 1]

    Shapes: y_true t and y_pred p (N, ..., C), P positions a sample · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    References: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.

    >>> loss = KLDivergence()
    >>> round(loss.forward([[0.5, 0.5]], [[0.25, 0.75]]), 6)
    0.143841
    """

    formula = "kl_divergence"
    is_classification = True
    accuracy = "categorical_accuracy"

    def __init__(self, reduction="sum_over_batch_size", name="kl_divergence", dtype=None):
        super().__init__(name, reduction, dtype)

    def constants(self, shape):
        return (shape[-1],)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        targets.check_range(
            type(self).__name__, np.asarray(y_true), "the targets of the classes",
            "divide each row by its sum",
        )  # fmt: skip


class CategoricalGeneralizedCrossEntropy(ElementLoss):
    """Cross-entropy that trusts its labels less: between it (q → 0) and the mean absolute error (q = 1).

        forward     Lₙ = mean over positions of Σ_c t_c (1 − p_cᵠ) / q,  p kept in [10⁻⁷, 1 − 10⁻⁷]      L = Σ wₙ Lₙ / M
        backward    dL/dp = −wₙ / M · t pᵠ⁻¹ / P,  0 where p is clipped

    Shapes: y_true (N, ...) or (N, ..., 1), whole numbers 0 to C − 1 (t is its one-hot row) · y_pred p (N, ..., C)
    probabilities, P positions a sample · M samples of non-zero weight.

    Args:
        q: above 0, at most 1.
        reduction, name, dtype: as of `Loss`.

    Raises:
        ValueError: q outside (0, 1]; labels that do not fit the classes.

    References: Z. Zhang, M. R. Sabuncu, arXiv:1805.07836.

    >>> CategoricalGeneralizedCrossEntropy(1.0).forward([1], [[0.75, 0.25]])
    0.75
    """

    formula = "generalized"
    is_classification = True
    accuracy = "sparse_categorical_accuracy"

    def __init__(
        self, q=0.5, reduction="sum_over_batch_size", name="categorical_generalized_cross_entropy", dtype=None
    ):
        super().__init__(name, reduction, dtype)
        if not 0 < q <= 1:
            raise ValueError(f"{type(self).__name__} needs q above 0 and at most 1, got q={q!r}; pass e.g. q=0.5")
        self.q = q

    def constants(self, shape):
        return shape[-1], self.q

    def check_shape(self, shape, output_shape):
        targets.check_labels_shape(type(self).__name__, shape, output_shape)

    def validate(self, y_true, output_shape):
        targets.validate_labels(type(self).__name__, y_true, output_shape)

    def prepare(self, y_true, dtype, output_shape=None):
        """One-hot rows of the labels."""
        return targets.one_hot_rows(type(self).__name__, y_true, dtype, output_shape)


class KLDivLoss(ElementLoss):
    """PyTorch's Kullback-Leibler loss, whose outputs are logarithms of probabilities, as `layers.LogSoftmax` gives.

        forward     Lₙ = Σ_d t (ln t − p) / D,  0 where t is 0              L = Σ wₙ Lₙ / M
                    log_target: each term eᵗ (t − p)
        backward    dL/dp = −wₙ / M · t / D,  or  −wₙ / M · eᵗ / D

    As PyTorch's mean it divides by all elements, not by rows: for the divergence of a distribution of C classes
    ("batchmean") multiply by C, or take `KLDivergence`, which reads probabilities.

    Shapes: y_true t, at least 0 unless log_target, and y_pred p (N, ...), D elements a sample · M samples of non-zero
    weight.

    Args:
        log_target: whether the targets are logarithms, too.
        reduction, name, dtype: as of `Loss`.

    >>> round(KLDivLoss().forward([[0.5, 0.5]], [[-1.0, -1.0]]), 6)
    0.153426
    """

    formula = "kl_logarithms"

    def __init__(self, log_target=False, reduction="sum_over_batch_size", name="kl_div_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        self.log_target = bool(log_target)

    def constants(self, shape):
        return (float(self.log_target),)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        y = np.asarray(y_true)
        if not self.log_target and (y < 0).any():
            row = int(np.argwhere(y < 0)[0][0])
            raise ValueError(
                f"{type(self).__name__}: targets must be at least 0, got {y[y < 0][0]} at row {row}; pass "
                "log_target=True where they are logarithms"
            )
