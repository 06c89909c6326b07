"""Fusion: what fit and predict leave out changes no bit."""

import tracemalloc

import numpy as np
import pytest

import npdl
from npdl import Sequential, activations, layers
from npdl.models.fusion import fuse


def vgg():
    return [
        layers.Conv2D(20, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(),
        layers.Conv2D(16, 3, padding="same", activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(5, 3), layers.MaxPooling2D(2), layers.Activation("relu"),
        layers.Flatten(), layers.Dense(9), layers.ReLU(), layers.Dropout(0.3), layers.Dense(4),
    ]  # fmt: skip


def residual():
    block = layers.Residual(
        [
            layers.Conv2D(6, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(6, 3, padding="same"),
            layers.BatchNormalization(),
        ],
        shortcut=[layers.Conv2D(6, 1), layers.BatchNormalization()],
    )
    around_x = layers.Residual([layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization()], activation="relu")
    frozen = layers.Residual([layers.Conv2D(6, 1), layers.BatchNormalization(trainable=False)])
    return [layers.Conv2D(4, 3), layers.ReLU(), block, layers.ReLU(), around_x, frozen, layers.MaxPooling2D(3),
            layers.Flatten(), layers.Dense(4)]  # fmt: skip


def others():
    """Convolutions and pools of other kinds and numbers of axes."""
    return [
        layers.DepthwiseConv2D(3, depth_multiplier=2), layers.ReLU(), layers.Reshape((100, 6)),
        layers.Conv1D(5, 3), layers.ReLU(), layers.MaxPooling1D(2), layers.SeparableConv1D(4, 2, padding="causal"),
        layers.ReLU(), layers.Reshape((7, 7, 4)), layers.Conv2DTranspose(2, 2, 2), layers.ReLU(),
        layers.Reshape((14, 7, 4, 1)), layers.Conv3D(3, 2), layers.MaxPooling3D(2), layers.ReLU(), layers.Flatten(),
        layers.Dense(4),
    ]  # fmt: skip


def pooled():
    """Poolings that go into the layer before them, of even and odd sizes; and such as do not."""
    return [
        layers.Conv2D(14, 3, padding="same", activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(16, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.MaxPooling2D(2), layers.Conv2D(17, 3, padding="same"), layers.BatchNormalization(scale=False),
        layers.MaxPooling2D(2), layers.ReLU(), layers.MaxPooling2D(1), layers.Flatten(), layers.Dense(4),
    ]  # fmt: skip


def pooled_inside():
    """One in a residual block, one behind a layer that does not learn, one behind the padding of another kind."""
    block = [layers.Conv2D(13, 3, padding="same"), layers.MaxPooling2D(2), layers.ReLU()]
    return [
        layers.Conv2D(15, 3, padding="same", padding_mode="reflect"), layers.MaxPooling2D(2),
        layers.BatchNormalization(trainable=False), layers.Residual(block, [layers.AveragePooling2D(2),
        layers.Conv2D(13, 1)]), layers.BatchNormalization(axis=1), layers.MaxPooling2D(2), layers.Flatten(),
        layers.Dense(4),
    ]  # fmt: skip


@pytest.fixture
def images(rng):
    x = rng.standard_normal((40, 12, 12, 3)).astype("float32")
    x[:, 3:6] = -0.0  # zeros of either sign, and ties
    return x, rng.integers(0, 4, 40)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("net", (vgg, residual, others, pooled, pooled_inside))
def test_fit_and_predict_give_the_bits_of_the_layers_one_by_one(net, dtype, images):
    x, y = images
    x = x.astype(dtype)
    fitted, stepped = Sequential(net(), seed=1, dtype=dtype), Sequential(net(), seed=1, dtype=dtype)
    loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    fitted.compile(npdl.optimizers.Adam(0.01), loss)
    fitted.fit(x, y, epochs=3, batch_size=16, verbose=0)
    optimizer = npdl.optimizers.Adam(0.01)
    for epoch in range(3):
        for xb, yb in npdl.data.batches(x, y, batch_size=16, seed=1, epoch=epoch):
            loss.forward(yb, stepped.forward(xb.astype(dtype), training=True))
            stepped.backward(loss.backward())
            optimizer.step(stepped)
    for a, b in zip(fitted.get_weights(), stepped.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert fitted.predict(x).tobytes() == stepped.forward(x).tobytes()
    fitted.layers[0].params["bias"][0] = stepped.layers[0].params["bias"][0] = np.nan
    predicted = fitted.predict(x)
    assert np.isnan(predicted).all()
    np.testing.assert_array_equal(predicted, stepped.forward(x))


def ends_in_pool(model):
    """For each layer that runs, (its type, the activation behind the pooling in which it ends, None without one)."""
    run = fuse(model.layers, model.layers)[0]
    pools = [getattr(layer, "pool", None) for layer in run]
    return [(type(layer).__name__, pool and pool.activation.name) for layer, pool in zip(run, pools, strict=True)]


def test_poolings_go_into_the_layer_before_them():
    model = Sequential(pooled())
    assert ends_in_pool(model)[1] == ("MaxPooling2D", None)  # not built yet
    model.build((13, 14, 3))
    assert ends_in_pool(model) == [
        ("Conv2D", "relu"), ("Conv2D", None), ("BatchNormalization", "relu"), ("Conv2D", None),
        ("BatchNormalization", "relu"), ("MaxPooling2D", None), ("Flatten", None), ("Dense", None),
    ]  # fmt: skip
    assert all(layer.pool is None for layer in model.layers[:4:2])  # the model's own are as they were
    model.layers[1].forward = model.layers[1].forward
    assert ends_in_pool(model)[:2] == [("Conv2D", None), ("MaxPooling2D", None)]


def test_poolings_stay_layers_of_their_own():
    """Other windows, groups, an activation that does not commute, lanes left empty, axes that are not the last ones."""
    for before, pool in (
        (layers.Conv2D(16, 3), layers.MaxPooling2D(3)),
        (layers.Conv2D(16, 3), layers.MaxPooling2D(2, strides=1)),
        (layers.Conv2D(16, 3), layers.MaxPooling2D(2, padding="same")),
        (layers.Conv2D(16, 3), layers.AveragePooling2D(2)),
        (layers.Conv2D(16, 3, groups=2), layers.MaxPooling2D(2)),
        (layers.Conv2D(16, 3, activation="tanh"), layers.MaxPooling2D(2)),
        (layers.Conv2D(20, 3), layers.MaxPooling2D(2)),
        (layers.BatchNormalization(axis=1), layers.MaxPooling2D(2)),
        (layers.DepthwiseConv2D(3), layers.MaxPooling2D(2)),
    ):
        model = Sequential([before, pool])
        model.build((9, 9, 2))
        assert [name for name, _ in ends_in_pool(model)] == [type(before).__name__, type(pool).__name__]


def test_pooled_images_of_any_size(rng):
    """Axes of free length; one too short for a window is refused as by the layer itself."""
    model = Sequential([layers.Input((None, None, 3)), layers.Conv2D(16, 3, padding="same"), layers.MaxPooling2D(2)])
    for size in (7, 10):
        x = rng.standard_normal((2, size, size + 3, 3)).astype("float32")
        assert model.predict(x).tobytes() == model.forward(x).tobytes()
    with pytest.raises(ValueError, match=r"max_pooling2d.*MaxPooling2D with pool_size"):
        model.predict(np.zeros((2, 1, 9, 3), "float32"))


def test_a_penalty_set_after_the_first_step_is_seen(images):
    x, y = images
    losses = []
    for late in (False, True):
        convolution = layers.Conv2D(16, 3, activity_regularizer=None if late else "l2")
        model = Sequential([convolution, layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(4)], seed=1)
        model.compile(npdl.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
        model.train_on_batch(x[:16], y[:16])
        convolution.activity_regularizer = npdl.regularizers.get("l2")
        model.optimizer.learning_rate = 0.1
        losses.append([model.train_on_batch(x[:16], y[:16]) for _ in range(3)])
    assert losses[0] == losses[1]


def test_whole_images_take_no_memory(rng):
    """What a step keeps: the pooled images and their winners."""
    chain = [layers.Conv2D(32, 3, padding="same"), layers.MaxPooling2D(2), layers.GlobalAveragePooling2D()]
    model = Sequential([*chain, layers.Dense(4)])
    x, y = rng.standard_normal((16, 40, 40, 3)).astype("float32"), rng.integers(0, 4, 16)
    model.compile("sgd", npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
    tracemalloc.start()
    try:
        model.fit(x, y, batch_size=16, epochs=3, verbose=0, shuffle=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 40 * 40 * 32 * 4  # that of the whole images alone


def run_types(net):
    chain = net()
    return [(type(layer).__name__, getattr(getattr(layer, "activation", None), "name", None)) for layer in
            fuse(chain, chain)[0]]  # fmt: skip


def test_what_is_left_out():
    assert run_types(vgg) == [
        ("Conv2D", "linear"), ("BatchNormalization", "relu"), ("Conv2D", "linear"), ("MaxPooling2D", "relu"),
        ("Conv2D", "linear"), ("MaxPooling2D", "relu"), ("Flatten", None), ("Dense", "relu"), ("Dropout", None),
        ("Dense", "linear"),
    ]  # fmt: skip
    assert not {"ReLU", "Activation"} & {name for name, _ in run_types(others)}
    chain = residual()
    (_, block, *_), owners = fuse(chain, chain)
    assert [type(layer).__name__ for layer in block.layers] == [
        "Conv2D", "BatchNormalization", "Conv2D", "BatchNormalization",
    ]  # fmt: skip
    assert owners == [chain[0], chain[2], *chain[4:]]
    assert len(chain[2].layers) == 5 and chain[2].activation == activations.linear  # the model's own are as they were


def test_a_residual_block_that_ends_in_a_normalization_joins_them():
    chain = [
        *residual()[:6],
        layers.Residual([layers.Conv2D(6, 1)]),
        layers.Residual([layers.BatchNormalization(axis=1)]),
    ]
    Sequential(chain).build((12, 12, 3))
    joins = [layer.joins for layer in fuse(chain, chain)[0] if isinstance(layer, layers.Residual)]
    assert joins == [True, True, True, False, False]
    assert not any(layer.joins for layer in chain if isinstance(layer, layers.Residual))


def test_other_activations_and_subclasses_stay():
    class Own(layers.Dense):
        pass

    chain = [Own(3), layers.ReLU(), layers.Dense(3, activation="tanh"), layers.ReLU(), layers.Dense(3),
             layers.ReLU(6.0), layers.Flatten(), layers.ReLU()]  # fmt: skip
    assert fuse(chain, chain) == (chain, chain)


def test_a_layer_thawed_within_an_epoch_learns_from_the_next_step_on(images):
    """Twins follow the layers whose place they take."""
    x, y = images
    norm = layers.BatchNormalization(trainable=False)
    model = Sequential([layers.Conv2D(4, 3), norm, layers.ReLU(), layers.Flatten(), layers.Dense(4)], seed=0)

    class Thaw(npdl.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            norm.trainable = batch >= 2
            seen.append(norm.get_weights()[2].copy())

    seen = []
    model.fit(x, y, batch_size=10, verbose=0, callbacks=[Thaw()])
    np.testing.assert_array_equal(seen[1], seen[0])
    np.testing.assert_array_equal(seen[2], seen[0])
    assert not np.array_equal(seen[3], seen[0])


def hooks(model):
    """Name of the layer and of the method, for each call of a layer's own `forward` or `backward` from now on."""
    calls = []

    def put(layer, method):
        original = getattr(layer, method)

        def hook(*arguments, **named):
            calls.append((layer.name, method))
            return original(*arguments, **named)

        setattr(layer, method, hook)

    for layer in model.walk():
        put(layer, "forward")
        put(layer, "backward")
    return calls


@pytest.mark.parametrize("end", (None, "softmax"))
@pytest.mark.parametrize("net", (vgg, residual))
def test_a_method_put_on_one_layer_is_called_and_changes_nothing(net, end, images):
    x, y = images
    plain, hooked = (Sequential([*net(), *([layers.Softmax()] if end else [])], seed=1) for _ in range(2))
    predicted = plain.predict(x)
    hooked.build(x.shape[1:])
    calls, names = hooks(hooked), {layer.name for layer in hooked.walk()}
    np.testing.assert_array_equal(hooked.predict(x), predicted)
    assert set(calls) == {(name, "forward") for name in names}
    for model in (plain, hooked):
        model.compile("sgd", npdl.losses.SparseCategoricalCrossentropy(from_logits=not end))
        model.fit(x, y, epochs=2, batch_size=20, verbose=0)
    assert set(calls) == {(name, method) for name in names for method in ("forward", "backward")}
    for a, b in zip(plain.get_weights(), hooked.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_method_put_on_the_last_layer_is_called_where_the_loss_could_take_logits(images):
    x, y = images
    model = Sequential([layers.Flatten(), layers.Dense(4, activation="softmax")], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    expected = model.evaluate(x, y, verbose=0)
    calls = hooks(model)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-6)
    assert ("dense", "forward") in calls


def changed_in_mid_epoch(change, x, y, chain):
    """The weights after four batches of `fit`, and of steps by hand, `change(model)` called after the first."""

    class Change(npdl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                change(self.model)

    fitted, stepped = Sequential(chain(), seed=1), Sequential(chain(), seed=1)
    loss, optimizer = npdl.losses.SparseCategoricalCrossentropy(from_logits=True), npdl.optimizers.SGD()
    fitted.compile("sgd", "sparse_categorical_crossentropy")
    fitted.fit(x, y, batch_size=10, verbose=0, callbacks=[Change()])
    for batch, (xb, yb) in enumerate(npdl.data.batches(x, y, batch_size=10, seed=1, epoch=0)):
        loss.forward(yb, stepped.forward(xb, training=True))
        stepped.backward(loss.backward())
        optimizer.step(stepped)
        if batch == 0:
            change(stepped)
    return fitted.get_weights(), stepped.get_weights()


@pytest.mark.parametrize(
    "change",
    [
        lambda model: vars(model.get_layer("batch_normalization")).update(momentum=0.1, epsilon=0.5),
        lambda model: vars(model.get_layer("conv2d_1")).update(activation=activations.tanh),
        lambda model: vars(model.get_layer("re_lu")).update(activation=activations.tanh),
        lambda model: vars(model.get_layer("max_pooling2d")).update(forward=model.get_layer("max_pooling2d").forward),
        lambda model: vars(model.layers[3].layers[1]).update(momentum=0.1),
        lambda model: vars(model.layers[3].layers[2]).update(activation=activations.tanh),
        lambda model: vars(model.layers[3]).update(activation=activations.tanh),
    ],
    ids=["numbers", "layer before", "ReLU", "hook", "inside", "ReLU inside", "block"],
)
def test_what_is_set_in_mid_epoch_holds_from_the_next_step_on(change, images):
    def chain():
        inside = [layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(4, 1)]
        return [
            layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Residual(inside),
            layers.ReLU(), layers.MaxPooling2D(2), layers.Conv2D(4, 1), layers.ReLU(), layers.Flatten(),
            layers.Dense(4),
        ]  # fmt: skip

    for a, b in zip(*changed_in_mid_epoch(change, *images, chain), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("change", ("trainable", "activation"))
def test_memory_of_a_layer_that_is_changed_again_and_again(change, images):
    x, y = images
    conv, norm = layers.Conv2D(16, 3), layers.BatchNormalization()
    chain = [conv, layers.ReLU(), norm, layers.ReLU(), layers.Flatten(), layers.Dense(4)]
    model = Sequential(chain, seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    sizes = []
    for step in range(30):
        if change == "trainable":
            norm.trainable = step % 2 == 0
        else:
            conv.activation = activations.get(("linear", "tanh")[step % 2])
        model.train_on_batch(x, y)
        workspace = model._step.workspace
        sizes.append((workspace.nbytes, len(workspace.saved), len(workspace._served)))
    assert max(sizes[4:]) <= max(sizes[:4])
