"""Losses for classes: binary, categorical and sparse categorical cross-entropy."""

import numpy as np

from npdl.losses import targets
from npdl.losses.base import Loss


class CrossEntropy(Loss):
    """What the cross-entropies share: their arguments."""

    is_classification = True

    def __init__(self, from_logits, label_smoothing, axis, reduction, name, dtype):
        super().__init__(name, reduction, dtype)
        own = type(self).__name__
        if from_logits not in (None, True, False):
            raise ValueError(f"{own}: from_logits must be True, False or None, got {from_logits!r}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"{own}: label_smoothing must lie between 0 and 1, got {label_smoothing!r}; pass e.g. 0.1")
        if axis != -1:
            raise ValueError(f"{own}: the classes are the last axis, axis=-1, got axis={axis!r}; move that axis last")
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis

    def check_settings(self):
        if self.from_logits is None:
            raise ValueError(
                f"{type(self).__name__}: pass from_logits=True (the model ends without {self.folds}) or "
                f"from_logits=False (it ends with {self.folds}); model.compile settles this by itself"
            )


class BinaryCrossentropy(CrossEntropy):
    """Binary cross-entropy: each output is a yes or no of its own.

        forward     t' = t (1 − s) + s / 2          p = σ(z) from logits z, else clipped to [10⁻⁷, 1 − 10⁻⁷]
                    Lₙ = Σ_d (−t' ln p − (1 − t') ln(1 − p)) / D            L = Σ wₙ Lₙ / M
        backward    dL/dz = wₙ / M · (σ(z) − t') / D                        from logits
                    dL/dp = wₙ / M · (p − t') / (p (1 − p)) / D             from probabilities, 0 where p is clipped

    From logits Lₙ is computed as max(z, 0) − z t' + ln(1 + e^−|z|), which cannot overflow.

    Shapes: y_true t and y_pred (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        from_logits: True: y_pred is z, before the sigmoid. False: y_pred is p. None: `compile` finds out.
        label_smoothing: s; moves the targets 0 and 1 to s/2 and 1 − s/2.
        axis: -1.
        reduction, name, dtype: as of `Loss`.

    References: I. J. Good, Rational Decisions, 1952 (log score); C. Szegedy et al., arXiv:1512.00567 (smoothing).

    >>> loss = BinaryCrossentropy(from_logits=True)
    >>> round(loss.forward([[1.0], [0.0]], [[0.0], [0.0]]), 6)
    0.693147
    >>> loss.backward().tolist()
    [[-0.25], [0.25]]
    """

    folds = "sigmoid"
    accuracy = "binary_accuracy"

    def __init__(
        self, from_logits=None, label_smoothing=0.0, axis=-1, reduction="sum_over_batch_size",
        name="binary_crossentropy", dtype=None,
    ):  # fmt: skip
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        targets.check_range(
            type(self).__name__, np.asarray(y_true), "targets",
            'targets of -1 and 1 become (y + 1) / 2; for several classes use loss="sparse_categorical_crossentropy"',
        )  # fmt: skip

    def values(self, y_true, y_pred, out):
        self.k.binary_cross_entropy(y_true, y_pred, self.from_logits, self.label_smoothing, out=out)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.binary_cross_entropy_grad(y_true, y_pred, self.from_logits, self.label_smoothing, scale, out=out)


class CategoricalCrossentropy(CrossEntropy):
    """Categorical cross-entropy: one class out of C, the target a distribution over the classes (one-hot or soft).

        forward     t' = t (1 − s) + s / C          p = softmax(z) from logits z
                                                    p = y / Σ_c y from probabilities y, clipped to [10⁻⁷, 1 − 10⁻⁷]
                    Lₙ = mean over positions of −Σ_c t'_c ln p_c            L = Σ wₙ Lₙ / M
        backward    dL/dz = wₙ / M · (p Σ_c t'_c − t') / P                  from logits
                    g_c = −t'_c / p_c (0 where p_c is clipped)              from probabilities
                    dL/dy_c = wₙ / M · (g_c − Σ_k g_k p_k) / (P Σ_c y)

    From logits ln p = z − max z − ln Σ e^(z − max z), which cannot overflow.

    Shapes: y_true t and y_pred (N, ..., C), P positions a sample · M samples of non-zero weight.

    Args:
        from_logits: True: y_pred is z, before the softmax. False: y_pred is p. None: `compile` finds out.
        label_smoothing: s; the target gives s / C to every class.
        axis: -1.
        reduction, name, dtype: as of `Loss`.

    References: J. S. Bridle, Probabilistic Interpretation of Feedforward Network Outputs, 1990;
    C. Szegedy et al., arXiv:1512.00567 (smoothing).

    >>> loss = CategoricalCrossentropy(from_logits=True)
    >>> round(loss.forward([[0.0, 1.0]], [[0.0, 0.0]]), 6)
    0.693147
    >>> loss.backward().tolist()
    [[0.5, -0.5]]
    """

    folds = "softmax"
    accuracy = "categorical_accuracy"

    def __init__(
        self, from_logits=None, label_smoothing=0.0, axis=-1, reduction="sum_over_batch_size",
        name="categorical_crossentropy", dtype=None,
    ):  # fmt: skip
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)

    def check_shape(self, shape, output_shape):
        own = type(self).__name__
        if len(output_shape) < 2 or output_shape[-1] == 1:
            raise ValueError(
                f"{own} needs one output a class, the model's outputs have shape {targets.show(output_shape)}; end it "
                'with Dense(number of classes), or, for two classes and one output, use loss="binary_crossentropy"'
            )
        positions = output_shape[:-1]
        if targets.fits(shape, positions) or targets.fits(shape, (*positions, 1)):
            raise ValueError(
                f"{own}: y has shape {targets.show(shape)}, expected one-hot rows {targets.show(output_shape)}; for "
                'integer labels use loss="sparse_categorical_crossentropy", or pass '
                f"npdl.utils.to_categorical(y, {output_shape[-1]})"
            )
        super().check_shape(shape, output_shape)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        targets.check_range(
            type(self).__name__, np.asarray(y_true), "the targets of the classes",
            'for integer labels use loss="sparse_categorical_crossentropy"',
        )  # fmt: skip

    def values(self, y_true, y_pred, out):
        self.k.categorical_cross_entropy(y_true, y_pred, self.from_logits, self.label_smoothing, out=out)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.categorical_cross_entropy_grad(y_true, y_pred, self.from_logits, self.label_smoothing, scale, out=out)

    def values_and_gradient(self, y_true, y_pred, scale, out, dy):
        smoothing = self.label_smoothing
        self.k.categorical_cross_entropy(y_true, y_pred, self.from_logits, smoothing, out=out, scale=scale, dy=dy)


class SparseCategoricalCrossentropy(CrossEntropy):
    """Categorical cross-entropy whose targets are the classes' numbers.

        forward     p as in `CategoricalCrossentropy`
                    Lₙ = mean over positions of −ln p_t                     L = Σ wₙ Lₙ / M
        backward    dL/dz = wₙ / M · (p − 1[c = t]) / P                     from logits
                    the same as CategoricalCrossentropy on one-hot rows     from probabilities

    With ignore_class the positions of that label add 0 to Lₙ and to the gradient, and M counts a sample by the share of
    its positions that are left: L is the mean over all positions that are not ignored, as in Keras.

    Shapes: y_true t (N, ...) or (N, ..., 1), whole numbers 0 to C − 1 · y_pred (N, ..., C), P positions a sample ·
    M samples of non-zero weight.

    Args:
        from_logits: True: y_pred is z, before the softmax. False: y_pred is p. None: `compile` finds out.
        ignore_class: a label, of a class or not (-1), whose positions do not count; None: there is none.
        reduction, axis, name, dtype: as of `CategoricalCrossentropy`.

    Raises:
        ValueError: ignore_class that is no whole number; labels that do not fit the classes.

    References: J. S. Bridle, Probabilistic Interpretation of Feedforward Network Outputs, 1990.

    >>> loss = SparseCategoricalCrossentropy(from_logits=True)
    >>> round(loss.forward([1], [[0.0, 0.0]]), 6)
    0.693147
    >>> loss.backward().tolist()
    [[0.5, -0.5]]
    """

    folds = "softmax"
    accuracy = "sparse_categorical_accuracy"

    def __init__(
        self, from_logits=None, ignore_class=None, reduction="sum_over_batch_size", axis=-1,
        name="sparse_categorical_crossentropy", dtype=None,
    ):  # fmt: skip
        super().__init__(from_logits, 0.0, axis, reduction, name, dtype)
        if ignore_class is not None and (isinstance(ignore_class, bool) or not isinstance(ignore_class, int)):
            raise ValueError(
                f"{type(self).__name__}: ignore_class must be a whole number or None, got {ignore_class!r}; pass -1"
            )
        self.ignore_class = ignore_class

    @property
    def counts_parts(self):
        return self.ignore_class is not None

    def count_of(self, y_true, weights):
        if self.ignore_class is None:
            return super().count_of(y_true, weights)
        return targets.counted(self._on_host(y_true), weights, self.ignore_class)

    def check_shape(self, shape, output_shape):
        targets.check_labels_shape(type(self).__name__, shape, output_shape)

    def validate(self, y_true, output_shape):
        targets.validate_labels(type(self).__name__, y_true, output_shape, self.ignore_class)

    def prepare(self, y_true, dtype, output_shape=None):
        """int32 labels; a last axis of 1 is dropped where the outputs' shape says that it is not a position."""
        labels = super().prepare(y_true, np.int32, output_shape)
        if output_shape is not None and labels.ndim == len(output_shape):
            labels = labels.reshape(labels.shape[:-1])
        return labels

    def values(self, y_true, y_pred, out):
        self.k.sparse_categorical_cross_entropy(y_true, y_pred, self.from_logits, out=out, ignore=self.ignore_class)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.sparse_categorical_cross_entropy_grad(
            y_true, y_pred, self.from_logits, scale, out=out, ignore=self.ignore_class
        )

    def values_and_gradient(self, y_true, y_pred, scale, out, dy):
        self.k.sparse_categorical_cross_entropy(
            y_true, y_pred, self.from_logits, out=out, scale=scale, dy=dy, ignore=self.ignore_class
        )
