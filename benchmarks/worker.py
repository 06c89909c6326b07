"""A process that holds one engine, does what it is told through a pipe, and sleeps in between."""

import gc
import importlib
import math
import multiprocessing
import time
import traceback

LEAST_SAMPLE = 100e-6  # seconds: a shorter call is repeated, and its time divided
LEAST_GPU_SAMPLE = 2e-3  # on a GPU, which is waited for after each sample
TRIALS = 3  # rounds in which an engine's configurations are compared
TRIAL = 0.02  # seconds of a configuration in a round
WARM_UP = 0.1  # seconds before that, in which caches fill, memory is taken and the clock rises
SLOW = 1.0  # seconds: once is enough to warm up


class WorkerError(RuntimeError):
    """What went wrong in a worker, told by its last line; `trace` is all of it."""

    def __init__(self, trace):
        super().__init__(trace.strip().splitlines()[-1])
        self.trace = trace


class Bench:
    """What a worker can be asked for.

    Args:
        engine: a module of benchmarks/engines.
        threads: used unless an operation's options say otherwise.
        device: "cpu" or "cuda".
    """

    def __init__(self, engine, threads, device="cpu"):
        self.engine, self.threads = importlib.import_module(f"benchmarks.engines.{engine}"), threads
        self.engine.set_threads(threads)
        events = self.engine.use(device)
        self.seconds = events or on_processor
        self.least = LEAST_GPU_SAMPLE if events else LEAST_SAMPLE
        self.calls, self.repeats = {}, {}

    def about(self):
        return self.engine.about()

    def load(self, operation, options):
        """Make the row's calls, warm them up, compare them where there are several; {configuration: median seconds}."""
        self.calls = {}
        gc.collect()
        options = dict(options)
        self.engine.set_threads(options.pop("threads", self.threads))
        if "tf32" in options:
            self.engine.set_tf32(options.pop("tf32"))
        self.calls = self.engine.OPERATIONS[operation](**options)
        for name, call in self.calls.items():
            self.repeats[name] = warm_up(call, self.seconds, self.least)
        if len(self.calls) == 1:  # nothing to choose from
            return dict.fromkeys(self.calls, 0.0)
        rounds = [{name: median(self.time(name, TRIAL, 1)) for name in self.calls} for _ in range(TRIALS)]
        return {name: median([trial[name] for trial in rounds]) for name in self.calls}

    def time(self, name, seconds, least):
        """Seconds of a call, again and again for so long and at least so often."""
        call, repeats = self.calls[name], self.repeats[name]
        samples, end = [], time.perf_counter() + seconds
        gc.disable()
        while True:
            samples.append(self.seconds(call, repeats) / repeats)
            if time.perf_counter() >= end and len(samples) >= least:
                gc.enable()
                return samples


def on_processor(call, repeats):
    """Seconds of that many calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return time.perf_counter() - start


def median(samples):
    samples = sorted(samples)
    return (samples[(len(samples) - 1) // 2] + samples[len(samples) // 2]) / 2


def warm_up(call, timed=on_processor, least=LEAST_SAMPLE):
    """Call for a while; returns how many calls make a sample."""
    end, count = time.perf_counter() + WARM_UP, 0
    while count < 2 or time.perf_counter() < end:
        seconds, count = timed(call, 1), count + 1
        if seconds > SLOW:
            break
    return max(1, math.ceil(least / seconds))


def serve(connection, engine, threads, device="cpu"):
    """Answer requests (method of Bench, arguments) until the pipe is closed."""
    try:
        bench = Bench(engine, threads, device)
        connection.send((True, bench.about()))
        while True:
            method, arguments = connection.recv()
            try:
                connection.send((True, getattr(bench, method)(*arguments)))
            except Exception:  # whatever an engine raises is the answer: the table says so, and goes on
                connection.send((False, traceback.format_exc()))
    except (EOFError, KeyboardInterrupt):
        pass
    except Exception:
        connection.send((False, traceback.format_exc()))


class Worker:
    """The other end of the pipe.

    Args:
        engine: a module of benchmarks/engines.
        threads: for its arithmetic.
        device: where it works.

    Raises:
        WorkerError: the engine cannot be loaded, or refuses to be measured.
    """

    def __init__(self, engine, threads, device="cpu"):
        context = multiprocessing.get_context("spawn")  # after fork an engine's threads would be missing
        self.connection, child = context.Pipe()
        self.process = context.Process(target=serve, args=(child, engine, threads, device))
        self.process.start()
        child.close()
        self._about = None

    @property
    def about(self):
        """What the engine says about itself; waits until it is there."""
        if self._about is None:
            self._about = self._answer()
        return self._about

    def ask(self, method, *arguments):
        """What a method of `Bench` returns.

        Raises:
            WorkerError: what it raised, or that the process has ended.
        """
        _ = self.about
        self.connection.send((method, arguments))
        return self._answer()

    def _answer(self):
        try:
            right, answer = self.connection.recv()
        except EOFError:
            self.process.join()
            raise WorkerError(f"the process ended with exit code {self.process.exitcode}") from None
        if not right:
            raise WorkerError(answer)
        return answer

    def close(self):
        """End the process."""
        self.connection.close()
        self.process.join()
