"""What `compile` is given, put in the order of a model's outputs."""

import numbers

from npdl import losses, metrics


def by_output(argument, given, names):
    """What was given for each output, a list; one thing holds for all.

    Args:
        argument: its name, for errors.
        given: a dict by name, a list in order, or one.
        names: of the outputs.

    Raises:
        ValueError: another number, an unknown name.
    """
    said = ", ".join(map(repr, names))
    if isinstance(given, dict):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ValueError(f"{argument} names the output {unknown[0]!r}, and the model's outputs are {said}")
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(
                f"{argument} has {len(given)} entries, and the model has {len(names)} outputs: {said}; pass one for "
                "each, or a dict by name"
            )
        return list(given)
    return [given] * len(names)


def losses_of(given, names):
    """The loss of each output, None where it has none: one object each."""
    return [None if one is None else losses.get(one) for one in by_output("loss", given, names)]


def weights_of(given, names):
    """The weight of each loss.

    Raises:
        TypeError: not numbers.
    """
    found = by_output("loss_weights", given, names)
    wrong = [one for one in found if one is not None and (isinstance(one, bool) or not isinstance(one, numbers.Real))]
    if wrong:
        raise TypeError(
            f"loss_weights are numbers, one for each output, got {wrong[0]!r}; metrics come after them: "
            "pass metrics=[...]"
        )
    return [1.0 if one is None else float(one) for one in found]


def metrics_of(argument, given, names):
    """The metrics of each output, a list each."""
    if len(names) == 1 and not isinstance(given, dict):
        given = [_listed(given)]
        if given[0] and all(isinstance(one, (list, tuple)) for one in given[0]):
            given = given[0]
    return [_listed(one) for one in by_output(argument, given, names)]


def check(found, loss):
    """Raise where a metric does not go with the loss of its output."""
    for metric in found:
        metrics.check(metric, loss)


def _listed(given):
    """A list of what was given: one thing, several, or None."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]
