"""Schedules by name."""

from npdl import names
from npdl.schedules.base import LearningRateSchedule

_classes: dict[str, type] = {cls.__name__: cls for cls in ()}


def get(identifier):
    """The schedule for an object or its `{"class_name", "config"}`.

    Raises:
        ValueError: an unknown class.
        TypeError: something else.
    """
    if isinstance(identifier, LearningRateSchedule):
        return identifier
    if isinstance(identifier, dict) and isinstance(identifier.get("class_name"), str):
        found = names.find("schedule", identifier["class_name"], _classes)
        return found.from_config(identifier.get("config") or {})
    raise TypeError(f"a learning-rate schedule must be an object of npdl.schedules, got {identifier!r}")


def serialize(schedule):
    """Class and arguments, which `get` reads back."""
    return {"class_name": type(schedule).__name__, "config": schedule.get_config()}
