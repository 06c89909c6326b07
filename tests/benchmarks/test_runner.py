"""Whose turn it is, and what is measured by itself, with workers that only pretend."""

import contextlib
import dataclasses
import itertools
import pathlib
import types

import pytest

from benchmarks import command, machine, processes, rows
from benchmarks.rows import Row
from benchmarks.runner import Runner, Settings, fastest
from benchmarks.summary import Result
from benchmarks.worker import WorkerError, median, warm_up

ROW = Row("group/row", "operation", {"size": 3}, against="other")


class Pretender:
    """A worker whose configurations take the given seconds; writes down what it is asked."""

    def __init__(self, name, seconds, log):
        self.name, self.seconds, self.log = name, seconds, log

    def ask(self, method, *arguments):
        self.log.append((self.name, method, *arguments))
        if method == "load":
            return self.seconds
        configuration, _, least = arguments
        return [self.seconds[configuration]] * least

    def close(self):
        self.log.append((self.name, "close"))


@pytest.fixture
def log():
    return []


@pytest.fixture
def runner(log):
    runner = Runner(Settings(threads=2, seconds=0.0, rounds=4))
    runner.group = "group"
    runner.workers = {
        "npdl": Pretender("npdl", {"": 1.0}, log),
        "torch": Pretender("torch", {"contiguous": 5.0, "channels_last": 3.0}, log),
    }
    return runner


def test_the_fastest_configurations_take_turns(runner, log):
    result = runner.measure(ROW)
    assert result.ratio == 3.0 and result.theirs_how == "channels_last"
    assert log[:2] == [("npdl", "load", "operation", {"size": 3}), ("torch", "load", "other", {"size": 3})]
    turns = [(name, arguments[0]) for name, method, *arguments in log if method == "time"]
    assert turns[:8] == [("npdl", ""), ("torch", "channels_last")] * 4
    assert turns[8:] == [("npdl", ""), ("torch", "channels_last")]  # each alone


def test_a_new_group_gets_new_processes(runner, log):
    runner.group = "another"
    runner.worker = lambda engine: Pretender(engine, {"": 1.0}, [])
    runner.measure(ROW)
    assert log == [("npdl", "close"), ("torch", "close")] and runner.group == "group"


def test_what_an_engine_raises_is_the_rows_note(runner):
    class Failing(Pretender):
        def ask(self, method, *arguments):
            raise WorkerError("Traceback ...\n  File ...\nRuntimeError: no C++ compiler\n")

    runner.workers["torch"] = Failing("torch", {}, [])
    result = runner.measure(ROW)
    assert result.note == "not measured: RuntimeError: no C++ compiler" and result.ratio is None
    assert runner.workers == {}  # the next row starts afresh


def test_nobody_else_is_on_a_gpu_whose_memory_is_counted(runner, log, monkeypatch):
    monkeypatch.setattr(processes, "measure", lambda row, settings: log.append("counted"))
    runner.settings = dataclasses.replace(runner.settings, device="cuda")
    runner.measure(Row("gpu-memory/mlp-64", "gpu_memory", {}))
    assert log[-1] == "counted" and not runner.workers and [said[1] for said in log[:-1]] == ["close", "close"]


def test_an_interrupted_run_has_what_was_measured(monkeypatch, capsys):
    def measure(row):
        if row.name == "group/last":
            raise KeyboardInterrupt
        return Result(row, note="fine")

    made = types.SimpleNamespace(worker=lambda engine: types.SimpleNamespace(about={}), workers={}, measure=measure)
    monkeypatch.setattr(command, "Runner", lambda settings: contextlib.nullcontext(made))
    monkeypatch.setattr(machine, "describe", lambda: {"busy": None})
    monkeypatch.setattr(machine, "peaks", lambda *_: {})
    last = dataclasses.replace(ROW, name="group/last")
    results, _ = command.run([ROW, last, last], Settings(threads=2))
    assert [result.row for result in results] == [ROW]
    assert "interrupted: 2 of 3 rows are not measured" in capsys.readouterr().out


def test_a_part_of_the_table_does_not_replace_the_whole(monkeypatch, capsys):
    everything, written = [Result(row) for row in rows.ROWS], []
    monkeypatch.setattr(command, "NEEDED", {})
    monkeypatch.setattr(command, "write", lambda folder, *_: written.append(folder))
    for results, options in ((everything[:9], []), (everything, []), (everything[:9], ["--output", "there"])):
        monkeypatch.setattr(command, "run", lambda *_, results=results: (results, {"peaks": {}}))
        assert command.main(options) == 0
    assert written == [command.HERE, pathlib.Path("there")]


def test_fastest_and_median():
    assert fastest({"a": 2.0, "b": 1.0}) == "b"
    assert median([3.0, 1.0, 2.0]) == 2.0 and median([4.0, 1.0]) == 2.5


def test_short_calls_are_repeated_within_a_sample(monkeypatch):
    clock = itertools.count(0, 1e-6)  # a microsecond from look to look
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert warm_up(lambda: None) > 50
