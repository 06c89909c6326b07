"""Configuration: an optimizer's arguments as plain values, and an equal optimizer from them."""

import inspect

from npdl import schedules
from npdl.names import nearest
from npdl.optimizers.groups import Groups
from npdl.optimizers.services import SERVICES
from npdl.schedules import LearningRateSchedule

KERAS_ONLY = {"amsgrad": False, "loss_scale_factor": None}
"""Arguments of Keras' optimizers that npdl does not have, and the default that asks for nothing."""


class Configuration(Groups):
    """What reads an optimizer's arguments from its signature: each is kept under its own name."""

    _learning_rate: float | LearningRateSchedule

    def _refuse(self, argument, value):
        """Raise unless `value` asks for nothing."""
        owner = type(self).__name__
        if argument not in KERAS_ONLY:
            near = nearest(argument, [*inspect.signature(type(self)).parameters, *SERVICES], 0.6)
            near = ["learning_rate"] if argument == "lr" else near
            hint = f"did you mean {near[0]!r}?" if near else f"see help({owner})"
            raise TypeError(f"{owner} has no argument {argument!r}; {hint}")
        if value != KERAS_ONLY[argument]:
            raise ValueError(f"{owner}: npdl does not have {argument}, got {argument}={value!r}; leave it out")

    def get_config(self):
        """The arguments that make an equal optimizer, as they are now; `from_config` reads them."""
        parameters = inspect.signature(type(self).__init__).parameters.values()
        names = [p.name for p in parameters if p.kind != p.VAR_KEYWORD and p.name != "self"]
        config = {name: getattr(self, name) for name in names}
        if isinstance(self._learning_rate, LearningRateSchedule) and "learning_rate" in config:
            config["learning_rate"] = schedules.serialize(self._learning_rate)
        for name, default in SERVICES.items():
            if getattr(self, name) != default:
                config[name] = getattr(self, name)
        if self._excluded:
            config["exclude_from_weight_decay"] = list(self._excluded)
        if self._groups:
            config["groups"] = [dict(group) for group in self._groups]
        return config

    @classmethod
    def from_config(cls, config):
        """A new optimizer, without state, from `get_config()`'s dictionary."""
        config = dict(config)
        excluded, groups = config.pop("exclude_from_weight_decay", None), config.pop("groups", ())
        optimizer = cls(**config)
        if excluded:
            optimizer.exclude_from_weight_decay(var_names=excluded)
        for group in groups:
            optimizer.add_group(**group)
        return optimizer

    def __repr__(self):
        parameters = inspect.signature(type(self).__init__).parameters
        defaults = {**SERVICES, **{name: parameter.default for name, parameter in parameters.items()}}
        shown = {
            name: self._learning_rate if name == "learning_rate" else value
            for name, value in self.get_config().items()
            if name in defaults and (name == "learning_rate" or value != defaults[name])
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
