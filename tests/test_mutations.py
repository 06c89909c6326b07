"""Every edit of the backward code is caught.

The syntax trees of layers, losses and reference kernels are edited one place at a time, in process, and the checks that
a user has (`check_layer`, `gradient_check`, `loss_check`) must notice. The kinds of edit: another sign or operator, a
statement left out, a sum that became a mean, an assignment that became an addition, a transpose more or less, a window
off by one, a value saved only the first time.
"""

import ast
import contextlib
import copy
import importlib
import inspect
import textwrap
import warnings

import numpy as np
import pytest

import npdl
from npdl import devices, layers, losses, testing


def layer_checks(*cases):
    """The whole contract, for each (layer, shape of a sample)."""

    def check():
        for layer, shape in cases:
            testing.check_layer(copy.deepcopy(layer), shape)
            check_newest(layer, shape)

    return check


def check_newest(layer, shape):
    """Backward belongs to the newest forward, whatever came before it."""
    old, new = (copy.deepcopy(layer).init(shape, dtype="float64", seed=0) for _ in range(2))
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 3, *shape))
    old.forward(first, training=True)
    new.step = old.step
    results = []
    for one in (old, new):
        y = one.forward(second, training=True)
        results.append([one.backward(np.cos(np.arange(y.size)).reshape(y.shape)), *one.grads.values()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def gradient_checks(*cases):
    """The gradients, and that they belong to the newest forward: of layers whose configuration is no plain text."""

    def check():
        kernel_checks(*cases)()
        for layer, shape in cases:
            check_newest(layer, shape)

    return check


def embedding_check(device):
    """As `layer_checks` and `kernel_checks`, with whole numbers as x."""

    def check():
        if device == "cpu":
            testing.check_layer(layers.Embedding(5, 3), (4,), integers=5)
        layer = layers.Embedding(5, 3).init((4,), dtype="float64", seed=3, device=device)
        rng = np.random.default_rng(1)
        layer.forward(rng.integers(0, 5, (3, 4)), training=True)
        testing.gradient_check(layer, rng.integers(0, 5, (3, 4))).raise_if_wrong()
        x, dy = rng.integers(0, 5, (3, 4)), rng.normal(size=(3, 4, 3))
        layer.forward(x, training=True)
        layer.backward(dy)
        np.testing.assert_allclose(layer.grads["embeddings"], [dy[x == row].sum(0) for row in range(5)], atol=1e-12)

    return check


def pooled_check():
    """A step in which layers end in the max-pooling behind them, against the layers one by one."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 9, 8, 3)), rng.integers(0, 4, 6)
    loss, weights = losses.SparseCategoricalCrossentropy(from_logits=True), []
    for fused in (True, False):
        norm, conv = layers.BatchNormalization(), layers.Conv2D(16, 3, padding="same")
        chain = [layers.Conv2D(15, 3, padding="same"), layers.MaxPooling2D(2), conv, norm, layers.MaxPooling2D(2)]
        chain = [
            *chain,
            layers.Conv2D(14, 3, padding="same"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(4),
        ]
        model = npdl.Sequential(chain, seed=0, dtype="float64")
        model.build((9, 8, 3))
        model.compile(npdl.optimizers.SGD(0.1), loss)
        if fused:
            model.train_on_batch(x, y)
        else:
            loss.forward(y, model.forward(x, training=True))
            model.backward(loss.backward())
            model.optimizer.step(model)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def masking_check():
    """Two batches with padding in different places."""
    testing.check_layer(layers.Masking(), (2, 3))
    layer, rng = layers.Masking().init((4, 2), dtype="float64"), np.random.default_rng(1)
    for _ in range(2):
        there = rng.random((3, 4, 1)) < 0.5
        x, dy = rng.normal(size=(2, 3, 4, 2)) * (there, np.ones_like(there))
        np.testing.assert_array_equal(layer.forward(x, training=True), x)
        np.testing.assert_array_equal(layer.backward(dy.copy()), dy * there)


class Seeded(layers.Layer):
    """A recurrent layer under a mask, whose first states are the first step of x."""

    def __init__(self, inner, mask, **base):
        super().__init__(**base)
        self.inner, self.mask = inner, mask

    def build(self, input_shape):
        states = [input_shape[1:]] * len(self.inner.state_sizes())
        return self.inner.build_once((input_shape, *states))

    def walk(self):
        yield self
        yield from self.inner.walk()

    def forward(self, x, training=False):
        states = [np.ascontiguousarray(x[:, 0])] * len(self.inner.state_sizes())
        return self.inner.forward((x, *states), training, self.mask)

    def backward(self, dy):
        dx, *dstates = self.inner.backward(dy)
        dx = dx.copy()
        dx[:, 0] += sum(dstates)
        return dx


def seeded_checks(device, kind):
    """The gradients of recurrent layers with first states, with a mask and without."""

    def check():
        rng = np.random.default_rng(1)
        for layer in RECURRENT[kind]:
            for mask in (None, np.array([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]], bool)):
                built = Seeded(copy.deepcopy(layer), mask).init((4, 2), dtype="float64", seed=3, device=device)
                testing.gradient_check(built, rng.normal(size=(3, 4, 2))).raise_if_wrong()

    return check


def kernel_checks(*cases):
    """The gradients alone, with the NumPy kernels."""

    def check():
        rng = np.random.default_rng(1)
        for layer, shape in cases:
            built = copy.deepcopy(layer).init(shape, dtype="float64", seed=3, device="reference")
            testing.gradient_check(built, rng.normal(size=(3, *shape))).raise_if_wrong()

    return check


def loss_checks(device, *names):
    """The gradient of a loss: another number of samples a batch, weights, one of them 0."""

    def check():
        rng = np.random.default_rng(2)
        for loss in LOSSES:
            if type(loss).__name__ not in names:
                continue
            loss.attach(devices.get(device))
            for n, w in ((4, None), (5, np.array([1.0, 0.0, 2.0, 0.5, 1.0]))):
                y, p = targets(loss, rng, n)
                testing.loss_check(loss, y, p, w).raise_if_wrong()

    return check


LOSSES = [
    losses.MeanSquaredError(),
    losses.MeanAbsoluteError(),
    losses.Huber(delta=0.7),
    *(losses.BinaryCrossentropy(from_logits=logits, label_smoothing=0.1) for logits in (True, False)),
    *(losses.CategoricalCrossentropy(from_logits=logits, label_smoothing=0.1) for logits in (True, False)),
    *(losses.SparseCategoricalCrossentropy(from_logits=logits) for logits in (True, False)),
    losses.NLLLoss(),
]


def targets(loss, rng, n):
    p = rng.normal(size=(n, 2, 3))
    if getattr(loss, "from_logits", True) is False:
        p = rng.uniform(0.1, 0.9, size=p.shape)
        p[-1, 0] = (1.0, 0.0, 0.0)  # clipped above and below
    if isinstance(loss, (losses.SparseCategoricalCrossentropy, losses.NLLLoss)):
        return rng.integers(0, 3, (n, 2)), p
    if isinstance(loss, losses.CategoricalCrossentropy):
        return rng.uniform(0, 1, p.shape), p
    if isinstance(loss, losses.BinaryCrossentropy):
        return rng.uniform(0, 1, p.shape), p
    return rng.normal(size=p.shape), p


DENSE = [
    (layers.Dense(4, activation="tanh"), (4,)), (layers.Dense(3, activation="gelu"), (2, 4)),
    (layers.Dense(3, activation="silu"), (3,)),
]  # fmt: skip
BLOCK = [(layers.TransformerEncoder(3, 1, activation="gelu", normalize_first=first), (2, 2)) for first in (True, False)]
CONV = [
    (layers.Conv2D(2, 3, padding="same", strides=2, activation="tanh"), (5, 6, 2)),
    (layers.Conv2D(4, (2, 3), dilation_rate=(1, 2), groups=2), (5, 7, 4)),
]
TRANSPOSE = [(layers.Conv1DTranspose(2, 3, 2, activation="tanh"), (3, 2))]
VOLUMES = [(layers.Conv3D(2, 2, padding="same", padding_mode="reflect"), (2, 3, 2, 2))]
ADAPTIVE_MAX = [(layers.AdaptiveMaxPooling2D((2, 3)), (3, 4, 2)), (layers.AdaptiveMaxPooling1D(2), (3, 2))]
ADAPTIVE_AVERAGE = [
    (layers.AdaptiveAveragePooling2D((2, 3)), (3, 4, 2)), (layers.AdaptiveAveragePooling1D(2), (3, 2)),
]  # fmt: skip
SEPARABLE = [(layers.SeparableConv1D(2, 3, activation="tanh"), (5, 2))]
MAX_POOL = [
    (layers.MaxPooling2D(3, strides=2, padding="same"), (5, 6, 2)), (layers.MaxPooling3D(2, strides=1), (3, 3, 2, 1)),
]  # fmt: skip
AVERAGE_POOL = [
    (layers.AveragePooling2D(3, strides=2, padding="same"), (5, 6, 2)),
    (layers.AveragePooling3D(2, strides=1), (3, 3, 2, 1)),
]
GLOBAL_MAX = [(layers.GlobalMaxPooling2D(), (3, 4, 2))]
GLOBAL_AVERAGE = [(layers.GlobalAveragePooling2D(), (3, 4, 2))]
NORM = [(layers.BatchNormalization(), (3, 2, 4))]
FROZEN = [(layers.BatchNormalization(trainable=False, moving_mean_initializer="ones"), (3, 2, 4))]
RESIDUAL = [
    (layers.Residual([layers.Dense(4, activation="tanh"), layers.Dense(4)], activation="gelu"), (4,)),
    (layers.Residual([layers.Dense(3, activation="tanh")], [layers.Dense(3, name="s")], "tanh"), (4,)),
]
ROWS = [
    (layers.LayerNormalization(), (2, 4)), (layers.LayerNormalization([1, 2], 0.5, scale=False), (2, 3)),
]  # fmt: skip
RMS = [(layers.RMSNormalization(epsilon=0.5), (2, 4))]
UNIT = [(layers.UnitNormalization(), (2, 4))]
GROUP = [(layers.GroupNormalization(2), (3, 4)), (layers.InstanceNormalization(scale=True), (3, 2))]
NOISE = [(layers.GaussianNoise(0.4), (6,)), (layers.GaussianNoise(0), (6,))]
DROPOUT = [(layers.Dropout(0.4), (6,)), (layers.Dropout(0.0), (6,))]
MARGINS = [
    (layers.Cropping2D(((1, 0), (0, 2))), (4, 5, 2)),
    (layers.ZeroPadding2D(((1, 0), (0, 2))), (3, 2, 2)),
]
PERMUTE = [(layers.Permute((3, 1, 2)), (2, 3, 4))]
REPEAT = [(layers.UpSampling2D((2, 3)), (2, 3, 2)), (layers.RepeatVector(3), (4,))]
BILINEAR = [(layers.UpSampling2D((3, 2), interpolation="bilinear"), (2, 3, 2))]
EINSUM = [
    (layers.EinsumDense("abc,cd->abd", (None, 4), "tanh", "d"), (3, 2)),
    (layers.EinsumDense("abc,bcd->adb", (4, None), "gelu", "db"), (3, 2)),
]
RECURRENT = {
    "simple_rnn": [layers.SimpleRNN(2, return_sequences=True, recurrent_dropout=0.3)],
    "lstm": [layers.LSTM(2, "gelu", return_sequences=True, recurrent_dropout=0.3), layers.LSTM(2)],
    "gru": [layers.GRU(2, return_sequences=True, recurrent_dropout=0.3), layers.GRU(2, reset_after=False)],
    "rnn": [layers.RNN(layers.GRUCell(2), return_sequences=True), layers.RNN([layers.SimpleRNNCell(2)])],
}
BIDIRECTIONAL = [
    (layers.Bidirectional(layers.SimpleRNN(2), merge_mode=mode), (2, 2)) for mode in ("concat", "mul", "ave")
]
LAMBDA = [(layers.Lambda(lambda x: x**3, gradient=lambda x, dy: 3 * x**2 * dy), (3, 2))]
ACTIVATIONS = [
    (layers.Activation(name), (7,)) for name in ("relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh", "softmax")
] + [(layers.GELU(approximate=True), (7,)), (layers.ReLU(6.0, 0.1, 0.2), (7,))]
CROSS = ("BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy", "NLLLoss")

TARGETS = {
    "layers.dense:Dense.backward": layer_checks(*DENSE),
    "layers.dense:Dense.forward": layer_checks(*DENSE),
    "layers.dense:Dense.backward_from_z": layer_checks(*DENSE, *BLOCK),
    "layers.attending:Attending._times_grad": kernel_checks(*BLOCK),
    "layers.conv2d:Convolution.backward": layer_checks(*CONV),
    "layers.conv2d:Convolution.backward_pooled": pooled_check,
    "layers.conv2d:Convolution.gradients": layer_checks(*CONV),
    "layers.conv2d:Convolution.forward": layer_checks(*CONV),
    "layers.convolving:Convolving.begin": layer_checks(*CONV[:1]),
    "layers.convolving:Convolving.finish": layer_checks(*CONV[:1]),
    "layers.transposing:ConvTranspose.backward": layer_checks(*TRANSPOSE),
    "layers.extended_padding:ExtendedPadding.backward": layer_checks((layers.ReflectionPadding1D(2), (3, 2))),
    "layers.separable_conv:_SeparableConv.backward": layer_checks(*SEPARABLE),
    "layers.separable_conv:_SeparableConv.forward": layer_checks(*SEPARABLE),
    "layers.adaptive_pooling:AdaptiveMaxPool.backward": layer_checks(*ADAPTIVE_MAX),
    "layers.adaptive_pooling:AdaptiveMaxPool.forward": layer_checks(*ADAPTIVE_MAX),
    "layers.adaptive_pooling:AdaptiveAveragePool.backward": layer_checks(*ADAPTIVE_AVERAGE),
    "layers.pooling:MaxPool.backward": layer_checks(*MAX_POOL),
    "layers.pooling:MaxPool.forward": layer_checks(*MAX_POOL),
    "layers.pooling:AveragePool.backward": layer_checks(*AVERAGE_POOL),
    "layers.global_pooling:GlobalMaxPool.backward": layer_checks(*GLOBAL_MAX),
    "layers.global_pooling:GlobalMaxPool.forward": layer_checks(*GLOBAL_MAX),
    "layers.global_pooling:GlobalAveragePool.backward": layer_checks(*GLOBAL_AVERAGE),
    "layers.batch_normalization:BatchNormalization.backward": layer_checks(*NORM, *FROZEN),
    "layers.batch_normalization:BatchNormalization.backward_pooled": pooled_check,
    "layers.batch_normalization:BatchNormalization.forward": layer_checks(*NORM, *FROZEN),
    "layers.activation:Activation.backward": layer_checks(*ACTIVATIONS[:3]),
    "layers.activation:Activation.forward": layer_checks(*ACTIVATIONS[:3]),
    "layers.dropout:Dropout.backward": layer_checks(*DROPOUT),
    "layers.dropout:Dropout.forward": layer_checks(*DROPOUT),
    "layers.alpha_dropout:AlphaDropout.draw_grad": layer_checks((layers.AlphaDropout(0.4), (6,))),
    "layers.gaussian_noise:GaussianNoise.backward": layer_checks(*NOISE),
    "layers.gaussian_noise:GaussianNoise.forward": layer_checks(*NOISE),
    "layers.layer_normalization:LayerNormalization.backward": layer_checks(*ROWS),
    "layers.layer_normalization:LayerNormalization.forward": layer_checks(*ROWS),
    "layers.rms_normalization:RMSNormalization.backward": layer_checks(*RMS),
    "layers.rms_normalization:RMSNormalization.forward": layer_checks(*RMS),
    "layers.unit_normalization:UnitNormalization.backward": layer_checks(*UNIT),
    "layers.unit_normalization:UnitNormalization.forward": layer_checks(*UNIT),
    "layers.group_normalization:GroupNormalization.backward": layer_checks(*GROUP),
    "layers.group_normalization:GroupNormalization.forward": layer_checks(*GROUP),
    "layers.residual:Residual.backward": layer_checks(*RESIDUAL),
    "layers.residual:Residual.carry": layer_checks(*RESIDUAL),
    "layers.flatten:Flatten.backward": layer_checks((layers.Flatten(), (2, 3))),
    "layers.reshape:Reshape.backward": layer_checks((layers.Reshape((3, -1)), (2, 3))),
    "layers.identity:Identity.backward": layer_checks((layers.Identity(), (2, 3))),
    "layers.masking:Masking.backward": masking_check,
    "layers.masking:Masking.carry": masking_check,
    "layers.moving:Moving.backward": layer_checks(*REPEAT[1:]),
    "layers.permute:Permute.gather": layer_checks(*PERMUTE),
    "layers.repeat_vector:RepeatVector.gather": layer_checks(*REPEAT[1:]),
    "layers.cropping:_Cropping.gather": layer_checks(*MARGINS[:1]),
    "layers.zero_padding:_ZeroPadding.gather": layer_checks(*MARGINS[1:]),
    "layers.up_sampling:_UpSampling.gather": layer_checks(*REPEAT[:1]),
    "layers.einsum_dense:EinsumDense.backward": layer_checks(*EINSUM),
    "layers.einsum_dense:EinsumDense.forward": layer_checks(*EINSUM),
    "layers.simple_rnn:_SimpleRNN.run_grad": seeded_checks("cpu", "simple_rnn"),
    "layers.lstm:_LSTM.run_grad": seeded_checks("cpu", "lstm"),
    "layers.gru:_GRU.run_grad": seeded_checks("cpu", "gru"),
    "layers.rnn:RNN.run_grad": seeded_checks("cpu", "rnn"),
    "layers.bidirectional:Bidirectional.backward": layer_checks(*BIDIRECTIONAL),
    "layers.bidirectional:Bidirectional._parted": layer_checks(*BIDIRECTIONAL),
    "kernels.reference.rnn:simple_rnn_grad": seeded_checks("reference", "simple_rnn"),
    "kernels.reference.rnn:lstm_grad": seeded_checks("reference", "lstm"),
    "kernels.reference.rnn:gru_grad": seeded_checks("reference", "gru"),
    "kernels.reference.rnn:gru_dkernel": seeded_checks("reference", "gru"),
    "kernels.reference.rnn:rnn_dkernels": seeded_checks("reference", "lstm"),
    "layers.lambda_layer:Lambda.backward": gradient_checks(*LAMBDA),
    "layers.lambda_layer:Lambda.forward": gradient_checks(*LAMBDA),
    "layers.embedding:Embedding.vectors_grad": embedding_check("cpu"),
    "layers.embedding:Embedding.forward": embedding_check("cpu"),
    "losses.base:Loss.backward": loss_checks("cpu", "MeanSquaredError"),
    "losses.base:Loss.forward": loss_checks("cpu", "MeanSquaredError"),
    "losses.regression:MeanSquaredError.gradient": loss_checks("cpu", "MeanSquaredError"),
    "losses.regression:MeanAbsoluteError.gradient": loss_checks("cpu", "MeanAbsoluteError"),
    "losses.regression:Huber.gradient": loss_checks("cpu", "Huber"),
    "losses.crossentropy:BinaryCrossentropy.gradient": loss_checks("cpu", *CROSS),
    "losses.crossentropy:CategoricalCrossentropy.gradient": loss_checks("cpu", *CROSS),
    "losses.crossentropy:SparseCategoricalCrossentropy.gradient": loss_checks("cpu", *CROSS),
    "kernels.reference.matmul:matmul": kernel_checks(*DENSE, *BLOCK),
    "kernels.reference.matmul:sum_rows": kernel_checks(*DENSE),
    "kernels.reference.conv:col2im": kernel_checks(*CONV),
    "kernels.reference.conv:conv2d_dx": kernel_checks(*CONV),
    "kernels.reference.conv:conv2d_dkernel": kernel_checks(*CONV),
    "kernels.reference.conv:conv3d_dx": kernel_checks(*VOLUMES),
    "kernels.reference.conv:conv3d_dkernel": kernel_checks(*VOLUMES),
    "kernels.reference.extend:extend_grad": kernel_checks(*VOLUMES),
    "kernels.reference.adaptive_pool:adaptive_max_pool_grad": kernel_checks(*ADAPTIVE_MAX),
    "kernels.reference.adaptive_pool:adaptive_average_pool_grad": kernel_checks(*ADAPTIVE_AVERAGE),
    "kernels.reference.pool:max_pool2d_grad": kernel_checks(*MAX_POOL),
    "kernels.reference.pool:average_pool2d_grad": kernel_checks(*AVERAGE_POOL),
    "kernels.reference.pool:global_max_pool2d_grad": kernel_checks(*GLOBAL_MAX),
    "kernels.reference.pool:global_average_pool2d_grad": kernel_checks(*GLOBAL_AVERAGE),
    "kernels.reference.shape:repeat_grad": kernel_checks(*REPEAT),
    "kernels.reference.interpolate:_resample_grad": kernel_checks(*BILINEAR),
    "kernels.reference.embed:embedding_grad": embedding_check("reference"),
    "kernels.reference.norm:batch_norm_grad": kernel_checks(*NORM),
    "kernels.reference.norm:batch_norm_frozen_grad": kernel_checks(*FROZEN),
    "kernels.reference.layer_norm:layer_norm_grad": kernel_checks(*ROWS, *BLOCK),
    "kernels.reference.layer_norm:rms_norm_grad": kernel_checks(*RMS),
    "kernels.reference.layer_norm:unit_norm_grad": kernel_checks(*UNIT),
    "kernels.reference.group_norm:group_norm_grad": kernel_checks(*GROUP),
    "kernels.reference.activation:activation_grad": kernel_checks(*ACTIVATIONS),
    "kernels.reference.loss:mean_squared_error_grad": loss_checks("reference", "MeanSquaredError"),
    "kernels.reference.loss:mean_absolute_error_grad": loss_checks("reference", "MeanAbsoluteError"),
    "kernels.reference.loss:huber_grad": loss_checks("reference", "Huber"),
    "kernels.reference.loss:binary_cross_entropy_grad": loss_checks("reference", *CROSS),
    "kernels.reference.loss:_categorical_gradient": loss_checks("reference", *CROSS),
    "kernels.reference.loss:sparse_categorical_cross_entropy_grad": loss_checks("reference", *CROSS),
    **{
        f"activations:{name}": kernel_checks(*ACTIVATIONS)
        for name in (
            "Activation.gradient", "ReLU.derivative", "LeakyReLU.derivative", "ELU.derivative", "GELU.derivative",
            "Sigmoid.derivative", "Tanh.derivative", "Softmax.gradient",
        )
    },
}  # fmt: skip

CLIPPED = {"1 - CLIP": "only keeps a division by 0 away from places where the slope is 0 anyhow"}
EQUIVALENT = {  # what no check of values can see, and why
    "kernels.reference.interpolate:_resample_grad": {"+=": "the sign changes twice, along one axis and the other"},
    "kernels.reference.loss:binary_cross_entropy_grad": CLIPPED,
    "kernels.reference.loss:_categorical_gradient": CLIPPED,
}

OTHER = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
FORWARD = ("save", "k.")  # of a forward only what backward lives on is edited


def edits(tree, forward):
    """(what was done, edited tree) for every place and kind of edit."""
    function = tree.body[0]
    nodes = [node for node in ast.walk(function) if not isinstance(node, ast.arguments)]
    for number, node in enumerate(nodes):
        for what, change in _changes(node, forward):
            edited = copy.deepcopy(tree)
            twin = [n for n in ast.walk(edited.body[0]) if not isinstance(n, ast.arguments)][number]
            change(twin)
            yield (
                f"line {getattr(node, 'lineno', 0)}: {what}: {ast.unparse(node)[:70]}",
                ast.fix_missing_locations(edited),
            )


def _changes(node, forward):
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = ast.unparse(node.value.func)
        if (called.startswith("self.k.") and not forward) or called == "self.save":
            yield "left out", _leave_out
        if called == "self.save" and node.value.args:
            yield "saved the first time only", _first_time_only
        if called == "self.save" and len(node.value.args) > 1:
            yield "saved in another order", _other_order
    if forward:
        return
    if isinstance(node, ast.BinOp) and type(node.op) in OTHER:
        yield "another operator", lambda n: setattr(n, "op", OTHER[type(n.op)]())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield "another sign", lambda n: setattr(n, "op", ast.UAdd())
    if isinstance(node, ast.AugAssign):
        yield "assigned, not added", lambda n: setattr(n, "op", ast.Sub())
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sum":
        yield "a mean for a sum", lambda n: setattr(n.func, "attr", "mean")
    if isinstance(node, ast.keyword) and node.arg in ("transpose_a", "transpose_b"):
        yield "not transposed", lambda n: setattr(n, "value", ast.Constant(False))
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transposed again", lambda n: setattr(n, "value", ast.Attribute(n.value, "T", ast.Load()))
    if isinstance(node, ast.Compare) and {"t", "place"} & names_in(node):
        yield "off by one", _one_further
    if isinstance(node, ast.Subscript) and "tap" in names_in(node.slice):
        yield "off by one", _previous_tap
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id in ("dx", "dy"):
        yield "another sign", lambda n: setattr(n, "value", ast.BinOp(n.value, ast.Mult(), ast.Constant(-1)))


def names_in(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _one_further(comparison):
    comparison.comparators[0] = ast.BinOp(comparison.comparators[0], ast.Add(), ast.Constant(1))


def _leave_out(statement):
    statement.value = ast.Constant(None)


def _first_time_only(statement):
    statement.value = ast.IfExp(ast.parse("self._saved is None", mode="eval").body, statement.value, ast.Constant(None))


def _other_order(statement):
    statement.value.args.reverse()


def _previous_tap(subscript):
    class Move(ast.NodeTransformer):
        def visit_Name(self, name):
            return ast.BinOp(name, ast.Sub(), ast.Constant(1)) if name.id == "tap" else name

    subscript.slice = Move().visit(subscript.slice)


def locate(target):
    """(owner, name, function) of "module:Class.function"."""
    module_name, path = target.split(":")
    owner = importlib.import_module(f"npdl.{module_name}")
    *owners, name = path.split(".")
    for part in owners:
        owner = getattr(owner, part)
    return owner, name, getattr(owner, name)


def mutants(target):
    _, name, function = locate(target)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for what, edited in edits(tree, name in ("forward", "carry")):
        if any(text in what for text in EQUIVALENT.get(target, ())):
            continue
        namespace = {}
        exec(compile(edited, target, "exec"), function.__globals__, namespace)
        yield what, namespace[name]


@contextlib.contextmanager
def put_in(target, mutant):
    """While open, `mutant` stands where the target's function stood; no kernel that was looked up earlier is kept."""
    owner, name, function = locate(target)
    setattr(owner, name, mutant)
    _forget_kernels()
    try:
        yield
    finally:
        setattr(owner, name, function)
        _forget_kernels()


def _forget_kernels():
    for device in ("cpu", "reference", "strict"):
        kernels = devices.get(device).kernels
        for name in kernels.table:
            kernels.__dict__.pop(name, None)
    for loss in LOSSES:
        loss.attach(loss.device)


@pytest.mark.parametrize("target", TARGETS)
def test_every_edit_is_caught(target):
    check = TARGETS[target]
    npdl.set_debug(True)  # memory that an edit forgets to write holds NaN
    try:
        check()  # the code as it is passes
        survivors = survivors_of(target, check)
    finally:
        npdl.set_debug(False)
    assert not survivors, f"{target}: nothing noticed\n" + "\n".join(survivors)


def survivors_of(target, check):
    survivors = []
    for what, mutant in mutants(target):
        with put_in(target, mutant), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                check()
            except Exception:  # whatever a check raises, it noticed
                continue
            survivors.append(what)
    return survivors


def test_there_are_enough_edits():
    numbers = {target: len(list(mutants(target))) for target in TARGETS}
    print(f"\n{sum(numbers.values())} edits of {len(numbers)} functions")
    assert sum(numbers.values()) >= 60
