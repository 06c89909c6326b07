"""Trainer: compile, fit, evaluate and predict."""

import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npdl import callbacks as cb
from npdl import data, devices, losses, metrics, optimizers, testing
from npdl.models import checks
from npdl.models.fusion import fuse
from npdl.models.plan import choose_loss
from npdl.models.step import Step


class Trainer:
    """What a model does with data; `Sequential` gives it `layers`, `store` and `build`.

    Attributes:
        optimizer, loss, metrics: what `compile` set.
        history: of the last `fit`, as far as it came.
        stop_training: a callback sets it to end `fit` after the epoch.
    """

    optimizer: Any = None
    loss: Any = None
    metrics: Sequence = ()
    weighted_metrics: Sequence = ()
    history: cb.History | None = None
    check_gradients = True
    stop_training = False
    _step: Any = None

    # of the model
    layers: list
    store: Any
    device: Any
    dtype: np.dtype
    seed: int
    output_shape: Any
    build: Callable
    to: Callable
    check_shape: Callable

    # ---- compile

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, weighted_metrics=None, *, check_gradients=True):
        """Choose how to train.

        Args:
            optimizer, loss: name or object; loss=None is chosen by `fit` from the targets.
            metrics: list of names, metric objects or functions f(y_true, y_pred) that give a value a sample; every
                sample counts alike.
            weighted_metrics: the same, with the weights of `sample_weight` and `class_weight`.
            check_gradients: whether `fit` checks a layer or loss of your own by central differences on its first batch.
        """
        self.optimizer = optimizers.get(optimizer)
        self.loss = None if loss is None else losses.get(loss)
        self.metrics, self.weighted_metrics = _listed(metrics), _listed(weighted_metrics)
        self.check_gradients = check_gradients
        self._step = None
        if self.loss is not None:
            _check_metrics([*self.metrics, *self.weighted_metrics], self.loss)

    # ---- fit

    def fit(
        self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, validation_split=0.0,
        validation_data=None, shuffle=True, class_weight=None, sample_weight=None, initial_epoch=0,
        steps_per_epoch=None, validation_steps=None, validation_batch_size=None, validation_freq=1, *, device=None,
    ):  # fmt: skip
        """Train, and return the `History`.

        Without `compile`, Adam and a loss that fits the targets are chosen, and said. The loss of an epoch is the mean
        over its samples. Epoch e takes the rows in the order of
        `npdl.data.batches(x, y, batch_size, seed=model.seed, epoch=e)`, in a second fit again; `initial_epoch` goes on.

        Args:
            x, y: arrays, lists, DataFrames, memmaps, objects with `__len__` and `__getitem__`; or x alone: an iterable
                of batches (x, y) or (x, y, sample_weight).
            batch_size: 32 where it is None.
            epochs, initial_epoch: the epochs initial_epoch, ..., epochs - 1 are run.
            verbose: 0 nothing, 1 a progress bar, 2 one line an epoch, "auto" 1.
            callbacks: list of `npdl.callbacks.Callback`.
            validation_split: share of the rows held out, the last ones, before shuffling.
            validation_data: (x, y), (x, y, sample_weight) or an iterable of batches; goes before `validation_split`.
            shuffle: False takes the rows as they are.
            class_weight: dict class -> weight.
            sample_weight: one weight a row.
            steps_per_epoch, validation_steps: batches an epoch; None is all.
            validation_batch_size, validation_freq: batch size, and every how many epochs (or a list of epochs, from 1).
            device: like `model.to(device)` before.

        Raises:
            ValueError, TypeError: data that cannot be trained on; the message names the argument and the fix.
            KeyboardInterrupt: is raised again; weights and `model.history` are kept as far as they came.
        """
        if device is not None:
            self.to(device)
        say = print if verbose else _silent
        batch_size = checks.positive("batch_size", batch_size, default=32)
        validation_batch_size = checks.positive("validation_batch_size", validation_batch_size, default=batch_size)
        validation_steps = checks.positive("validation_steps", validation_steps, default=None)
        checks.epochs(epochs, initial_epoch)
        checks.is_due(1, validation_freq)
        source = data.as_source(x, y, sample_weight, self.dtype, integers=self.reads_integers)
        validation = _validation_source(validation_data, self.dtype, self.reads_integers)
        if validation is None and validation_split:
            source, validation, said = source.split(validation_split)
            say(said)
        step = self._ready(source, say)
        if validation is not None:
            self._check_data(validation)
        history = self.history = cb.History()
        steps = checks.positive("steps_per_epoch", steps_per_epoch, default=source.steps(batch_size))
        params = {"epochs": epochs, "steps": steps, "verbose": verbose, "validation_freq": validation_freq}
        caller = _callers(self, params, callbacks, history)
        self.stop_training = False
        batches = _epochs(source, batch_size, self.seed, shuffle, steps_per_epoch, initial_epoch)
        try:
            caller.on_train_begin()
            for epoch in range(initial_epoch, epochs):
                caller.on_epoch_begin(epoch)
                step = self._current_step()  # a callback may have compiled or moved the model
                logs = self._train_epoch(step, self._checked(source, next(batches)), class_weight, caller)
                if validation is not None and checks.is_due(epoch + 1, validation_freq):
                    results = self._evaluate(step, validation, validation_batch_size, validation_steps, caller)
                    logs.update({f"val_{name}": value for name, value in results.items()})
                caller.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            self.optimizer.finalize(self)
            caller.on_train_end()
        finally:
            self.history = history
            step.close()
            caller.close()
        return history

    def _train_epoch(self, step, batches, class_weight, caller):
        totals = step.totals(training=True)
        for number, (x, y, w) in enumerate(batches):
            caller.on_train_batch_begin(number)
            step.train(x, y, self._sample_weights(class_weight, y, w), totals)
            caller.on_train_batch_end(number, totals.logs())
            if self.stop_training:
                break
        checks.some_batches(totals.batches)
        return totals.logs()

    # ---- evaluate, predict

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None,
        return_dict=False,
    ):  # fmt: skip
        """Loss and metrics over the data: the loss alone where there are no metrics, else a list, or a dict by name."""
        self._need_compile("evaluate")
        source = data.as_source(x, y, sample_weight, self.dtype, integers=self.reads_integers)
        step = self._ready(source, print if verbose else _silent)
        batch_size = checks.positive("batch_size", batch_size, default=32)
        steps = checks.positive("steps", steps, default=None)
        params = {"epochs": 1, "steps": steps or source.steps(batch_size), "verbose": verbose}
        with contextlib.closing(_callers(self, params, callbacks)) as caller:
            return _results(self._evaluate(step, source, batch_size, steps, caller), return_dict)

    def _evaluate(self, step, source, batch_size, steps, caller):
        totals, workspace = step.totals(training=False), devices.Workspace(self.device)
        caller.on_test_begin()
        batches = self._checked(source, itertools.islice(source.batches(batch_size, reuse=True), steps))
        for number, (x, y, w) in enumerate(batches):
            caller.on_test_batch_begin(number)
            step.test(x, y, w, totals, workspace)
            caller.on_test_batch_end(number, totals.logs())
        checks.some_batches(totals.batches)
        results = totals.logs()
        step.keep(totals)
        caller.on_test_end(results)
        return results

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The outputs for all rows of x, as one NumPy array; the batch size changes no bit of them.

        It writes nothing on the model, so several threads may predict with it. verbose=1 shows a bar.
        """
        source = data.as_source(x, dtype=self.dtype, for_prediction=True, integers=self.reads_integers)
        self._build_for(source)
        batch_size = checks.positive("batch_size", batch_size, default=32)
        steps = checks.positive("steps", steps, default=None)
        verbose = 0 if verbose == "auto" else verbose
        params = {"epochs": 1, "steps": steps or source.steps(batch_size), "verbose": verbose}
        layers, _ = fuse(self.layers, self.layers)
        workspace, results = devices.Workspace(self.device), Results(_rows(source.size, steps, batch_size))
        with contextlib.closing(_callers(self, params, callbacks)) as caller:
            caller.on_predict_begin()
            for number, (x, *_) in enumerate(itertools.islice(source.batches(batch_size, reuse=True), steps)):
                caller.on_predict_batch_begin(number)
                with devices.use_workspace(workspace):
                    results.add(self.device.to_host(self._infer(layers, x)))
                caller.on_predict_batch_end(number, {})
            checks.some_batches(results.batches)
            caller.on_predict_end()
        return results.array()

    def _infer(self, layers, x):
        """What these layers make of a host batch, on the device; checked, since an iterable may give any shape."""
        self.check_shape(x.shape[1:])
        x = self.device.from_host(x)
        for layer in layers:
            x = layer.forward(x, False)
        return x

    # ---- one batch

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One training step on one batch; its loss (and metrics)."""
        step, (x, y, w) = self._one_batch("train_on_batch", x, y, sample_weight)
        totals = step.totals(training=True)
        step.train(x, y, self._sample_weights(class_weight, y, w), totals)
        return _results(totals.logs(), return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """The loss (and metrics) of one batch, without training."""
        step, (x, y, w) = self._one_batch("test_on_batch", x, y, sample_weight)
        totals = step.totals(training=False)
        step.test(x, y, w, totals, devices.Workspace(self.device))
        step.keep(totals)
        return _results(totals.logs(), return_dict)

    def predict_on_batch(self, x):
        """The outputs of one batch, as a NumPy array."""
        return self.predict(x, batch_size=max(len(x), 1), verbose=0)

    def _one_batch(self, what, x, y, sample_weight):
        self._need_compile(what)
        source = data.as_source(x, y, sample_weight, self.dtype, integers=self.reads_integers)
        step = self._ready(source, _silent)
        return step, next(iter(source.batches(source.size)))

    # ---- checking

    def gradient_check(self, x, y, sample_weight=None, **options):
        """Check every gradient of this model on your data by central differences, in a float64 copy.

        Every tensor and every layer's input is checked; no bit of the model changes. Returns the report of
        `npdl.testing.check_chain`, whose options it takes: `report.ok` says whether all agree, `print(report)` shows
        the worst entries.
        """
        source = data.as_source(x, y, sample_weight, np.float64, integers=self.reads_integers)
        compiled = self.optimizer, self.loss, self.metrics, self._step
        try:
            step = self._ready(source, _silent)
        finally:
            self.optimizer, self.loss, self.metrics, self._step = compiled
        x, y, w = next(iter(source.batches(source.size)))
        target = losses.prepare(step.loss, y, np.float64, (len(x), *self.output_shape))
        layers = step.twins()
        return testing.check_chain(layers, x, step.loss, target, w, **options)

    # ---- getting ready

    def _need_compile(self, what):
        if self.optimizer is None:
            raise RuntimeError(f'{what} needs model.compile(optimizer, loss) first, e.g. model.compile("adam", "mse")')

    def _build_for(self, source):
        if self.store is None:
            self.build(source.x_shape)
        checks.not_one_sample(self, source)
        self.check_shape(source.x_shape)

    def _ready(self, source, say):
        """The `Step` for these data: builds, chooses and settles what is still open, and checks data against model."""
        self._build_for(source)
        if self.optimizer is None:
            self.compile("adam")
        if self.loss is None:
            self.loss = choose_loss(self, source.first(1024)[1] if source.y is None else source.y)
            if not self.metrics and self.loss.is_classification:
                self.metrics = ["accuracy"]
            say(f"optimizer {self.optimizer!r}, loss {self.loss!r}: chosen; model.compile(...) decides otherwise")
        step = self._current_step()
        self._check_data(source)
        return step

    def _current_step(self):
        if self._step is None or not self._step.is_current():
            self._step = Step(self)
        return self._step

    def _check_data(self, source):
        self.check_shape(source.x_shape)
        if source.y is not None:
            self._check_targets(source.y)

    def _check_targets(self, y):
        losses.validate(self._step.loss, y, (len(y), *self.output_shape))

    def _checked(self, source, batches):
        """The batches; those of a source that does not know its targets beforehand are checked as they come."""
        for batch in batches:
            if source.y is None and batch[1] is not None:
                self._check_targets(batch[1])
            yield batch

    def _sample_weights(self, class_weight, y, w):
        """The weights of a batch: `sample_weight` times the weight of each row's class."""
        if not class_weight:
            return w
        classes = self.output_shape[-1] if self.output_shape else 1
        if classes == 1:  # one output: yes or no, or a number
            classes = 2 if getattr(self.loss, "accuracy", None) == "binary_accuracy" else None
        weights = losses.class_weights(y, class_weight, classes)
        return weights if w is None else weights * np.asarray(w, np.float64)


class Results:
    """The outputs of one batch after another, copied into one array.

    Args:
        size: how many rows come at most; None where it is not known: then they are joined at the end.
    """

    def __init__(self, size):
        self.size, self.batches, self.rows, self.parts, self.whole = size, 0, 0, [], None

    def add(self, y):
        """Copy the outputs of a batch."""
        self.batches += 1
        if self.size is None:
            self.parts.append(np.array(y))
            return
        if self.whole is None:
            self.whole = np.empty((self.size, *y.shape[1:]), y.dtype)
        stop = self.rows + len(y)
        if y.shape[1:] != self.whole.shape[1:]:  # an axis of free length
            raise ValueError(
                f"predict gives one array, but the outputs of one batch have samples of shape {self.whole.shape[1:]}, "
                f"those of a later one {y.shape[1:]}; predict them one by one"
            )
        self.whole[self.rows : stop] = y
        self.rows = stop

    def array(self):
        """All of them."""
        if self.size is None:
            return self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
        return self.whole if self.rows == self.size else self.whole[: self.rows].copy()


def _rows(size, steps, batch_size):
    """How many rows `steps` batches have at most, None where it is not known."""
    return size if size is None or steps is None else min(size, steps * batch_size)


def _callers(model, params, callbacks, *last):
    """The progress bar first, so that what others print stands on clean lines; the history last: it sees all logs."""
    bars = [cb.ProgressBar(params["verbose"])] if params["verbose"] else []
    return cb.CallbackList([*bars, *_listed(callbacks), *last], model, params)


def _listed(given):
    """A list of what was given: one thing, several, or None."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _epochs(source, batch_size, seed, shuffle, steps, first):
    """The batches of one epoch after another, from epoch `first` on.

    With `steps` the epochs are cut from one endless stream of batches, as Keras does it, and begin where they would
    after `first` epochs.
    """
    if steps is None:
        for epoch in itertools.count(first):
            yield source.batches(batch_size, seed=seed, epoch=epoch, shuffle=shuffle, reuse=True)
    start, skipped = divmod(first * steps, source.steps(batch_size) or first * steps + 1)
    stream = itertools.chain.from_iterable(
        source.batches(batch_size, seed=seed, epoch=epoch, shuffle=shuffle, reuse=True)
        for epoch in itertools.count(start)
    )
    if source.size is not None:  # an iterator has moved on by itself
        stream = itertools.islice(stream, skipped, None)
    while True:
        yield itertools.islice(stream, steps)


def _validation_source(validation_data, dtype, integers):
    """The `Source` of `validation_data`, which errors name."""
    if validation_data is None:
        return None
    try:
        return _source_of(validation_data, dtype, integers)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data: {error}") from error


def _source_of(validation_data, dtype, integers):
    arrays = isinstance(validation_data, list) and all(hasattr(part, "shape") for part in validation_data)
    if isinstance(validation_data, tuple) or arrays:
        if len(validation_data) not in (2, 3):
            raise ValueError(f"expected (x, y) or (x, y, sample_weight), got {len(validation_data)} parts")
        x, y, *w = validation_data
        return data.as_source(x, y, *w, dtype=dtype, integers=integers)
    if hasattr(validation_data, "shape"):
        raise ValueError(
            f"expected (x, y) or (x, y, sample_weight), got {type(validation_data).__name__} of shape "
            f"{tuple(validation_data.shape)}; pass validation_data=(x, y)"
        )
    return data.as_source(validation_data, dtype=dtype, integers=integers)


def _check_metrics(names, loss):
    for metric in names:
        metrics.check(metric, loss)


def _results(logs, return_dict):
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def _silent(*_):
    pass
