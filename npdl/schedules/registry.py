"""Schedules by name."""

from npdl import names
from npdl.schedules.base import LearningRateSchedule


def get(identifier):
    """The schedule for an object or its `{"class_name", "config"}`.

    Raises:
        ValueError: an unknown class.
        TypeError: something else.

    >>> get({"class_name": "StepDecay", "config": {"initial_learning_rate": 0.1, "step_size": 30}})
    StepDecay(initial_learning_rate=0.1, step_size=30)
    """
    if isinstance(identifier, LearningRateSchedule):
        return identifier
    if isinstance(identifier, dict) and isinstance(identifier.get("class_name"), str):
        found = names.find("schedule", identifier["class_name"], _classes())
        return found.from_config(identifier.get("config") or {})
    raise TypeError(
        f"a learning-rate schedule must be an object of npdl.schedules, got {identifier!r}; "
        "pass e.g. npdl.schedules.CosineDecay(0.1, decay_steps=1000)"
    )


def _classes():
    """Name -> class of npdl's own schedules and of all that were derived from them."""
    found, waiting = {}, [LearningRateSchedule]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            found.setdefault(cls.__name__, cls)
            waiting.append(cls)
    return found


def serialize(schedule):
    """Class and arguments, which `get` reads back."""
    return {"class_name": type(schedule).__name__, "config": schedule.get_config()}
