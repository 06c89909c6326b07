"""Chains: layers one after the other, as they are given and as backward goes through them."""

from collections.abc import Iterable

from npdl.layers.base import Layer


def listed(layer, argument, given):
    """The layers of a list, or of anything else that gives one after the other, as a list.

    Raises:
        TypeError: a layer itself, or nothing that can be gone through.
    """
    if isinstance(given, Layer) or not isinstance(given, Iterable):
        kind = type(layer).__name__
        inside = "*map(copy.deepcopy, model.layers)" if hasattr(given, "compile") else "layers.Dense(10)"
        before = "layers, shortcut=" if argument == "shortcut" else ""
        raise TypeError(f"{kind} takes a list as {argument}, got {given!r}; pass a list: {kind}({before}[{inside}])")
    return list(given)


def lowest_to_learn(chain):
    """The place of the lowest layer in a chain that has weights to learn, the chain's length where none has."""
    for place, layer in enumerate(chain):
        if any(part.trainable and any(declared.trained for declared in part.declared) for part in layer.walk()):
            return place
    return len(chain)


def class_named(name):
    """The layer class of that name: npdl's, else the newest of yours."""
    found, classes = [], [Layer]
    while classes:
        kind = classes.pop(0)
        classes += kind.__subclasses__()
        found += [kind] if kind.__name__ == name else []
    if not found:
        raise ValueError(
            f"there is no layer class {name!r}; define or import it before the layer that holds it is made"
        )
    return next((kind for kind in found if kind.__module__.startswith("npdl.")), found[-1])
