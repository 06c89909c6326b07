"""npdl on a GPU: what it is, and how a call on it is timed."""

import npdl


def timer(driver):
    """A function (call, repeats) -> seconds between two events on the driver's stream, before and behind the calls.

    The host goes ahead of the GPU, so it is the longer of both that is measured: the launches, or the work.
    """
    from cuda.bindings import driver as cu  # an extra

    def checked(result):
        status, *values = result
        if status != cu.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"CUDA: {status.name}")
        return values

    driver.be_current()
    (start,), (end,) = (checked(cu.cuEventCreate(0)) for _ in range(2))

    def seconds(call, repeats):
        stream = driver.stream.handle
        checked(cu.cuEventRecord(start, stream))
        for _ in range(repeats):
            call()
        checked(cu.cuEventRecord(end, stream))
        checked(cu.cuEventSynchronize(end))
        return checked(cu.cuEventElapsedTime(start, end))[0] / 1000  # of milliseconds

    return seconds


def memory_used():
    """Bytes of the GPU's memory that nobody else can have, as PyTorch's `mem_get_info` counts them."""
    from cuda.bindings import driver as cu  # an extra

    _, free, total = cu.cuMemGetInfo()
    return total - free


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
