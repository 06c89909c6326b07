"""Groups: which weights an optimizer changes, each with what learning rate and weight decay."""

import re
from typing import Any

import numpy as np

from npdl.optimizers.services import Services
from npdl.params import Weight


def patterns_of(method, var_list, var_names):
    """Regular expressions for the paths of the weights that a user names."""
    for argument, values, kind, example in (
        ("var_list", var_list, Weight, "model.store.weights[1:2]"),
        ("var_names", var_names, str, '["bias"]'),
    ):
        if values is not None and (
            not isinstance(values, (list, tuple, set)) or not all(isinstance(value, kind) for value in values)
        ):
            raise TypeError(
                f"{method}: {argument} must be a list of {kind.__name__}, got {values!r}; "
                f"pass e.g. {argument}={example}"
            )
    patterns = [f"^{re.escape(weight.path)}$" for weight in var_list or ()] + list(var_names or ())
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"{method}: {pattern!r} is not a regular expression ({error}); "
                f"to take it literally, pass re.escape({pattern!r})"
            ) from None
    return patterns


class Groups(Services):
    """The table of segments that the kernels read: a row a trained weight, with what the user asked for it.

    Attributes:
        weight_decay: λ of the weights that no group names.
    """

    weight_decay: float | None
    _excluded: list[str]  # patterns of the paths that weight decay leaves out
    _groups: list[dict[str, Any]]  # what `add_group` was given
    _segments: tuple[Any, Any, Any]  # what they were made from, the segments, plain ones: rate scale 1 and no decay

    def set_groups(self):
        """No groups yet."""
        self._excluded, self._groups, self._segments = [], [], (None, None, None)

    def _segments_of(self, store):
        """The segments; one array until a `trainable`, the decay, what it leaves out or a group changes."""
        key = ([layer.trainable for layer in store.layers], self.weight_decay, self._excluded, len(self._groups), store)
        if key != self._segments[0]:
            trained = [weight for weight in store.weights if weight.trained]
            rows = [(w.start, w.stop, *self._scale_and_decay(w), w.trainable) for w in trained]
            table = np.array(rows, np.float64).reshape(-1, 5)
            plain = table.copy()
            plain[:, 2:4] = 1, 0
            self._segments = key, self.arrange(table, trained), plain
        return self._segments[1]

    def arrange(self, segments, weights):
        """The segments that `update` gets: a subclass may change them, or keep what it needs of the weights' shapes."""
        return segments

    def decay_of(self, weight):
        """λ of a weight that no group names."""
        return self.weight_decay

    def _scale_and_decay(self, weight):
        scale, decay = 1.0, self.decay_of(weight) or 0.0
        if any(re.search(pattern, weight.path) for pattern in self._excluded):
            decay = 0.0
        for group in self._groups:
            if any(re.search(pattern, weight.path) for pattern in group["var_names"]):
                scale = group["learning_rate_multiplier"]
                decay = decay if group["weight_decay"] is None else group["weight_decay"]
        return scale, decay

    def add_group(self, var_list=None, var_names=None, learning_rate_multiplier=1.0, weight_decay=None):
        """Train some weights with a learning rate and a decay of their own; of two groups the later one counts.

        Args:
            var_list, var_names: the weights, as in `exclude_from_weight_decay`.
            learning_rate_multiplier: their learning rate is η times this.
            weight_decay: their λ; None is the optimizer's own.

        Raises:
            TypeError, ValueError: as `exclude_from_weight_decay`, or a number out of range.

        >>> from npdl.optimizers import Adam
        >>> Adam().add_group(var_names=["^backbone/"], learning_rate_multiplier=0.1)
        """
        scale = self.check("learning_rate_multiplier", learning_rate_multiplier, example=0.1)
        decay = None if weight_decay is None else self.check("weight_decay", weight_decay)
        names = patterns_of("add_group", var_list, var_names)
        self._groups.append({"var_names": names, "learning_rate_multiplier": scale, "weight_decay": decay})

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Leave weights out of weight decay; a second call replaces the first.

        Args:
            var_list: `Weight`s of `model.store.weights`.
            var_names: strings; a weight is left out where one of them, as a regular expression, is found in its path
                "layer/name" (`["bias", "gamma"]`).

        Raises:
            TypeError: something else.
            ValueError: not a regular expression.

        >>> from npdl.optimizers import AdamW
        >>> AdamW(weight_decay=0.01).exclude_from_weight_decay(var_names=["bias", "^batch_normalization"])
        """
        self._excluded = patterns_of("exclude_from_weight_decay", var_list, var_names)
