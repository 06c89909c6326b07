"""IDX, the format of MNIST and Fashion-MNIST: 2 zero bytes, a type, the number of axes, their lengths, the values."""

import struct

import numpy as np

from npdl.datasets import files

PARTS = {
    "x_train": "train-images-idx3-ubyte.gz", "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz", "y_test": "t10k-labels-idx1-ubyte.gz",
}  # fmt: skip
UNSIGNED_BYTE = 8


def load(dataset, parts, places, others=()):
    """(x_train, y_train), (x_test, y_test) from the four `File`s."""
    contents = files.load(dataset, parts, places, others)
    x_train, y_train, x_test, y_test = (decode(contents[name]) for name in PARTS.values())
    return (x_train, y_train), (x_test, y_test)


def decode(content):
    """The array in the bytes of an IDX file."""
    axes = content[3]
    shape = struct.unpack_from(f">{axes}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape).copy()


def encode(array):
    """The bytes of an IDX file, from an array of bytes."""
    array = np.ascontiguousarray(array, np.uint8)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, UNSIGNED_BYTE, array.ndim, *array.shape) + array.tobytes()


def read_npz(path):
    """The contents of the four files, from Keras' .npz of x_train, y_train, x_test and y_test."""
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {part: encode(arrays[name]) for name, part in PARTS.items()}
