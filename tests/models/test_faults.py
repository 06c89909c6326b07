"""A loss that is no number ends `fit`, and the layer that it comes from is named: on the CPU, and on the GPU."""

import math
import re
import warnings

import numpy as np
import pytest

import npdl
from npdl import Model, Sequential, callbacks, layers
from npdl.devices.cuda.stand_in import StandIn
from npdl.models import faults
from npdl.optimizers import SGD

DEVICES = ("cpu", "stand-in")
N = 64


@pytest.fixture
def data(rng):
    return rng.standard_normal((N, 6)).astype("float32"), rng.standard_normal((N, 1)).astype("float32")


def net(device="cpu", learning_rate=0.01, **options):
    inside = [layers.Dense(8, activation="relu", name="first"), layers.Dropout(0.2)]
    model = Sequential([layers.Input((6,)), *inside, layers.Dense(1, name="last")], seed=0).to(device)
    model.compile(SGD(learning_rate), "mse", **options)
    return model


class Spoil(callbacks.Callback):
    """Writes one number into a weight at the beginning of some batch of the second epoch."""

    def __init__(self, path, value, batch):
        self.path, self.value, self.batch, self.epoch = path, value, batch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (1, self.batch):
            store = self.model.store
            weight = next(weight for weight in store.weights if weight.path == self.path)
            store.assign(weight, np.full(weight.shape, self.value, "float32"))


def failure(model, data, *given, **options):
    """The error that `fit` ends in, and that all weights are finite."""
    with np.errstate(all="ignore"), warnings.catch_warnings(), pytest.raises(FloatingPointError) as caught:
        warnings.simplefilter("ignore", RuntimeWarning)
        model.fit(*data, batch_size=8, epochs=3, verbose=0, callbacks=list(given), **options)
    assert model.fault in str(caught.value)
    return str(caught.value), all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize("device", DEVICES)
def test_a_learning_rate_that_is_too_large(device, data):
    """Steps are repeated as notes, or a graph, when it happens."""
    said, whole = failure(net(device, 20.0), data)
    assert re.search(
        r"the loss is (inf|nan) in batch \d of the epoch: .* up to [\d.]+e\+\d\d, and MeanSquaredError of", said
    )
    assert "try a smaller learning rate (it is 20) or clipnorm=1.0" in said and whole


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("debug", (False, True))
def test_a_weight_that_is_not_finite(device, debug, data):
    before = npdl.cuda.debug(debug)
    try:
        said, _ = failure(net(device), data, Spoil("first/bias", math.nan, 3))
    finally:
        npdl.cuda.debug(before)
    if device == "cpu" or debug:
        assert "in batch 4 of the epoch: 1 of 4 weights are not finite, the last of them first/bias (Dense)" in said
    else:  # the copies of the epoch's beginning are well, and so the batches are when they come again
        assert "the loss is nan by batch 8 of the epoch: all numbers of the last batch are finite" in said


class Root(layers.Layer):
    """√x, whose slope at 0 is infinite; NaN below it."""

    def forward(self, x, training=False):
        y = np.sqrt(x)
        if training:
            self.save(y)
        return y

    def backward(self, dy):
        return dy / (2 * self.saved())


@pytest.mark.parametrize("number, said", [
    (0.0, "batch 3 of the epoch: 2 of 4 weights are not finite, the last of them first/bias (Dense), whose gradient"),
    (-9.0, "batch 2 of the epoch: the first output that is not finite is that of root (Root), whose inputs are up to"),
])  # fmt: skip
def test_output_and_gradient(number, said, data):
    """The second batch has a sample of which the first layer makes this number."""
    model = Sequential([layers.Input((1,)), layers.Dense(1, name="first"), Root(), layers.Dense(1)], seed=0)
    model.compile(SGD(0.0), "mse", check_gradients=False)
    model.set_weights([[[1.0]], [0.0], [[1.0]], [0.0]])
    x = np.abs(data[0][:, :1]) + 1
    x[9] = number
    found, whole = failure(model, (x, data[1]), shuffle=False)
    assert said in found and whole == (number < 0), found


def test_a_graph_of_several_outputs_on_the_gpu(rng):
    """One layer is called twice, and it is the steep one."""
    a = layers.Input((4,))
    steep = layers.Dense(4, activation="relu", name="steep")
    model = Model(a, [layers.Dense(1, name="one")(steep(steep(a))), layers.Dense(2, name="two")(a)], seed=1).to(
        "stand-in"
    )
    model.compile(SGD(3e36), "mse")
    x = rng.standard_normal((N, 4)).astype("float32")
    said, whole = failure(model, (x, [x[:, :1], x[:, :2]]))
    assert re.search(
        r"in batch 2 of the epoch: the first output that is not finite is that of steep \(Dense\)", said
    ), said
    assert whole


def test_the_callback_ends_without_an_error(data, capsys):
    for device in DEVICES:
        model = net(device, 20.0)
        with np.errstate(all="ignore"):
            history = model.fit(*data, batch_size=8, epochs=3, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
        assert history.history["loss"] == [math.inf] and "MeanSquaredError of them is not" in model.fault
        assert f"training stops: {model.fault}" in capsys.readouterr().out
    model.compile("sgd", "mse")
    model.set_weights([np.full(weight.shape, 0.1) for weight in model.get_weights()])
    model.fit(*data, verbose=0)
    assert model.fault is None


@pytest.mark.parametrize("device", DEVICES)
def test_a_step_that_a_loss_scale_skips_is_no_fault(device, data):
    model = net(device, precision="mixed_float16", loss_scale=npdl.optimizers.LossScale(2.0**100))
    with np.errstate(all="ignore"):
        model.fit(*data, batch_size=8, epochs=2, verbose=0)
    assert model.loss_scale.skipped and model.fault is None


def limited(monkeypatch, nbytes):
    """Have the stand-in find no room for more bytes at a time."""
    allocate = StandIn._allocate

    def allocated(self, wanted):
        if wanted > nbytes:
            raise MemoryError(f"no room for {wanted} bytes; use a smaller batch_size")
        return allocate(self, wanted)

    monkeypatch.setattr(StandIn, "_allocate", allocated)


def test_no_room_for_the_weights(monkeypatch, data):
    model = net()
    weights = model.get_weights()
    with monkeypatch.context() as patch:
        limited(patch, 100)
        said = (
            r"weights of all layers, of which first/kernel with shape \(6, 8\) is the largest: no room for float32 of"
        )
        for move in (lambda: model.to("stand-in"), lambda: model.fit(*data, verbose=0, device="stand-in")):
            with pytest.raises(MemoryError, match=said):
                move()
    assert model.device.name == "cpu"
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    model.fit(*data, verbose=0)


@pytest.mark.parametrize("rows, nbytes, said", [
    (64, 2000, r"first \(Dense\), array 'y': no room for float32 of shape \(64, 8\), 2,048 bytes. no room"),
    (64, 1500, r"array 0 of a batch, twice: no room for float32 of shape \(64, 6\), 1,536 bytes. no room"),
    (2, 300, r"SGD, state 'velocity': no room for float32 of shape \(\d+,\), \d+ bytes. no room"),
])  # fmt: skip
def test_no_room_in_the_midst_of_a_step(rows, nbytes, said, monkeypatch, data):
    """The model goes on where it was, on the CPU."""
    model, other = net("stand-in"), net()
    for one in (model, other):
        one.compile(SGD(0.01, momentum=0.9), "mse")
    with monkeypatch.context() as patch:
        limited(patch, nbytes)
        with pytest.raises(MemoryError, match=said):
            model.fit(*data, batch_size=rows, verbose=0)
    model.to("cpu")
    for one in (model, other):
        one.fit(*data, batch_size=8, verbose=0)
    for one, same in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


def failures(monkeypatch, model, x, y):
    """What a step says while `npdl.cuda.debug` is on and each of its launches fails in turn."""
    found, left, before = [], [0], npdl.cuda.debug()

    def failing(work):
        def start(self, *arguments):
            left[0] -= 1
            if not left[0]:
                raise OSError("an illegal address")
            return work(self, *arguments)

        return start

    for name in ("_launch", "_product"):
        monkeypatch.setattr(StandIn, name, failing(getattr(StandIn, name)))
    try:
        while left[0] <= 0:
            left[0] = len(found) + 1
            try:
                model.train_on_batch(x, y)
            except RuntimeError as error:
                found.append(str(error))
    finally:
        npdl.cuda.debug(before)
    who, what = zip(*(said.split(": ", 1) for said in found), strict=True)
    return list(dict.fromkeys(who)), what


def test_a_kernel_that_fails_is_named_with_its_layer(monkeypatch, data):
    who, what = failures(monkeypatch, net("stand-in"), *data)
    order = [
        "first (Dense).forward",
        "last (Dense).forward",
        "last (Dense).backward",
        "first (Dense).backward",
        "SGD.step",
    ]
    assert [one for one in who if "Dense" in one or "SGD" in one] == order, who
    assert any(one.startswith("a product of matrices (64, 6) and (6, 8) failed: an illegal address") for one in what)
    assert any(re.match(r"kernel '\w+' with blocks \(\d+, 1, 1\) of threads \(\d+, 1, 1\) failed", one) for one in what)


def test_a_kernel_that_fails_is_named_by_its_path(monkeypatch, rng):
    """The innermost layer, in models and containers inside of others, called twice or not."""
    inner = npdl.Sequential([npdl.Sequential([layers.Dense(3, name="deep")], name="inner")], name="block")
    a = layers.Input((4, 3))
    b = layers.Bidirectional(layers.RNN(layers.SimpleRNNCell(2), return_sequences=True))(inner(inner(a)))
    b = layers.Residual([layers.TimeDistributed(layers.Dense(4, activation="relu"))])(b)
    model = npdl.Model(a, layers.Flatten()(b), seed=0).to("stand-in")
    model.compile("sgd", "mse")
    who, _ = failures(monkeypatch, model, rng.normal(size=(4, 4, 3)).astype("float32"), np.zeros((4, 16), "float32"))
    for name in (
        "block/inner/deep (Dense)", "bidirectional/rnn/simple_rnn_cell (SimpleRNNCell)",
        "bidirectional/backward_rnn/simple_rnn_cell (SimpleRNNCell)", "residual/time_distributed/dense (Dense)",
    ):  # fmt: skip
        assert {f"{name}.forward", f"{name}.backward"} <= {*who}, who
    assert {one.split(" ")[0].split("/")[0] for one in who if "(" in one} >= {"block", "bidirectional", "residual"}


def test_one_batch_goes_on_as_ever(data):
    """`train_on_batch` gives the loss, whatever it is."""
    model = net()
    model.set_weights([np.full(weight.shape, np.inf) for weight in model.get_weights()])
    with np.errstate(all="ignore"):
        assert not math.isfinite(model.train_on_batch(*data))


def test_the_epoch_again(data, monkeypatch):
    """On a GPU the batches are trained again, with state and random numbers, and the weights are those of before the
    one that fails; where that would be too much to keep, it is only seen late."""
    x, y = data
    bad = y.copy()
    bad[45] = 3e19  # its square is too large for float32, and nothing else is
    found = {}
    for device, most in (("cpu", None), ("stand-in", faults.MOST_KEPT), ("stand-in", 0)):
        monkeypatch.setattr(faults, "MOST_KEPT", most)
        model = net(device)
        model.compile(SGD(0.01, momentum=0.9), "mse")
        model.fit(x, y, batch_size=8, verbose=0)
        said, whole = failure(model, (x, bad), shuffle=False)
        found[device, most] = said, model.get_weights(), model.optimizer.iterations
        assert whole or most == 0
    (said, weights, steps), (again, others, as_many), (late, _, _) = found.values()
    assert "in batch 6 of the epoch: the outputs of all layers are finite, those of the last up to" in said
    assert "in batch 6 of the epoch: the outputs of all layers are finite, those of the last up to" in again
    assert steps == as_many == 13
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert "by batch 8 of the epoch" in late


@pytest.mark.parametrize("device", DEVICES)
def test_a_layer_inside_others_is_named(device, rng):
    """What it makes, and its gradient, by its path; in backward the last layer comes first."""
    steep = layers.Dense(4, name="steep", kernel_initializer=npdl.initializers.Constant(3e38))
    inside = layers.Residual([layers.Dense(4, name="flat"), layers.Residual([steep])], name="around")
    model = Model(x := layers.Input((4,)), layers.Dense(1)(Sequential([inside], name="whole")(x)), seed=1).to(device)
    model.compile(SGD(0.1), "mse")
    given = rng.standard_normal((N, 4)).astype("float32")
    said, _ = failure(model, (given, given[:, :1]))
    assert "the first output that is not finite is that of whole/around/residual/steep (Dense), whose inputs" in said


def test_a_gradient_inside_a_layer_is_named():
    """That of the last layer inside comes first."""
    inside = [layers.Dense(1, name="early"), Root(), layers.Dense(1, name="late")]
    model = Sequential([layers.Input((1,)), layers.Residual(inside, name="deep"), layers.Dense(1)], seed=1)
    model.compile(SGD(0.0), "mse", check_gradients=False)
    x, y = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")
    model.set_weights([[[1.0]], [0.0], [[1.0]], [0.0], [[1.0]], [0.0]])
    model.train_on_batch(x, y)
    x[1] = 0
    with np.errstate(all="ignore"):
        found = faults._batch(model._step, x, y + 1, None)
    assert (
        found == "all outputs are finite, and the first gradient that is not is that of the inputs of deep/root (Root)"
    )
    assert not {"forward", "backward"} & vars(inside[0]).keys()
