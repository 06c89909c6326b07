"""TensorBoard: what it writes, read back by TensorBoard itself."""

import warnings

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers
from npdl.callbacks import TensorBoard, events

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="reads the files back"
    )

EVERYTHING = {"scalars": 0, "histograms": 0, "images": 0}


@pytest.fixture
def read():
    """read(folder) -> TensorBoard's view of the run there."""

    def run(folder):
        found = accumulator.EventAccumulator(str(folder), size_guidance=EVERYTHING)
        return found.Reload()

    return run


@pytest.fixture
def run(tmp_path, rng):
    """run(**arguments) -> (model, history, folder) of a fit with the callback."""
    x, y = rng.normal(size=(32, 4)).astype("float32"), rng.integers(0, 3, 32)

    def fit(epochs=3, **arguments):
        model = Sequential([layers.Dense(5, "relu"), layers.BatchNormalization(), layers.Dense(3)], seed=0)
        model.compile(npdl.optimizers.SGD(0.25), "sparse_categorical_crossentropy", metrics=["accuracy"])
        callback = TensorBoard(tmp_path / "new" / "logs", **arguments)
        history = model.fit(
            x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=callback, validation_data=(x, y), validation_freq=2
        )
        return model, history.history, tmp_path / "new" / "logs"

    return fit


def test_scalars(run, read):
    _, history, folder = run()
    found = read(folder / "train")
    assert sorted(found.Tags()["scalars"]) == ["epoch_accuracy", "epoch_learning_rate", "epoch_loss"]
    loss = found.Scalars("epoch_loss")
    assert [event.step for event in loss] == [0, 1, 2]
    np.testing.assert_allclose([event.value for event in loss], history["loss"], rtol=1e-6)
    assert [event.value for event in found.Scalars("epoch_learning_rate")] == [0.25] * 3
    held_out = read(folder / "validation")
    assert sorted(held_out.Tags()["scalars"]) == ["epoch_accuracy", "epoch_loss"]
    assert [event.step for event in held_out.Scalars("epoch_loss")] == [1]
    assert not found.Tags()["histograms"] and not found.Tags()["images"] and not found.Tags()["graph"]


@pytest.mark.parametrize(("freq", "steps"), [("batch", [*range(8)]), (3, [2, 5])])
def test_steps_and_speed(run, read, freq, steps):
    _, history, folder = run(epochs=2, update_freq=freq, write_steps_per_second=True)
    found = read(folder / "train")
    assert [event.step for event in found.Scalars("batch_loss")] == steps
    assert len(found.Scalars("epoch_steps_per_second")) == 2
    if freq == "batch":
        assert found.Scalars("batch_loss")[3].value == pytest.approx(history["loss"][0], rel=1e-6)


def test_histograms_images_and_graph(run, read):
    model, _, folder = run(histogram_freq=2, write_images=True, write_graph=True)
    found = read(folder / "train")
    paths = [weight.path for weight in model.store.weights]
    assert sorted(found.Tags()["histograms"]) == sorted(f"{path}/histogram" for path in paths)
    first, last = found.Histograms("dense/kernel/histogram")
    assert (first.step, last.step) == (0, 2)
    kernel = model.layers[0].params["kernel"]
    seen = last.histogram_value
    assert (seen.num, seen.min, seen.max) == (20, kernel.min(), kernel.max())
    assert seen.sum == pytest.approx(float(kernel.sum()), abs=1e-6) and sum(seen.bucket) == 20
    assert seen.sum_squares == pytest.approx(float((kernel**2).sum()), rel=1e-6)
    assert list(seen.bucket_limit) == sorted(seen.bucket_limit) and len(seen.bucket) == len(seen.bucket_limit)
    image = found.Images("dense/kernel/image")[0]
    assert (image.width, image.height) == (5, 4) and image.encoded_image_string.startswith(b"\x89PNG")
    graph = found.Graph()
    assert [(node.name, node.op, list(node.input)) for node in graph.node] == [
        ("dense", "Dense", []),
        ("batch_normalization", "BatchNormalization", ["dense"]),
        ("dense_1", "Dense", ["batch_normalization"]),
    ]


def test_a_picture_is_what_it_shows(tmp_path, read):
    """Read back by matplotlib's PNG reader."""
    image = pytest.importorskip("matplotlib.image")
    pixels = np.arange(15.0).reshape(3, 5)
    png = tmp_path / "a.png"
    png.write_bytes(events._png(np.uint8(17 * pixels)))
    np.testing.assert_allclose(image.imread(png), 17 * pixels / 255, atol=1e-6)


def test_odd_values(tmp_path, read):
    writer = events.EventWriter(tmp_path)
    writer.add([events.histogram("h", np.array([np.nan, 1, 2, np.inf])), events.scalar("s", float("nan"))], 2**40)
    writer.add(
        [events.histogram("empty", []), events.histogram("equal", np.zeros(7)), events.image("i", np.ones((2, 2)))], 1
    )
    writer.add([], 3)
    writer.close()
    found = read(tmp_path)
    event = found.Histograms("h")[0]
    assert event.step == 2**40 and event.histogram_value.num == 2 and event.histogram_value.max == 2
    assert found.Histograms("empty")[0].histogram_value.num == 0
    assert sum(found.Histograms("equal")[0].histogram_value.bucket) == 7
    assert np.isnan(found.Scalars("s")[0].value)


def test_a_second_fit_adds_files(run, read):
    *_, folder = run()
    run(epochs=1)
    assert len(list((folder / "train").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"histogram_freq": -1}, "histogram_freq must be a number of epochs, 0 for never, got -1"),
        ({"update_freq": 0}, 'update_freq must be "epoch", "batch" or a number of steps, got 0'),
        ({"update_freq": "step"}, "got 'step'"),
        ({"profile_batch": 2}, "npdl does not have profile_batch, got profile_batch=2; leave it out"),
        ({"embeddings_freq": 1}, "npdl does not have embeddings_freq"),
    ],
)
def test_errors(arguments, text):
    with pytest.raises(ValueError, match=text):
        TensorBoard(**arguments)
