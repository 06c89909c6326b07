"""Callback and CallbackList."""

import pytest

from npdl.callbacks import Callback, CallbackList, EarlyStopping, LambdaCallback, ProgressBar
from npdl.callbacks.base import HOOKS


def test_every_hook_is_passed_on_in_order():
    calls = []

    def recorder(who):
        return {hook: (lambda *args, hook=hook: calls.append((who, hook, *args))) for hook in HOOKS}

    caller = CallbackList([LambdaCallback(**recorder(1)), LambdaCallback(**recorder(2))])
    for hook in HOOKS:
        arguments = [7] if "batch" in hook or "epoch" in hook else []
        getattr(caller, hook)(*arguments, {"loss": 0.5})
        assert calls == [(who, hook, *arguments, {"loss": 0.5}) for who in (1, 2)]
        calls.clear()
        getattr(caller, hook)(*arguments)
        assert calls == [(who, hook, *arguments, {}) for who in (1, 2)]
        calls.clear()


def test_the_hooks_are_those_of_keras():
    moments = ["train", "test", "predict"]
    expected = [f"on_{m}_{e}" for m in moments for e in ("begin", "end", "batch_begin", "batch_end")]
    assert sorted(HOOKS) == sorted([*expected, "on_epoch_begin", "on_epoch_end"])


def test_model_and_params_reach_all():
    first, second = Callback(), Callback()
    model = object()
    CallbackList([first, second], model, {"epochs": 3})
    assert first.model is second.model is model
    assert first.params == second.params == {"epochs": 3}


def test_a_subclass_needs_no_call_of_the_base():
    class Mine(Callback):
        def __init__(self):
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(batch)

    mine = Mine()
    assert mine.model is None and mine.params == {}
    caller = CallbackList(mine)
    caller.on_train_batch_end(4)
    caller.on_epoch_end(0)
    caller.close()
    assert mine.seen == [4]


def test_a_callback_sees_what_one_before_it_added():
    seen = {}
    caller = CallbackList([
        LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra=1.0)),
        LambdaCallback(on_epoch_end=lambda epoch, logs: seen.update(logs)),
    ])  # fmt: skip
    caller.on_epoch_end(0, {"loss": 2.0})
    assert seen == {"loss": 2.0, "extra": 1.0}


def test_none_and_an_empty_list_do_nothing():
    for callbacks in (None, []):
        CallbackList(callbacks).on_epoch_end(0, {})


def test_what_is_no_callback_is_refused():
    with pytest.raises(TypeError, match=r"takes objects, got the class EarlyStopping; pass EarlyStopping\(...\)"):
        CallbackList([EarlyStopping])
    with pytest.raises(TypeError, match=r"got <built-in function print>; for a function pass .*LambdaCallback\("):
        CallbackList([print])


def test_lambda_callback_names():
    with pytest.raises(TypeError, match="no 'on_epoch_ended'; did you mean 'on_epoch_end'"):
        LambdaCallback(on_epoch_ended=print)
    with pytest.raises(TypeError, match="on_test_end must be a function, got 3"):
        LambdaCallback(on_test_end=3)


def test_close_reaches_all():
    closed = []

    class Mine(Callback):
        def close(self):
            closed.append(True)

    CallbackList([Mine(), ProgressBar(0), Mine()]).close()
    assert closed == [True, True]


def test_logs_that_are_made_late_reach_every_function_as_a_dict():
    seen = []

    class Mine:
        def at_the_end(self, batch, logs):
            seen.append(logs["loss"])

    class Bar(ProgressBar):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            seen.append(logs["loss"])

    caller = CallbackList([ProgressBar(0), Bar(0), LambdaCallback(on_train_batch_end=Mine().at_the_end)])
    caller.on_train_begin()
    caller.on_epoch_begin(0)
    caller.on_train_batch_end(0, lambda: {"loss": 0.5})
    assert seen == [0.5, 0.5]
    CallbackList(LambdaCallback(on_test_batch_end=print)).on_test_batch_end(0, lambda: {"loss": 0.5})
    only_a_bar = CallbackList(ProgressBar(0))
    only_a_bar.on_train_begin()
    only_a_bar.on_epoch_begin(0)
    only_a_bar.on_train_batch_end(0, lambda: pytest.fail("nobody looks"))
