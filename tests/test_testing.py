"""The checks must catch every wrong backward, and accept right ones at kinks."""

import numpy as np
import pytest

from npdl import Sequential, devices, layers, losses, testing


class Affine(layers.Layer):
    """y = x W + b in NumPy, for the tests; `fault` says what to get wrong."""

    def __init__(self, units, fault=None, **base):
        super().__init__(**base)
        self.units, self.fault = units, fault

    def build(self, input_shape):
        self.add_weight((input_shape[-1], self.units), "glorot_uniform", name="kernel")
        self.add_weight((self.units,), "zeros", name="bias")
        return (self.units,)

    def forward(self, x, training=False):
        y = x @ self.params["kernel"] + self.params["bias"]
        if self.fault == "float64":
            y = y.astype("float64")
        if self.fault == "transposed memory":
            y = np.asfortranarray(y)
        if self.fault == "shape":
            y = y[:, :1].copy()
        if self.fault == "writes x":
            x *= 1
            x[0, 0] += 1
        if self.fault == "batch statistics":
            y = y - y.mean(0)
        if self.fault == "inference step":
            self.step += 1
        if self.fault == "unwritten buffer":
            y += 0 * self.buffer("zeros", y.shape)
        if self.fault == "stale" and training and self._saved is not None:
            return y
        if training or self.fault == "saves in inference":
            self.save(x)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x = np.zeros((len(dy), *self.input_shape), dy.dtype) if self.fault == "no check" else self.saved()
        if self.fault == "writes dy":
            dy *= 2
        if self.fault == "reuse":
            x = self.scratch("x", x.shape)
            x[...] = 0
        dx, dkernel, dbias = dy @ self.params["kernel"].T, x.T @ dy, dy.sum(0)
        if self.fault == "sign":
            dx = -dx
        if self.fault == "no sum":
            dbias = dy[0]
        if self.fault == "1/n":
            dbias = dbias / len(dy)
        if self.fault == "transposed":
            dx = dy @ self.params["kernel"]
        if self.fault == "one entry":
            dkernel[2, 1] += 1e-4
        if self.fault == "adds":
            dbias += self.grads["bias"]
        if self.fault == "lost":
            dkernel[...] = 0
        if self.fault == "nan":
            dkernel[0, 0] = np.nan
        self.grads["kernel"][...], self.grads["bias"][...] = dkernel, dbias
        if self.fault == "once":
            self._saved = None
        return None if self.fault == "no dx" else dx


def affine(fault=None, units=4):
    return Affine(units, fault).init((4,), dtype="float64", seed=0)


def test_a_right_layer(rng):
    layer, x = affine(), rng.normal(size=(3, 4))
    before, given = layer.get_weights(), x.copy()
    report = testing.gradient_check(layer, x)
    assert report.ok and report.tensors == 3 and report.kinks == 0 and not report.wrong
    assert len(report.entries) == 16 + 4 + 12 + 3 and len(report.worst) == 10
    assert report.entries[0].error < 1e-8
    report.raise_if_wrong()
    np.testing.assert_array_equal(x, given)
    for a, b in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    testing.check_layer(Affine(3), (4,), strict=False)


@pytest.mark.parametrize(
    ("fault", "tensor"),
    [
        ("sign", "input"), ("no sum", "bias"), ("1/n", "bias"), ("transposed", "input"), ("one entry", "kernel"),
        ("lost", "kernel"), ("nan", "kernel"),
    ],
)  # fmt: skip
def test_wrong_gradients_are_named(fault, tensor, rng):
    report = testing.gradient_check(affine(fault), rng.normal(size=(3, 4)))
    assert not report.ok and {entry.tensor for entry in report.wrong} == {tensor}
    with pytest.raises(testing.GradientError, match=rf"the gradient of affine/{tensor} is wrong (at index \(|along a)"):
        report.raise_if_wrong()
    assert "WRONG" in str(report) and "  wrong" in str(report)


class Uneven(layers.Layer):
    """y = 10¹³ x, but for the first column, which is w x: its gradient drowns in no rounding of the others."""

    def __init__(self, factor=1.0, **base):
        super().__init__(**base)
        self.factor = factor

    def build(self, input_shape):
        self.add_weight((1,), "ones", name="w")
        return input_shape

    def forward(self, x, training=False):
        self.save(x)
        y = 1e13 * x
        y[:, 0] = self.params["w"][0] * x[:, 0]
        return y

    def backward(self, dy):
        x, dx = self.saved(), 1e13 * dy
        dx[:, 0] = self.params["w"][0] * dy[:, 0]
        self.grads["w"][...] = self.factor * (dy[:, 0] * x[:, 0]).sum()
        return dx


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.0, 1.001])
def test_large_terms_that_a_weight_has_no_part_in_hide_nothing(factor, rng):
    layer = Uneven(factor).init((20,), dtype="float64", seed=0)
    report = testing.gradient_check(layer, rng.normal(size=(8, 20)))
    assert report.ok == (factor == 1) and {entry.tensor for entry in report.wrong} <= {"w"}


def test_a_gradient_of_nothing_but_rounding(rng):
    """A bias before batch normalization: the mean takes it away again."""
    x, y = rng.normal(size=(6, 7, 7, 2)), np.arange(6) % 3
    chain = [layers.Conv2D(5, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3)]
    model = Sequential(chain, seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.gradient_check(x, y).raise_if_wrong()
    block = layers.Residual([layers.Conv2D(2, 3, padding="same"), layers.BatchNormalization()])
    testing.gradient_check(block.init((7, 7, 2), dtype="float64", seed=0), x).raise_if_wrong()


def test_the_message_says_where_and_by_how_much(rng):
    report = testing.gradient_check(affine("one entry"), rng.normal(size=(3, 4)))
    entry = report.wrong[0]
    assert entry.layer == "affine" and entry.index == (2, 1) and len(report.wrong) == 2  # and the direction
    assert abs(entry.backward - entry.differences - 1e-4) < 1e-8
    text = (
        r"wrong at index \(2, 1\): backward gives .*, differences of forward give .*, off by 0.0001 \(2 of 35 entries"
    )
    with pytest.raises(testing.GradientError, match=text):
        report.raise_if_wrong()


@pytest.mark.parametrize(
    "fault", ["sign", "no sum", "1/n", "transposed", "one entry", "lost", "stale", "adds", "reuse"]
)
def test_check_layer_catches_wrong_gradients(fault):
    with pytest.raises(AssertionError, match="affine"):
        testing.check_layer(Affine(4, fault), (4,), strict=False)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("float64", r"affine \(Affine\): y is float64, expected float32"),
        ("transposed memory", "y is not C-contiguous"),
        ("shape", r"y has shape \(1, 1\), expected \(1, 3\)"),
        ("writes x", "x was written|the gradient of affine"),
        ("writes dy", "dy was written|the gradient of affine"),
        ("batch statistics", "sample 0 alone and in a batch of 3: y differs|the gradient of affine"),
        ("inference step", "an inference forward raised step"),
        ("unwritten buffer", "y is not finite"),
        ("saves in inference", "backward after an inference forward must raise"),
        ("no check", "backward before any forward must raise|the gradient of affine"),
        ("once", r"call forward\(x, training=True\) before backward"),
        ("no dx", "dx is no array but None"),
    ],
)
def test_check_layer_says_which_promise_is_broken(fault, text):
    with pytest.raises((AssertionError, RuntimeError), match=text):
        testing.check_layer(Affine(3, fault), (4,), strict=False)


def test_numpy_on_the_strict_device():
    with pytest.raises(
        AssertionError, match=r"affine \(Affine\) does not run on the strict device.*self.k, or say strict=False"
    ):
        testing.check_layer(Affine(3), (4,))


class Forgetful(Affine):
    def get_config(self):
        return {**super().get_config(), "units": self.units + 1}


class Unwritable(Affine):
    def get_config(self):
        return {**super().get_config(), "fault": object()}


def test_configurations():
    with pytest.raises(AssertionError, match=r"forgetful \(Forgetful\): a layer made from get_config\(\) has another"):
        testing.check_layer(Forgetful(3), (4,), strict=False)
    with pytest.raises(AssertionError, match=r"unwritable \(Unwritable\): get_config\(\) cannot be written"):
        testing.check_layer(Unwritable(3), (4,), strict=False)


# ---- kinks


class Clip(layers.Layer):
    """y = max(x, 0) with a slope at 0 of the user's choice."""

    def __init__(self, slope, **base):
        super().__init__(**base)
        self.slope = slope

    def forward(self, x, training=False):
        self.save(x)
        return np.maximum(x, 0)

    def backward(self, dy):
        x = self.saved()
        return dy * np.where(x == 0, self.slope, x > 0)


@pytest.mark.parametrize(("slope", "right"), [(0, True), (0.3, True), (1, True), (1.1, False), (-0.1, False)])
def test_a_slope_at_a_kink(slope, right):
    layer, x = Clip(slope).init((3,)), np.array([[0.0, 1, -1], [2, 0, 0]])
    report = testing.gradient_check(layer, x, nudge=0)
    assert report.ok == right and (report.kinks == 3 or not right)
    assert testing.gradient_check(layer, x).ok  # nudged away from the kinks


def test_near_a_kink_a_smaller_step_tells():
    x = np.array([[1e-6, -1e-6, 3e-7]])
    report = testing.gradient_check(Clip(0).init((3,)), x, nudge=0)
    assert report.ok and report.kinks == 0


def test_ties_in_max_pooling():
    layer = layers.MaxPooling2D(2).init((4, 4, 1))
    report = testing.gradient_check(layer, np.ones((2, 4, 4, 1)), nudge=0)
    assert report.ok and report.kinks == 32


def test_relu_of_an_empty_background(rng):
    """Zeros in the data, biases of 0: a convolution's outputs lie at the kink."""
    x = np.zeros((2, 6, 6, 1))
    x[:, 2:4, 2:4] = rng.uniform(size=(2, 2, 2, 1))
    assert testing.gradient_check(layers.Conv2D(3, 3, activation="relu").init((6, 6, 1), seed=0), x).ok


# ---- large tensors


class Scale(layers.Layer):
    """y = x · s, with a fault in one entry of ds."""

    def __init__(self, wrong=None, **base):
        super().__init__(**base)
        self.wrong = wrong

    def build(self, input_shape):
        self.add_weight(input_shape, "ones", name="s")
        return input_shape

    def forward(self, x, training=False):
        self.save(x)
        return x * self.params["s"]

    def backward(self, dy):
        self.grads["s"][...] = (dy * self.saved()).sum(0)
        if self.wrong is not None:
            self.grads["s"][self.wrong] *= 1.1
        return dy * self.params["s"]


@pytest.mark.parametrize("wrong", [0, 777, 4999])
def test_a_direction_finds_what_no_entry_shows(wrong, rng):
    x = rng.normal(size=(2, 5000))
    report = testing.gradient_check(Scale(wrong).init((5000,)), x)
    assert any(entry.index == "direction" and entry.tensor == "s" for entry in report.wrong)
    report = testing.gradient_check(Scale().init((5000,)), x)
    assert report.ok and len(report.entries) <= 2 * (30 + 1 + 1)


def test_inputs_of_any_size(rng):
    """Unscaled data: h grows with the numbers."""
    for size in (1e-4, 1.0, 1e5):
        testing.gradient_check(
            layers.Dense(3, activation="tanh").init((4,)), size * rng.normal(size=(5, 4))
        ).raise_if_wrong()


# ---- chains, losses, other uses


def chain(*stack, shape=(5, 5, 2)):
    for layer in stack:
        layer.init(shape, dtype="float64", seed=0)
        shape = layer.output_shape
    return list(stack)


def stack(middle):
    return chain(
        layers.Conv2D(3, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(2, 1), middle,
        layers.Flatten(), layers.Dropout(0.5), layers.Dense(4),
    )  # fmt: skip


def test_a_chain_with_its_loss(rng):
    x, y = rng.normal(size=(4, 5, 5, 2)), np.array([0, 3, 1, 2])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    built = stack(layers.ReLU())
    steps = built[5].step
    report = testing.check_chain(built, x, loss, y, np.array([1.0, 2, 0, 1]))
    report.raise_if_wrong()
    assert built[5].step == steps + 1
    assert {(e.layer, e.tensor) for e in report.entries} == {
        ("conv2d", "input"), ("conv2d", "kernel"), ("conv2d", "bias"), ("batch_normalization", "input"),
        ("batch_normalization", "gamma"), ("batch_normalization", "beta"), ("max_pooling2d", "input"),
        ("re_lu", "input"), ("flatten", "input"), ("dropout", "input"), ("dense", "input"), ("dense", "kernel"),
        ("dense", "bias"),
    }  # fmt: skip


def test_a_chain_names_the_layer_that_is_wrong(rng):
    x, y = rng.normal(size=(4, 4)), np.array([0, 3, 1, 2])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    built = chain(layers.Dense(4), Affine(4, "1/n"), layers.Dense(4), shape=(4,))
    report = testing.check_chain(built, x, loss, y)
    assert {(e.layer, e.tensor) for e in report.wrong} == {("affine", "bias")}


class Square(losses.Loss):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = factor

    def values(self, y_true, y_pred, out):
        out[...] = ((y_pred - y_true) ** 2).sum(1)

    def gradient(self, y_true, y_pred, scale, out):
        out[...] = self.factor * (y_pred - y_true) * scale[:, None]


def test_losses(rng):
    y, p = rng.normal(size=(2, 4, 3))
    loss = Square()
    before = dict(vars(loss))
    report = testing.loss_check(loss, y, p, [1.0, 0, 2, 1])
    assert report.ok and report.entries[0].tensor == "y_pred" and vars(loss) == before
    report = testing.loss_check(Square(1.0), y, p)
    with pytest.raises(testing.GradientError, match="the gradient of Square/y_pred is wrong at index"):
        report.raise_if_wrong()
    assert testing.loss_check(losses.MeanAbsoluteError(), y, y).ok


@pytest.mark.parametrize("device", ["cpu", "reference", "strict"])
def test_any_device(device, rng):
    layer = layers.Dense(3, activation="relu").init((4,), device=device)
    assert testing.gradient_check(layer, rng.normal(size=(3, 4))).ok


def test_inside_a_training_loop_it_works_by_hand(rng):
    layer = layers.Dense(3, activation="relu").init((4,), dtype="float64")
    with devices.use_workspace(devices.Workspace(layer.device)) as workspace:
        assert testing.gradient_check(layer, rng.normal(size=(3, 4))).ok
    assert workspace.nbytes == 0


def test_unbuilt_layers_and_wrong_shapes(rng):
    with pytest.raises(RuntimeError, match=r"dense has no weights yet; call layer.init\(input_shape"):
        testing.gradient_check(layers.Dense(3), rng.normal(size=(3, 4)))
    wrong = testing.differences.Tensor("mine", "w", np.zeros(3), np.zeros(2), lambda: 0.0)
    with pytest.raises(ValueError, match=r"mine: backward gives w a gradient of shape \(2,\), expected \(3,\)"):
        testing.compare([wrong])


def test_nothing_to_compare():
    report = testing.compare([testing.differences.Tensor("mine", "w", np.zeros((0, 3)), np.zeros((0, 3)), lambda: 0.0)])
    assert report.ok and "0 entries" in str(report)


# ---- mistakes that leave no trace in the gradients


class Rebinding(Scale):
    """Scale that puts an array in the place of one of the store's."""

    def __init__(self, kind, **base):
        super().__init__(**base)
        self.kind = kind

    def build(self, input_shape):
        self.add_weight((), "ones", name="mean", trainable=False)
        return super().build(input_shape)

    def forward(self, x, training=False):
        if self.kind == "state" and training:
            self.state["mean"] = 0.9 * self.state["mean"] + 0.1 * x.mean()
        return super().forward(x, training)

    def backward(self, dy):
        dx = super().backward(dy)
        if self.kind == "grads":
            self.grads["s"] = (dy * self.saved()).sum(0)
        if self.kind == "params":
            self.params["s"] = self.params["s"] * 1
        return dx


@pytest.mark.parametrize(
    ("kind", "name", "reader"),
    [("grads", "s", "the optimizer"), ("params", "s", "the model's weights"), ("state", "mean", "the model's state")],
)
def test_arrays_that_do_not_reach_the_model(kind, name, reader, rng):
    place = rf"self\.{kind}\['{name}'\]"
    text = rf"rebinding: write {place}\[...\] = ..., the assignment {place} = ... does not reach {reader}"
    with pytest.raises(ValueError, match=text):
        testing.gradient_check(Rebinding(kind).init((3,)), rng.normal(size=(4, 3)))
    with pytest.raises(AssertionError, match=text):
        testing.check_layer(Rebinding(kind), (3,), strict=False)


class NoTraining(Scale):
    def forward(self, x):
        return x


class NoWeight(Square):
    def forward(self, y, p):
        return 0.0


def test_methods_with_other_arguments(rng):
    text = r"NoTraining.forward must take \(self, x, training=False\), it takes \(self, x\)"
    with pytest.raises(TypeError, match=text):
        testing.gradient_check(NoTraining().init((3,)), rng.normal(size=(4, 3)))
    with pytest.raises(TypeError, match=text):
        testing.check_layer(NoTraining(), (3,), strict=False)
    text = r"NoWeight.forward must take \(self, y_true, y_pred, sample_weight=None\), it takes \(self, y, p\)"
    with pytest.raises(TypeError, match=text):
        testing.loss_check(NoWeight(), np.zeros((2, 1)), np.zeros((2, 1)))


# ---- layers inside layers, and attributes of one's own


class Residual(layers.Layer):
    """y = x + inner(x), with a fault in what comes from the inner layer."""

    def __init__(self, width, factor=1.0, **base):
        super().__init__(**base)
        self.width, self.factor = width, factor
        self.parts = [layers.Dense(width, activation="tanh"), layers.BatchNormalization()]

    def build(self, input_shape):
        for part in self.parts:
            input_shape = part.build_once(input_shape)
        return input_shape

    def walk(self):
        yield self
        for part in self.parts:
            yield from part.walk()

    def forward(self, x, training=False):
        y = x
        for part in self.parts:
            y = part.forward(y, training)
        if training:
            self.save(True)
        else:
            self.forget()
        return x + y

    def backward(self, dy):
        self.saved()
        dx = dy
        for part in reversed(self.parts):
            dx = part.backward(dx)
        return dy + self.factor * dx


def test_a_layer_with_layers_inside(rng):
    x = rng.normal(size=(4, 3))
    layer = Residual(3).init((3,), seed=0)
    before = [a for part in layer.walk() for a in part.get_weights()]
    report = testing.gradient_check(layer, x)
    report.raise_if_wrong()
    assert {(e.layer, e.tensor) for e in report.entries} == {
        ("residual", "input"), ("dense", "kernel"), ("dense", "bias"), ("batch_normalization", "gamma"),
        ("batch_normalization", "beta"),
    }  # fmt: skip
    for a, b in zip(before, [a for part in layer.walk() for a in part.get_weights()], strict=True):
        np.testing.assert_array_equal(a, b)
    report = testing.gradient_check(Residual(3, 2.0).init((3,), seed=0), x)
    assert {(e.layer, e.tensor) for e in report.wrong} == {("residual", "input")}
    testing.check_layer(Residual(3), (3,), smallest_batch=2, strict=False)


class Counting(Scale):
    """Scale that writes on attributes of its own."""

    def __init__(self, **base):
        super().__init__(**base)
        self.seen, self.sizes, self.by_size = np.zeros(()), [], {"n": []}
        self.rng = np.random.default_rng(0)

    def forward(self, x, training=False):
        self.seen += len(x)
        self.sizes.append(len(x))
        self.by_size["n"].append(self.rng.random())
        return super().forward(x, training)


def test_no_bit_of_a_layer_changes(rng):
    layer = Counting().init((3,))
    drawn = layer.rng.bit_generator.state
    testing.gradient_check(layer, rng.normal(size=(4, 3))).raise_if_wrong()
    assert layer.seen == 0 and layer.sizes == [] and layer.by_size == {"n": []}
    assert layer.rng.bit_generator.state == drawn


class Remembering(Square):
    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, y_true, y_pred, sample_weight=None):
        self.seen.append(len(y_pred))
        return super().forward(y_true, y_pred, sample_weight)


def test_no_bit_of_a_loss_changes(rng):
    loss, (x, y) = Remembering(), rng.normal(size=(2, 4, 4))
    before = dict(vars(loss))
    testing.check_chain([affine()], x, loss, y).raise_if_wrong()
    testing.loss_check(loss, y, x).raise_if_wrong()
    assert vars(loss) == before and loss.seen == []


def test_copies_in_float64(rng):
    built = layers.Dense(3).init((4,), device="strict")
    (twin,) = testing.float64_copies([built])
    assert isinstance(twin.params["kernel"], np.ndarray) and twin.params["kernel"].dtype == np.float64
