"""What the figures were measured on, and the most that this machine does."""

import datetime
import os
import pathlib
import platform
import time

COPIED = 1 << 26  # numbers: 256 MiB, far beyond the caches
PRODUCTS = (512, 1024, 2048)
GPU_PRODUCTS = (2048, 4096, 8192)


def processor():
    """The processor's name."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores():
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy(seconds=1.0):
    """The share of the processors' time that others use while this program sleeps; None where it is not known."""

    def ticks():
        numbers = [int(number) for number in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return sum(numbers), sum(numbers) - numbers[3] - numbers[4]  # all; all but idle and waiting for a disk

    try:
        total, used = ticks()
        time.sleep(seconds)
        total, used = ticks()[0] - total, ticks()[1] - used
    except OSError:
        return None
    return used / max(total, 1)


def describe():
    """Machine, system and time."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "busy": busy(),
    }


def peaks(workers, device="cpu", seconds=0.3):
    """{"flops": (operations a second, where), "bytes": (bytes a second, where)}: the best of any engine. On a GPU also
    "tf32": operations a second with factors rounded to TF32.

    The arithmetic's peak is that of the fastest of some square matrix products, the memory's that of a copy (bytes read
    and bytes written) of 256 MiB.
    """
    modes = {"flops": {}} if device == "cpu" else {"flops": {"tf32": False}, "tf32": {"tf32": True}}
    found: dict[str, list[tuple[float, str]]] = {name: [] for name in (*modes, "bytes")}
    for engine, worker in workers.items():
        for name, mode in modes.items():
            for n in PRODUCTS if device == "cpu" else GPU_PRODUCTS:
                options = {"m": n, "n": n, "k": n, "transpose_a": False, "transpose_b": False, **mode}
                found[name].append((2 * n**3 / _least(worker, "matmul", options, seconds), f"{engine}, {n}³"))
        found["bytes"].append((8 * COPIED / _least(worker, "copy", {"size": COPIED}, seconds), engine))
    return {name: max(values) for name, values in found.items()}


def _least(worker, operation, options, seconds):
    return min(min(worker.ask("time", name, seconds, 3)) for name in worker.ask("load", operation, options))
