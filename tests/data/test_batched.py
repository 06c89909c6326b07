"""Data that come as batches: windows of a series, images of folders; and what cuts data in two."""

import numpy as np
import pytest

import npdl
from npdl import layers, utils
from npdl.data import Batched, Mapped, batches


def test_windows():
    data = np.arange(40.0).reshape(20, 2)
    for start, end, length, stride, rate in (
        (None, None, 3, 1, 1),
        (2, 15, 4, 3, 2),
        (0, 20, 20, 1, 1),
        (5, None, 2, 2, 7),
    ):
        found = utils.timeseries_dataset_from_array(
            data, np.arange(100, 120), length, stride, rate, batch_size=4, start_index=start, end_index=end
        )
        x, y = (np.concatenate(part) for part in zip(*found))
        first, last = start or 0, end or 20
        starts = [s for s in range(first, last, stride) if s + (length - 1) * rate < last]
        expected = [data[s : s + (length - 1) * rate + 1 : rate] for s in starts]
        np.testing.assert_array_equal(x, expected)
        assert y.tolist() == [100 + s for s in starts] and len(found) == -(-len(starts) // 4)


def test_windows_and_the_step_behind_them():
    """As Keras' documentation has it."""
    data = np.arange(100.0)
    found = utils.timeseries_dataset_from_array(data[:-10], data[10:], sequence_length=10)
    x, y = next(iter(found))
    np.testing.assert_array_equal(x[0], data[:10])
    assert y[0] == data[10] and found.size == 81
    for a, b in zip(*(utils.timeseries_dataset_from_array(z, None, 20, 20) for z in (data, 2 * data))):
        np.testing.assert_array_equal(2 * a, b)


def test_the_series_is_not_copied():
    data = np.lib.stride_tricks.as_strided(np.ones(1), (1 << 40, 3), (0, 0))  # a terabyte, were it written out
    found = utils.timeseries_dataset_from_array(data, None, 50, batch_size=2)
    assert next(iter(found)).shape == (2, 50, 3)


def test_each_epoch_has_an_order_of_its_own():
    data = utils.timeseries_dataset_from_array(np.arange(30), None, 3, batch_size=7, shuffle=True, seed=1)
    first, second = (np.concatenate(list(data))[:, 0] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(28)) and (first != second).any()
    again = utils.timeseries_dataset_from_array(np.arange(30), None, 3, batch_size=9, shuffle=True, seed=1)
    np.testing.assert_array_equal(np.concatenate(list(again))[:, 0], first)


def test_fit_takes_them(rng):
    series = rng.normal(size=(60, 2)).astype("float32")
    results = []
    for shuffle, workers in ((True, 0), (True, 2), (False, 0)):
        data = utils.timeseries_dataset_from_array(series[:-5], series[5:, :1], 5, batch_size=8, shuffle=shuffle)
        data = Mapped(lambda x, y, place: (x, y), data, workers=workers) if workers else data
        model = npdl.Sequential([layers.LSTM(3), layers.Dense(1)], seed=0)
        model.compile("adam", "mse")
        history = model.fit(data, epochs=2, verbose=0, validation_split=0.2)
        assert len(history.history["val_loss"]) == 2
        results.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*results[:2]))  # made ahead by threads: the same
    x = np.lib.stride_tricks.sliding_window_view(series[:-5], 5, axis=0).transpose(0, 2, 1)
    model = npdl.Sequential([layers.LSTM(3), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.fit(np.ascontiguousarray(x), series[5:56, :1], epochs=2, batch_size=8, shuffle=False, verbose=0,
              validation_split=0.2)  # fmt: skip
    assert all(np.array_equal(a, b) for a, b in zip(results[2], model.get_weights()))  # as the windows written out
    windows = utils.timeseries_dataset_from_array(series, None, 5)
    assert model.predict(windows).shape == (56, 1)
    assert [x.shape for x, _ in batches(Batched(lambda rows: (series[rows], rows), 5, 3))] == [(3, 2), (2, 2)]


def test_normalize(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose((utils.normalize(x) ** 2).sum(axis=1), 1)
    np.testing.assert_allclose(abs(utils.normalize(x, 0, 1)).sum(axis=0), 1)
    assert utils.normalize([0.0, 0.0]).tolist() == [0, 0]


def test_split_dataset():
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    left, right = utils.split_dataset(x, left_size=0.7)
    assert len(left) == 7 and len(right) == 3 and np.shares_memory(left, x)
    (a, b), (c, d) = utils.split_dataset([x, y], right_size=3, shuffle=True, seed=0)
    assert sorted([*b, *d]) == list(range(10)) and len(d) == 3 and b.tolist() != list(range(7))
    np.testing.assert_array_equal(np.concatenate([a, c]) // 2, np.stack([np.concatenate([b, d])] * 2, axis=1))
    few = utils.split_dataset({"x": x, "y": y}, left_size=2, right_size=0.3)
    assert [len(part["x"]) for part in few] == [2, 3] and few[1]["y"].tolist() == [2, 3, 4]
    halves = utils.split_dataset(Batched(lambda rows: (x[rows], rows), 10, 2), 0.5)
    assert [np.concatenate([y for _, y in half]).tolist() for half in halves] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


@pytest.fixture
def folder(tmp_path, rng):
    """Three of cats, two of dogs, one deeper, and a text."""
    pillow = pytest.importorskip("PIL.Image", reason="reads images")
    for name in ("dog/b.png", "dog/a.bmp", "cat/c.png", "cat/more/d.png", "cat/e.gif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (6, 8, 3)).astype("uint8")
        pillow.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    return tmp_path


def test_images_of_folders(folder, capsys):
    pillow = pytest.importorskip("PIL.Image", reason="reads images")
    data = utils.image_dataset_from_directory(folder, image_size=(6, 8), batch_size=3, shuffle=False)
    assert data.class_names == ["cat", "dog"] and "found 5 files of 2 classes" in capsys.readouterr().out
    assert [path.rsplit("/", 1)[1] for path in data.file_paths] == ["c.png", "e.gif", "d.png", "a.bmp", "b.png"]
    x, y = (np.concatenate(part) for part in zip(*data))
    assert x.shape == (5, 6, 8, 3) and x.dtype == np.float32 and y.tolist() == [0, 0, 0, 1, 1] and y.dtype == np.int32
    np.testing.assert_array_equal(x[4], np.asarray(pillow.open(folder / "dog" / "b.png")))
    small = utils.image_dataset_from_directory(
        folder, label_mode="categorical", image_size=(3, 4), color_mode="grayscale", class_names=["dog", "cat"],
        shuffle=False, verbose=False,
    )  # fmt: skip
    x, y = next(iter(small))
    assert x.shape == (5, 3, 4, 1) and y.tolist() == [[1, 0]] * 2 + [[0, 1]] * 3
    gray = np.asarray(pillow.open(folder / "dog" / "a.bmp").convert("L"), "float32")[None, :, :, None]
    np.testing.assert_array_equal(x[0], layers.Resizing(3, 4).init((6, 8, 1))(gray)[0])
    alone = utils.image_dataset_from_directory(folder, labels=None, image_size=(3, 4), verbose=False, batch_size=9)
    assert next(iter(alone)).shape == (5, 3, 4, 3)
    own = utils.image_dataset_from_directory(
        folder, np.array([2, 0, 1, 1, 0]), image_size=(3, 4), shuffle=False, verbose=False
    )
    assert next(iter(own))[1].tolist() == [2, 0, 1, 1, 0] and own.class_names == ["0", "1", "2"]


def test_pictures(tmp_path, rng):
    pytest.importorskip("PIL.Image", reason="writes images")
    x = rng.integers(0, 256, (6, 8, 3)).astype("float32")
    utils.save_img(tmp_path / "a.png", x, scale=False)
    picture = utils.load_img(tmp_path / "a.png")
    found = utils.img_to_array(picture)
    np.testing.assert_array_equal(found, x)
    assert found.dtype == np.float32 and picture.mode == "RGB"
    gray = utils.img_to_array(utils.load_img(tmp_path / "a.png", "grayscale", (3, 4), "box"), dtype="uint8")
    assert gray.shape == (3, 4, 1) and gray.dtype == np.uint8
    cut = utils.img_to_array(utils.load_img(tmp_path / "a.png", target_size=(4, 4), keep_aspect_ratio=True))
    whole = utils.img_to_array(utils.load_img(tmp_path / "a.png", target_size=(4, 4)))
    assert (cut != whole).any() and {tuple(p) for p in cut.reshape(-1, 3)} <= {
        tuple(p) for p in x[:, 1:7].reshape(-1, 3)
    }
    scaled = utils.img_to_array(utils.array_to_img(np.array([[[1.0], [2.0], [3.0]]])))
    assert scaled.ravel().tolist() == [0, 127, 255]
    utils.save_img(tmp_path / "b.jpg", rng.uniform(size=(8, 8, 4)), quality=90)
    assert utils.load_img(tmp_path / "b.jpg").size == (8, 8)
    for call, text in (
        (lambda: utils.array_to_img(x[..., :2]), r"of 1, 3 or 4 channels, got \(6, 8, 2\)"),
        (lambda: utils.img_to_array(x[None]), "reads pictures"),
        (lambda: utils.array_to_img(x, "channels_first"), "kept channels last"),
        (lambda: utils.load_img(tmp_path / "a.png", "bgr"), 'color_mode is "grayscale"'),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_a_part_of_the_images_is_held_out(folder):
    given = {"image_size": (4, 4), "validation_split": 0.4, "seed": 1, "label_mode": "binary", "verbose": False}
    train, held_out = utils.image_dataset_from_directory(folder, subset="both", **given)
    assert len(train.file_paths) == 3 and len({*train.file_paths, *held_out.file_paths}) == 5
    for name, whole in (("training", train), ("validation", held_out)):
        assert utils.image_dataset_from_directory(folder, subset=name, **given).file_paths == whole.file_paths
    model = npdl.Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(1, "sigmoid")], seed=0)
    history = model.fit(train, validation_data=held_out, epochs=2, verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()


def series(**given):
    return lambda: utils.timeseries_dataset_from_array(**{"data": np.arange(9), "targets": None, **given})


def images(**given):
    return lambda: utils.image_dataset_from_directory("no folder", **given)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (series(sequence_length=0), "sequence_length must be a whole number of at least 1, got 0"),
        (series(sequence_length=10), "a window reaches over 10 steps, and there are 9 steps; pass a smaller"),
        (series(sequence_length=2, targets=[]), "9 steps and 0 targets"),
        (series(sequence_length=2, start_index=9), "start_index and end_index must lie in the 9 steps"),
        (series(sequence_length=2, batch_size=0), "batch_size must be a whole number"),
        (images(color_mode="bgr"), 'color_mode is "grayscale", "rgb" or "rgba"'),
        (images(subset="both"), 'validation_split=0.2 goes with subset="training"'),
        (images(subset="both", validation_split=0.5), "needs a seed, so that both subsets agree"),
        (images(), "there is no folder 'no folder'"),
        (images(labels="none"), "labels is \"inferred\", None or a list of whole numbers, one a file, got 'none'"),
        (lambda: utils.split_dataset(np.arange(3)), "needs left_size or right_size"),
        (lambda: utils.split_dataset(np.arange(3), 5), "make 5 and -2 rows of 3"),
        (lambda: utils.split_dataset((np.arange(3), np.arange(4)), 2), r"as many rows each, got \[3, 4\] rows"),
    ],
)
def test_wrong_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_wrong_folders(folder):
    with pytest.raises(ValueError, match=r"class_names must be the folders \['cat', 'dog'\]"):
        utils.image_dataset_from_directory(folder, class_names=["cat"])
    with pytest.raises(ValueError, match=r"no images lie in the folders \['more'\]"):
        (folder / "cat" / "more" / "d.png").unlink()
        utils.image_dataset_from_directory(folder / "cat")
    with pytest.raises(ValueError, match="2 labels were given, and 4 files found"):
        utils.image_dataset_from_directory(folder, [0, 1])
