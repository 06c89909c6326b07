"""The switch of `npdl.cuda.debug`, in a module that imports nothing of what computes on GPUs."""

_on = False


def set_debug(on):
    """Whether each launch is waited for, so that an error is raised where it happened; returns what it was before."""
    global _on
    before, _on = _on, bool(on)
    return before


def debugging():
    """Whether it is."""
    return _on
