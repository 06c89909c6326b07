"""Measures rows: two processes take turns, the faster configuration of each side counts."""

import time
from dataclasses import dataclass

from benchmarks import processes
from benchmarks.summary import Result, summarize
from benchmarks.worker import Worker, WorkerError


@dataclass(frozen=True)
class Settings:
    """How long is measured.

    Attributes:
        threads: of each engine.
        seconds: of both engines together while they take turns, for a row of weight 1.
        turn: seconds of one turn.
        rounds: at least so many turns each; half of them where
        slow: one turn of both takes longer than so many seconds.
        alone: share of `seconds` that each engine gets by itself.
        launches: times that what needs a process of its own is measured.
        fresh: whether every group of rows gets new processes.
        device: "cpu" or "cuda".
    """

    threads: int
    seconds: float = 0.6
    turn: float = 0.02
    rounds: int = 6
    slow: float = 2.0
    alone: float = 0.25
    launches: int = 3
    fresh: bool = True
    device: str = "cpu"


def quick(threads, device="cpu"):
    """Settings for a first look."""
    return Settings(threads, seconds=0.25, rounds=3, launches=2, fresh=False, device=device)


class Runner:
    """Keeps the processes from row to row, or from group to group."""

    def __init__(self, settings):
        self.settings, self.workers, self.group = settings, {}, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End all processes."""
        for worker in self.workers.values():
            worker.close()
        self.workers = {}

    def worker(self, engine):
        if engine not in self.workers:
            self.workers[engine] = Worker(engine, self.settings.threads, self.settings.device)
        return self.workers[engine]

    def measure(self, row):
        """The `Result` of a row; where an engine raises, its note says so."""
        if row.operation in processes.MEASURES:
            if self.settings.device != "cpu":
                self.close()  # the GPU's memory is counted, whoever uses it
            return processes.measure(row, self.settings)
        if row.group != self.group:
            if self.settings.fresh:
                self.close()
            self.group = row.group
        ours, theirs = self.worker("npdl"), self.worker(row.opponent)
        try:
            mine = ours.ask("load", row.operation, row.options)
            yours = theirs.ask("load", row.against or row.operation, row.options)
            how = fastest(mine), fastest(yours)
            return self._turns(row, (ours, theirs), how)
        except WorkerError as error:
            self.close()
            return Result(row, note=f"not measured: {error}")

    def _turns(self, row, workers, how):
        settings, samples = self.settings, ([], [])
        seconds, rounds = settings.seconds * row.weight, 0
        end = time.perf_counter() + seconds
        least = settings.rounds
        while rounds < least or time.perf_counter() < end:
            start = time.perf_counter()
            for worker, name, taken in zip(workers, how, samples):
                taken += worker.ask("time", name, settings.turn, 1)
            if time.perf_counter() - start > settings.slow:
                least = settings.rounds // 2
            rounds += 1
        alone = [
            summarize(worker.ask("time", name, seconds * settings.alone, least // 2))
            for worker, name in zip(workers, how)
        ]
        return Result(row, *map(summarize, samples), *alone, *how)


def fastest(medians):
    """The configuration with the smallest median."""
    return min(medians, key=medians.get)
