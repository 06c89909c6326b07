"""CIFAR-10: 60,000 colour pictures of ten kinds of things, 32 x 32 pixels.

Reference: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

import pathlib
import pickle

import numpy as np

from npdl.datasets import files

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""The name of each label."""

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
FILES = tuple(
    files.File(name, sha256, (URL,), member=f"cifar-10-batches-bin/{name}")
    for name, sha256 in (
        ("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        ("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        ("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        ("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        ("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        ("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    )
)


def load_data():
    """The pictures and their labels, as Keras gives them; `CLASS_NAMES` says what a label means.

    The six .bin files are looked for in $NPDL_DATA/cifar-10/cifar-10-batches-bin and
    ~/.cache/npdl/cifar-10/cifar-10-batches-bin, then the Python batches (cifar-10-batches-py) in Keras' folder and in
    torchvision's ./data; else the .bin files are downloaded.

    Returns:
        (x_train, y_train), (x_test, y_test): images (50000, 32, 32, 3) and (10000, 32, 32, 3) uint8, labels 0 ... 9
        (50000, 1) and (10000, 1) uint8.

    Raises:
        FileNotFoundError: a file is in none of these folders and cannot be downloaded.
        ValueError: a file is damaged.
    """
    python = "cifar-10-batches-py"
    keras = files.keras_folder()
    roots = (keras / python, keras / f"{python}-target" / python, pathlib.Path("data").absolute() / python)
    others = [(path, read_python) for path in roots]
    contents = files.load("cifar10", FILES, files.folders("cifar-10/cifar-10-batches-bin"), others)
    parts = [decode(contents[file.name]) for file in FILES]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts[:-1]))
    return (x, y), parts[-1]


def decode(content):
    """(images, labels) of a .bin file: rows of one label, then 1,024 red, 1,024 green and 1,024 blue pixels."""
    rows = np.frombuffer(content, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    x = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(x), rows[:, :1].copy()


class _Batch(pickle.Unpickler):
    """Reads a Python batch: numbers, bytes and arrays of bytes; nothing else can be made."""

    def find_class(self, module, name):
        allowed = {
            "_reconstruct": lambda kind, shape, code: np.ndarray(shape, np.uint8),
            "ndarray": np.ndarray,
            "dtype": np.dtype,
        }
        if module not in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") or name not in allowed:
            raise ValueError(f"a batch of CIFAR-10 holds no {module}.{name}")
        return allowed[name]


def read_python(folder):
    """The contents of the six .bin files, from the folder of the Python batches."""
    contents = {}
    for file in FILES:
        with open(folder / pathlib.Path(file.name).stem, "rb") as batch:
            values = _Batch(batch, encoding="bytes").load()
        labels = np.array(values[b"labels"], np.uint8)[:, None]
        contents[file.name] = np.hstack([labels, values[b"data"]]).tobytes()
    return contents
