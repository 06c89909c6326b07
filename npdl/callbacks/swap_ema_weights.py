"""SwapEMAWeights: look at the model with the average of its weights."""

from npdl.callbacks.base import Callback


class SwapEMAWeights(Callback):
    """Put the moving average of the weights (`use_ema` of the optimizer) into the model for evaluation and prediction.

    Training goes on with the weights themselves. When `fit` ends, the model has the average.

    Args:
        swap_on_epoch: the average is in the model from an epoch's end to the next one's begin too, for a
            `ModelCheckpoint` that stands behind this callback in the list.

    Raises:
        ValueError: in `fit`, an optimizer without `use_ema=True`.
    """

    def __init__(self, swap_on_epoch=False):
        self.swap_on_epoch = swap_on_epoch
        self._swapped, self._held = False, None

    def on_train_begin(self, logs=None):
        self._swapped = False
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            kind = type(optimizer).__name__
            raise ValueError(
                f"SwapEMAWeights needs an optimizer that keeps an average, got {optimizer!r}; "
                f"pass optimizer={kind}(use_ema=True) to model.compile"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._put(average=False)

    def on_epoch_end(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._put(average=True)
            self._held = self.model.get_weights()

    def on_train_end(self, logs=None):
        if self._swapped:  # `fit` took the average's place for the average, and wrote what is there to the model
            self.model.set_weights(self._held)
            self._put(average=False)
            self.model.optimizer.finalize(self.model)
        self._held = None

    def on_test_begin(self, logs=None):
        self._put(average=True)

    def on_test_end(self, logs=None):
        self._put(average=False)

    def on_predict_begin(self, logs=None):
        self._put(average=True)

    def on_predict_end(self, logs=None):
        self._put(average=False)

    def close(self):
        """After an error or an interrupt the model has its weights, not the average."""
        self._put(average=False)

    def _put(self, average):
        optimizer = self.model.optimizer
        if average != self._swapped and getattr(optimizer, "use_ema", False) and optimizer.iterations:
            optimizer.swap_average(self.model)
            self._swapped = average
