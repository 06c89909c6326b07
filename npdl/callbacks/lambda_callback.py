"""LambdaCallback: functions as a callback."""

from npdl import names
from npdl.callbacks.base import HOOKS, Callback


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: functions of (epoch, logs).
        on_train_begin, on_train_end: functions of (logs).
        on_train_batch_begin, on_train_batch_end: functions of (batch, logs).
        hooks: the other methods of `Callback` by name, such as on_test_end.

    Raises:
        TypeError: an unknown name, or not a function.

    >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs)).on_epoch_end(3, {"loss": 0.5})
    3 {'loss': 0.5}
    """

    def __init__(
        self, on_epoch_begin=None, on_epoch_end=None, on_train_begin=None, on_train_end=None,
        on_train_batch_begin=None, on_train_batch_end=None, **hooks,
    ):  # fmt: skip
        hooks.update(
            on_epoch_begin=on_epoch_begin,
            on_epoch_end=on_epoch_end,
            on_train_begin=on_train_begin,
            on_train_end=on_train_end,
            on_train_batch_begin=on_train_batch_begin,
            on_train_batch_end=on_train_batch_end,
        )
        for name, function in hooks.items():
            if name not in HOOKS:
                near = names.nearest(name, HOOKS)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise TypeError(f"LambdaCallback has no {name!r}; {hint}there are {', '.join(HOOKS)}")
            if function is not None:
                if not callable(function):
                    raise TypeError(
                        f"LambdaCallback: {name} must be a function, got {function!r}; "
                        "pass e.g. on_epoch_end=lambda epoch, logs: print(logs)"
                    )
                setattr(self, name, function)
