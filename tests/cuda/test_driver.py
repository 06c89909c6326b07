"""What every driver keeps to: one graph at a time though threads are many, a GPU's limits, kernels that are kept."""

import threading

import numpy as np
import pytest
from numba import cuda

from npdl import Sequential, layers
from npdl.devices.cuda import cache, compiler
from npdl.devices.cuda.stand_in import StandIn
from npdl.devices.registry import get, kernel_table
from npdl.kernels.cuda.kernel import Floats, Int, kernel, launch
from npdl.kernels.cuda.strided import offsets


@kernel
def add_one(out: Floats, n: Int):
    i = cuda.grid(1)
    if i < n:
        out[i] += 1


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


@pytest.mark.parametrize(
    "blocks, threads", [((1, 65536, 1), (1, 1, 1)), ((1, 1, 65536), (1, 1, 1)), ((1, 1, 1), (1, 1, 65))]
)
def test_sizes_that_no_gpu_takes(blocks, threads):
    driver = StandIn()
    with pytest.raises(ValueError, match="a grid has at most"):
        driver.launch(add_one, blocks, threads, (driver.array((4,), "float32"), 4))


def test_places_beyond_32_bits():
    with pytest.raises(ValueError, match="more than 2³¹ elements"):
        offsets(StandIn(), (1 << 16, 1 << 16), (0,))


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NPDL_CUDA_CACHE", str(tmp_path / "file" / "folder"))
    monkeypatch.setattr(cache, "_compiled", {})
    monkeypatch.setattr(compiler, "ptx", lambda one, capability: ".visible .entry add_one(")
    monkeypatch.setattr(compiler, "cubin", lambda one, capability: (b"code\n", ""))
    assert cache.cubin(add_one, (9, 0)) == (b"code\n", "add_one")
    monkeypatch.setenv("NPDL_CUDA_CACHE", str(tmp_path / "new"))
    for _ in range(2):
        cache._compiled.clear()
        assert cache.cubin(add_one, (9, 0)) == (b"code\n", "add_one")
    assert len(list((tmp_path / "new").iterdir())) == 1


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
