"""Wrapper: a container whose arguments are single layers."""

from npdl.layers import configuration, container
from npdl.layers.container import Container


class Wrapper(Container):
    """A layer around other layers, each an argument of its own; kept as a list of one, as a container's chains are."""

    wrapped: tuple = ("layer",)  # the arguments that are layers

    @classmethod
    def from_config(cls, config):
        """A new layer from `get_config()`'s dictionary, or from the one that Keras 3 writes."""
        inside = {name: _made(config[name]) for name in cls.wrapped if name in config}
        rest = {name: value for name, value in config.items() if name not in cls.wrapped}
        return cls(**inside, **configuration.read(cls, rest))


def _made(value):
    """The layer of a description, or those of a list of them."""
    if isinstance(value, (list, tuple)):
        return [_made(one) for one in value]
    return container._layers([value])[0]


def single(kind, argument, value):
    """The one layer that an argument is, or holds as a list of one.

    Raises:
        TypeError: several.
    """
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise TypeError(f"{kind} takes one layer as {argument}, got {value!r}; pass e.g. {kind}(layers.LSTM(64))")
        return value[0]
    return value
