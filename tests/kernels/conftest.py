"""Fixtures for the tests of kernels."""

import importlib

import pytest

from npdl.kernels.cpu import compiled


@pytest.fixture
def same_bits(monkeypatch):
    """same_bits(module, compute): `compute()`, a list of arrays made by the kernels of that npdl.kernels.cpu module, is
    the same to the last bit for 1, 2 and 3 threads of every build with FMA that this machine runs."""

    def check(module, compute):
        expected = None
        for name in compiled():
            build = importlib.import_module(f"npdl.kernels.cpu._{name}")
            if not build.HAS_FMA or (name[0] == "v" and int(name[1:]) > build.cpu_level()):
                continue
            before = build.get_num_threads()
            with monkeypatch.context() as patch:
                patch.setattr(module, "lib", build)
                for threads in (1, 2, 3):
                    build.set_num_threads(threads)
                    got = [array.tobytes() for array in compute()]
                    expected = got if expected is None else expected
                    assert got == expected, (name, threads)
            build.set_num_threads(before)

    return check
