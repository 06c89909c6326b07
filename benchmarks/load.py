"""What a training step costs beside busy processes, and beside NumPy's own threads: `python benchmarks/load.py`.

Prints, with 0, 1 and 2 processes that do nothing but count, the median step of npdl and of PyTorch and by how much it
grew; then npdl's step and a matrix product of NumPy in turn, against the sum of what they take apart: two pools of
threads that both wait by spinning make this many times as much.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

import numpy as np

import npdl
from npdl import Sequential, layers

BUSY = (0, 1, 2)
CLASSES = 10


def npdl_step(rng, batch, filters):
    """(a function that trains one step, its name)"""
    model = Sequential(
        [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(CLASSES),
        ],
        seed=0,
    )
    x = rng.standard_normal((batch, 16, 16, 64)).astype("float32")
    y = rng.integers(0, CLASSES, batch)
    loss, optimizer = (
        npdl.losses.SparseCategoricalCrossentropy(from_logits=True),
        npdl.optimizers.SGD(0.01, momentum=0.9),
    )

    def step():
        loss.forward(y, model.forward(x, training=True))
        model.backward(loss.backward())
        optimizer.step(model)

    return step


def torch_step(rng, batch, filters):
    import torch

    torch.set_num_threads(npdl.get_num_threads())
    model = torch.nn.Sequential(
        torch.nn.Conv2d(64, filters, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(filters, filters, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(filters * 64, CLASSES),
    ).to(memory_format=torch.channels_last)
    x = torch.from_numpy(rng.standard_normal((batch, 64, 16, 16)).astype("float32"))
    x = x.to(memory_format=torch.channels_last)
    y = torch.from_numpy(rng.integers(0, CLASSES, batch))
    loss, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(model(x), y).backward()
        optimizer.step()

    return step


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turn(calls, repeats, block=5):
    """[median seconds of each call], measured in blocks that take turns; the first of a block is not counted."""
    times = [[] for _ in calls]
    for _ in range(repeats):
        for taken, call in zip(times, calls):
            call()
            taken += [seconds(call) for _ in range(block)]
    return [statistics.median(taken) for taken in times]


class Busy:
    """`count` processes that take a core each while it is open."""

    def __init__(self, count):
        self.count = count

    def __enter__(self):
        command = [sys.executable, "-c", "while True: pass"]
        self.processes = [subprocess.Popen(command) for _ in range(self.count)]
        time.sleep(0.5)

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


def under_load(steps, repeats):
    names, first = list(steps), {}
    print(f"{'busy processes':16}" + "".join(f"{name + ' ms':>12}{'slower':>9}" for name in names))
    for count in BUSY:
        with Busy(count):
            medians = in_turn(list(steps.values()), repeats)
        line = f"{count:<16}"
        for name, median in zip(names, medians):
            line += f"{median * 1e3:12.2f}{median / first.setdefault(name, median):8.2f}x"
        print(line, flush=True)


def beside_numpy(step, rng, repeats):
    a = rng.standard_normal((512, 512)).astype("float32")
    product = np.empty_like(a)

    def numpy_product():
        np.matmul(a, a, out=product)

    def both():
        step()
        numpy_product()

    apart = sum(in_turn([step, numpy_product], repeats, 10))
    (together,) = in_turn([both], repeats, 10)
    print(f"npdl's step and np.matmul in turn {together * 1e3:.2f} ms, apart {apart * 1e3:.2f} ms", end=": ")
    print(f"{together / apart:.2f}x")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=8, help="blocks of each engine a line")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    steps = {"npdl": npdl_step(rng, arguments.batch, arguments.filters)}
    try:
        steps["torch"] = torch_step(rng, arguments.batch, arguments.filters)
    except ImportError:
        print("PyTorch is not installed: npdl alone")
    print(f"{npdl.get_num_threads()} threads; conv 64-{arguments.filters}-{arguments.filters}, batch {arguments.batch}")
    if hasattr(os, "getloadavg"):
        print(
            f"load of the machine before: {os.getloadavg()[0]:.1f}; from 0.5 on the first line is not one without load"
        )
    under_load(steps, arguments.repeats)
    beside_numpy(npdl_step(rng, 4, 16), rng, arguments.repeats * 4)


if __name__ == "__main__":
    main()
