"""One number from a process that does nothing else: python -m benchmarks.probe import|first_step|... npdl|torch {}"""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time


def import_(engine):
    """Seconds of importing the engine where NumPy is imported already."""
    import numpy  # noqa: F401

    start = time.perf_counter()
    __import__(engine)
    return time.perf_counter() - start


def first_step(engine, device="cpu"):
    """Seconds from the start of the process to the end of a training step, as a user's script does it."""
    from benchmarks import data

    x, y = data.normal(64, 784), data.labels(64, 10)
    if engine == "npdl":
        from npdl import Sequential, layers

        model = Sequential([layers.Dense(128, activation="relu"), layers.Dense(10)], seed=0)
        model.compile("adam", "sparse_categorical_crossentropy")
        if device != "cpu":
            model.to(device)
        model.train_on_batch(x, y)
    else:
        import torch
        from torch import nn

        model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        x, y = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the device
    return since_start()


def since_start():
    """Seconds since this process began."""
    ticks = pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    return uptime - int(ticks) / os.sysconf("SC_CLK_TCK")


def memory(field):
    """Bytes of VmRSS (now) or VmHWM (the most so far) of this process."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def _step(engine, net, batch, layout="channels_last"):
    if engine == "npdl":
        from benchmarks.engines.npdl.models import train

        return lambda: next(iter(train(net, batch).values()))
    from benchmarks.engines.torch.models import FORMATS, training

    return lambda: training(net, batch, FORMATS[layout if net != "mlp" else "contiguous"], fused=True)


def peak(engine, above_imports, **options):
    """The most bytes that five training steps need: of the whole process, or above what the imports took.

    A step of the smallest net comes first: what an engine imports late (npdl Numba) is an import.
    """
    make = _step(engine, **options)
    _step(engine, **{**options, "net": "mlp", "batch": 1})()()
    before = memory("VmRSS") if above_imports else 0
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    call = make()
    for _ in range(5):
        call()
    return memory("VmHWM") - before


def gpu_memory(engine, net, batch, device):
    """Bytes of the GPU's memory that are in use after five training steps: of all, the context's included."""
    if engine == "npdl":
        from benchmarks.engines import npdl as measured

        there, used = contextlib.nullcontext(), measured.gpu.memory_used
    else:
        import torch

        from benchmarks.engines import torch as measured

        there = torch.device(device)  # where tensors are made

        def used():
            free, total = torch.cuda.mem_get_info()
            return total - free

    measured.use(device)
    with there:
        call = _step(engine, net, batch)()  # one model, in one configuration
    for _ in range(5):
        call()
    return used()


def new_arrays(engine, **options):
    """The most bytes of new arrays at any time in a training step, after a few."""
    import tracemalloc  # NumPy tells it of its arrays

    call = _step(engine, **options)()
    for _ in range(3):
        call()
    tracemalloc.start()
    call()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    call()
    return tracemalloc.get_traced_memory()[1] - before


@contextlib.contextmanager
def busy_processes(count):
    """So many processes, each of which would take a core for itself."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.3)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def in_turn(calls, rounds=12, repeats=5):
    """[median seconds of each call], in blocks of `repeats` that take turns; a block's first call does not count."""
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, samples, strict=True):
            call()
            for _ in range(repeats):
                start = time.perf_counter()
                call()
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in samples]


def mean_seconds(call, seconds=1.0):
    """The mean of calls that follow each other for so long: waiting for a core is part of it, which a median hides."""
    call()
    start, calls = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds:
        call()
        calls += 1
    return taken / calls


def beside_busy(engine, busy, **options):
    """How many times as long a training step takes while other processes want all of `busy` cores."""
    call = _step(engine, **options)()
    free = mean_seconds(call)
    with busy_processes(busy):
        loaded = mean_seconds(call)
    return loaded / free


def beside_numpy(engine, **options):
    """Training steps and matrix products of NumPy in turn, by the sum of what they take apart.

    Two pools of threads that both wait by spinning, each on the other's cores, make this many times 1.
    """
    import numpy as np

    step = _step(engine, **options)()
    a = np.ones((512, 512), np.float32)
    product = np.empty_like(a)

    def multiply():
        np.matmul(a, a, out=product)

    def both():
        step()
        multiply()

    apart = sum(in_turn([step, multiply]))
    (together,) = in_turn([both])
    return together / apart


def accuracy(engine, **options):
    """Seconds of training to a test accuracy."""
    if engine == "npdl":
        from benchmarks.engines.npdl.models import accuracy as run
    else:
        from benchmarks.engines.torch.models import accuracy as run

    return run(**options, every=100)


PROBES = {
    "import": import_,
    "first_step": first_step,
    "peak": peak,
    "gpu_memory": gpu_memory,
    "new_arrays": new_arrays,
    "beside_busy": beside_busy,
    "beside_numpy": beside_numpy,
    "accuracy": accuracy,
}

if __name__ == "__main__":
    _, what, engine, options = sys.argv
    print(PROBES[what](engine, **json.loads(options)))
