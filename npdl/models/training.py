"""Trainer: compile, fit, evaluate and predict."""

import collections
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from npdl import callbacks as cb
from npdl.models import checks, faults, loops
from npdl.models.checking import check_graph
from npdl.models.feeding import Fed
from npdl.models.inference import Inference
from npdl.models.results import Results, rows_of
from npdl.models.totals import NotFinite


class Trainer(Fed):
    """What a model does with data; a `Network` gives it its `graph`, `store` and names.

    Attributes:
        history: of the last `fit`, as far as it came.
        stop_training: a callback sets it to end `fit` after the epoch.
        fault: where it came from that the loss of the last `fit` was no number, None where it was one.
        resume_from: (epoch, batches done in it): a callback sets it in `on_train_begin` to have `fit` begin there.
    """

    history: cb.History | None = None
    stop_training = False
    fault: str | None = None
    resume_from = 0, 0
    _inference: Inference | None = None

    # of the model
    layers: list
    device: Any
    seed: int
    to: Callable
    restored: Callable

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
                of batches (x, y) or (x, y, sample_weight). Of several inputs or outputs lists, tuples or dicts of them;
                y=None where no loss reads targets.
            batch_size: 32 where it is None.
            epochs, initial_epoch: the epochs initial_epoch, ..., epochs - 1 are run.
            verbose: 0 nothing, 1 a progress bar, 2 one line an epoch, "auto" 1.
            callbacks: list of `npdl.callbacks.Callback`.
            validation_split: share of the rows held out, the last ones, before shuffling.
            validation_data: (x, y), (x, y, sample_weight) or an iterable of batches; goes before `validation_split`.
            shuffle: False takes the rows as they are.
            class_weight: dict class -> weight; of labels of steps (N, T) or pixels each gets that of its own.
            sample_weight: one weight a row, (N,), or one a step or pixel, the leading axes of the outputs (N, T, C):
                then each step is a sample of its own and the mean is over those of non-zero weight, as with masks, with
                which the weights are multiplied. For several outputs a dict, list or tuple of them; one is for all.
            steps_per_epoch, validation_steps: batches an epoch; None is all.
            validation_batch_size, validation_freq: batch size, and every how many epochs (or a list of epochs, from 1).
            device: like `model.to(device)` before.

        Raises:
            ValueError, TypeError: data that cannot be trained on; the message names the argument and the fix.
            FloatingPointError: the loss is NaN or infinite. The message names the layer that it comes from. On the CPU
                that is seen before the batch changes a weight. On a GPU it is seen where the loss is read, after 1000
                steps or at the end of the epoch; the epoch is then trained again up to that batch, if weights and state
                are small (256 MB). With `callbacks.TerminateOnNaN()` `fit` ends
                without an error. A step that a loss scale (`mixed_float16`) skips is none.
            KeyboardInterrupt: is raised again; weights and `model.history` are kept as far as they came.
        """
        if device is not None:
            self.to(device)
        say = print if verbose else loops.silent
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
        caller = loops.callers(self, params, callbacks, history)
        self.stop_training, self.fault = False, None
        self.resume_from = (initial_epoch, 0)
        try:
            caller.on_train_begin()
            initial_epoch, done = self.resume_from
            batches = loops.epochs_of(source, batch_size, self.seed, shuffle, steps_per_epoch, initial_epoch)
            for epoch in range(initial_epoch, epochs):
                caller.on_epoch_begin(epoch)
                step = self._current_step()  # a callback may have compiled or moved the model
                rest = itertools.islice(next(batches), done, None)
                again = self._again(source, batch_size, shuffle, epoch, done) if steps_per_epoch is None else None
                logs = self._train_epoch(step, self._checked(source, rest), class_weight, caller, again)
                done = 0
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

    def _again(self, source, batch_size, shuffle, epoch, done):
        """A function that gives the batches of an epoch once more, from one on; None where there is no such order."""
        if source.size is None:
            return None
        order = {"seed": self.seed, "epoch": epoch, "shuffle": shuffle}
        return lambda: itertools.islice(source.batches(batch_size, **order), done, None)

    def _train_epoch(self, step, batches, class_weight, caller, again):
        totals, exact = step.totals(), False
        totals.watched = step.stops
        if again is not None:
            step.begin.keep(step)
        for number, (x, y, w) in enumerate(batches):
            caller.on_train_batch_begin(number)
            w = self._sample_weights(class_weight, y, w)
            try:
                step.train(x, y, w, totals)
            except NotFinite:  # no weight has changed
                totals.lost = exact = True
            if step.device.driver is not None and (number + 1) % faults.LOOK == 0:
                totals.logs()
            caller.on_train_batch_end(number, totals.logs)
            if self.stop_training or (totals.lost and totals.watched):
                break
        checks.some_batches(totals.batches)
        logs = totals.logs()
        if totals.lost:
            if again is not None and not exact:
                weighed = ((x, y, self._sample_weights(class_weight, y, w)) for x, y, w in again())
                found = step.begin.find(step, weighed)
                number, (x, y, w) = found or (number, (x, y, w))
                exact = found is not None
            self.fault = faults.explain(step, x, y, w, exact)
            if self.fault is not None and not self.stop_training:
                where = f"{'in' if exact else 'by'} batch {number + 1} of the epoch"
                raise FloatingPointError(f"the loss is {logs['loss']} {where}: {self.fault}")
        return logs

    # ---- evaluate, predict

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None,
        return_dict=False,
    ):  # fmt: skip
        """Loss and metrics over the data: the loss alone where there are no metrics, else a list, or a dict by name."""
        self._need_compile("evaluate")
        source = self._source(x, y, sample_weight)
        step = self._ready(source, print if verbose else loops.silent)
        batch_size = checks.positive("batch_size", batch_size, default=32)
        steps = checks.positive("steps", steps, default=None)
        params = {"epochs": 1, "steps": steps or source.steps(batch_size), "verbose": verbose}
        with contextlib.closing(loops.callers(self, params, callbacks)) as caller:
            return loops.results_of(self._evaluate(step, source, batch_size, steps, caller), return_dict)

    def _evaluate(self, step, source, batch_size, steps, caller):
        with contextlib.closing(step.evaluation()) as evaluation:
            totals = evaluation.totals()
            caller.on_test_begin()
            batches = self._checked(source, itertools.islice(source.batches(batch_size, reuse=True), steps))
            for number, (x, y, w) in enumerate(batches):
                caller.on_test_batch_begin(number)
                evaluation.test(x, y, w, totals)
                caller.on_test_batch_end(number, totals.logs)
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
        results = [Results(rows_of(source.size, steps, batch_size)) for _ in self.output_names]
        caller = loops.callers(self, params, callbacks)
        with contextlib.closing(self._take_inference()) as inference, contextlib.closing(caller):
            caller.on_predict_begin()
            asked = collections.deque()
            for number, (x, *_) in enumerate(itertools.islice(source.batches(batch_size, reuse=True), steps)):
                caller.on_predict_batch_begin(number)
                asked.append(inference.ask(self._inputs(x)))
                if len(asked) > inference.behind:  # a GPU is at work on this batch while the last one's come back
                    _add(asked.popleft()(), results)
                caller.on_predict_batch_end(number, {})
            while asked:
                _add(asked.popleft()(), results)
            checks.some_batches(results[0].batches)
            caller.on_predict_end()
        return self.restored([one.array() for one in results])

    def _inputs(self, x):
        """The arrays of a batch; checked, since an iterable may give any shape."""
        xs = (x,) if self.is_plain else x
        self.check_shapes([x.shape[1:] for x in xs])
        return xs

    # ---- one batch

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One training step on one batch; its loss (and metrics)."""
        step, (x, y, w) = self._one_batch("train_on_batch", x, y, sample_weight)
        totals = step.totals()
        step.train(x, y, self._sample_weights(class_weight, y, w), totals)
        return loops.results_of(totals.logs(), return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """The loss (and metrics) of one batch, without training."""
        step, (x, y, w) = self._one_batch("test_on_batch", x, y, sample_weight)
        with contextlib.closing(step.evaluation()) as evaluation:
            totals = evaluation.totals()
            evaluation.test(x, y, w, totals)
            step.keep(totals)
        return loops.results_of(totals.logs(), return_dict)

    def predict_on_batch(self, x):
        """The outputs of one batch, as a NumPy array: the bits of `predict`, with as little as can be around them.

        The model keeps the memory of the layers' outputs from call to call. An array of the model's dtype is taken as
        it is, and not looked through for NaN.
        """
        if not self._takes(x):
            source = self._source(x, for_prediction=True)
            self._build_for(source)
            x = next(iter(source.batches(source.size)))[0]
        xs, inference = self._inputs(x), self._take_inference()
        try:
            return self.restored([np.array(self.device.to_host(y)) for y in inference.outputs(xs)])
        finally:
            inference.taken.release()

    def _take_inference(self):
        """An `Inference` that no other thread uses, the model's own if it is free."""
        inference = self._inference
        if inference is None or not inference.is_current(self):
            inference = self._inference = Inference(self)
        if not inference.taken.acquire(blocking=False):
            # The newest stays: an interrupt may have left the other's lock closed.
            inference = self._inference = Inference(self)
            inference.taken.acquire()
        return inference

    def _takes(self, x):
        """Whether a batch can be used as it is."""
        return (
            type(x) is np.ndarray
            and self.is_plain
            and self.store is not None
            and (x.dtype.char in "ilq" if self.reads_integers else x.dtype == self.dtype)
            and len(x.shape) > 1
            and len(x) > 0
        )

    def _one_batch(self, what, x, y, sample_weight):
        self._need_compile(what)
        source = self._source(x, y, sample_weight)
        step = self._ready(source, loops.silent)
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
            step = self._ready(source, loops.silent)
        finally:
            self.optimizer, self.loss, self.metrics, self._step = before
        x, y, w = next(iter(source.batches(source.size)))
        return check_graph(step, *step.parts(x, y, w, np.float64), **options)


def _add(outputs, results):
    """Take the outputs of a batch into the `Results`."""
    for one, y in zip(results, outputs, strict=True):
        one.add(y)
