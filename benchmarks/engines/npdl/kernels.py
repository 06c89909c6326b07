"""Single operations: npdl's kernels, as its layers call them."""

import numpy as np

from benchmarks import data
from npdl import activations, devices, losses, optimizers
from npdl.kernels.cpu.build import lib
from npdl.kernels.geometry import window2d
from npdl.layers.base import Layer

place = devices.get("cpu")
kernels = place.kernels


def use(device):
    """Make what follows for this device."""
    global place, kernels
    place = devices.get(device)
    kernels = place.kernels


def on_device(array):
    """A copy that is aligned as npdl's own buffers are."""
    copy = place.alloc(array.shape, array.dtype)
    place.write(copy, array)
    return copy


def normal(*shape, seed=0, scale=1.0):
    return on_device(data.normal(*shape, seed=seed, scale=scale))


def matmul(m, n, k, transpose_a, transpose_b):
    a = normal(*((k, m) if transpose_a else (m, k)))
    b = normal(*((n, k) if transpose_b else (k, n)), seed=1)
    out = place.alloc((m, n), "float32")
    return {"": lambda: kernels.matmul(a, b, out=out, transpose_a=transpose_a, transpose_b=transpose_b)}


def conv(direction, batch, size, channels, filters, kernel, padding, groups):
    g = window2d((size, size, channels), (kernel, kernel), (1, 1), padding, filters=filters, groups=groups)
    x = normal(batch, size, size, channels)
    w = normal(kernel, kernel, channels // groups, filters, seed=1, scale=0.1)
    y = normal(batch, g.out_h, g.out_w, filters, seed=2)
    if direction == "forward":
        bias = normal(filters, seed=3)
        return {"": lambda: kernels.conv2d(x, w, g, out=y, bias=bias)}
    if direction == "dx":
        return {"": lambda: kernels.conv2d_dx(y, w, g, out=x)}
    return {"": lambda: kernels.conv2d_dkernel(x, y, g, out=w)}


def _pool(shape):
    n, h, w, c = shape
    g = window2d((h, w, c), (2, 2), (2, 2), "valid")
    y = place.alloc((n, g.out_h, g.out_w, c), "float32")
    return normal(*shape), g, y, place.alloc(y.shape, "uint8")


def pool_forward(shape):
    x, g, y, winners = _pool(shape)
    return {"": lambda: kernels.max_pool2d(x, g, out=y, winners=winners)}


def pool_backward(shape):
    x, g, y, winners = _pool(shape)
    kernels.max_pool2d(x, g, out=y, winners=winners)
    return {"": lambda: kernels.max_pool2d_grad(y, winners, g, out=x)}


def _norm(shape):
    """(forward, backward) of BatchNormalization with the ReLU behind it, as a training step calls the kernels."""
    x, y, dy, dx = normal(*shape), place.alloc(shape, "float32"), normal(*shape, seed=1), place.alloc(shape, "float32")
    gamma, beta = on_device(np.ones(shape[-1:], "float32")), place.zeros(shape[-1:], "float32")
    mean, variance, moving_mean, moving_variance, dgamma, dbeta = (place.zeros(shape[-1:], "float32") for _ in range(6))
    relu = activations.relu

    def forward():
        kernels.batch_norm_statistics(x, mean=mean, variance=variance)
        kernels.moving_average(mean, 0.99, out=moving_mean)
        kernels.moving_average(variance, 0.99, out=moving_variance)
        kernels.batch_norm(x, mean, variance, gamma, beta, 1e-3, out=y, activation=relu)

    def backward():
        kernels.batch_norm_grad(
            dy, x, mean, variance, gamma, 1e-3, dx=dx, dgamma=dgamma, dbeta=dbeta, beta=beta, activation=relu
        )

    return forward, backward


def norm_forward(shape):
    return {"": _norm(shape)[0]}


def norm_backward(shape):
    forward, backward = _norm(shape)
    forward()
    return {"": backward}


def cross_entropy(rows, classes):
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    z, y = normal(rows, classes), data.labels(rows, classes)
    workspace = devices.Workspace(place)

    def call():
        with devices.use_workspace(workspace):
            loss.forward(y, z)
            loss.backward()

    return {"": call}


def _activation(name, size):
    fn = activations.GELU(approximate=True) if name == "gelu_tanh" else activations.get(name)
    z = normal(size // 1024, 1024)
    return fn, z, place.alloc(z.shape, "float32")


def activation_forward(name, size):
    fn, z, y = _activation(name, size)
    return {"": lambda: kernels.activation(z, fn, out=y)}


def activation_backward(name, size):
    fn, z, y = _activation(name, size)
    kernels.activation(z, fn, out=y)
    saved, dy, dx = z if fn.needs == "z" else y, normal(*z.shape, seed=1), place.alloc(z.shape, "float32")
    return {"": lambda: kernels.activation_grad(dy, saved, fn, out=dx)}


def elementary(name, size):
    x, out = normal(size), place.alloc((size,), "float32")
    return {"": lambda: lib.elementary(name, x, out)}


def copy(size):
    source, out = normal(size), place.alloc((size,), "float32")
    if place.driver is not None:
        return {"": lambda: kernels.copy(source, out=out)}
    return {"": lambda: place.write(out, source)}


def launch():
    """The smallest kernel there is."""
    a, out = normal(1), place.alloc((1,), "float32")
    return {"": lambda: kernels.add(a, a, out=out)}


MOST_ERROR = {False: 1e-5, True: 2e-3}
"""Of a product with 1,024 terms, in norms, by whether its factors are rounded to TF32."""


def products_in_graph(n, count):
    """That many products one after the other as one graph; what it computes is compared with float64.

    Raises:
        ArithmeticError: it is further off than the precision allows.
    """
    a, b = normal(n, n), normal(n, n, seed=1)
    out = place.alloc((n, n), "float32")
    kernels.matmul(a, b, out=out)
    with place.driver.capture() as graph:
        for _ in range(count):
            kernels.matmul(a, b, out=out)
    place.write(out, np.zeros((n, n), "float32"))
    graph.launch()
    want = data.normal(n, n).astype("float64") @ data.normal(n, n, seed=1)
    error = np.linalg.norm(place.to_host(out) - want) / np.linalg.norm(want)
    if not error <= MOST_ERROR[place.driver.tf32]:
        raise ArithmeticError(f"a product in a graph is off by {error:.1e} of its size")
    return {f"off by {error:.0e}": graph.launch}


class Weights(Layer):
    """Weights alone, `parts` tensors of one size."""

    def __init__(self, parts, **base):
        super().__init__(**base)
        self.parts = parts

    def build(self, input_shape):
        for part in range(self.parts):
            self.add_weight(input_shape, "ones", name=f"w{part}")
        return input_shape


def optimizer(name, size):
    made = {
        "sgd": optimizers.SGD(1e-3),
        "sgd-momentum": optimizers.SGD(1e-3, momentum=0.9),
        "adam": optimizers.Adam(),
        "adamw": optimizers.AdamW(weight_decay=0.01),
        "rmsprop": optimizers.RMSprop(),
    }[name]
    weights = Weights(8).init((size // 8,), seed=0, device=place.name)
    place.write(weights.store.grad, data.normal(weights.store.grad.size, scale=1e-3))
    return {"": lambda: made.step(weights)}


OPERATIONS = {
    function.__name__: function
    for function in (
        matmul, conv, pool_forward, pool_backward, norm_forward, norm_backward, cross_entropy, activation_forward,
        activation_backward, elementary, copy, launch, products_in_graph, optimizer,
    )
}  # fmt: skip
