"""Configured: a layer's arguments as plain values, and an equal layer from them."""

import inspect

from npdl.layers import configuration


class Configured:
    """What reads a layer's arguments from the signature of its `__init__`: each is kept under its own name."""

    def get_config(self):
        """The arguments of `__init__` as plain values: `type(layer).from_config(config)` is an equal, unbuilt layer."""
        config = {"name": self.name, "trainable": self.trainable}
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if name in ("name", "trainable", "input_shape") or parameter.kind is parameter.VAR_KEYWORD:
                continue
            if not hasattr(self, name):
                raise AttributeError(f"{type(self).__name__} must keep its argument: write self.{name} = {name}")
            config[name] = configuration.plain(getattr(self, name))
        return config | {name: configuration.plain(rule) for name, rule in self.rule_config().items()}

    @classmethod
    def from_config(cls, config):
        """A new layer from `get_config()`'s dictionary, or from the one that Keras 3 writes."""
        config = configuration.read(cls, config)
        layer = cls(**{key: value for key, value in config.items() if key not in ("name", "trainable")})
        layer.name = layer.given_name = config.get("name", layer.name)
        layer.trainable = config.get("trainable", True)
        return layer

    def __reduce__(self):
        """Copies and pickles: configuration and weights, on a store of their own."""
        config, kinds = self.get_config(), configuration.OBJECTS
        config.update({key: own for key, own in vars(self).items() if key in config and isinstance(own, kinds)})
        steps = [part.step for part in self.walk()]
        built = self.store and (self.input_shape, self.dtype.name, self.store.seed, self.get_weights(), steps)
        return configuration.restore, (type(self), config, built)

    def __repr__(self):
        config = self.get_config()
        del config["name"], config["trainable"]
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in config.items())})"
