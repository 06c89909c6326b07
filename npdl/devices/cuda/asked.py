"""Who asked: the layer, loss or optimizer in whose method something went wrong, for the message."""

import sys

METHODS = {
    "add_penalties", "backward", "forward", "forward_backward", "gradient", "step", "update_state", "values",
    "values_and_gradient",
}  # fmt: skip


def asked_by():
    """Such as "dense_1 (Dense).backward": the innermost of these methods that the calling thread is in; "" in none.

    It looks at the frames of the calls, so that nobody has to say who he is where nothing goes wrong.
    """
    frame = sys._getframe(1)
    while frame is not None:
        method = frame.f_code.co_name
        # Only of these: a frame whose locals were looked at holds what they were, arrays too, as long as it lasts.
        one = frame.f_locals.get("self") if method in METHODS else None
        if one is not None:
            kind = type(one).__name__
            name = getattr(one, "name", None)
            told = isinstance(name, str) and name.lower() != kind.lower()
            return f"{name} ({kind}).{method}" if told else f"{kind}.{method}"
        frame = frame.f_back
    return ""
