"""What the figures were measured on, and the most that this machine does."""

import datetime
import os
import pathlib
import platform

COPIED = 1 << 26  # numbers: 256 MiB, far beyond the caches
PRODUCTS = (512, 1024, 2048)


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


def describe():
    """Machine, system and time."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def peaks(workers, seconds=0.3):
    """{"flops": (operations a second, where), "bytes": (bytes a second, where)}: the best of any engine.

    The arithmetic's peak is that of the fastest of some square matrix products, the memory's that of a copy (bytes read
    and bytes written) of 256 MiB.
    """
    flops, moved = [], []
    for engine, worker in workers.items():
        for n in PRODUCTS:
            options = {"m": n, "n": n, "k": n, "transpose_a": False, "transpose_b": False}
            flops.append((2 * n**3 / _least(worker, "matmul", options, seconds), f"{engine}, {n}³"))
        moved.append((8 * COPIED / _least(worker, "copy", {"size": COPIED}, seconds), engine))
    return {"flops": max(flops), "bytes": max(moved)}


def _least(worker, operation, options, seconds):
    return min(min(worker.ask("time", name, seconds, 3)) for name in worker.ask("load", operation, options))
