"""SwapEMAWeights."""

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers
from npdl.callbacks import Callback, EarlyStopping, SwapEMAWeights


class Look(Callback):
    """Keeps the weights of each moment, and the average that they make."""

    def __init__(self):
        self.seen, self.average = [], None

    def now(self):
        return self.model.store.data.copy()

    def on_train_batch_end(self, batch, logs=None):
        self.average = self.now() if self.average is None else 0.5 * self.average + 0.5 * self.now()

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(("begin", self.now(), self.average))

    def on_test_begin(self, logs=None):
        self.seen.append(("test", self.now(), self.average))

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(("end", self.now(), self.average))


@pytest.fixture
def train(rng):
    """train(callbacks, epochs) -> the model, trained with an average of momentum ½."""
    x, y = rng.normal(size=(24, 4)), rng.integers(0, 3, 24)

    def fit(*callbacks, epochs=3, **options):
        model = Sequential([layers.Dense(5, "relu"), layers.Dense(3)], seed=0, dtype="float64")
        optimizer = npdl.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        model.fit(x, y, 8, epochs, 0, [*callbacks], validation_data=(x, y), **options)
        return model

    return fit


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_what_has_the_average(train, swap_on_epoch):
    look = Look()
    model = train(SwapEMAWeights(swap_on_epoch), look)
    for moment, weights, average in look.seen[1:]:
        has_it = moment == "test" or (moment == "end" and swap_on_epoch)
        assert np.allclose(weights, average, rtol=1e-12) == has_it, moment
    np.testing.assert_allclose(model.store.data, look.average, rtol=1e-12)
    plain = train()
    assert model.store.data.tobytes() == plain.store.data.tobytes()
    average = model.optimizer.state["average"]
    assert average.tobytes() == plain.optimizer.state["average"].tobytes()


def test_stopped_early_by_a_later_callback(train):
    stop = EarlyStopping("loss", patience=0, mode="max")
    model = train(SwapEMAWeights(swap_on_epoch=True), stop, epochs=9)
    assert 1 < len(model.history.epoch) < 9
    plain = train(epochs=len(model.history.epoch))
    assert model.store.data.tobytes() == plain.store.data.tobytes()


def test_evaluate_alone_and_an_interrupt(train, rng):
    model = train()
    x, y = rng.normal(size=(9, 4)), rng.integers(0, 3, 9)
    model.optimizer.state["average"][...] *= 1.5
    before, callback = model.store.data.copy(), SwapEMAWeights()
    assert model.evaluate(x, y, verbose=0, callbacks=callback) != model.evaluate(x, y, verbose=0)
    assert not np.array_equal(model.predict(x, callbacks=callback), model.predict(x))
    assert model.store.data.tobytes() == before.tobytes()

    class Interrupt(Callback):
        def on_test_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.evaluate(x, y, verbose=0, callbacks=[callback, Interrupt()])
    assert model.store.data.tobytes() == before.tobytes()


def test_without_an_average(model, fit):
    model.optimizer = npdl.optimizers.SGD()
    with pytest.raises(
        ValueError, match=r"SwapEMAWeights needs an optimizer that keeps an average.*SGD\(use_ema=True\)"
    ):
        fit([SwapEMAWeights()], [{"loss": 1.0}])
