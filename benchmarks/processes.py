"""What is measured in a process of its own, or on the disk: start, memory, size, neighbours, the way to an accuracy."""

import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

from packaging.requirements import Requirement

from benchmarks.summary import Result, summarize

ROOT = pathlib.Path(__file__).parents[1]


def probe(what, engine, threads, **options):
    """The number that benchmarks/probe.py prints last."""
    environment = {**os.environ, **{name: str(threads) for name in ("OMP_NUM_THREADS", "NPDL_NUM_THREADS")}}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # with bytecode, as pip leaves both engines
    command = [sys.executable, "-m", "benchmarks.probe", what, engine, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    return float(done.stdout.split()[-1])


def folder_size(folder):
    """Bytes of the files in it, without Python's caches."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


def distribution_size(name):
    """Bytes of an installed distribution's files."""
    paths = (path for path in importlib.metadata.files(name) or () if path.suffix != ".pyc")
    return sum(path.locate().stat().st_size for path in paths if path.locate().exists())


def dependencies(name):
    """The names of all that a distribution needs, itself included, without extras."""
    found, open_ = set(), [name]
    while open_:
        name = open_.pop()
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                open_.append(re.sub(r"[-_.]+", "-", need.name).lower())
    return found


def package_size(engine, threads):
    return folder_size(ROOT / "npdl") if engine == "npdl" else distribution_size(engine)


def whole_size(engine, threads):
    """With everything that pip installs along."""
    if engine != "npdl":
        return sum(map(distribution_size, dependencies(engine)))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = set().union(*(dependencies(Requirement(line).name) for line in project["dependencies"]))
    return package_size(engine, threads) + sum(map(distribution_size, names))


LAYOUTS = ({"layout": "contiguous"}, {"layout": "channels_last"})  # PyTorch's memory formats: the smaller peak counts
PROBES = {"import", "first_step", "peak", "gpu_memory", "new_arrays", "beside_busy", "beside_numpy", "accuracy"}
MEASURES = PROBES | {"package_size", "whole_size"}


def _samples(row, engine, settings):
    """One after the other, each number when it is asked for."""
    if row.operation in ("package_size", "whole_size"):
        yield {"package_size": package_size, "whole_size": whole_size}[row.operation](engine, settings.threads)
    elif row.operation == "accuracy":
        options = {name: value for name, value in row.options.items() if name != "seeds"}
        for seed in range(row.options["seeds"]):
            yield probe("accuracy", engine, settings.threads, seed=seed, **options)
    else:
        if row.operation in ("import", "first_step"):
            probe(row.operation, engine, settings.threads, **row.options)  # files come into memory, caches are written
        layouts = LAYOUTS if (row.operation, engine) == ("peak", "torch") else ({},)
        steady = row.operation in ("peak", "new_arrays", "beside_numpy")
        for _ in range(1 if steady else settings.launches):
            yield min(probe(row.operation, engine, settings.threads, **row.options, **layout) for layout in layouts)


def measure(row, settings):
    """The `Result` of a row of MEASURES, the engines in turn."""
    if row.operation == "accuracy" and not os.environ.get("NPDL_DATA"):
        return Result(row, note="not measured: it needs MNIST; set NPDL_DATA to the folder that holds mnist/")
    engines = [engine for engine in ("npdl", row.opponent) if engine]
    try:
        turns = list(zip(*(_samples(row, engine, settings) for engine in engines)))
    except (RuntimeError, importlib.metadata.PackageNotFoundError) as error:
        return Result(row, note=f"not measured: {error}")
    return Result(row, *(summarize(list(side)) for side in zip(*turns)))
