import numpy as np
import pytest

from npdl import Sequential, layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def normalized(conv):
    """A convolution and its batch normalization."""
    return [conv, layers.BatchNormalization()]


def block(filters, strides):
    return layers.Residual(
        [
            *normalized(layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)),
            layers.ReLU(),
            *normalized(layers.Conv2D(filters, 3, padding="same", use_bias=False)),
        ],
        shortcut=normalized(layers.Conv2D(filters, 1, strides, use_bias=False)) if strides > 1 else None,
        activation="relu",
    )


def resnet20():
    """ResNet-20 of He et al. 2015, for images of 32 x 32, with projections where the size changes."""
    blocks = [block(filters, 2 if filters > 16 and i == 0 else 1) for filters in (16, 32, 64) for i in range(3)]
    return [
        *normalized(layers.Conv2D(16, 3, padding="same", use_bias=False)), layers.ReLU(), *blocks,
        layers.GlobalAveragePooling2D(), layers.Dense(10),
    ]  # fmt: skip


class Torch:
    """The same layers in PyTorch on the same weights, which are leaves by the name of their path."""

    def __init__(self, model):
        values = {w.path: torch.tensor(model.store.values(w)) for w in model.store.weights if w.trained}
        self.leaves = {path: value.requires_grad_() for path, value in values.items()}

    def run(self, layer, x):
        name = layer.name
        if isinstance(layer, layers.Residual):
            f = s = x
            for part in layer.layers:
                f = self.run(part, f)
            for part in layer.shortcut or ():
                s = self.run(part, s)
            return torch.relu(f + s)
        if isinstance(layer, layers.Conv2D):
            kernel = self.leaves[f"{name}/kernel"].permute(3, 2, 0, 1)
            (size, _), (stride, _) = layer.kernel_size, layer.strides
            if size == 3:  # "same": the odd zero at the end
                first = 1 if stride == 1 or x.shape[2] % 2 else 0
                x = torch.nn.functional.pad(x, (first, 1, first, 1))
            return torch.nn.functional.conv2d(x, kernel, stride=stride)
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta = self.leaves[f"{name}/gamma"], self.leaves[f"{name}/beta"]
            return torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=layer.epsilon)
        if isinstance(layer, layers.ReLU):
            return torch.relu(x)
        if isinstance(layer, layers.GlobalAveragePooling2D):
            return x.mean((2, 3))
        return x @ self.leaves[f"{name}/kernel"] + self.leaves[f"{name}/bias"]


def compare(model, shape, rng, close):
    for weight in model.store.weights:
        values = model.store.values(weight)
        model.store.assign(weight, values + 0.1 * rng.normal(size=values.shape))
    x = rng.normal(size=shape)
    y = model.forward(x, training=True)
    dy = rng.normal(size=y.shape)
    dx = model.backward(dy)
    other, tx = Torch(model), torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    ty = tx
    for layer in model.layers:
        ty = other.run(layer, ty)
    ty.backward(torch.tensor(dy if dy.ndim == 2 else np.moveaxis(dy, -1, 1).copy()))
    close(y, ty.detach().numpy() if y.ndim == 2 else np.moveaxis(ty.detach().numpy(), 1, -1))
    close(dx, np.moveaxis(tx.grad.numpy(), 1, -1))
    grads = {w.path: w.layer.grads[w.name] for w in model.store.weights if w.trained}
    assert grads.keys() == other.leaves.keys()
    for path, leaf in other.leaves.items():
        close(grads[path], leaf.grad)


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("size", [6, 7])
def test_block(strides, size, rng, close):
    model = Sequential([layers.Input((size, size, 5)), block(5, strides)], seed=0, dtype="float64")
    compare(model, (4, size, size, 5), rng, close)


def test_resnet20(rng, close):
    model = Sequential([layers.Input((32, 32, 3)), *resnet20()], seed=0, dtype="float64")
    assert model.store.count() == (272_474, 1_568)  # trained, and moving statistics
    compare(model, (3, 32, 32, 3), rng, close)
