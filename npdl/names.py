"""Things that a user asks for by name."""

import functools
import inspect
import re


def find(what, name, known, *more):
    """What `known`, or one of the further dictionaries, holds under `name`, in lower case too.

    Raises:
        ValueError: nothing; the nearest name of `known` is suggested.

    >>> find("colour", "Red", {"red": 1, "green": 2})
    1
    """
    for names in (known, *more):
        for key in (name, name.lower()):
            if key in names:
                return names[key]
    near = nearest(name.lower(), known)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"unknown {what} {name!r}; {hint}there are {', '.join(known)}")


def nearest(name, known, cutoff=0.5):
    """[the name among `known` that is most like this one], [] where none is."""
    import difflib  # only where something is wrong already: it takes longer to import than most of npdl's modules

    return difflib.get_close_matches(name, known, 1, cutoff)


def snake_case(name):
    """Keras' automatic names: GlobalMaxPooling2D -> global_max_pooling2d.

    >>> snake_case("GlobalMaxPooling2D"), snake_case("ReLU")
    ('global_max_pooling2d', 're_lu')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def part(what, identifier, kind, by_name, classes, example):
    """An object of a family for a name, the object itself, its class or its `{"class_name", "config"}`; None for None.

    Args:
        what: the family's name, for errors.
        identifier: what was given.
        kind: the family's base class.
        by_name: name -> class.
        classes: class name -> class.
        example: what to write instead.

    Raises:
        ValueError: an unknown name; the nearest one is suggested.
        TypeError: something else.
    """
    if identifier is None or isinstance(identifier, kind):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, kind):
        return identifier()
    if isinstance(identifier, str):
        return find(what, identifier, by_name, classes)()
    if isinstance(identifier, dict) and identifier.get("class_name") in classes:
        return classes[identifier["class_name"]](**identifier.get("config", {}))
    raise TypeError(f"a {what} must be a name or an npdl.{what}s object, got {identifier!r}; pass e.g. {example}")


@functools.cache
def arguments(kind):
    """Names of the arguments that make an object of a class."""
    return tuple(inspect.signature(kind).parameters)


class Part:
    """An object that a layer takes by name: its arguments say all of it.

    Every argument of `__init__` is kept under its own name.
    """

    def get_config(self):
        """The arguments that make an equal object."""
        return {name: getattr(self, name) for name in arguments(type(self))}

    @classmethod
    def from_config(cls, config):
        """A new one from `get_config()`'s dictionary."""
        return cls(**config)

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.get_config().items())})"

    def __eq__(self, other):
        if self is other or type(self) is not type(other):
            return self is other
        told = all(hasattr(self, name) for name in arguments(type(self)))  # else the config does not say all of it
        return told and self.get_config() == other.get_config()

    def __hash__(self):
        return hash(type(self))
