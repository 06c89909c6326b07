"""Callback: what `fit`, `evaluate` and `predict` call at fixed moments."""

import inspect
from typing import Any


class Callback:
    """Write the methods you need; each is called at the moment its name says, with plain numbers.

    `logs` is a dict of floats by name: while an epoch runs the means so far, at its end the epoch's loss, metrics and
    the same with `val_` before. A callback may add to the logs of an epoch's end; those after it see it.
    Set `self.model.stop_training = True` to end `fit`.

    Attributes:
        model: the model at work.
        params: {"epochs": number of epochs, "steps": batches an epoch or None, "verbose": 0, 1 or 2, "validation_freq":
            every how many epochs is validated, or the list of these epochs}.
        takes_late_logs: whether the logs at a batch's end may be a function that makes them, for a callback that
            rarely looks: on a GPU making them waits for it. It holds for methods of the class that says so.

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print("LOSS", logs["loss"])
    >>> Shout().on_epoch_end(0, {"loss": 0.5})
    LOSS 0.5
    """

    model: Any = None
    params: dict = {}
    takes_late_logs = False

    def set_model(self, model):
        """Called before everything else with the model."""
        self.model = model

    def set_params(self, params):
        """Called before everything else with `params`."""
        self.params = params

    def on_train_begin(self, logs=None):
        """`fit` begins: a callback that is used again starts anew here."""

    def on_train_end(self, logs=None):
        """`fit` ends as it should."""

    def on_epoch_begin(self, epoch, logs=None):
        """Epoch `epoch`, counted from 0, begins."""

    def on_epoch_end(self, epoch, logs=None):
        """Epoch `epoch` is trained and validated."""

    def on_train_batch_begin(self, batch, logs=None):
        """A training step begins; `batch` counts from 0 in each epoch."""

    def on_train_batch_end(self, batch, logs=None):
        """A training step is done; `logs` are the means since the epoch began."""

    def on_test_begin(self, logs=None):
        """`evaluate`, or a validation inside `fit`, begins."""

    def on_test_end(self, logs=None):
        """`evaluate` or a validation ends; `logs` are its results, without `val_`."""

    def on_test_batch_begin(self, batch, logs=None):
        """An evaluation step begins."""

    def on_test_batch_end(self, batch, logs=None):
        """An evaluation step is done."""

    def on_predict_begin(self, logs=None):
        """`predict` begins."""

    def on_predict_end(self, logs=None):
        """`predict` ends."""

    def on_predict_batch_begin(self, batch, logs=None):
        """A prediction step begins."""

    def on_predict_batch_end(self, batch, logs=None):
        """A prediction step is done."""

    def close(self):
        """The work is over, also after an error or an interrupt: leave nothing half written."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class CallbackList(Callback):
    """Several callbacks as one, called in their order.

    Good order: the progress bar, so that what others print stands below its line; the user's; `History`, so that it
    keeps what they add to the logs.

    Args:
        callbacks: list of `Callback` objects, or one, or None.
        model, params: given to each.

    Raises:
        TypeError: something else is in the list.
    """

    def __init__(self, callbacks=None, model=None, params=None):
        if callbacks is None or isinstance(callbacks, Callback):
            callbacks = [] if callbacks is None else [callbacks]
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            _demand_callback(callback)
        if model is not None:
            self.set_model(model)
        self.set_params(dict(params or {}))
        self._listeners = {hook: [*self._overriding(hook)] for hook in HOOKS}
        self._late = [method for callback in self.callbacks for method in _taking_late_logs(callback)]

    def _overriding(self, hook):
        """The methods to call: those that a callback wrote itself, so that a step costs nothing for the others."""
        for callback in self.callbacks:
            method = getattr(callback, hook)
            if getattr(method, "__func__", method) is not getattr(Callback, hook):
                yield method

    def set_model(self, model):
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params):
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def on_train_begin(self, logs=None):
        self._call("on_train_begin", _given(logs))

    def on_train_end(self, logs=None):
        self._call("on_train_end", _given(logs))

    def on_epoch_begin(self, epoch, logs=None):
        self._call("on_epoch_begin", epoch, _given(logs))

    def on_epoch_end(self, epoch, logs=None):
        self._call("on_epoch_end", epoch, _given(logs))

    def on_train_batch_begin(self, batch, logs=None):
        self._call("on_train_batch_begin", batch, _given(logs))

    def on_train_batch_end(self, batch, logs=None):
        self._call_late("on_train_batch_end", batch, logs)

    def on_test_begin(self, logs=None):
        self._call("on_test_begin", _given(logs))

    def on_test_end(self, logs=None):
        self._call("on_test_end", _given(logs))

    def on_test_batch_begin(self, batch, logs=None):
        self._call("on_test_batch_begin", batch, _given(logs))

    def on_test_batch_end(self, batch, logs=None):
        self._call_late("on_test_batch_end", batch, logs)

    def on_predict_begin(self, logs=None):
        self._call("on_predict_begin", _given(logs))

    def on_predict_end(self, logs=None):
        self._call("on_predict_end", _given(logs))

    def on_predict_batch_begin(self, batch, logs=None):
        self._call("on_predict_batch_begin", batch, _given(logs))

    def on_predict_batch_end(self, batch, logs=None):
        self._call("on_predict_batch_end", batch, _given(logs))

    def close(self):
        for callback in self.callbacks:
            callback.close()

    def _call(self, hook, *args):
        for method in self._listeners[hook]:
            method(*args)

    def _call_late(self, hook, batch, logs):
        """With logs that may be a function: they cost something and are made when the first callback wants them."""
        for method in self._listeners[hook]:
            if callable(logs) and method not in self._late:
                logs = logs()
            method(batch, _given(logs))


def _taking_late_logs(callback):
    """Those methods of a callback whose class says so: one that a subclass or an object has instead gets a dict."""
    for hook in ("on_train_batch_end", "on_test_batch_end"):
        kind = next(kind for kind in type(callback).__mro__ if hook in vars(kind))
        if hook not in vars(callback) and vars(kind).get("takes_late_logs"):
            yield getattr(callback, hook)


def _given(logs):
    return {} if logs is None else logs


def _demand_callback(callback):
    if inspect.isclass(callback) and issubclass(callback, Callback):
        raise TypeError(f"callbacks takes objects, got the class {callback.__name__}; pass {callback.__name__}(...)")
    if not isinstance(callback, Callback):
        raise TypeError(
            f"callbacks takes npdl.callbacks.Callback objects, got {callback!r}; "
            "for a function pass npdl.callbacks.LambdaCallback(on_epoch_end=function)"
        )
