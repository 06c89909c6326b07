"""Beside Keras itself, with PyTorch below it: its layers, models and parts become npdl's and give the same numbers."""

import os
import warnings

import numpy as np
import pytest

import npdl

torch = pytest.importorskip("torch", reason="compares with Keras on PyTorch")
os.environ["KERAS_BACKEND"] = "torch"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras", reason="compares with Keras")

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
L = keras.layers


@pytest.fixture(autouse=True)
def _float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def several(y):
    y = list(y.values()) if isinstance(y, dict) else y
    return [np.asarray(one.detach()) for one in (y if isinstance(y, (list, tuple)) else [y])]


def close(found, expected, tolerance=1e-5):  # with PyTorch below it Keras multiplies float64 in float32
    found = list(found.values()) if isinstance(found, dict) else found
    found = found if isinstance(found, (list, tuple)) else [found]
    for one, other in zip(found, several(expected), strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= tolerance * max(1, np.abs(other).max())


# ---- layers: class, arguments, the shape of a batch, or (batch, largest integer)

LAYERS = [
    ("Dense", {"units": 4, "activation": "gelu"}, (3, 5)),
    ("Dense", {"units": 4, "use_bias": False, "kernel_regularizer": "l2", "kernel_constraint": "max_norm"}, (3, 2, 5)),
    ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 3, 4), "bias_axes": "de"}, (2, 3, 5)),
    ("Embedding", {"input_dim": 7, "output_dim": 3, "mask_zero": True}, ((2, 4), 7)),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, (2, 9, 3)),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "groups": 2}, (2, 9, 4)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 9, 8, 3)),
    ("Conv2D", {"filters": 4, "kernel_size": (2, 3), "dilation_rate": 2, "activation": "relu"}, (2, 9, 8, 3)),
    ("Conv3D", {"filters": 4, "kernel_size": 2, "padding": "same"}, (2, 4, 5, 3, 3)),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 5, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 5, 4, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 2, "strides": 3}, (2, 5, 4, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": 1}, (2, 5, 4, 3)),
    ("Conv3DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 3, 4, 2, 3)),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, (2, 9, 3)),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same"}, (2, 9, 9, 3)),
    ("SeparableConv1D", {"filters": 4, "kernel_size": 3, "padding": "same"}, (2, 9, 3)),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3, "depth_multiplier": 2}, (2, 9, 9, 3)),
    ("MaxPooling1D", {"pool_size": 3, "padding": "same"}, (2, 9, 3)),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 9, 8, 3)),
    ("MaxPooling3D", {}, (2, 4, 4, 4, 2)),
    ("AveragePooling1D", {"pool_size": 3, "strides": 1}, (2, 9, 3)),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2}, (2, 9, 8, 3)),
    ("AveragePooling3D", {"pool_size": 2}, (2, 4, 4, 4, 2)),
    ("GlobalAveragePooling2D", {"keepdims": True}, (2, 9, 4, 3)),
    ("GlobalMaxPooling3D", {}, (2, 3, 4, 5, 3)),
    ("AdaptiveAveragePooling2D", {"output_size": 3}, (2, 7, 8, 3)),
    ("AdaptiveMaxPooling1D", {"output_size": 3}, (2, 7, 3)),
    ("BatchNormalization", {}, (4, 5)),
    ("BatchNormalization", {"axis": 1}, (4, 5, 3)),
    ("LayerNormalization", {"axis": [1, 2], "epsilon": 1e-5}, (4, 5, 3)),
    ("GroupNormalization", {"groups": 2}, (4, 5, 6)),
    ("GroupNormalization", {"groups": -1}, (4, 5, 6)),
    ("RMSNormalization", {}, (4, 5)),
    ("UnitNormalization", {"axis": 1}, (4, 5, 3)),
    ("Dropout", {"rate": 0.5, "seed": 3}, (4, 5)),
    ("SpatialDropout2D", {"rate": 0.5}, (4, 5, 2, 3)),
    ("AlphaDropout", {"rate": 0.5}, (4, 5)),
    ("GaussianDropout", {"rate": 0.5}, (4, 5)),
    ("GaussianNoise", {"stddev": 0.5}, (4, 5)),
    ("ActivityRegularization", {"l2": 0.1}, (4, 5)),
    ("Masking", {}, (4, 5, 2)),
    ("SimpleRNN", {"units": 4}, (2, 5, 3)),
    ("LSTM", {"units": 4, "return_sequences": True}, (2, 5, 3)),
    ("LSTM", {"units": 4, "go_backwards": True, "recurrent_dropout": 0.1, "return_state": True}, (2, 5, 3)),
    ("GRU", {"units": 4}, (2, 5, 3)),
    ("GRU", {"units": 4, "reset_after": False, "return_sequences": True}, (2, 5, 3)),
    ("Activation", {"activation": "swish"}, (4, 5)),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, (4, 5)),
    ("LeakyReLU", {"negative_slope": 0.2}, (4, 5)),
    ("PReLU", {"shared_axes": [1], "alpha_initializer": "he_normal"}, (4, 5, 3)),
    ("ELU", {"alpha": 0.5}, (4, 5)),
    ("Softmax", {"axis": 1}, (4, 5, 3)),
    ("Flatten", {}, (4, 5, 3)),
    ("Permute", {"dims": (2, 1)}, (4, 5, 3)),
    ("RepeatVector", {"n": 3}, (4, 5)),
    ("Reshape", {"target_shape": (-1, 3)}, (4, 5, 3)),
    ("Identity", {}, (4, 5)),
    ("Cropping2D", {"cropping": ((1, 0), (0, 2))}, (4, 5, 6, 3)),
    ("ZeroPadding1D", {"padding": (1, 2)}, (4, 5, 3)),
    ("ZeroPadding3D", {}, (4, 2, 3, 3, 3)),
    ("UpSampling1D", {"size": 3}, (4, 5, 3)),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, (4, 5, 6, 3)),
    ("UpSampling3D", {}, (2, 2, 3, 4, 3)),
    ("Rescaling", {"scale": 0.5, "offset": 1.0}, (4, 5)),
    ("Resizing", {"height": 7, "width": 3}, (2, 5, 6, 3)),
    ("Resizing", {"height": 3, "width": 3, "interpolation": "nearest"}, (2, 5, 6, 3)),
    ("CenterCrop", {"height": 3, "width": 2}, (2, 5, 6, 3)),
    ("CategoryEncoding", {"num_tokens": 7, "output_mode": "multi_hot"}, ((3, 4), 7)),
    ("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 2.0]}, (4, 3)),
    ("RandomFlip", {}, (2, 5, 6, 3)),
    ("RandomRotation", {"factor": 0.2}, (2, 5, 6, 3)),
    ("RandomZoom", {"height_factor": 0.2}, (2, 5, 6, 3)),
    ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.1}, (2, 5, 6, 3)),
    ("RandomBrightness", {"factor": 0.2}, (2, 5, 6, 3)),
    ("RandomContrast", {"factor": 0.2}, (2, 5, 6, 3)),
    ("RandomErasing", {}, (2, 5, 6, 3)),
]  # fmt: skip
AROUND = {
    "Bidirectional, sum": lambda: L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="sum"),
    "Bidirectional of two": lambda: L.Bidirectional(L.GRU(3), backward_layer=L.GRU(3, go_backwards=True)),
    "TimeDistributed": lambda: L.TimeDistributed(L.Dense(3)),
    "RNN of cells": lambda: L.RNN([L.LSTMCell(3), L.GRUCell(4)], return_sequences=True),
    "RNN with states": lambda: L.RNN(L.SimpleRNNCell(3), return_state=True),
}


def same(layer, x):
    y = layer(x, training=False) if isinstance(layer, L.Layer) and "Random" in type(layer).__name__ else layer(x)
    mine = getattr(npdl.layers, type(layer).__name__).from_config(layer.get_config())
    mine.init(x.shape[1:], dtype="float64")
    mine.set_weights(layer.get_weights())
    close(mine.forward(x), y)


@pytest.mark.parametrize(
    ("kind", "arguments", "shape"), LAYERS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_layer(kind, arguments, shape, rng):
    integers = isinstance(shape[0], tuple)
    same(getattr(L, kind)(**arguments), rng.integers(0, shape[1], shape[0]) if integers else rng.normal(size=shape))


@pytest.mark.parametrize("name", AROUND)
def test_layers_around_layers(name, rng):
    same(AROUND[name](), rng.normal(size=(2, 4, 5)))


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (npdl.layers.MultiHeadAttention, lambda: L.MultiHeadAttention(2, 3, value_dim=4, output_shape=6)),
        (npdl.layers.GroupedQueryAttention, lambda: L.GroupQueryAttention(4, 4, 2)),
    ],
)
def test_attention(mine, theirs, rng):
    layer, x = theirs(), [rng.normal(size=(2, 4, 5)), rng.normal(size=(2, 7, 5))]
    y, mine = layer(*x), mine.from_config(layer.get_config())
    mine.init([(4, 5), (7, 5)], dtype="float64")
    mine.set_weights(layer.get_weights())
    close(mine.forward(x), y)


# ---- models


def images():
    return keras.Sequential([
        keras.Input((9, 8, 3)), L.Conv2D(4, 3, padding="same", activation="relu"), L.BatchNormalization(),
        L.MaxPooling2D(), L.Flatten(), L.Dropout(0.5), L.Dense(10, activation="softmax"),
    ])  # fmt: skip


def texts():
    ids = keras.Input((None,), dtype="int32")
    read = L.Bidirectional(L.LSTM(3))(L.Embedding(9, 4, mask_zero=True)(ids))
    return keras.Model(ids, L.Dense(1)(read))


def built_later():
    model = keras.Sequential([L.Dense(3), keras.Sequential([L.Dense(4), L.ReLU()]), L.Dense(2)])
    model.build((None, 4))
    return model


def residual():
    x = keras.Input((8, 8, 3))
    a = L.Conv2D(4, 3, padding="same")(x)
    b = L.Activation("relu")(L.BatchNormalization()(a))
    s = L.Multiply()([b, L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(b))])
    return keras.Model(x, L.GlobalAveragePooling2D()(a + s * 0.5 - 1.0))


def branches():
    a, b, x = keras.Input((6,), name="a"), keras.Input((6,), name="b"), keras.Input((5, 6), name="x")
    shared = L.Dense(5)
    joined = L.Concatenate()([L.Add()([shared(a), shared(b)]), shared(a)])
    seen = L.LayerNormalization()(L.MultiHeadAttention(2, 3)(x, value=x, use_causal_mask=True) + x)
    _, h, c = L.LSTM(4, return_state=True)(seen)
    return keras.Model({"a": a, "b": b, "x": x}, [joined, c, c * L.GRU(4)(x, initial_state=h) + h])


def frozen():
    base = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.GlobalMaxPooling2D()], name="base"
    )
    base.trainable = False
    x = keras.Input((8, 8, 3))
    return keras.Model(x, L.Dense(2, name="head")(base(x, training=False)))


def inputs_of(model, rng):
    def one(tensor):
        shape = (3, *(5 if size is None else size for size in tensor.shape[1:]))
        return rng.integers(0, 9, shape) if "int" in tensor.dtype else rng.normal(size=shape)

    given = model._inputs_struct if hasattr(model, "_inputs_struct") else model.inputs
    return {name: one(tensor) for name, tensor in given.items()} if isinstance(given, dict) else one(model.inputs[0])


@pytest.mark.parametrize("make", [images, texts, built_later, residual, branches, frozen])
def test_model(make, rng):
    theirs = make()
    theirs.set_weights([w + 0.1 * rng.random(w.shape) for w in theirs.get_weights()])
    x, mine = inputs_of(theirs, rng), npdl.interop.from_keras(theirs)
    close(mine.predict(x, verbose=0), theirs(x))
    assert mine.count_params() == theirs.count_params() == npdl.interop.from_keras(theirs.to_json()).count_params()
    for layer in theirs.layers:
        assert mine.get_layer(layer.name).trainable == layer.trainable


@pytest.mark.parametrize("make", [residual, frozen])
def test_both_learn_the_same(make, rng):
    theirs = make()
    mine, x = npdl.interop.from_keras(theirs), rng.normal(size=(6, 8, 8, 3))
    y = rng.normal(size=(6, theirs.output_shape[-1]))
    for model, optimizers in ((theirs, keras.optimizers), (mine, npdl.optimizers)):
        model.compile(optimizer=optimizers.SGD(0.05, momentum=0.9), loss="mean_squared_error")
        model.fit(x, y, batch_size=3, epochs=3, shuffle=False, verbose=0)
    for layer in theirs.layers:
        if layer.weights:
            found = mine.get_layer(layer.name).get_weights()
            for one, other in zip(found, layer.get_weights(), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "ResNet50"])
def test_published_nets(name, rng):
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    theirs = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=5)
    for layer in theirs.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.set_weights([w + 0.1 * rng.random(w.shape).astype("float32") for w in layer.get_weights()])
    x = rng.uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    with torch.no_grad():
        y = theirs(x, training=False)
    close(npdl.interop.from_keras(theirs).predict(x, verbose=0), y, 1e-4)


# ---- parts by their descriptions

MISSING = {
    ("initializers", "STFT"), ("optimizers", "LossScaleOptimizer"),
}  # fmt: skip


@pytest.mark.parametrize("module", ["optimizers", "losses", "metrics", "regularizers", "constraints", "initializers"])
def test_parts(module):
    theirs, mine, refused, read = getattr(keras, module), getattr(npdl, module), set(), 0
    kinds = {kind.__name__: kind for kind in vars(theirs).values() if isinstance(kind, type)}
    for name, kind in kinds.items():
        try:
            part = kind()
        except (TypeError, ValueError, NotImplementedError):  # it needs arguments, or is a base class
            continue
        if name in ("Optimizer", "Loss", "Metric", "Regularizer", "Constraint", "Initializer", "RandomInitializer"):
            continue
        entry = {"module": f"keras.{module}", "class_name": name, "config": part.get_config(), "registered_name": None}
        try:
            found = mine.get(entry)
        except (TypeError, ValueError):
            refused.add((module, name))
            continue
        assert type(found).__name__.lower() == name.lower()
        read += 1
    assert refused <= MISSING and read > 2


def test_activations():
    refused = set()
    for name in [name for name in dir(keras.activations) if not name.startswith("_")]:
        try:
            npdl.activations.get(name)
        except ValueError:
            refused.add(name)
    assert refused == {"deserialize", "get", "serialize", "glu", "threshold"}  # the last two: layers.GLU, Threshold


# ---- the same numbers, or a refusal


def of_ids(read, several=1):
    """A model of ids: what `read` makes of embeddings that have masks."""
    ids = [keras.Input((6,), dtype="int32") for _ in range(several)]
    return keras.Model(ids, read(*(L.Embedding(9, 4, mask_zero=True)(one) for one in ids)))


def layers_of_ids(*between):
    first = [keras.Input((6,), dtype="int32"), L.Embedding(9, 4, mask_zero=True)]
    return keras.Sequential([*first, *between, L.LSTM(3)])


HANDED_ON = {
    "layers that keep masks": lambda: of_ids(lambda x: L.LSTM(3)(L.LayerNormalization()(L.Dense(4)(x)))),
    "a sum of one mask": lambda: of_ids(lambda x: L.LSTM(3)(L.Add()([x, L.Dense(4)(x)]))),
    "masks of two sequences": lambda: of_ids(lambda a, b: L.LSTM(3)(L.Concatenate(axis=1)([a, b])), 2),
    "the query's": lambda: of_ids(lambda a, b: L.LSTM(3)(L.Attention()([a, b])), 2),
    "of Masking": lambda: of_ids(lambda x: L.LSTM(3)(L.Masking()(x))),
    "nobody reads it": lambda: of_ids(lambda x: L.GlobalMaxPooling1D()(L.Conv1D(4, 3, padding="same")(x))),
    "other steps": lambda: layers_of_ids(L.Conv1D(4, 3)),
    "a Sequential model": lambda: layers_of_ids(L.Dense(4), keras.Sequential([L.Dropout(0.1), L.Dense(4)])),
}


@pytest.mark.parametrize("name", HANDED_ON)
def test_masks_are_those_of_keras(name, rng):
    model = HANDED_ON[name]()
    ids = [rng.integers(0, 9, (4, 6)) for _ in model.inputs]
    x = ids if len(ids) > 1 else ids[0]
    close(npdl.interop.from_keras(model).predict(x, verbose=0), model(x))


CHANGED = {
    "conv1d": lambda: of_ids(lambda x: L.LSTM(3)(L.Conv1D(4, 3, padding="same")(x))),
    "rms_normalization": lambda: layers_of_ids(L.RMSNormalization()),
    "conv1d, inside": lambda: layers_of_ids(keras.Sequential([L.Conv1D(4, 1)])),
    "add": lambda: of_ids(lambda a, b: L.GlobalAveragePooling1D()(L.Add()([a, b])), 2),
    "multiply": lambda: of_ids(lambda x: L.LSTM(3)(x * 2.0)),
    "reshape": lambda: layers_of_ids(L.Reshape((6, 4))),
    "conv1d, the loss": lambda: of_ids(lambda x: L.Conv1D(4, 1)(x)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_masks_that_keras_loses_are_refused(name):
    with pytest.raises(ValueError, match="its mask is not Keras' one, which " + name.split(",")[0]):
        npdl.interop.from_keras(CHANGED[name]())


def test_a_mask_of_the_users_is_refused():
    ids, x = keras.Input((6,), dtype="int32"), keras.Input((6, 4))
    for array in (x, L.Embedding(9, 4, mask_zero=True)(ids)):
        model = keras.Model([ids, x], L.LSTM(3)(array, mask=keras.ops.greater(ids, 3)) + L.GRU(3)(x))
        with pytest.raises(ValueError, match=r"its mask is made by \w+, and in npdl masks come from Embedding"):
            npdl.interop.from_keras(model)


@pytest.mark.parametrize("chosen", [[1], [1, 0], [2, 0], [2, 1]])
def test_a_functional_model_as_output(chosen, rng):
    inside = keras.Input((4,))
    shared, x = keras.Model(inside, L.Dense(4)(inside)), keras.Input((4,))
    once = shared(x)
    made = [once, shared(once)]
    made.append(L.Add()(made))
    model, batch = keras.Model(x, [made[i] for i in chosen]), rng.normal(size=(3, 4))
    close(npdl.interop.from_keras(model).predict(batch, verbose=0), model(batch))


def test_spectral_normalization(rng):
    model = keras.Sequential([keras.Input((1,)), L.SpectralNormalization(L.Dense(3))])
    with pytest.raises(ValueError, match="SpectralNormalization takes the kernel as it is, npdl's divides it by σ"):
        npdl.interop.from_keras(model)
    kernel, u, bias = (rng.normal(size=weight.shape) for weight in model.get_weights())
    model.set_weights([kernel, u, bias])
    own = {"SpectralNormalization": npdl.layers.SpectralNormalization}
    batch = rng.normal(size=(3, 1))
    found = npdl.interop.from_keras(model, own).predict(batch, verbose=0)
    close(found, torch.tensor(batch * kernel * (np.linalg.norm(u) / abs(kernel @ u.T)) + bias))


def test_numbers_before_arrays(rng):
    x = keras.Input((4,))
    model, batch = keras.Model(x, [2 - x, 3 * x, 1 + x, x - 2, x / 4]), rng.normal(size=(3, 4))
    close(npdl.interop.from_keras(model).predict(batch, verbose=0), model(batch))
    with pytest.raises(ValueError, match="npdl has no operation TrueDivide on 2"):
        npdl.interop.from_keras(keras.Model(x, 2 / x))


def test_arrays_by_their_names(rng):
    a, b = keras.Input((5, 4)), keras.Input((6, 4))
    model = keras.Model([a, b], L.Dense(2)(inputs=L.MultiHeadAttention(2, 3)(query=a, value=b)))
    batch = [rng.normal(size=(3, 5, 4)), rng.normal(size=(3, 6, 4))]
    close(npdl.interop.from_keras(model).predict(batch, verbose=0), model(batch))


def relu(x):
    return x * 9


def test_code_of_the_users_is_refused():
    kind = type("Sequential", (keras.Sequential,), {"call": lambda self, x, **how: x * 2})
    with pytest.raises(TypeError, match="got Sequential, whose call is its own"):
        npdl.interop.from_keras(kind([keras.Input((4,)), L.Dense(3)]))
    own = type("Dense", (L.Dense,), {})
    for layer, text in ((own(3), "this Dense is a class of your own"), (L.Dense(3, relu), "activation is a function")):
        with pytest.raises(ValueError, match=text):
            npdl.interop.from_keras(keras.Sequential([keras.Input((4,)), layer]))
    shared, inside, x = L.Dense(4), keras.Input((4,)), keras.Input((4,))
    model = keras.Model(x, shared(keras.Model(inside, shared(inside))(x)))
    with pytest.raises(ValueError, match=r"has a weight of .* too"):
        npdl.interop.from_keras(model)
