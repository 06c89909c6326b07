"""What goes wrong in layers and losses of one's own without showing in their gradients."""

import inspect

REACHES = {"params": "the model's weights", "grads": "the optimizer", "state": "the model's state"}


class Views:
    """Remembers the arrays that a store gave to layers, and tells which layer has put another in the place of one.

    `self.grads["w"] = g` leaves the store's gradient as it was, and the optimizer reads that one.
    """

    def __init__(self, layers):
        self.given = [
            (part, kind, dict(getattr(part, kind))) for layer in layers for part in layer.walk() for kind in REACHES
        ]

    def replaced(self):
        """What there is to say about the first array that was replaced, "" where none was."""
        for part, kind, arrays in self.given:
            for name, array in arrays.items():
                if getattr(part, kind).get(name) is not array:
                    place = f"self.{kind}[{name!r}]"
                    return (
                        f"{part.name}: write {place}[...] = ..., the assignment {place} = ... does not reach "
                        f"{REACHES[kind]}"
                    )
        return ""

    def demand(self):
        """Raise where an array was replaced.

        Raises:
            ValueError: names the layer and the array.
        """
        replaced = self.replaced()
        if replaced:
            raise ValueError(replaced)


def demand_arguments(part, method, expected):
    """Raise where a method cannot be called as the engine calls it.

    Args:
        part: a layer, loss or metric.
        method: name of its method.
        expected: its arguments after self as they should be written, e.g. "x, training=False".

    Raises:
        TypeError: it takes others.
    """
    signature = inspect.signature(getattr(part, method))
    try:
        signature.bind(*expected.split(", "))
    except TypeError:
        takes = ", ".join(["self", *map(str, signature.parameters.values())])
        raise TypeError(f"{type(part).__name__}.{method} must take (self, {expected}), it takes ({takes})") from None
