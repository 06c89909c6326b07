"""npdl on a GPU: what it is, and how a call on it is timed."""

import npdl


def timer(driver):
    """A function (call, repeats) -> seconds between two events on the driver's stream, before and behind the calls.

    The host goes ahead of the GPU, so it is the longer of both that is measured: the launches, or the work.
    """
    from cuda.core import EventOptions  # an extra

    timed = EventOptions(timing_enabled=True)

    def seconds(call, repeats):
        start = driver.stream.record(options=timed)
        for _ in range(repeats):
            call()
        end = driver.stream.record(options=timed)
        end.sync()
        return (end - start) / 1000  # events tell milliseconds

    return seconds


def set_tf32(on):
    """Whether products round their factors."""
    npdl.cuda.allow_tf32(on)


def described():
    """The GPU and the versions of what serves it, as text."""
    from cuda.bindings import driver as cu  # an extra

    about, (_, version) = npdl.cuda.info(), cu.cuDriverGetVersion()
    served = ", ".join(f"{name} {number}" for name, number in about["versions"].items() if number)
    memory = about["memory"]["total"] / 2**30
    return f"{about['name']}, {memory:.0f} GiB, driver for CUDA {version // 1000}.{version % 1000 // 10}; {served}"
