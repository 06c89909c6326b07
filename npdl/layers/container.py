"""Container: a layer with chains of layers inside it."""

from npdl import names
from npdl.layers.base import Layer
from npdl.layers.chains import class_named, listed, lowest_to_learn


class Container(Layer):
    """A layer made of chains of layers: it names, walks, freezes, copies and writes down what is inside.

    A subclass calls `super().__init__({"argument": list of layers or None, ...}, **base)`; each chain is then the
    attribute of its name. It writes `build`, `forward` and `backward`, with the layers inside called one by one.

    Layers inside are named in the order of the chains, `residual/conv2d`, `residual/conv2d_1`, and keep to the name of
    the container when a model numbers it. `trainable` is that of the layers inside: setting it sets them all.

    Raises:
        TypeError: something else than a layer.
        ValueError: a layer that is somewhere else already, two of one name.
    """

    def __init__(self, chains, **base):
        self.chains, self.inner_names = tuple(chains), []
        vars(self).update({name: chain and listed(self, name, chain) for name, chain in chains.items()})
        super().__init__(**{**base, "trainable": True})
        for part in self.inner():
            self._own(part)
        self.name = self.name  # the layers inside take theirs
        self.makes_mask = any(part.makes_mask for part in self.inner())
        self.reads_integers = any(chain[0].reads_integers for chain in self.entrances() if chain)
        if not base.get("trainable", True):
            self.trainable = False

    def inner(self):
        """The layers inside, chain by chain."""
        return [part for name in self.chains for part in getattr(self, name) or ()]

    def entrances(self):
        """The chains that read x."""
        return [getattr(self, name) or () for name in self.chains]

    def trained(self, chain):
        """The layers of a chain that backward goes through: all, or as far as it has to where nobody reads dx."""
        return chain if self.needs_dx else chain[lowest_to_learn(chain) :]

    def _own(self, part):
        kind, taken = type(self).__name__, self.inner_names
        if hasattr(part, "compile"):
            raise TypeError(
                f"{kind} holds layers, and {part.name} is a model; pass its layers as one, e.g. "
                f"{kind}(layers.Branch([layers.Dense(10), layers.ReLU()]))"
            )
        if not isinstance(part, Layer):
            raise TypeError(f"{kind} holds npdl layers, got {part!r}; pass e.g. {kind}([layers.Dense(10)])")
        if part.owner is not None:
            raise ValueError(
                f"{part.name} belongs to {part.owner.name}, and one layer cannot learn in two places; "
                f"put copy.deepcopy(layer) into this {kind}, which has the same weights"
            )
        base = name = part.given_name or names.snake_case(type(part).__name__)
        if part.given_name and name in taken:
            raise ValueError(f"two layers inside {self.name} are named {name!r}; give one of them another name=")
        count = 0
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        part.owner = self
        taken.append(name)

    # ---- what a layer says of itself, for all that is inside

    @property
    def name(self):
        """Shown in errors and `summary()`; the layers inside have it in front of theirs."""
        return self._name

    @name.setter
    def name(self, value):
        self._name = value
        for part, name in zip(self.inner(), self.inner_names):
            part.name = f"{value}/{name}"

    @property
    def trainable(self):
        """Whether any layer inside may learn; setting it sets them all."""
        return any(part.trainable for part in self.inner())

    @trainable.setter
    def trainable(self, value):
        for part in self.inner() if self.inner_names else ():
            part.trainable = value

    def walk(self):
        yield self
        for part in self.inner():
            yield from part.walk()

    def flops(self):
        return super().flops() + sum(part.flops() for part in self.inner())

    # ---- configuration and copies

    def get_config(self):
        config, names_inside = super().get_config(), iter(self.inner_names)
        for chain in self.chains:
            config[chain] = getattr(self, chain) and [
                {"class_name": type(part).__name__, "config": {**part.get_config(), "name": next(names_inside)}}
                for part in getattr(self, chain)
            ]
        return config

    @classmethod
    def from_config(cls, config):
        """A new layer from `get_config()`'s dictionary, where a layer may also stand in place of its description."""
        return cls(**{name: _layers(value) for name, value in config.items()})

    def __reduce__(self):
        restore, (cls, config, built) = super().__reduce__()
        names_inside = iter(self.inner_names)
        for chain in self.chains:
            parts = getattr(self, chain)
            config[chain] = parts and [_unbuilt(part, next(names_inside)) for part in parts]
        return restore, (cls, config, built)

    def __repr__(self):
        config = super().get_config()
        del config["name"], config["trainable"]
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in config.items())})"


def _unbuilt(part, name):
    """A new layer of the same configuration, your own objects in it included."""
    restore, (cls, config, _) = part.__reduce__()
    return restore(cls, {**config, "name": name}, None)


def _layers(value):
    """The layers of a chain's description; anything else as it is."""
    if not isinstance(value, list):
        return value
    return [
        class_named(part["class_name"]).from_config(part["config"])
        if isinstance(part, dict) and "class_name" in part
        else part
        for part in value
    ]
