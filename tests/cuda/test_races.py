"""The race detector: it finds what is wrong, and nothing in the kernels that there are."""

import numpy as np
import pytest
from numba import cuda, float32

from npdl import activations, constraints, devices, layers, regularizers
from npdl.devices.cuda.device import CudaDevice
from npdl.devices.cuda.stand_in import StandIn
from npdl.devices.cuda.stand_in.races import Race, races
from npdl.devices.cuda.stand_in.source import holds_barrier
from npdl.kernels.cuda import (
    activation,
    attention,
    conv,
    ctc,
    einsum,
    layerwise,
    loss,
    matmul,
    measure,
    pair_loss,
    pool,
    regularize,
    row_loss,
    shape,
    triplets,
)
from npdl.kernels.cuda.kernel import Floats, Int, device, every_kernel, kernel
from npdl.kernels.cuda.memory import viewed
from npdl.kernels.cuda.reduction import fold_sum
from npdl.kernels.geometry import window


def turned(barriers):
    """A kernel that turns parts of 4 numbers round in shared memory, a part after the other.

    Barriers stand before the loop, inside it, and at its end: `barriers` says which.
    """
    before, inside, after = barriers

    @kernel
    def turn(x: Floats, out: Floats, parts: Int):
        s = cuda.shared.array(4, float32)
        t = cuda.threadIdx.x
        s[t] = float32(0)
        if before:
            cuda.syncthreads()
        if t == 0:
            out[4 * parts] = s[3]
        cuda.syncthreads()
        part = 0
        while part < parts:
            s[t] = x[4 * part + t]
            if inside:
                cuda.syncthreads()
            out[4 * part + t] = s[3 - t]
            if after:
                cuda.syncthreads()
            part += 1

    return turn


def run(one, blocks=(1, 1, 1), threads=(4, 1, 1)):
    return races(one, blocks, threads, np.arange(12, dtype="float32"), np.zeros(13, "float32"), 3)


def test_barriers_of_a_loop():
    assert run(turned((True, True, True))) == []
    (before,) = run(turned((False, True, True)))
    assert before == (
        "turn: thread (3, 0, 0) of block (0, 0, 0) writes what thread (0, 0, 0) read, with no barrier between: s[3]"
    )
    for barriers in ((True, False, True), (True, True, False)):  # without the last, one is in the next turn already
        found = " ".join(run(turned(barriers)))
        assert "reads what thread" in found and "writes what thread" in found, barriers


def test_a_barrier_missing_behind_a_loop():
    @device
    def fold(s):
        half = cuda.blockDim.x // 2
        while half > 0:
            cuda.syncthreads()
            if cuda.threadIdx.x < half:
                s[cuda.threadIdx.x] += s[cuda.threadIdx.x + half]
            half //= 2

    def summing(fold):
        @kernel
        def total(x: Floats, out: Floats, n: Int):
            s = cuda.shared.array(4, float32)
            s[cuda.threadIdx.x] = x[cuda.threadIdx.x]
            fold(s)
            out[cuda.threadIdx.x] = s[0]

        return total

    assert run(summing(fold_sum)) == []
    assert "reads what thread (0, 0, 0) wrote, with no barrier between: s[0]" in run(summing(fold))[0]


def test_blocks():
    @kernel
    def all_to_one(x: Floats, out: Floats, n: Int):
        out[cuda.threadIdx.x] = x[cuda.grid(1)]

    @kernel
    def neighbours(x: Floats, out: Floats, n: Int):
        i = cuda.grid(1)
        out[i] = x[i] + (out[i - 2] if i >= 2 else float32(0))

    @kernel
    def shared_reads(x: Floats, out: Floats, n: Int):
        out[cuda.grid(1)] = x[0]

    at = {"blocks": (2, 1, 1), "threads": (2, 1, 1)}
    assert "writes what one of block (0, 0, 0) wrote: out[0]" in run(all_to_one, **at)[0]
    assert "reads what one of block (0, 0, 0) wrote: out[0]" in run(neighbours, **at)[0]
    assert run(shared_reads, **at) == []


def test_arrays_that_share_memory():
    @kernel
    def shift(x: Floats, out: Floats, n: Int):
        i = cuda.grid(1)
        out[i] = x[i]

    x = np.arange(5, dtype="float32")
    assert races(shift, (1, 1, 1), (4, 1, 1), x, x, 4) == []
    assert "wrote, with no barrier between" in races(shift, (1, 1, 1), (4, 1, 1), x[:4], x[1:], 4)[0]


def test_a_barrier_that_some_do_not_reach():
    @kernel
    def some_wait(x: Floats, out: Floats, n: Int):
        if cuda.threadIdx.x != 0:
            cuda.syncthreads()

    assert run(some_wait) == ["some_wait: 3 of 4 threads came to a barrier, others end"]


def test_an_index_outside_raises():
    @kernel
    def beyond(x: Floats, out: Floats, n: Int):
        out[cuda.grid(1)] = x[cuda.grid(1) + n]

    with pytest.raises(IndexError, match=r"beyond: x\[12\] of an array of shape \(12,\)"):
        races(beyond, (1, 1, 1), (4, 1, 1), np.zeros(12, "float32"), np.zeros(4, "float32"), 9)


def test_the_stand_in_raises_and_computes_as_before():
    driver = StandIn(watch=True)
    x, out = driver.filled(np.arange(12, dtype="float32")), driver.filled(np.zeros(13, "float32"))
    good, bad = turned((True, True, True)), turned((True, True, False))
    driver.launch(good, (1, 1, 1), (4, 1, 1), (x, out, 3))
    np.testing.assert_array_equal(driver.download(out)[:12].reshape(3, 4), np.arange(12).reshape(3, 4)[:, ::-1])
    driver.launch(good, (1, 1, 1), (4, 1, 1), (out, out, 1))  # watched once, computed once
    np.testing.assert_array_equal(driver.download(out)[:4], np.arange(4))
    assert driver.watched == {good.function}
    with pytest.raises(Race, match=r"turn: thread .* writes what thread"):
        driver.launch(bad, (1, 1, 1), (4, 1, 1), (x, out, 3))


# ---- every kernel that has a barrier, once, at a small odd size


def run_activations(x, labels):
    for fn in (activations.softmax, activations.sparsemax):
        activation.activation(x(2, 37), fn, out=x(2, 37))
        activation.activation_grad(x(2, 37), x(2, 37), fn, out=x(2, 37))


def run_losses(x, labels):
    for kind in ("int32", "int64"):
        given = labels(kind, 2, 3), x(2, 3, 37), True
        loss.sparse_categorical_cross_entropy(*given, out=x(2), scale=x(2), dy=x(2, 3, 37))
    loss.categorical_cross_entropy(x(2, 37), x(2, 37), True, 0.1, out=x(2), scale=x(2), dy=x(2, 37))
    loss.weighted_sum(x(300), x(300), out=x(1, dtype="float64"))


def run_rows(x, labels):
    for formula in row_loss.FORMULAS:
        weights = {1: x(37), 2: x(2, 37)}.get(row_loss.WEIGHTS.get(formula))
        given = formula, x(2, 37), x(2, 37), (2.0, 0.1, 0.1), weights
        row_loss.row_loss(*given, out=x(2), scale=x(2), dy=x(2, 37))


def run_pairs(x, labels):
    for formula in pair_loss.FORMULAS:
        t = x(2, 37) if formula in pair_loss.WHOLE else x(2)
        pair_loss.pair_loss_grad(formula, t, x(2, 37), x(2, 37), (0.5,), x(2), da=x(2, 37), db=x(2, 37))
    outs = {name: x(2, 37) for name in ("da", "dp", "dn")}
    pair_loss.triplet_margin_grad(x(2, 37), x(2, 37), x(2, 37), (9.0, 2.0, 0.0, 1), x(2), **outs)


def run_triplets(x, labels):
    triplets.semi_hard(labels("int32", 7), x(7, 3), 1.0, True, 1.0, out=x(7))
    triplets.circle_grad(labels("int32", 7), x(7, 7), 8.0, 0.4, False, x(7), out=x(7, 7))


def run_ctc(x, labels):
    ctc.ctc(labels("int32", 2, 17), x(2, 4, 3), 2, out=x(2), scale=x(2), dy=x(2, 4, 3))


def run_attention(x, labels):
    q, k, dout = x(1, 5, 1, 3), x(1, 33, 1, 3), x(1, 5, 1, 3)
    attention.attention(q, k, k, 1.0, out=dout, rate=0.5, key=(1, 2), step=3)
    attention.attention_grad(dout, q, k, k, 1.0, dq=x(*q.shape), dk=x(*k.shape), dv=x(*k.shape))


def run_layers(x, labels):
    """Those of normalizations, embeddings, lettered products and masks."""
    device = devices.get("stand-in")
    watch, device.driver.watch = device.driver.watch, True
    try:
        for layer, shape in (
            (layers.BatchNormalization(), (9,)), (layers.LayerNormalization(), (5,)), (layers.RMSNormalization(), (5,)),
            (layers.GroupNormalization(2), (5, 6)), (layers.Embedding(6, 5), (4,)), (layers.Masking(), (4, 5)),
            (layers.EinsumDense("abc,ecd->abed", output_shape=(None, 2, 3), bias_axes="ed"), (4, 5)),
        ):  # fmt: skip
            layer.init(shape, seed=0, device="stand-in")
            whole = isinstance(layer, layers.Embedding)
            given = np.arange(12).reshape(3, 4) % 6 if whole else np.ones((3, *shape), "float32")
            y = layer.forward(device.from_host(given), True)
            layer.backward(device.from_host(np.ones(y.shape, "float32")))
    finally:
        device.driver.watch = watch
    return device.driver.watched


def run_regularize(x, labels):
    regularize.penalty(x(300), regularizers.L2(), out=x(1, dtype="float64"))
    regularize.constrain(x(3, 5), constraints.MaxNorm(0.1), out=x(3, 5))


def run_einsum(x, labels):
    einsum.einsum(x(2, 3, 17), x(5, 17, 2), "abc,ecd->abed", out=x(2, 3, 5, 2))
    einsum.sum_to(x(2, 3, 5), out=x(2, 1, 5))


def run_pool(x, labels):
    for channels in (3, 33):
        pool.global_max_pool2d(x(2, 3, 5, channels), out=x(2, channels), winners=labels("int32", 2, channels))
        pool.global_average_pool2d(x(2, 3, 5, channels), out=x(2, channels))


def run_shape(x, labels):
    shape.permute(x(2, 33, 9), (0, 2, 1), out=x(2, 9, 33))


def run_convolutions(x, labels):
    few = window((5, 4, 3), (3, 3), (1, 1), "same", (1, 1), 16)
    conv.conv2d(x(1, 5, 4, 3), x(3, 3, 3, 16), few, out=x(1, 5, 4, 16))
    depthwise = window((17, 16, 3), (3, 2), (1, 1), "same", (1, 1), 3, 3)
    conv.conv2d_dkernel(x(1, 17, 16, 3), x(1, 17, 16, 3), depthwise, out=x(3, 2, 1, 3))


def run_layerwise(x, labels):
    """Two tensors, the first of more than one piece's threads: 9 x 33, and 5 by itself."""
    segments = np.array([[0, 297, 1, 0.1, 1], [297, 302, 1, 0, 1]])
    for name in ("sum_abs", "max_abs"):
        getattr(layerwise, name)(x(302), segments, out=np.zeros(2))
    layerwise.clip_norm(x(302), segments, np.array([1.0, 1]))
    layerwise.lamb(*(x(302) for _ in range(4)), segments, np.array([0.1, 0.9, 0.9, 0.1, 0.1, 1e-7, 0]))
    shapes = np.array([[1, 9, 33, 0], [1, 0, 5, 42]], np.int64)
    layerwise.adafactor(x(302), x(302), x(47), shapes, segments, np.array([0.05, 0.04, 1.0, 1e-30, 1e-3, 1.0]))


def run_measures(x, labels):
    measure.elements(x(300), x(300), "squared", 0.0, out=viewed(x(2), "float64"))
    measure.rows(labels("int64", 9), x(9, 5), 0, True, out=viewed(x(2), "float64"))


CALLS = {
    ("activation",): run_activations, ("attention",): run_attention, ("ctc",): run_ctc,
    ("loss", "element_loss"): run_losses, ("pair_loss",): run_pairs, ("row_loss",): run_rows,
    ("triplets",): run_triplets, ("matmul",): lambda x, labels: matmul.sum_rows(x(300, 33), out=x(33)),
    ("channels", "layer_norm", "embed", "mask"): run_layers, ("regularize",): run_regularize,
    ("einsum",): run_einsum, ("pool",): run_pool, ("shape",): run_shape,
    ("convolution.implicit", "convolution.depthwise"): run_convolutions,
    ("measure",): run_measures, ("layerwise", "bodies.lamb", "bodies.adafactor"): run_layerwise,
}  # fmt: skip
"""What launches the kernels of some files."""


def file_of(one):
    return one.function.__module__.removeprefix("npdl.kernels.cuda.")


def test_every_file_with_a_barrier_is_called():
    files = {file_of(one) for one in every_kernel().values() if holds_barrier(one.function)}
    assert files == {file for several in CALLS for file in several}


@pytest.mark.parametrize("files", CALLS, ids=lambda files: files[0])
def test_kernels_with_a_barrier(files):
    watching, rng = CudaDevice("stand-in", None, StandIn(watch=True)), np.random.default_rng(0)

    def x(*shape, dtype="float32"):
        return watching.from_host(rng.random(shape).astype(dtype))

    def labels(kind, *shape):
        return watching.from_host(rng.integers(0, 3, shape).astype(kind))

    elsewhere = CALLS[files](x, labels)
    watched = watching.driver.watched | (elsewhere or set())
    missing = [
        name
        for name, one in every_kernel().items()
        if file_of(one) in files and holds_barrier(one.function) and one.function not in watched
    ]
    assert not missing, f"kernels in which no race was looked for: {', '.join(missing)}"
