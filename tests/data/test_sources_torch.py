"""PyTorch's tensors, data sets and loaders as sources."""

import numpy as np
import pytest

from npdl.data import as_source

torch = pytest.importorskip("torch", reason="reads PyTorch's data sets")
pytestmark = pytest.mark.torch

X = np.arange(24, dtype=np.float32).reshape(8, 3)
Y = np.arange(8)


def joined(source):
    x, y, _ = zip(*source.batches(3))
    return np.concatenate(x), np.concatenate(y)


def test_tensors():
    tensor = torch.from_numpy(X.copy())
    source = as_source(tensor, torch.from_numpy(Y))
    np.testing.assert_array_equal(joined(source)[0], X)
    assert np.shares_memory(source.x, tensor.numpy()) and source.y.dtype == np.int64


def test_a_data_set_gives_samples():
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    source = as_source(dataset)
    assert source.size == 8 and source.x_shape == (3,)
    x, y = joined(source)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
    images = torch.zeros(8, 4, 4)  # one sample's x and y are equally long, and still samples
    source = as_source(torch.utils.data.TensorDataset(images, images))
    assert source.size == 8 and source.x_shape == (4, 4)


def test_a_loader_gives_batches():
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    source = as_source(torch.utils.data.DataLoader(dataset, batch_size=3))
    assert source.size is None and source.steps(32) == 3 and source.x_shape == (3,)
    for _ in range(2):
        x, y = joined(source)
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, Y)


def test_an_endless_data_set_has_no_length():
    class Endless(torch.utils.data.IterableDataset):
        def __iter__(self):
            while True:
                yield X[0], 0

    source = as_source(torch.utils.data.DataLoader(Endless(), batch_size=4))
    assert source.steps(32) is None
    assert next(source.batches(32))[0].shape == (4, 3)
