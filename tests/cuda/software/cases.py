"""What test_software_gpu.py runs, each in a process whose libcuda is the software GPU's: python cases.py NAME."""

import collections
import importlib
import pathlib
import sys
import threading

import numpy as np
from cuda.bindings import driver as cu
from gpu import SoftwareGpu

import npdl
from npdl import Sequential, devices, layers
from npdl.devices.cuda.ahead import AHEAD, BACK, WORK, Feed, Fetch
from npdl.devices.cuda.array import CudaArray

software = SoftwareGpu()


def raised(call):
    """The error that a call ends in."""
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("no error")


def memory():
    """Arrays there and back; how many bytes are free; an array too large."""
    assert npdl.cuda.is_available() and npdl.cuda.count() == 2
    device, free = devices.get("cuda"), npdl.cuda.info()["memory"]["free"]
    host = np.arange(30, dtype=np.float32).reshape(5, 6)
    there = device.from_host(host)
    np.testing.assert_array_equal(device.to_host(there), host)
    np.testing.assert_array_equal(device.to_host(there[1:3]), host[1:3])
    np.testing.assert_array_equal(device.to_host(device.zeros((3,), "int64")), np.zeros(3, "int64"))
    assert npdl.cuda.info()["memory"]["free"] == free - host.nbytes
    there = device.alloc((1 << 20,), "float32")
    del there
    device.driver.synchronize()
    assert npdl.cuda.info()["memory"]["free"] == free  # the pool keeps it for the next one who asks
    assert cu.cuMemGetInfo()[1] < free
    error = raised(lambda: device.alloc((1 << 30,), "float32"))
    assert isinstance(error, MemoryError) and "no room for 4,294,967,296 bytes" in str(error), error
    assert "there are 2 GPUs here" in str(raised(lambda: devices.get("cuda:2")))
    assert devices.get("cuda:0") is device
    wrong = raised(lambda: device.driver.upload(device.alloc((5, 6), "float32"), host.T))
    assert isinstance(wrong, ValueError), wrong
    locked = raised(lambda: device.driver.pinned(1 << 50))
    assert isinstance(locked, MemoryError) and "page-locked" in str(locked), locked


def uploads():
    """The host may write into an array at once, however late the GPU reads: small ones take turns in memory of the
    driver's own, larger ones are waited for."""
    device = devices.get("cuda")
    for late in (False, True):
        software.late = {int(device.driver.stream.handle)} if late else set()
        for count in (3, 1 << 14, 1 << 18):
            made, host = [], np.empty(count, "float32")
            for value in range(80):
                host[...] = value
                made.append(device.from_host(host))
            assert [device.to_host(array)[-1] for array in made] == list(range(80))


def _model(device, precision=None):
    model = Sequential(
        [layers.Input((20,)), layers.Dense(33, activation="relu"), layers.Dense(17, "gelu"), layers.Dense(5)], seed=0
    ).to(device)
    model.compile("adam", npdl.losses.SparseCategoricalCrossentropy(from_logits=True), precision=precision)
    return model


def training():
    """`fit` ends in the very weights of the stand-in."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((90, 20)).astype("float32"), rng.integers(0, 5, 90)
    found = {}
    for device in ("stand-in", "cuda"):
        model = _model(device)
        model.fit(x, y, epochs=3, batch_size=32, verbose=0)
        found[device] = model.get_weights()
    for a, b in zip(*found.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)  # its products are another's
    assert software.launches and software.graphs == 5 + 2  # of the steps of 32 and of 26 rows all but the first


def mixed():
    """Products of 16-bit factors by cuBLAS end in the losses of the CPU's emulation."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((90, 20)).astype("float32"), rng.integers(0, 5, 90)
    for precision in ("mixed_bfloat16", "mixed_float16"):
        found = [
            _model(device, precision).fit(x, y, epochs=3, batch_size=32, verbose=0).history["loss"]
            for device in ("cpu", "cuda")
        ]
        np.testing.assert_allclose(*found, rtol=1e-4)


def graph():
    """Work noted once and started twice; what cannot be part of it is refused."""
    device = devices.get("cuda")
    driver, k = device.driver, device.kernels
    a, b = (device.from_host(np.full((4, 4), value, "float32")) for value in (1, 2))
    out = device.zeros((4, 4), "float32")
    with driver.capture() as work:
        k.matmul(a, b, out=a)
        k.add(out, a, out=out)
        zeros = np.zeros((4, 4), "float32")
        assert "copied to the host" in str(raised(lambda: device.to_host(a)))
        assert "copied from the host" in str(raised(lambda: device.write(a, zeros)))
    assert device.to_host(a)[0, 0] == 1 and software.graphs == 0
    work.launch()
    work.launch()
    assert device.to_host(a)[0, 0] == 64 and device.to_host(out)[0, 0] == 8 + 64 and software.graphs == 2
    with driver.capture() as late:
        k.add(device.view(out), out, out=out)
    del out
    assert "LAUNCH_FAILED" in str(raised(late.launch))
    assert "no memory at" in str(software.errors[-1]), software.errors
    software.errors.clear()


def steady():
    """What a step asks for once it is a graph, whatever stream is late; nothing is allocated, nothing is read back.

    Neither where steps may be skipped, or gradients add up; of `predict`, and where the host measures, each batch comes
    back while the next is at work."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((256, 20)).astype("float32"), rng.integers(0, 5, 256)
    gpu, begun = devices.get("cuda").driver, []
    begin = npdl.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: begun.append(made()),
        on_predict_batch_begin=lambda batch, logs: begun.append(made()),
    )
    lanes = [int(gpu.lane(lane).handle) for lane in (WORK, AHEAD, BACK)]

    def made():
        return len(software.calls), software.cuda.software_allocations()

    def of_one():
        """What each of two batches in a row asked for, neither the first nor the last."""
        (start, held), (middle, _), (end, still) = begun[4:7]
        begun.clear()
        one, other = (collections.Counter(part) for part in (software.calls[start:middle], software.calls[middle:end]))
        assert held == still and one == other and not {"kernel", "synchronize"} & one.keys(), (one, other)
        return one

    for precision, adds_up in ((None, None), ("mixed_float16", None), (None, 100)):
        found = []
        for late in ((), *([lane] for lane in lanes), lanes):
            software.late = set(late)
            penalty = None if adds_up else "l2"
            inside = [
                layers.Dense(33, activation="relu", kernel_regularizer=penalty),
                layers.Dropout(0.5),
                layers.Dense(5),
            ]
            model = Sequential([layers.Input((20,)), *inside], seed=0).to("cuda")
            kind = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
            schedule = npdl.schedules.CosineDecay(0.01, 8)
            optimizer = npdl.optimizers.Adam(schedule, clipnorm=0.3, gradient_accumulation_steps=adds_up)
            scale = npdl.optimizers.LossScale(2.0**22, dynamic_growth_steps=2) if precision else None
            measured = ["accuracy", lambda y, p: p.max(axis=-1)] if adds_up else ["accuracy"]
            model.compile(optimizer, kind, metrics=measured, precision=precision, loss_scale=scale)
            history = model.fit(x, y, batch_size=32, verbose=0, callbacks=[begin])
            step = of_one()  # x and y, the numbers of the graph; what the host measures
            back = int(adds_up is not None)
            assert (step["copy there"], step["copy inside"], step["graph"]) == (2 + 1, 2 + back, 1), step
            assert step["copy back"] == back, step
            outputs = model.predict(x, batch_size=32, verbose=0, callbacks=[begin])
            batch = of_one()
            assert (batch["copy there"], batch["copy inside"], batch["graph"], batch["copy back"]) == (1, 2, 1, 1), (
                batch
            )
            scaled = model.loss_scale and (model.loss_scale.get_state(), optimizer.iterations)
            found.append((history.history, scaled, [*model.get_weights(), outputs]))
        for history, scaled, arrays in found[1:]:
            assert (history, scaled) == found[0][:2]
            for a, b in zip(arrays, found[0][2], strict=True):
                np.testing.assert_array_equal(a, b)
        assert scaled is None or (scaled[0]["skipped"] > 1 and scaled[1] == 8 - scaled[0]["skipped"]), scaled
        print(precision, adds_up, dict(step), dict(batch), scaled)


def forgotten():
    """Who forgets to wait is found out: a copy ahead that nobody waits for, memory that is written too early."""
    gpu = devices.get("cuda").driver
    hosts, feeds = [np.full(4, value, "float32") for value in range(1, 5)], []
    for late, forget in (("copies", "hold"), ("work", "record")):
        software.late = {int(gpu.lane(late == "copies").handle)}
        for forgets in (False, True):
            feeds.append(feed := gpu_feed(gpu, forget if forgets else None))
            sums = [devices.get("cuda").zeros((4,), "float32") for _ in range(4)]
            for array, there in zip(hosts, sums, strict=True):
                gpu.copy(feed.put(array), there)
            right = all((gpu.download(a) == b).all() for a, b in zip(sums, hosts, strict=True))
            assert right != forgets, (late, forgets)
    one, other = (devices.get("cuda").from_host(array) for array in hosts[:2])
    for forgets in (False, True):  # a copy back that does not wait for the work
        fetch = Fetch(gpu, (4,), np.float32)
        if forgets:
            for _, _, made, _ in fetch._turns:
                made.hold = lambda lane: None
        software.late = {int(gpu.lane(WORK).handle)}
        given = fetch.take(one), fetch.take(other)
        right = all((back() == host).all() for back, host in zip(given, hosts[:2], strict=True))
        assert right != forgets
    software.late = {int(gpu.lane(BACK).handle)}
    fetch = Fetch(gpu, (4,), np.float32)
    asked = fetch.take(one), fetch.take(other)
    del fetch  # its memory is given back
    assert all((back() == host).all() for back, host in zip(asked, hosts[:2], strict=True))
    software.late = set()


def gpu_feed(gpu, forget):
    """A `Feed` whose work forgets to wait for copies, or to say that it has read."""
    make = gpu.event

    def event():
        made = make()
        if forget is not None:
            done = getattr(made, forget)
            setattr(made, forget, lambda lane=WORK: done(lane) if lane else None)
        return made

    gpu.event = event
    try:
        return Feed(gpu, (4,), np.float32)
    finally:
        del gpu.event


def two():
    """Of two GPUs each is current when it is asked, whatever other libraries or destructors chose in between."""
    _, other = cu.cuDevicePrimaryCtxRetain(1)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 20)).astype("float32"), rng.integers(0, 5, 64)
    models, losses = [_model(name) for name in ("cuda", "cuda:1")], []
    for _ in range(4):
        losses.append([model.train_on_batch(x, y) for model in models])
        cu.cuCtxSetCurrent(other)
        thread = threading.Thread(target=lambda: losses.append([model.train_on_batch(x, y) for model in models]))
        thread.start()  # which begins with none
        thread.join()
    assert len(losses) == 8 and all(one == two for one, two in losses), losses
    given = Fetch(models[1].device.driver, (4,), np.float32).take(models[1].device.from_host(np.ones(4, "float32")))
    found: list = []
    thread = threading.Thread(target=lambda: found.append(given().tolist()))
    thread.start()
    thread.join()
    assert found == [[1, 1, 1, 1]]  # waited for in a thread that means no GPU yet
    ones = [model.device.from_host(np.ones((2, 2), "float32")) for model in models]
    error = raised(lambda: models[0].device.kernels.add(*ones, out=ones[0]))
    assert "lies on another device" in str(error), error
    page = models[1].device.driver.pinned(4)
    models[0].device.driver.be_current()
    _, before = cu.cuCtxGetCurrent()
    del page
    assert cu.cuCtxGetCurrent()[1] == before


def faults():
    """A kernel that fails is named while `debug` is on; a model that finds no room stays whole."""
    model = _model("cpu")
    weights = model.get_weights()
    held = devices.get("cuda").alloc((240 << 20,), "float32")  # leaves 64 MB of 1 GB
    big = Sequential([layers.Input((1 << 12,)), layers.Dense(1 << 12)], seed=0)
    before = big.get_weights()[0][0].copy()
    assert isinstance(raised(lambda: big.to("cuda")), MemoryError)
    assert big.device.name == "cpu"
    np.testing.assert_array_equal(big.get_weights()[0][0], before)
    del held
    model.to("cuda").to("cpu")
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def broken():
    """What a kernel breaks shows where the host waits, and says what to do; then nothing is possible any more."""
    device = devices.get("cuda")
    software.late = {int(device.driver.stream.handle)}
    x = device.from_host(np.ones(4, "float32"))
    apart = CudaArray(x.memory, 1 << 40, x.shape, x.dtype)
    device.kernels.add(apart, apart, out=x)
    for _ in range(2):
        error = str(raised(lambda: device.to_host(x)))
        assert "CUDA_ERROR_LAUNCH_FAILED" in error and "npdl.cuda.debug() in a new process" in error, error
    software.errors.clear()


def columns():
    """Products of some columns of matrices, where they lie."""
    device = devices.get("cuda")
    rng = np.random.default_rng(0)
    a, b, out = (rng.standard_normal(shape).astype("float32") for shape in ((3, 5), (3, 6), (4, 7)))
    given, made = [device.from_host(array) for array in (a, b)], device.from_host(out)
    device.driver.product(
        given[0].columns(1, 5),
        given[1].columns(2, 4),
        made.columns(3, 5),
        transpose_a=True,
        transpose_b=False,
        add=True,
    )
    out[:, 3:5] += a[:, 1:5].T @ b[:, 2:4]
    np.testing.assert_allclose(device.to_host(made), out, rtol=1e-5, atol=1e-6)


def benchmarks():
    """The rows of a GPU, as a worker of the benchmarks measures them."""
    sys.path.append(str(pathlib.Path(__file__).parents[3]))
    worker = importlib.import_module("benchmarks.worker")
    worker.WARM_UP = worker.TRIAL = 0
    bench = worker.Bench("npdl", 1, "cuda")
    assert "software GPU" in bench.about()["gpu"]
    geometry = {"batch": 2, "size": 4, "channels": 4, "filters": 4, "kernel": 3, "padding": "same", "groups": 1}
    square = {"m": 4, "n": 8, "k": 4, "transpose_a": False, "transpose_b": True}
    net = {"net": "mlp", "batch": 2}
    for operation, options, ways in (
        ("train", {**net, "tf32": False}, {"graph"}),
        ("infer", {**net, "tf32": True}, {"by hand", "graph"}),
        ("optimizer", {"name": "adam", "size": 800}, {""}),
        ("matmul", {**square, "tf32": True}, {""}),
        ("conv", {**geometry, "direction": "dw", "tf32": False}, {""}),
        ("products_in_graph", {"n": 8, "count": 2, "tf32": False}, None),
        ("copy", {"size": 100}, {""}),
        ("launch", {}, {""}),
    ):
        found = bench.load(operation, options)
        assert ways is None or set(found) == ways, (operation, found)
        assert npdl.cuda.info()["tf32"] == options.get("tf32", npdl.cuda.info()["tf32"])
        assert all(min(bench.time(way, 0, 1)) > 0 for way in found)
    assert importlib.import_module("benchmarks.probe").gpu_memory("npdl", "mlp", 2, "cuda") > 0


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    assert not software.errors, software.errors
    print("fine")
