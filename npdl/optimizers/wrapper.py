"""Wrapper: an optimizer around another one."""

from npdl.optimizers.base import Optimizer
from npdl.optimizers.services import SERVICES


class Wrapper(Optimizer):
    """Base of the optimizers that let another one take the steps and do something between them.

    Clipping, decay, accumulation and all else are the inner optimizer's, as it was given. A subclass writes `between`,
    and names its state arrays in `own_slots`; they begin as copies of the weights.

    Args:
        optimizer: an `Optimizer` that has not made a step, or its `{"class_name", "config"}`.
        name: kept for you.

    Raises:
        TypeError, ValueError: something else, or an optimizer in use.
    """

    own_slots: tuple[str, ...] = ()

    def __init__(self, optimizer, name):
        if isinstance(optimizer, dict):
            optimizer = _known(Optimizer)[optimizer["class_name"]].from_config(optimizer["config"])
        if not isinstance(optimizer, Optimizer) or optimizer.takes_closure:
            raise TypeError(
                f"{type(self).__name__}: optimizer must be an npdl.optimizers object that steps from gradients, got "
                f"{optimizer!r}; pass e.g. npdl.optimizers.Adam(0.001)"
            )
        if isinstance(optimizer, Wrapper):
            raise TypeError(
                f"{type(self).__name__}: optimizer must take the steps itself, got {optimizer!r}, which has another do "
                f"so; pass one of the two, e.g. {type(self).__name__}({type(optimizer.optimizer).__name__}())"
            )
        if optimizer.iterations:
            raise ValueError(f"{type(self).__name__}: {optimizer!r} has made steps already; pass a new one")
        services = {service: getattr(optimizer, service) for service in SERVICES}
        super().__init__(optimizer._learning_rate, optimizer.weight_decay, name, **services)
        self.optimizer = optimizer
        self._excluded, self._groups = optimizer._excluded, optimizer._groups

    def between(self, k, p, segments):
        """What happens after a step; self.iterations is still its number, from 0."""
        raise NotImplementedError(f"{type(self).__name__} needs between(self, k, p, segments)")

    def _inner(self):
        """The inner optimizer, brought to what this one is now."""
        inner = self.optimizer
        inner._learning_rate, inner.iterations, inner.state = self._learning_rate, self.iterations, self.state
        inner._excluded, inner._groups, inner._device = self._excluded, self._groups, self._device
        return inner

    def slots(self):
        return (*self.optimizer.slots(), *self.own_slots)

    def initial(self, name):
        return None if name in self.own_slots else self.optimizer.initial(name)

    def length(self, name, store):
        return len(store.data) if name in self.own_slots else self.optimizer.length(name, store)

    def arrange(self, segments, weights):
        return self.optimizer.arrange(segments, weights)

    def update(self, k, p, g, segments):
        self._inner().update(k, p, g, segments)
        self.between(k, p, self._segments[2])

    def get_config(self):
        config = {name: value for name, value in super().get_config().items() if name not in SERVICES}
        config.pop("exclude_from_weight_decay", None)
        config.pop("groups", None)
        inner = self._inner()
        return {**config, "optimizer": {"class_name": type(inner).__name__, "config": inner.get_config()}}

    def __getstate__(self):
        return {**super().__getstate__(), "optimizer": type(self.optimizer).from_config(self._inner().get_config())}

    def __repr__(self):
        shown = super().__repr__().split("optimizer={", 1)[0]
        config = {name: value for name, value in self.get_config().items() if name not in ("optimizer", "name")}
        return f"{shown}{self._inner()!r}, {', '.join(f'{name}={value!r}' for name, value in config.items())})"


def _known(cls):
    """Name -> class of all that is derived from a class."""
    found = {}
    for each in cls.__subclasses__():
        found.update({each.__name__: each, **_known(each)})
    return found
