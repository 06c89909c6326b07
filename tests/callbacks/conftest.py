"""A stand-in for a model and its training loop."""

from types import SimpleNamespace

import numpy as np
import pytest

from npdl.callbacks import CallbackList, History


class Model:
    """What callbacks use of a model; the weight is the number of epochs trained."""

    def __init__(self, learning_rate=0.1):
        self.stop_training = False
        self.optimizer = SimpleNamespace(learning_rate=learning_rate)
        self.weight, self.saved = 0, []

    def get_weights(self):
        return [np.array(self.weight)]

    def set_weights(self, weights):
        self.weight = int(weights[0])

    def save(self, path):
        self.saved.append(("model", str(path), self.weight))

    def save_weights(self, path):
        self.saved.append(("weights", str(path), self.weight))


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def fit(model):
    """fit(callbacks, logs of each epoch, steps, known, freq, tick) -> the History of a pretended fit."""

    def run(callbacks, epochs, steps=2, known=True, freq=1, tick=lambda: None):
        history = History()
        params = {"epochs": len(epochs), "steps": steps if known else None, "verbose": 1, "validation_freq": freq}
        caller = CallbackList([*callbacks, history], model, params)
        model.stop_training, model.weight = False, 0
        caller.on_train_begin()
        for epoch, logs in enumerate(epochs):
            logs = dict(logs)
            caller.on_epoch_begin(epoch)
            training = {name: value for name, value in logs.items() if not name.startswith("val_")}
            for batch in range(steps):
                caller.on_train_batch_begin(batch)
                tick()
                caller.on_train_batch_end(batch, dict(training))
                if model.stop_training:
                    break
            model.weight += 1
            if len(training) < len(logs):
                caller.on_test_begin()
                for batch in range(2):
                    caller.on_test_batch_begin(batch)
                    caller.on_test_batch_end(batch, {"loss": 9.0})
                caller.on_test_end({"loss": 9.0})
            caller.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        caller.on_train_end()
        caller.close()
        return history

    return run


@pytest.fixture
def losses(fit):
    """losses(callback, values of val_loss) -> the History."""
    return lambda callback, values: fit([callback], [{"loss": 1.0, "val_loss": value} for value in values])
