"""The data sets themselves: real files where NPDL_DATA has them, made-up ones for the formats."""

import hashlib
import pickle
import sys

import numpy as np
import pytest

from npdl.datasets import california_housing, cifar10, digits, fashion_mnist, files, idx, mnist


@pytest.fixture
def no_files(tmp_path, monkeypatch):
    """Keras', torchvision's and npdl's folders are empty ones; NPDL_DATA stays."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keras" / "datasets").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def real(data_folder, no_files):
    return data_folder


def made_up(monkeypatch, module, contents):
    """Replace a data set's checksums by those of made-up contents."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(module, "FILES", tuple(f._replace(sha256=sums[f.name], content="") for f in module.FILES))


# ---- digits


def test_digits():
    sklearn = pytest.importorskip("sklearn.datasets", reason="digits comes with scikit-learn")
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1437, 8, 8) and x_test.shape == (360, 8, 8)
    assert y_train.shape == (1437,) and y_test.shape == (360,)
    assert all(array.dtype == np.uint8 for array in (x_train, y_train, x_test, y_test))
    assert x_train.min() == 0 and x_train.max() == 16
    bunch = sklearn.load_digits()
    rows = {image.astype(np.uint8).tobytes() + bytes([label]) for image, label in zip(bunch.images, bunch.target)}
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    assert {image.tobytes() + bytes([label]) for image, label in zip(x, y)} == rows
    assert len(x) == len(bunch.target)
    assert np.bincount(y_test).min() >= 25  # each digit is there


def test_digits_order_is_fixed():
    pytest.importorskip("sklearn.datasets", reason="digits comes with scikit-learn")
    (_, y_train), (_, y_test) = digits.load_data()
    assert y_train[:12].tolist() == [4, 4, 8, 1, 0, 0, 2, 5, 1, 9, 2, 1]
    assert y_test[:12].tolist() == [7, 0, 2, 1, 4, 0, 6, 7, 9, 9, 5, 0]


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        digits.load_data()


# ---- MNIST and Fashion-MNIST


@pytest.mark.parametrize(
    ("module", "train_counts", "mean", "std"),
    [
        (mnist, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], 0.1307, 0.3081),
        (fashion_mnist, [6000] * 10, 0.2860, 0.3530),
    ],
    ids=["mnist", "fashion_mnist"],
)
def test_mnist_and_fashion_mnist(real, module, train_counts, mean, std):
    """Class counts and pixel statistics as published."""
    (x_train, y_train), (x_test, y_test) = module.load_data()
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert y_train.shape == (60000,) and y_test.shape == (10000,)
    assert all(array.dtype == np.uint8 and array.flags.writeable for array in (x_train, y_train, x_test, y_test))
    assert np.bincount(y_train).tolist() == train_counts
    assert x_train.mean() / 255 == pytest.approx(mean, abs=5e-5)
    assert x_train.std() / 255 == pytest.approx(std, abs=5e-5)
    if module is mnist:
        assert y_train[:5].tolist() == [5, 0, 4, 1, 9] and y_test[:5].tolist() == [7, 2, 1, 0, 4]


def test_mnist_from_keras_npz(real, no_files, monkeypatch):
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    monkeypatch.delenv("NPDL_DATA")
    path = no_files / "keras" / "datasets" / "mnist.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    (a, b), (c, d) = mnist.load_data()
    for left, right in ((a, x_train), (b, y_train), (c, x_test), (d, y_test)):
        np.testing.assert_array_equal(left, right)
    y_train[0] = 6
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    with pytest.raises(ValueError, match=r"mnist\.npz: train-labels-idx1-ubyte\.gz is damaged: its sha256 is"):
        mnist.load_data()


def test_truncated_npz(no_files, monkeypatch):
    monkeypatch.delenv("NPDL_DATA", raising=False)
    path = no_files / "keras" / "datasets" / "mnist.npz"
    np.savez(path, x_train=np.zeros(3))
    with pytest.raises(ValueError, match=r"mnist\.npz is damaged \(KeyError"):
        mnist.load_data()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"mnist\.npz is damaged \(BadZipFile"):
        mnist.load_data()


def test_idx_round_trip():
    for shape in ((5,), (2, 3), (2, 3, 4)):
        array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        content = idx.encode(array)
        assert content[:4] == bytes([0, 0, 8, len(shape)]) and content[4:8] == shape[0].to_bytes(4, "big")
        np.testing.assert_array_equal(idx.decode(content), array)


# ---- CIFAR-10


def test_cifar10(real):
    (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    assert x_train.shape == (50000, 32, 32, 3) and x_test.shape == (10000, 32, 32, 3)
    assert y_train.shape == (50000, 1) and y_test.shape == (10000, 1)
    assert all(array.dtype == np.uint8 and array.flags.c_contiguous for array in (x_train, y_train, x_test, y_test))
    assert np.bincount(y_train[:, 0]).tolist() == [5000] * 10 and np.bincount(y_test[:, 0]).tolist() == [1000] * 10
    assert y_train[:5, 0].tolist() == [6, 9, 9, 4, 1] and y_test[:5, 0].tolist() == [3, 8, 8, 0, 6]
    means = [x_train[..., channel].mean() / 255 for channel in range(3)]
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=5e-5)
    assert x_train[0, 0, 0].tolist() == [59, 62, 63]  # first pixel of the first picture, a frog


def small_cifar():
    """The six .bin files with two pictures each, and what they hold."""
    rng = np.random.default_rng(0)
    contents, x, y = {}, [], []
    for file in cifar10.FILES:
        images, labels = rng.integers(0, 256, (2, 32, 32, 3), np.uint8), rng.integers(0, 10, (2, 1), np.uint8)
        rows = np.hstack([labels, images.transpose(0, 3, 1, 2).reshape(2, -1)])
        contents[file.name] = rows.tobytes()
        x.append(images)
        y.append(labels)
    return contents, x, y


def assert_is_small_cifar(loaded, x, y):
    (x_train, y_train), (x_test, y_test) = loaded
    np.testing.assert_array_equal(x_train, np.concatenate(x[:5]))
    np.testing.assert_array_equal(y_train, np.concatenate(y[:5]))
    np.testing.assert_array_equal(x_test, x[5])
    np.testing.assert_array_equal(y_test, y[5])


def write_python_batches(folder, contents):
    folder.mkdir(parents=True)
    for name, content in contents.items():
        rows = np.frombuffer(content, np.uint8).reshape(2, -1)
        batch = {
            b"batch_label": b"x",
            b"labels": rows[:, 0].tolist(),
            b"data": rows[:, 1:].copy(),
            b"filenames": [b"a", b"b"],
        }
        (folder / name.removesuffix(".bin")).write_bytes(pickle.dumps(batch, protocol=4))


def test_cifar10_binary_files(no_files, monkeypatch):
    contents, x, y = small_cifar()
    made_up(monkeypatch, cifar10, contents)
    monkeypatch.setenv("NPDL_DATA", str(no_files / "own"))
    folder = no_files / "own" / "cifar-10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    assert_is_small_cifar(cifar10.load_data(), x, y)


@pytest.mark.parametrize(
    "place",
    [
        "keras/datasets/cifar-10-batches-py",
        "keras/datasets/cifar-10-batches-py-target/cifar-10-batches-py",
        "data/cifar-10-batches-py",
    ],
)
def test_cifar10_python_batches(no_files, monkeypatch, place):
    contents, x, y = small_cifar()
    made_up(monkeypatch, cifar10, contents)
    monkeypatch.delenv("NPDL_DATA", raising=False)
    write_python_batches(no_files / place, contents)
    assert_is_small_cifar(cifar10.load_data(), x, y)


def test_a_batch_pickled_by_python_2(no_files):
    """As the original files are: strings are bytes, the array comes from numpy.core.multiarray._reconstruct."""
    old = (
        b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x06K\x09eU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05"
        b"cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87R"
        b"q\x09(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x01\x02\x03\x04\x05\x06tbu."
    )
    folder = no_files / "py"
    folder.mkdir()
    for file in cifar10.FILES:
        (folder / file.name.removesuffix(".bin")).write_bytes(old)
    assert cifar10.read_python(folder)["data_batch_1.bin"] == bytes([6, 1, 2, 3, 9, 4, 5, 6])


def test_cifar10_python_batches_damaged(no_files, monkeypatch):
    contents, _, _ = small_cifar()
    made_up(monkeypatch, cifar10, contents)
    monkeypatch.delenv("NPDL_DATA", raising=False)
    folder = no_files / "data" / "cifar-10-batches-py"
    write_python_batches(folder, contents)
    whole = (folder / "test_batch").read_bytes()
    (folder / "test_batch").write_bytes(whole[:500])
    with pytest.raises(ValueError, match=r"cifar-10-batches-py is damaged"):
        cifar10.load_data()
    (folder / "test_batch").write_bytes((folder / "data_batch_1").read_bytes())
    with pytest.raises(ValueError, match=r"cifar-10-batches-py: test_batch\.bin is damaged: its sha256 is"):
        cifar10.load_data()
    (folder / "test_batch").unlink()
    with pytest.raises(ValueError, match=r"cifar-10-batches-py is damaged \(FileNotFoundError"):
        cifar10.load_data()


def test_a_batch_cannot_run_code(no_files, monkeypatch):
    monkeypatch.delenv("NPDL_DATA", raising=False)
    folder = no_files / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "data_batch_1").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match=r"a batch of CIFAR-10 holds no os\.system"):
        cifar10.load_data()


# ---- California housing


def test_california_housing(real):
    (x_train, y_train), (x_test, y_test) = california_housing.load_data()
    assert x_train.shape == (16512, 8) and x_test.shape == (4128, 8)
    assert y_train.shape == (16512,) and y_test.shape == (4128,)
    assert all(array.dtype == np.float32 for array in (x_train, y_train, x_test, y_test))
    y = np.concatenate([y_train, y_test]).astype(np.float64)
    assert y.mean() == pytest.approx(206855.8, abs=0.1)  # as scikit-learn's
    assert y_train[:3].tolist() == [252300, 146900, 290900]  # as Keras prints them
    x = np.concatenate([x_train, x_test])
    first = np.flatnonzero((x[:, 0] == np.float32(-122.23)) & (x[:, 3] == 880))[0]
    np.testing.assert_array_equal(x[first], np.float32([-122.23, 37.88, 41, 880, 129, 322, 126, 8.3252]))
    assert y[first] == 452600
    assert len(california_housing.FEATURE_NAMES) == 8


def test_california_housing_arguments(real):
    (x_train, y_train), (x_test, _) = california_housing.load_data(version="small")
    assert x_train.shape == (480, 8) and x_test.shape == (120, 8)
    assert y_train[-2:].tolist() == [140500, 217100]  # as Keras prints them
    (everything, _), (nothing, _) = california_housing.load_data("small", test_split=0, seed=1)
    assert everything.shape == (600, 8) and nothing.shape == (0, 8)
    assert not np.array_equal(everything[:480], x_train)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"version": "medium"}, 'no version \'medium\'; pass version="large" or version="small"'),
        ({"test_split": 1.0}, "test_split must be at least 0 and below 1, got 1.0"),
        ({"test_split": -0.1}, "test_split must be at least 0 and below 1, got -0.1"),
    ],
)
def test_california_housing_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        california_housing.load_data(**arguments)


# ---- all


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (mnist, ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "ossci-datasets", "MNIST/raw"]),
        (fashion_mnist, ["train-images-idx3-ubyte.gz", "tf-keras-datasets", "fashion-mnist"]),
        (cifar10, ["data_batch_1.bin", "test_batch.bin", "cifar-10-binary.tar.gz", "cifar-10-batches-bin"]),
        (california_housing, ["cal_housing.data", "figshare", "california-housing"]),
    ],
    ids=["mnist", "fashion_mnist", "cifar10", "california_housing"],
)
def test_no_file_and_no_network(no_files, monkeypatch, module, names):
    monkeypatch.delenv("NPDL_DATA", raising=False)

    def urlopen(url, timeout):
        raise OSError("network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(FileNotFoundError, match="NPDL_DATA is not set") as error:
        module.load_data()
    message = str(error.value)
    assert message.startswith(module.__name__.rpartition(".")[2])
    for name in (*names, "network is unreachable", str(files.cache_folder())):
        assert name in message
