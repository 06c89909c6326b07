"""CTC: labels of a sequence whose places in it are not known."""

import numpy as np

from npdl.losses import targets
from npdl.losses.base import Loss


class CTC(Loss):
    """Connectionist temporal classification: −ln of the probability that the frames spell the labels.

        forward     p_t = softmax(z_t); an alignment, one class a frame, spells its classes without repetitions and then
                    without blanks; Lₙ = −ln Σ over alignments that spell the labels of Π_t p_t
                    L = Σ wₙ Lₙ / M
        backward    dL/dz_t = wₙ / M · (p_t − share of the alignments, by their probability, with that class at t)

    Both by the forward-backward algorithm in logarithms.

    Shapes: y_true (N, U), labels 1 to C − 1, padded with 0 at the end · y_pred logits z (N, T, C), class 0 the blank ·
    M samples of non-zero weight. T is at least the number of labels plus that of labels equal to the one before.

    Args:
        reduction, name, dtype: as of `Loss`.

    References: A. Graves et al., Connectionist Temporal Classification, 2006.

    >>> loss = CTC()
    >>> round(loss.forward([[1]], [[[0.0, 0.0], [0.0, 0.0]]]), 6)  # 01, 10 and 11 of four
    0.287682
    """

    blank, whole_samples = 0, True

    def __init__(self, reduction="sum_over_batch_size", name="ctc", dtype=None):
        super().__init__(name, reduction, dtype)

    def check_shape(self, shape, output_shape):
        own = type(self).__name__
        if len(output_shape) != 3:
            raise ValueError(
                f"{own} needs logits (N, frames, classes), the outputs have shape {targets.show(output_shape)}; "
                "end the model with a layer of sequences"
            )
        targets.check_length(own, shape, output_shape)
        if len(shape) != 2:
            raise ValueError(
                f"{own}: y has shape {targets.show(shape)}, expected (N, labels), rows padded with 0 at the end; "
                "pad the label rows to one length"
            )

    def validate(self, y_true, output_shape):
        own, y = type(self).__name__, targets.as_numbers(type(self).__name__, y_true)
        self.check_shape(y.shape, output_shape)
        targets.check_labels(own, y, output_shape[-1])
        frames = output_shape[1]
        after = (y[:, :-1] == self.blank) & (y[:, 1:] != self.blank)
        if after.any():
            row = int(np.argmax(after.any(axis=1)))
            raise ValueError(f"{own}: row {row} of y has a label after a 0, which ends it; move the padding to the end")
        labels = y != self.blank
        needed = labels.sum(axis=1) + ((y[:, 1:] == y[:, :-1]) & labels[:, 1:]).sum(axis=1)
        if frames is not None and (needed > frames).any():
            row = int(np.argmax(needed > frames))
            raise ValueError(
                f"{own}: row {row} of y needs {needed[row]} frames (its labels, and one between equals), the outputs "
                f"have {frames}; give the model longer sequences, or leave the row out"
            )

    def prepare(self, y_true, dtype, output_shape=None):
        """int32 labels."""
        return super().prepare(y_true, np.int32, output_shape)

    def values(self, y_true, y_pred, out):
        self.k.ctc(y_true, y_pred, self.blank, out=out)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.ctc_grad(y_true, y_pred, self.blank, scale, out=out)

    def values_and_gradient(self, y_true, y_pred, scale, out, dy):
        self.k.ctc(y_true, y_pred, self.blank, out=out, scale=scale, dy=dy)
