"""SwapEMAWeights."""

import numpy as np
import pytest

from npdl.callbacks import SwapEMAWeights


class Optimizer:
    """Keeps an average and exchanges it, as `use_ema` of an optimizer does."""

    use_ema, iterations, average = True, 0, -1

    def swap_average(self, model):
        model.weight, self.average = self.average, model.weight

    def finalize(self, model):
        model.weight = self.average


@pytest.fixture
def watched(model, fit):
    """watched(callback) -> what weight the model had at each moment of a fit of two epochs; the average is -1."""

    def run(callback):
        model.optimizer, seen = Optimizer(), []

        class Look(type(callback).__mro__[1]):
            def on_epoch_begin(self, epoch, logs=None):
                model.optimizer.iterations += 1
                seen.append(("begin", model.weight))

            def on_test_begin(self, logs=None):
                seen.append(("test", model.weight))

            def on_epoch_end(self, epoch, logs=None):
                seen.append(("end", model.weight))

        fit([callback, Look()], [{"loss": 1.0, "val_loss": 1.0}] * 2)
        return seen, model.weight

    return run


def test_validation_sees_the_average(watched):
    seen, last = watched(SwapEMAWeights())
    assert seen == [("begin", 0), ("test", -1), ("end", 1), ("begin", 1), ("test", -1), ("end", 2)]
    assert last == -1


def test_a_checkpoint_sees_it_too(watched):
    seen, last = watched(SwapEMAWeights(swap_on_epoch=True))
    assert seen == [("begin", 0), ("test", -1), ("end", -1), ("begin", 1), ("test", -1), ("end", -1)]
    assert last == -1


def test_without_an_average(model, fit):
    with pytest.raises(ValueError, match=r"SwapEMAWeights needs an optimizer that keeps an average.*\(use_ema=True\)"):
        fit([SwapEMAWeights()], [{"loss": 1.0}])
    model.optimizer, callback = Optimizer(), SwapEMAWeights()
    callback.set_model(model)
    callback.on_test_begin()  # before the first step there is none
    assert np.array_equal(model.get_weights(), [0])
