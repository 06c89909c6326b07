"""What every driver keeps to: one graph at a time though threads are many, a GPU's limits, kernels that are kept."""

import os
import pathlib
import threading
import tomllib

import numpy as np
import pytest
from numba import cuda

import npdl
from npdl import Sequential, layers
from npdl.devices.cuda import cache, compiler, find, kept
from npdl.devices.cuda.stand_in import StandIn
from npdl.devices.registry import get, kernel_table
from npdl.kernels.cuda.kernel import Floats, Int, _called, every_kernel, kernel, launch, launch_each
from npdl.kernels.cuda.strided import offsets

PYPROJECT = pathlib.Path(__file__).parents[2] / "pyproject.toml"


@kernel
def add_one(out: Floats, n: Int):
    i = cuda.grid(1)
    if i < n:
        out[i] += 1


@kernel
def add_number_to(numbers: Floats, out: Floats, n: Int):
    i = cuda.grid(1)
    if i < n:
        out[i] += numbers[i]


def started(call):
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_what_another_thread_asks_for_is_no_part_of_a_graph():
    driver = StandIn()
    mine, others = (driver.filled(np.zeros(4, "float32")) for _ in range(2))
    with driver.capture() as graph:
        launch(add_one, 1, 4, mine, 4)
        thread = started(lambda: launch(add_one, 1, 4, others, 4))
        thread.join(0.05)
        assert thread.is_alive()  # it waits
    thread.join()
    graph.launch()
    graph.launch()
    assert driver.download(mine)[0] == 2 and driver.download(others)[0] == 1


def test_a_copy_of_another_thread_waits_for_the_graph():
    driver, found = StandIn(), []
    array = driver.filled(np.ones(4, "float32"))
    with driver.capture():
        thread = started(lambda: found.append(driver.download(array)))
        thread.join(0.05)
        assert not found
    thread.join()
    assert found[0][0] == 1


def test_each_thread_has_scratch_of_its_own():
    driver, found = StandIn(), []
    started(lambda: found.append(driver.scratch(10))).join()
    assert driver.scratch(10).memory is not found[0].memory
    assert driver.scratch(5).memory is driver.scratch(10).memory


def test_graphs_have_scratch_of_their_own():
    """One that starts while its thread computes eagerly writes nothing that is still read."""
    driver = StandIn()
    mine = driver.scratch(4)
    driver.upload(mine, np.zeros(4, "float32"))
    with driver.capture() as graph:
        launch(add_one, 1, 4, driver.scratch(4), 4)
    with driver.capture() as other:
        assert driver.scratch(4).memory.piece is graph.held[-1].piece  # one for all graphs
        launch(add_one, 1, 4, driver.scratch(8), 8)
    started(graph.launch).join()
    other.launch()
    assert driver.scratch(4).memory is mine.memory
    np.testing.assert_array_equal(driver.download(mine), np.zeros(4))


def test_graphs_of_several_threads_are_done_one_after_another():
    """They share scratch memory."""
    driver, order = StandIn(), []
    with driver.capture() as one:
        launch(add_one, 1, 4, driver.array((4,), "float32"), 4)
    with driver.capture() as other:
        launch(add_one, 1, 4, driver.array((4,), "float32"), 4)

    def begun():
        order.append("one")
        thread.start()
        thread.join(0.05)
        order.append("one is done")

    thread = threading.Thread(target=other.launch)
    one.calls.insert(0, begun)
    other.calls.insert(0, lambda: order.append("other"))
    one.launch()
    thread.join()
    assert order == ["one", "one is done", "other"]


def test_threads_have_numbers_of_their_own():
    driver, ready, found = StandIn(), threading.Barrier(2), {}

    def run(value):
        array = driver.numbers(np.full(3, value, "float32"))
        ready.wait()
        found[value] = driver.download(array)[0]

    threads = [started(lambda value=value: run(value)) for value in (1.0, 2.0)]
    for thread in threads:
        thread.join()
    assert found == {1.0: 1.0, 2.0: 2.0}
    assert driver.numbers(np.ones(3)).memory is driver.numbers(np.zeros(3)).memory
    assert driver.numbers(np.ones(3), "other").memory is not driver.numbers(np.ones(3)).memory


def test_kept_tables_are_bounded(monkeypatch):
    driver, made = StandIn(), []

    def table(key, size=4):
        return driver.kept.get(key, lambda: (made.append(key), driver.filled(np.full(size, key, "int32")))[1])

    for key in range(kept.MOST):
        table(key)
    assert driver.download(table(0))[0] == 0 and len(made) == len(driver.kept) == kept.MOST
    table(kept.MOST)
    assert len(driver.kept) == kept.MOST
    table(0)
    assert made[-1] == kept.MOST  # 0 was asked for later than 1
    table(1)
    assert made[-1] == 1
    monkeypatch.setattr(kept, "MOST_BYTES", 4096)
    table(-1, 1000)
    assert driver.kept.nbytes == 4000 + 16 * (len(driver.kept) - 1) <= 4096
    with driver.capture() as graph:
        held = table(-1)
    table(-2, 1000)
    assert graph.held[-1] is held


def test_a_rehearsal_does_nothing_and_shows_what_differs():
    driver = StandIn()
    out = driver.filled(np.zeros(4, "float32"))

    def step(value, n=4):
        launch(add_number_to, 1, 4, driver.numbers(np.full(4, value, "float32")), out, n)

    with driver.capture() as graph:
        graph.noting = True
        step(1.0)
    for value, more in ((2.0, {}), (3.0, {})):
        assert graph.numbers.renew(lambda value=value, more=more: step(value, **more))
        graph.numbers.send()
        graph.launch()
    np.testing.assert_array_equal(driver.download(out), np.full(4, 5.0))
    assert not graph.numbers.renew(lambda: step(1.0, n=3))
    assert not graph.numbers.renew(lambda: (step(1.0), step(1.0)))
    assert not graph.numbers.renew(lambda: None)
    np.testing.assert_array_equal(driver.download(out), np.full(4, 5.0))
    with driver.capture(room=8) as small:
        small.noting = True
        with pytest.raises(RuntimeError, match="a graph's numbers need more than the 8 bytes"):
            step(1.0)


def test_an_array_of_another_gpu_is_refused():
    """Its address means something else there."""
    one, other = (StandIn().filled(np.zeros((4, 4), "float32")) for _ in range(2))
    for call in (
        lambda: launch(add_number_to, 1, 4, one, other, 4),
        lambda: one.memory.driver.product(one, other, one, False, False),
    ):
        with pytest.raises(ValueError, match="lies on another device"):
            call()


@pytest.mark.parametrize(
    "blocks, threads", [((1, 65536, 1), (1, 1, 1)), ((1, 1, 65536), (1, 1, 1)), ((1, 1, 1), (1, 1, 65))]
)
def test_sizes_that_no_gpu_takes(blocks, threads):
    driver = StandIn()
    with pytest.raises(ValueError, match="a grid has at most"):
        driver.launch(add_one, blocks, threads, (driver.array((4,), "float32"), 4))


def test_places_beyond_32_bits():
    array = StandIn().array((4,), "float32")
    counting = next(one for one in every_kernel().values() if "over" in _called(one.function))
    with pytest.raises(ValueError, match=r"counts places in 32 bits, got 4,294,967,296 of them"):
        launch_each(counting, 1 << 32, array)
    assert "over" not in _called(add_one.function)
    with pytest.raises(ValueError, match="more than 2³¹ elements"):
        offsets(StandIn(), (1 << 16, 1 << 16), (0,))


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NPDL_CUDA_CACHE", str(tmp_path / "file" / "folder"))
    monkeypatch.setattr(cache, "_compiled", {})
    monkeypatch.setattr(compiler, "ptx", lambda one: ".visible .entry add_one(")
    monkeypatch.setattr(compiler, "cubin", lambda one, capability: (b"code\n", ""))
    assert cache.cubin(add_one, (9, 0)) == (b"code\n", "add_one")
    monkeypatch.setenv("NPDL_CUDA_CACHE", str(tmp_path / "new"))
    for _ in range(2):
        cache._compiled.clear()
        assert cache.cubin(add_one, (9, 0)) == (b"code\n", "add_one")
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_packages_that_are_too_old_are_named(monkeypatch):
    here = {"numba-cuda": "0.9.1", "cuda-core": "1.0.0rc1", "cuda-bindings": "13.0.3"}
    monkeypatch.setattr(find, "version", here.get)
    monkeypatch.setattr(find, "_missing", list)
    assert find.count() == 0
    assert find.obstacle(0).startswith("it needs numba-cuda 0.22 or newer, here is 0.9.1: pip install")
    wanted = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]["cuda"]
    said = {line.partition("[")[0].partition(">")[0].partition("=")[0]: line for line in wanted}
    for name, least in find.LEAST.items():
        assert f">={least}" in said[name] or f"=={least.partition('.')[0]}.*" in said[name]


def test_what_is_in_the_way_of_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(find, "_missing", list)
    monkeypatch.setattr(find, "_outdated", list)
    monkeypatch.setattr(find, "_gpus", lambda: (1, None))
    monkeypatch.setattr(find, "_capability", lambda number: (7, 0))
    assert find.obstacle(1).startswith("there is one GPU here, numbered from 0")
    assert find.obstacle(0) == "this GPU is of capability 7.0, and CUDA 13 compiles for 7.5 (Turing, 2018) and newer"
    monkeypatch.setattr(find, "_capability", lambda number: (12, 0))
    assert find.obstacle(0) is None
    for call in (npdl.cuda.info, npdl.cuda.allow_tf32):
        with pytest.raises(ValueError, match="GPUs are called 'cuda', 'cuda:1' and so on, got 'cpu'"):
            call(device="cpu")
    with pytest.raises(TypeError, match=r"a device is called by its name, 'cpu', .* got 0"):
        get(0)


def test_the_compiler_of_a_toolkit_is_found(monkeypatch, tmp_path):
    """Without a package of its own: beside nvcc, whose folder becomes $CUDA_HOME, unless there is one."""
    monkeypatch.setattr(find, "version", lambda name: None)
    monkeypatch.setattr(find, "TOOLKIT", str(tmp_path / "usual"))
    monkeypatch.setattr(find.shutil, "which", lambda name: str(tmp_path / "bin" / name))
    monkeypatch.setenv("CUDA_PATH", "")
    monkeypatch.setenv("CUDA_HOME", "")
    monkeypatch.delenv("CUDA_HOME")
    find.show_toolkit.__wrapped__()
    assert "CUDA_HOME" not in os.environ
    (tmp_path / "usual" / "nvvm").mkdir(parents=True)
    find.show_toolkit.__wrapped__()
    assert os.environ.pop("CUDA_HOME") == str(tmp_path / "usual")
    (tmp_path / "nvvm").mkdir()
    find.show_toolkit.__wrapped__()
    assert os.environ["CUDA_HOME"] == str(tmp_path)
    monkeypatch.setenv("CUDA_HOME", "mine")
    find.show_toolkit.__wrapped__()
    assert os.environ["CUDA_HOME"] == "mine"


def test_a_graph_keeps_no_rounding_that_was_turned_off(monkeypatch):
    model = Sequential([layers.Input((3,)), layers.Dense(2)], seed=0).to("stand-in")
    x, driver, captured = np.ones((4, 3), "float32"), model.device.driver, []
    capture = driver.capture
    monkeypatch.setattr(driver, "capture", lambda room: (captured.append(1), capture(room))[1])
    for on in (False, True):
        monkeypatch.setattr(driver, "tf32", on, raising=False)
        for _ in range(4):
            model.predict(x, verbose=0)
    assert len(captured) == 2


def test_a_gpu_has_a_kernel_for_every_name():
    device = get("stand-in")
    for name in kernel_table("reference"):
        assert callable(getattr(device.kernels, name)), name
