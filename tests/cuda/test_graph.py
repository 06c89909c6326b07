"""Training steps and inference as graphs: the same bits as without, and only where a step can be one."""

import contextlib
import copy
import pickle

import numpy as np
import pytest

import npdl
from npdl import Sequential, devices, layers
from npdl.devices.cuda import kept
from npdl.devices.cuda.scale import DeviceScale
from npdl.devices.cuda.stand_in import StandIn
from npdl.models import replay
from npdl.models.captured import PLAIN, CapturedStep
from npdl.models.replay import Replays
from npdl.optimizers.wrapper import Wrapper

X = np.random.default_rng(0).standard_normal((70, 20)).astype("float32")
Y = np.random.default_rng(1).integers(0, 5, 70)


@pytest.fixture
def graphs(monkeypatch):
    """The names of what was done with graphs, in order."""
    driver, done = devices.get("stand-in").driver, []
    capture = driver.capture

    @contextlib.contextmanager
    def noted(room):
        with capture(room) as graph:
            done.append("captured")
            launch = graph.launch
            graph.launch = lambda: (done.append("launched"), launch())
            yield graph

    monkeypatch.setattr(driver, "capture", noted)
    return done


def model_of(*more):
    model = Sequential([layers.Input((20,)), layers.Dense(33, activation="relu"), *more, layers.Dense(5)], seed=0)
    model.compile("adam", npdl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model.to("stand-in")


def test_same_bits_as_without_graphs(graphs, monkeypatch):
    found = []
    for wanted in (True, False):
        with monkeypatch.context() as patch:
            if not wanted:
                patch.setattr(Replays, "wants", lambda self, batch: False)
            model = model_of()
            history = model.fit(X, Y, epochs=3, batch_size=32, verbose=0).history
            out = [model.predict(X, batch_size=32, verbose=0) for _ in range(2)]
        found.append((history, out, model.get_weights()))
        if wanted:
            assert graphs.count("captured") == 4  # of batches of 32 and of 6, in training and in inference
            assert graphs.count("launched") == 5 + 2 + 3 + 1  # of 6 + 3 steps and 4 + 2 batches but the first of each
            graphs.clear()
    assert not graphs
    (history, out, weights), (as_history, as_out, as_weights) = found
    assert history == as_history
    for a, b in zip((*out, *weights), (*as_out, *as_weights), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_that_has_changed_is_captured_anew(graphs):
    model = model_of()
    for frozen in (False, True):
        model.layers[1].trainable = not frozen
        before = model.layers[1].get_weights()[0].copy()
        for _ in range(4):
            model.train_on_batch(X[:32], Y[:32])
        assert (model.layers[1].get_weights()[0] == before).all() == frozen
    assert graphs.count("captured") == 2


def eager_and_graph(graphs, monkeypatch, make, x, y, **options):
    """What `fit` gives with graphs and without: the same bits; returns its history and the model."""
    found = []
    for wanted in (True, False):
        with monkeypatch.context() as patch:
            if not wanted:
                patch.setattr(Replays, "wants", lambda self, batch: False)
            model = make()
            history = model.fit(x, y, epochs=3, batch_size=32, verbose=0, **options).history
        found.append((history, model.get_weights()))
        assert bool(graphs) == wanted
        graphs.clear()
    (history, weights), (as_history, as_weights) = found
    assert history == as_history
    for a, b in zip(weights, as_weights, strict=True):
        np.testing.assert_array_equal(a, b)
    return history, model


def followed(make, x, y, found):
    """The losses are the CPU's, and so are the metrics."""
    history = make().to("cpu").fit(x, y, epochs=3, batch_size=32, verbose=0).history
    for name, values in history.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, err_msg=name)


def regularized():
    """Dropout of several kinds, penalties, gradients clipped, a learning rate that is another in each step, metrics."""
    inside = [
        layers.Dense(33, activation="relu", kernel_regularizer="l2"), layers.Dropout(0.5), layers.GaussianNoise(0.1),
        layers.Dense(5),
    ]  # fmt: skip
    model = Sequential([layers.Input((20,)), *inside], seed=0)
    schedule = npdl.schedules.CosineDecay(0.01, 10)
    loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(npdl.optimizers.Adam(schedule, clipnorm=0.3), loss, metrics=["accuracy"])
    return model.to("stand-in")


def test_dropout_penalties_clipping_and_schedules_in_a_graph(graphs, monkeypatch):
    history, _ = eager_and_graph(graphs, monkeypatch, regularized, X, Y)
    followed(regularized, X, Y, history)


@pytest.mark.parametrize("kind", sorted(PLAIN, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_plain_optimizer_is_a_part_of_the_graph(graphs, monkeypatch, kind):
    def make():
        inside = [layers.Dense(6, activation="relu", kernel_constraint="non_neg"), layers.Dense(5)]
        model = Sequential([layers.Input((20,)), *inside], seed=0).to("stand-in")
        more = {"momentum": 0.9, "nesterov": True} if kind is npdl.optimizers.SGD else {}
        schedule = npdl.schedules.CosineDecay(0.01, 10)
        if issubclass(kind, Wrapper):
            more = {"sync_period": 2} if kind is npdl.optimizers.Lookahead else {"average_period": 2}
            optimizer = kind(npdl.optimizers.Adam(schedule, use_ema=True), **more)
        else:
            optimizer = kind(schedule, use_ema=True, **more)
        model.compile(optimizer, npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    steps = []
    step = kind.step
    monkeypatch.setattr(kind, "step", lambda self, *args: (steps.append(1), step(self, *args))[1])
    captured = []
    monkeypatch.setattr(CapturedStep, "__init__", counted(CapturedStep.__init__, captured))
    eager_and_graph(graphs, monkeypatch, make, X, Y)
    many = {npdl.optimizers.Lookahead: 4, npdl.optimizers.SWA: 5}.get(kind, 2)
    assert len(captured) == many  # of batches of 32 and of 6, where it takes turns of each turn: they fit to the end
    assert len(steps) == 9 + 9 + 2 * many  # 9 steps of each, twice more for each graph


@pytest.mark.parametrize(
    "options", ({"gradient_accumulation_steps": 3}, {"gradient_accumulation_steps": 2, "use_ema": True,
                "ema_overwrite_frequency": 2, "clipnorm": 0.1}, {"use_ema": True, "ema_overwrite_frequency": 3}),
)  # fmt: skip
def test_steps_that_take_turns(graphs, monkeypatch, options):
    """A graph for each turn; what is in the midst of an accumulation, or of the steps before weights are overwritten,
    goes on in the next `fit`, batch by batch, from a saved state."""
    read, download = [], StandIn.download
    monkeypatch.setattr(StandIn, "download", lambda self, array: (read.append(1), download(self, array))[1])
    found = []
    for most in (replay.MOST, -1):
        monkeypatch.setattr(replay, "MOST", most)
        model = model_of(layers.Dropout(0.2))
        model.compile(npdl.optimizers.ScheduleFreeAdamW(0.01, **options), "sparse_categorical_crossentropy")
        read.clear()
        seen = [model.fit(X, Y, epochs=5, batch_size=20, verbose=0).history]
        assert len(read) == 5 + 1 + ("use_ema" in options)  # once an epoch, and what the state begins with
        seen += [model.train_on_batch(X[:20], Y[:20]) for _ in range(5)]
        scalars, arrays = model.optimizer.get_state()
        model.optimizer.set_state(scalars, arrays, model.store)
        seen += [model.train_on_batch(X[:20], Y[:20]) for _ in range(4)]
        found.append((seen, scalars, [*model.get_weights(), *model.optimizer.get_state()[1].values()]))
    assert found[0][:2] == found[1][:2]
    for a, b in zip(found[0][2], found[1][2], strict=True):
        np.testing.assert_array_equal(a, b)
    turns = {3: 3, 2: 2 + 2}.get(options.get("gradient_accumulation_steps"), 2)
    assert turns <= graphs.count("captured") <= 4 * turns + 2 and graphs.count("launched") >= 10 + 4 + 3


def counted(method, calls):
    return lambda self, *args: (calls.append(1), method(self, *args))[1]


def test_an_optimizer_that_does_something_else_is_seen(graphs):
    """Its state moved, clipping that begins, another number of steps done, another optimizer."""
    model = regularized()
    for _ in range(3):
        model.train_on_batch(X[:32], Y[:32])
    assert graphs.count("captured") == 1
    twin = regularized()
    twin.set_weights(model.get_weights())
    scalars, arrays = model.optimizer.get_state()
    for one in (model, twin):
        one.optimizer.set_state(scalars, arrays, one.store)
        one.optimizer.clipnorm, one.optimizer.clipvalue = None, 0.01
        for layer in one.layers:
            layer.step = 7
    for _ in range(3):
        assert model.train_on_batch(X[:32], Y[:32]) == twin.train_on_batch(X[:32], Y[:32])
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert graphs.count("captured") == 3


def test_what_becomes_a_number_in_a_graph_is_looked_at(graphs, monkeypatch):
    """A regularizer's strength, and the seed that a loaded state brings along."""
    found = []
    for most in (replay.MOST, -1):
        monkeypatch.setattr(replay, "MOST", most)
        model = regularized()
        losses = [model.train_on_batch(X[:32], Y[:32]) for _ in range(3)]
        model.layers[0].kernel_regularizer.l2 = 1.0
        losses += [model.train_on_batch(X[:32], Y[:32]) for _ in range(3)]
        model.store.seed = 7
        found.append(losses + [model.train_on_batch(X[:32], Y[:32]) for _ in range(3)])
    assert found[0] == found[1]
    assert graphs.count("captured") == 3


def test_precision_that_went_and_came_back(monkeypatch):
    """Another copy of the weights in 16 bits: a graph that reads the one before would see what they were."""
    found = []
    for most in (replay.MOST, -1):
        monkeypatch.setattr(replay, "MOST", most)
        model = model_of()
        for precision in ("mixed_bfloat16", None, "mixed_bfloat16"):
            model.compile("adam", "mse", precision=precision)
            if precision:
                out = [model.predict(X[:32], verbose=0) for _ in range(3)]
                model.set_weights([0.5 * weight for weight in model.get_weights()])
        found.append(out)
    np.testing.assert_array_equal(*found)


def test_a_step_with_more_tables_than_are_kept_is_no_graph(monkeypatch):
    """They are made anew in each step, which a graph could not."""
    monkeypatch.setattr(kept, "MOST", 1)
    model = Sequential([layers.Input((20,)), layers.Dense(5, kernel_constraint="max_norm")], seed=0).to("stand-in")
    model.compile("adam", npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(4):
        model.train_on_batch(X[:32], Y[:32])
    assert model.optimizer.iterations == 4


def two_inputs():
    a, b = layers.Input((20,), name="a"), layers.Input((20,), name="b")
    whole = layers.Concatenate()([layers.Dense(33, activation="relu")(a), layers.Dense(33, activation="relu")(b)])
    one, other = layers.Dense(5, name="one")(whole), layers.Dense(1, name="other")(whole)
    model = npdl.Model([a, b], [one, other], seed=0)
    kind = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        npdl.optimizers.SGD(0.01), {"one": kind, "other": "mse"}, {"one": 1.0, "other": 0.5},
        metrics={"one": ["accuracy"], "other": ["mae"]},
    )  # fmt: skip
    return model.to("stand-in")


def test_a_model_of_two_inputs_and_two_outputs(graphs, monkeypatch):
    data = [X, X[::-1].copy()], {"one": Y, "other": X[:, :1].copy()}
    history, _ = eager_and_graph(graphs, monkeypatch, two_inputs, *data)
    followed(two_inputs, *data, history)


def gpt():
    """Dropout in attention, behind it, and on what goes in."""
    inside = [
        layers.TokenAndPositionEmbedding(11, 6, 8), layers.Dropout(0.1),
        layers.TransformerDecoder(16, 2, dropout=0.2, activation="gelu", normalize_first=True),
        layers.Attention(use_causal_mask=True, dropout=0.3), layers.Dense(11),
    ]  # fmt: skip
    model = Sequential([layers.Input((6,)), *inside], seed=0)
    loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(npdl.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model.to("stand-in")


def augmented():
    """Images that are others in each step, by numbers that the host draws."""
    inside = [
        layers.RandomTranslation(0.2, 0.2), layers.RandomFlip("horizontal"), layers.RandomBrightness(0.3, (0, 1)),
        layers.RandomContrast(0.4, (0, 1)), layers.RandomErasing(0.9, value_range=(0, 1)),
        layers.RandomColorJitter((0, 1), 0.2, 0.2, (0.4, 0.6), 0.1), layers.RandomSharpness(0.4, (0, 1)),
        layers.RandomGaussianBlur(0.8, 3, 0.9, (0, 1)), layers.Conv2D(4, 3, padding="same"), layers.RandomCrop(4, 4),
        layers.StochasticDepth(0.2), layers.Flatten(), layers.Dense(5),
    ]  # fmt: skip
    model = Sequential([layers.Input((6, 6, 3)), *inside], seed=0)
    model.compile(npdl.optimizers.Adam(0.01), npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model.to("stand-in")


@pytest.mark.parametrize("make", (gpt, augmented))
def test_what_is_drawn_in_attention_and_for_images(graphs, monkeypatch, make):
    rng = np.random.default_rng(2)
    data = {
        gpt: (rng.integers(0, 11, (70, 6)), rng.integers(0, 11, (70, 6))),
        augmented: (rng.random((70, 6, 6, 3), "float32"), Y),
    }[make]
    history, _ = eager_and_graph(graphs, monkeypatch, make, *data)
    followed(make, *data, history)


def test_what_cannot_be_drawn_anew_says_so(graphs):
    """A host array that is another in each step, and nobody knows from what."""
    model = augmented()
    x = np.random.default_rng(2).random((32, 6, 6, 3), "float32")
    model.layers[0].made = lambda function, shape: np.zeros((32, 6))
    with (
        pytest.raises(devices.NotInGraph, match=r"random_translation \(RandomTranslation\).forward: an array"),
        model.device.driver.capture(1 << 12),
    ):
        model.layers[0].forward(model.device.alloc(x.shape, x.dtype), True)
    for _ in range(3):
        model.train_on_batch(x, Y[:32])
    assert model.optimizer.iterations == 3 and "launched" not in graphs


def scaled(precision="mixed_float16"):
    """Penalties, clipping, a schedule, an average: all of it in a step that float16 may skip, and often does."""
    inside = [layers.Dense(33, activation="relu", kernel_regularizer="l2"), layers.Dropout(0.2), layers.Dense(5)]
    model = Sequential([layers.Input((20,)), *inside], seed=0)
    optimizer = npdl.optimizers.Adam(npdl.schedules.CosineDecay(0.01, 20), clipnorm=0.3, use_ema=True)
    loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    scale = npdl.optimizers.LossScale(2.0**20 + 0.3, dynamic_growth_steps=2) if precision == "mixed_float16" else None
    model.compile(optimizer, loss, metrics=["accuracy"], precision=precision, loss_scale=scale)
    return model.to("stand-in")


@pytest.mark.parametrize("places", (64, 3))
def test_skipped_steps_are_settled_on_the_device(graphs, monkeypatch, places):
    monkeypatch.setattr(DeviceScale, "places", places)
    reads, read = [], DeviceScale.read
    monkeypatch.setattr(DeviceScale, "read", lambda self: (reads.append(1), read(self))[1])
    found = []
    for wanted in (True, False):
        with monkeypatch.context() as patch:
            if not wanted:
                patch.setattr(Replays, "wants", lambda self, batch: False)
            model, seen = scaled(), []
            for step in range(24):
                model.train_on_batch(X[:32], Y[:32])
                if step % 8 == 7 or not wanted:
                    seen.append((step, model.loss_scale.get_state(), model.optimizer.iterations))
            if wanted:
                assert graphs.count("captured") == 1 and len(reads) == {64: 1 + 3, 3: 1 + 9}[places]
            found.append((model.get_weights(), model.optimizer.get_state(), seen))
    (weights, (scalars, state), seen), (as_weights, (as_scalars, as_state), as_seen) = found
    assert seen == [one for one in as_seen if one[0] % 8 == 7] and scalars == as_scalars
    assert 0 < seen[0][1]["skipped"] < seen[2][1]["skipped"] < 20
    for a, b in zip((*weights, *state.values()), (*as_weights, *as_state.values()), strict=True):
        np.testing.assert_array_equal(a, b)
    model = scaled().to("cpu")
    for _ in range(24):
        model.train_on_batch(X[:32], Y[:32])
    assert (23, model.loss_scale.get_state(), model.optimizer.iterations) == seen[-1]
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_a_model_of_which_every_step_was_skipped_is_saved(tmp_path):
    """A graph makes room for the optimizer's state before the device settles whether there is a first step."""
    model = model_of()
    scale = npdl.optimizers.LossScale(2.0**120)
    model.compile("adam", "sparse_categorical_crossentropy", precision="mixed_float16", loss_scale=scale)
    model.fit(X, Y, batch_size=20, verbose=0)
    model.save(tmp_path / "model.npdl")
    other = npdl.load_model(tmp_path / "model.npdl")
    assert (other.loss_scale.skipped, other.optimizer.iterations) == (4, 0)


def test_a_scale_and_an_optimizer_that_somebody_sets(graphs, monkeypatch):
    """In the midst of captured steps: the scale, the count, the learning rate; batches of another size, a copy."""
    found = []
    for most in (replay.MOST, -1):
        monkeypatch.setattr(replay, "MOST", most)
        model, seen = scaled(), []
        model.optimizer._learning_rate = 0.01
        for step in range(20):
            if step == 6:
                model.loss_scale.scale = 2.0**30
            if step == 9:
                model.optimizer.iterations = 3
            if step in (12, 14):
                model.optimizer.learning_rate = 0.01 / step
            if step == 16:
                seen.append(pickle.loads(pickle.dumps(model.loss_scale)).get_state())
                seen.append(copy.deepcopy(model.optimizer).iterations)
            rows = 20 if step % 4 == 3 else 32
            seen.append(model.train_on_batch(X[:rows], Y[:rows]))
        found.append((seen, model.loss_scale.get_state(), model.optimizer.iterations, model.get_weights()))
    assert graphs.count("captured") == 2
    assert found[0][:3] == found[1][:3]
    for a, b in zip(found[0][3], found[1][3], strict=True):
        np.testing.assert_array_equal(a, b)


def test_groups_that_come_between_skipped_steps(monkeypatch):
    """The tables that the device has for the steps before are not those of the step that comes."""
    found = []
    for most in (replay.MOST, -1):
        monkeypatch.setattr(replay, "MOST", most)
        model = scaled()
        model.compile("adam", "mse", precision="mixed_float16", loss_scale=npdl.optimizers.LossScale(2.0**20, 2))
        for step in range(24):
            model.train_on_batch(X[:32], X[:32, :5].copy())
            if step in (9, 14, 19):
                model.optimizer.add_group(var_names=["kernel"], learning_rate_multiplier=1 / step)
        found.append([model.loss_scale.skipped, *model.get_weights()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def siamese():
    """One encoder for two inputs, dropout and statistics in it, and what compares its outputs."""
    a, b = layers.Input((20,), name="a"), layers.Input((20,), name="b")
    inside = [
        layers.Dense(33, activation="relu", kernel_regularizer="l2"), layers.Dropout(0.3), layers.BatchNormalization(),
    ]  # fmt: skip
    encoder = Sequential([layers.Input((20,)), *inside], seed=1)
    near = layers.CosineSimilarity()([encoder(a), encoder(b)])
    model = npdl.Model([a, b], layers.Dense(1, activation="sigmoid")(near), seed=0)
    model.compile(npdl.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model.to("stand-in")


def words():
    """One embedding for questions and answers, padding masked, and a recurrence called twice in a row."""
    question, answer = layers.Input((6,), name="question"), layers.Input((6,), name="answer")
    embedding, recurrent = layers.Embedding(11, 7, mask_zero=True), layers.Bidirectional(layers.GRU(5))
    made = [recurrent(embedding(one)) for one in (question, answer)]
    twice, whole = layers.Dense(10, activation="tanh"), layers.Concatenate()(made)
    model = npdl.Model([question, answer], layers.Dense(5)(twice(twice(layers.Dense(10)(whole)))), seed=0)
    model.compile("adam", npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model.to("stand-in")


@pytest.mark.parametrize("make", (siamese, words))
def test_layers_that_are_called_twice(graphs, monkeypatch, make):
    rng = np.random.default_rng(2)
    x, y = [X, X[::-1].copy()], rng.integers(0, 2, (70, 1))
    if make is words:
        x, y = [np.sort(rng.integers(0, 11, (70, 6)), axis=1)[:, ::-1].copy() for _ in range(2)], Y
    history, _ = eager_and_graph(graphs, monkeypatch, make, x, y)
    followed(make, x, y, history)


def total(y_true, y_pred):
    return y_pred.sum(axis=-1)


def tagged():
    """Labels of which some say nothing, of two outputs."""
    a = layers.Input((4, 5))
    ends = [layers.Dense(5, name="tags")(a), layers.Dense(1, name="level")(layers.Flatten()(a))]
    model = npdl.Model(a, ends, seed=0)
    kind = npdl.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)
    both = {"tags": ["accuracy"], "level": ["mae"]}
    weights = {"tags": 1.0, "level": 0.5}
    model.compile("adam", {"tags": kind, "level": "mse"}, weights, metrics=both, weighted_metrics=both)
    return model.to("stand-in")


def torch_like():
    model = Sequential([layers.Input((20,)), layers.Dense(5)], seed=0)
    loss = npdl.losses.CrossEntropyLoss(weight=[1.0, 2.0, 0.5, 1.0, 3.0], ignore_index=2)
    optimizer = npdl.optimizers.Adam(0.01, gradient_accumulation_steps=2)
    model.compile(optimizer, loss, metrics=["accuracy", total], weighted_metrics=["accuracy"])
    return model.to("stand-in")


WEIGHTS = np.random.default_rng(4).random(70) * (np.arange(70) % 7 != 2)


@pytest.mark.parametrize(
    "make, x, y, options",
    [
        (tagged, X.reshape(70, 4, 5), {"tags": np.stack([Y] * 4, 1), "level": X[:, :1].copy()}, {}),
        (tagged, X.reshape(70, 4, 5), {"tags": np.stack([Y] * 4, 1), "level": X[:, :1].copy()},
         {"sample_weight": {"level": WEIGHTS}}),
        (torch_like, X, Y, {}),
        (torch_like, X, Y, {"sample_weight": WEIGHTS}),
        (model_of, X, Y, {"class_weight": {0: 1, 1: 0, 2: 3.5, 3: 1, 4: 2}, "validation_data": (X, Y, WEIGHTS)}),
    ],
)  # fmt: skip
def test_samples_of_which_some_count_more(graphs, monkeypatch, make, x, y, options):
    history, _ = eager_and_graph(graphs, monkeypatch, make, x, y, **options)
    wanted = make().to("cpu").fit(x, y, epochs=3, batch_size=32, verbose=0, **options).history
    for name, values in wanted.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)


def test_weights_that_come_and_go(graphs, monkeypatch):
    """Of one output, of the other, of none: metrics see those that there are."""
    x, y, w, found = (
        X[:32].reshape(32, 4, 5),
        {"tags": np.stack([Y] * 4, 1)[:32], "level": X[:32, :1]},
        WEIGHTS[:32],
        [],
    )
    for most in (replay.MOST, -1):
        monkeypatch.setattr(replay, "MOST", most)
        model, given = tagged(), ({"tags": w}, {"level": w}, None)
        losses = [model.train_on_batch(x, y, sample_weight=given[step % 3]) for step in range(9)]
        losses += [model.test_on_batch(x, y, sample_weight=given[step % 3]) for step in range(6)]
        found.append(losses)
    assert found[0] == found[1]
    assert graphs.count("captured") == 3 + 3 and graphs.count("launched") == 8 + 5


LABELS = {
    "CategoricalGeneralizedCrossEntropy", "Circle", "MultiMarginLoss", "SparseCategoricalCrossentropy",
    "SparseCategoricalFocalCrossentropy", "TripletSemiHardLoss",
}  # fmt: skip
SIGNS = {"HingeEmbeddingLoss", "MarginRankingLoss", "SoftMarginLoss"}


@pytest.mark.parametrize(
    "name", sorted(kind.__name__ for kind in replay.LOSSES_ON_GPU - {npdl.losses.Loss} if kind.counts_parts is not True)
)
def test_every_loss_is_a_part_of_the_graph(graphs, monkeypatch, name):
    kind, rng = getattr(npdl.losses, name), np.random.default_rng(3)
    several = len(getattr(kind, "outputs", ()))

    def make():
        a = layers.Input((4, 5))
        ends = [layers.Dense(5, "softmax")(layers.Flatten()(a)) for _ in range(several or 1)]
        ends = [layers.Dense(5)(a)] if name == "CTC" else ends
        model = npdl.Model(a, ends if several else ends[0], seed=0)
        model.compile("sgd", kind())
        return model.to("stand-in")

    y = np.eye(5, dtype="float32")[Y]
    y = Y if name in LABELS else rng.integers(1, 4, (70, 2)) if name == "CTC" else 2 * y - 1 if name in SIGNS else y
    if getattr(kind, "one_a_sample", False):
        y = np.where(Y > 2, 1, 0 if name == "ContrastiveLoss" else -1)
    y = y if kind.needs_targets else None
    eager_and_graph(graphs, monkeypatch, make, X.reshape(70, 4, 5), y)


def test_a_model_that_is_tested_first(graphs):
    """Before any training: all batches add to one sum, those before the graph and those in it."""
    model = Sequential([layers.Input((20,)), layers.Dense(5)], seed=0).to("stand-in")
    kind = npdl.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)
    model.compile("adam", kind, metrics=["accuracy"])
    loss, accuracy = model.evaluate(X, Y, batch_size=10, verbose=0)
    kernel, bias = (weight.astype(float) for weight in model.get_weights())
    logits = X @ kernel + bias
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(70), Y]
    np.testing.assert_allclose(loss, losses[Y != 2].mean(), rtol=1e-5)
    np.testing.assert_allclose(accuracy, (logits.argmax(axis=1) == Y).mean(), rtol=1e-6)
    assert graphs == ["captured", *["launched"] * 5]


def test_memory_of_a_graph_that_is_gone():
    """A workspace knows whether it is in use, though the graph in which it was made held it, too."""
    device = devices.get("stand-in")
    workspace = devices.Workspace(device)
    with device.driver.capture() as graph:
        first = workspace.take("a layer", "y", (4,), np.float32)
    del graph
    assert workspace.take("another", "y", (4,), np.float32).address != first.address
    before = first.address
    del first
    assert workspace.take("a layer", "y", (4,), np.float32).address == before


def test_memory_that_is_outgrown_while_a_graph_is_captured():
    """The graph has used it, and has it as long as it may start."""
    device = devices.get("stand-in")
    workspace, out = devices.Workspace(device), device.zeros((4,), np.float32)
    device.write(workspace.take("a layer", "y", (4,), np.float32), np.ones(4))
    with device.driver.capture() as graph:
        device.kernels.scale(workspace.take("a layer", "y", (4,), np.float32), 2.0, out=out)
        device.kernels.fill(3.0, out=workspace.take("a layer", "y", (40,), np.float32))
    assert workspace.outgrown == 1
    graph.launch()
    np.testing.assert_array_equal(device.to_host(out), 2 * np.ones(4))


@pytest.mark.parametrize("wrapped", (False, True))
def test_a_scale_that_is_another_when_a_graph_is_made(graphs, wrapped):
    """It is no number of the graph: plain gradient descent comes where float32 comes."""
    found = []
    for precision in (None, "mixed_float16"):
        model = Sequential([layers.Input((20,)), layers.Dense(5)], seed=0).to("stand-in")
        optimizer = npdl.optimizers.SGD(0.1)
        optimizer = npdl.optimizers.Lookahead(optimizer, sync_period=3) if wrapped else optimizer
        scale = npdl.optimizers.LossScale(16.0, dynamic_growth_steps=1) if precision else None
        model.compile(optimizer, "sparse_categorical_crossentropy", precision=precision, loss_scale=scale)
        for step in range(12):
            rows = 20 if step % 4 == 3 else 32
            model.train_on_batch(X[:rows], Y[:rows])
        found.append(model.get_weights())
    assert model.loss_scale.scale == 16.0 * 2**12 and graphs.count("launched") > 8
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3)
