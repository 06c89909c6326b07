"""Edits chosen by hand, each of which a test must notice.

test_mutations.py edits the gradients by rule. Here is what no gradient shows: boundaries, orders, shares and states in
augmentation, preprocessing, attention, recurrence, graphs, losses, metrics, callbacks, schedules and optimizers. An
edit replaces a piece of a function's source, and goes in as that function's code, so that everyone who has imported
the function has the edit. Then the tests that guard it run, in this process and collected once, until one fails.
"""

import contextlib
import importlib
import inspect
import pathlib
import textwrap
import types

import pytest
from _pytest.runner import runtestprotocol

HERE = pathlib.Path(__file__).parent
EDITS: dict = {}


def locate(target):
    """The plain function of "module:Class.function", and what caches its results, if anything does."""
    module, path = target.split(":")
    found = importlib.import_module(f"npdl.{module}")
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    cached = found if hasattr(found, "cache_clear") else None
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    return inspect.unwrap(found), cached


def code_with(function, old, new):
    """The code of a function in whose source `new` stands for `old`, which must be there once."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{function.__qualname__} has {source.count(old)} times {old!r}"
    body = textwrap.indent(source.replace(old, new), "    ")
    module = compile(f"class _:\n{body}", function.__code__.co_filename, "exec")  # in a class, for super()
    (inside,) = (part for part in module.co_consts if isinstance(part, types.CodeType))
    return next(part for part in inside.co_consts if getattr(part, "co_name", "") == function.__name__)


@contextlib.contextmanager
def put_in(target, old, new):
    """While open, the target has the edit."""
    function, cached = locate(target)
    before = function.__code__
    function.__code__ = code_with(function, old, new)
    try:
        if cached is not None:
            cached.cache_clear()
        yield
    finally:
        function.__code__ = before
        if cached is not None:
            cached.cache_clear()


class Runner:
    """A plugin of pytest: runs the collected tests with each edit, the guards of the edit alone."""

    def __init__(self, edits):
        self.edits, self.broken, self.survivors = edits, [], []

    def pytest_runtestloop(self, session):
        of = {}
        for item in session.items:
            for name in {item.name, item.originalname}:
                of.setdefault(name, []).append(item)
        self.broken = [item.nodeid for item in session.items if not passes(item)]
        for target, old, new, guard in self.edits:
            with put_in(target, old, new):
                if all(passes(item) for item in of[guard]):
                    self.survivors.append(f"{target}: {old} -> {new}: {guard} did not notice")
        return True


def passes(item):
    """Whether a test passes now."""
    item._initrequest()
    return not any(report.failed for report in runtestprotocol(item, nextitem=None, log=False))


@pytest.mark.parametrize("file", EDITS)
def test_every_edit_is_noticed(file, monkeypatch, capsys):
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    guards = dict.fromkeys(guard for *_, guard in EDITS[file])
    runner = Runner(EDITS[file])
    options = ["-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:xdist", "--import-mode=importlib"]
    pytest.main([*options, *(f"{HERE / file}::{guard}" for guard in guards)], plugins=[runner])
    assert not runner.broken, "fail without an edit: " + ", ".join(runner.broken)
    assert not runner.survivors, "\n".join(runner.survivors)
