"""Trainer: compile, fit, evaluate and predict."""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from npdl import callbacks as cb
from npdl import data, devices, losses, optimizers
from npdl.models import checks, compiled
from npdl.models.checking import check_graph
from npdl.models.endings import Ending, choose_loss
from npdl.models.plan import Plan
from npdl.models.results import Results, rows_of
from npdl.models.step import Step


class Trainer:
    """What a model does with data; a `Network` gives it its `graph`, `store` and names.

    Attributes:
        optimizer, loss, loss_weights, metrics, weighted_metrics: what `compile` set; of a model with several outputs
            the last four are dicts by their names.
        history: of the last `fit`, as far as it came.
        stop_training: a callback sets it to end `fit` after the epoch.
        resume_from: (epoch, batches done in it): a callback sets it in `on_train_begin` to have `fit` begin there.
    """

    optimizer: Any = None
    loss: Any = None
    loss_weights: Any = None
    metrics: Any = ()
    weighted_metrics: Any = ()
    history: cb.History | None = None
    check_gradients = True
    stop_training = False
    resume_from = 0, 0
    _step: Any = None

    # of the model
    layers: list
    store: Any
    device: Any
    dtype: np.dtype
    seed: int
    graph: Any
    is_plain: bool  # one input and one output: data are arrays, not tuples of them
    input_names: Any
    output_names: Any
    output_shapes: Any
    build: Callable
    to: Callable
    restored: Callable

    # ---- compile

    def compile(
        self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, *,
        check_gradients=True,
    ):  # fmt: skip
        """Choose how to train.

        Where there are several outputs, all but the optimizer are dicts by their names, or lists in their order; one
        loss, or one metric that is not in a list, is for each of them. An output without a loss only has metrics.

        Args:
            optimizer, loss: name or object; loss=None is chosen by `fit` from the targets.
            loss_weights: what is minimized is the sum of the losses times these numbers; None is all 1.
            metrics: list of names, metric objects or functions f(y_true, y_pred) that give a value a sample; every
                sample counts alike.
            weighted_metrics: the same, with the weights of `sample_weight` and `class_weight`.
            check_gradients: whether `fit` checks a layer or loss of your own by central differences on its first batch.
        """
        names = self.output_names or [""]
        loss = compiled.losses_of(loss, names)
        weights = compiled.weights_of(loss_weights, names)
        found = [
            compiled.metrics_of(argument, given, names)
            for argument, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics))
        ]
        for one, *some in zip(loss, *found, strict=True):
            if one is not None:
                compiled.check([metric for part in some for metric in part], one)
        self.optimizer, self.check_gradients, self._step = optimizers.get(optimizer), check_gradients, None
        self.loss_weights = None if loss_weights is None else dict(zip(names, weights))
        if len(names) == 1:
            self.loss, self.metrics, self.weighted_metrics = loss[0], found[0][0], found[1][0]
        else:
            self.loss = dict(zip(names, loss)) if any(loss) else None
            self.metrics, self.weighted_metrics = (dict(zip(names, some)) for some in found)

    def outputs_compiled(self):
        """(name, shape, loss, weight, metrics, weighted metrics) of each output."""
        names = self.output_names
        lists = [[self.loss], [self.metrics], [self.weighted_metrics]]
        if len(names) > 1:
            lists = [[given[name] for name in names] for given in (self.loss, self.metrics, self.weighted_metrics)]
        weights = list((self.loss_weights or dict.fromkeys(names, 1.0)).values())
        return list(zip(names, self.output_shapes, lists[0], weights, lists[1], lists[2], strict=True))

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
        source = self._source(x, y, sample_weight)
        validation = self._validation_source(validation_data)
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
        self.resume_from = (initial_epoch, 0)
        try:
            caller.on_train_begin()
            initial_epoch, done = self.resume_from
            batches = _epochs(source, batch_size, self.seed, shuffle, steps_per_epoch, initial_epoch)
            for epoch in range(initial_epoch, epochs):
                caller.on_epoch_begin(epoch)
                step = self._current_step()  # a callback may have compiled or moved the model
                rest, done = itertools.islice(next(batches), done, None), 0
                logs = self._train_epoch(step, self._checked(source, rest), class_weight, caller)
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
        source = self._source(x, y, sample_weight)
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
        """The outputs for all rows of x, as NumPy arrays; the batch size changes no bit of them.

        It writes nothing on the model, so several threads may predict with it. verbose=1 shows a bar.
        """
        source = self._source(x, for_prediction=True)
        self._build_for(source)
        batch_size = checks.positive("batch_size", batch_size, default=32)
        steps = checks.positive("steps", steps, default=None)
        verbose = 0 if verbose == "auto" else verbose
        params = {"epochs": 1, "steps": steps or source.steps(batch_size), "verbose": verbose}
        plan, workspace = Plan(self.graph), devices.Workspace(self.device)
        plan.prepare()
        results = [Results(rows_of(source.size, steps, batch_size)) for _ in self.output_names]
        with contextlib.closing(_callers(self, params, callbacks)) as caller:
            caller.on_predict_begin()
            for number, (x, *_) in enumerate(itertools.islice(source.batches(batch_size, reuse=True), steps)):
                caller.on_predict_batch_begin(number)
                with devices.use_workspace(workspace):
                    for one, y in zip(results, self._infer(plan, x), strict=True):
                        one.add(self.device.to_host(y))
                        y = None
                caller.on_predict_batch_end(number, {})
            checks.some_batches(results[0].batches)
            caller.on_predict_end()
        return self.restored([one.array() for one in results])

    def _infer(self, plan, x):
        """The outputs for a host batch, on the device; checked, since an iterable may give any shape."""
        xs = (x,) if self.is_plain else x
        self.check_shapes([x.shape[1:] for x in xs])
        return plan.forward([self.device.from_host(x) for x in xs], False)[0]

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
        if self.is_plain:
            return self.predict(x, batch_size=max(len(x), 1), verbose=0)
        size = self._source(x, for_prediction=True).size
        return self.predict(x, batch_size=max(size, 1), verbose=0)

    def _one_batch(self, what, x, y, sample_weight):
        self._need_compile(what)
        source = self._source(x, y, sample_weight)
        step = self._ready(source, _silent)
        return step, next(iter(source.batches(source.size)))

    # ---- checking

    def gradient_check(self, x, y, sample_weight=None, **options):
        """Check every gradient of this model on your data by central differences, in a float64 copy.

        Every tensor and every layer's input is checked (of a graph, the model's inputs); no bit of the model changes.
        Returns the report of `npdl.testing.check_chain`, whose options it takes: `report.ok` says whether all agree,
        `print(report)` shows the worst entries.
        """
        source = self._source(x, y, sample_weight, dtype=np.dtype(np.float64))
        before = self.optimizer, self.loss, self.metrics, self._step
        try:
            step = self._ready(source, _silent)
        finally:
            self.optimizer, self.loss, self.metrics, self._step = before
        x, y, w = next(iter(source.batches(source.size)))
        return check_graph(step, *step.parts(x, y, w, np.float64), **options)

    # ---- getting ready

    def _need_compile(self, what):
        if self.optimizer is None:
            raise RuntimeError(f'{what} needs model.compile(optimizer, loss) first, e.g. model.compile("adam", "mse")')

    def _source(self, x, y=None, sample_weight=None, for_prediction=False, dtype=None):
        """The `Source` of what was passed."""
        dtype = dtype or self.dtype
        if self.is_plain:
            return data.as_source(x, y, sample_weight, dtype, for_prediction, self.reads_integers)
        names = data.Names(self.input_names, self.output_names, self.reads_integers)
        return data.several_source(x, y, sample_weight, dtype, names, for_prediction)

    def _validation_source(self, validation_data):
        """The `Source` of `validation_data`, which errors name."""
        if validation_data is None:
            return None
        try:
            return self._source(*checks.validation_parts(validation_data))
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {error}") from error

    def _build_for(self, source):
        if self.store is None:
            self.build(source.x_shape)
        if self.is_plain:
            checks.not_one_sample(self, source)
        self._check_shapes(source)

    def _check_shapes(self, source):
        self.check_shapes([source.x_shape] if self.is_plain else source.x_shape)

    def _ready(self, source, say):
        """The `Step` for these data: builds, chooses and settles what is still open, and checks data against model."""
        self._build_for(source)
        if self.optimizer is None:
            self.compile("adam")
        if self.loss is None and len(self.output_names) > 1:
            raise ValueError(
                f"a model with several outputs needs a loss for them: model.compile(loss={{{self.output_names[0]!r}: "
                '"mse", ...})'
            )
        if self.loss is None:
            y = source.first(1024)[1] if source.y is None else source.y
            ending = Ending(self.graph, self.graph.outputs[0])
            self.loss = choose_loss(self.output_shapes[0], ending, y[0] if isinstance(y, tuple) else y)
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
        self._check_shapes(source)
        if source.y is not None:
            self._step.validate(source.y)

    def _checked(self, source, batches):
        """The batches; those of a source that does not know its targets beforehand are checked as they come."""
        for batch in batches:
            if source.y is None and batch[1] is not None:
                self._step.validate(batch[1])
            yield batch

    def _sample_weights(self, class_weight, y, w):
        """The weights of a batch: `sample_weight` times the weight of each row's class."""
        if not class_weight:
            return w
        if len(self.output_names) > 1:
            raise ValueError(
                "class_weight is for models of one output; pass sample_weight={output: weights} for several"
            )
        y, w = (one[0] if isinstance(one, tuple) else one for one in (y, w))
        shape = self.output_shapes[0]
        classes = shape[-1] if shape else 1
        if classes == 1:  # one output: yes or no, or a number
            classes = 2 if getattr(self.loss, "accuracy", None) == "binary_accuracy" else None
        weights = losses.class_weights(y, class_weight, classes)
        return weights if w is None else weights * np.asarray(w, np.float64)


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


def _results(logs, return_dict):
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def _silent(*_):
    pass
