"""Single operations: npdl's kernels, as its layers call them."""

from benchmarks import data
from npdl import Sequential, activations, devices, layers, losses, optimizers
from npdl.kernels.cpu.build import lib
from npdl.kernels.geometry import window2d
from npdl.layers.base import Layer
from npdl.models.step import Step

CPU = devices.get("cpu")
kernels = CPU.kernels


def on_device(array):
    """A copy that is aligned as npdl's own buffers are."""
    copy = CPU.alloc(array.shape, array.dtype)
    CPU.write(copy, array)
    return copy


def normal(*shape, seed=0, scale=1.0):
    return on_device(data.normal(*shape, seed=seed, scale=scale))


def matmul(m, n, k, transpose_a, transpose_b):
    a = normal(*((k, m) if transpose_a else (m, k)))
    b = normal(*((n, k) if transpose_b else (k, n)), seed=1)
    out = CPU.alloc((m, n), "float32")
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
    y = CPU.alloc((n, g.out_h, g.out_w, c), "float32")
    return normal(*shape), g, y, CPU.alloc(y.shape, "uint8")


def pool_forward(shape):
    x, g, y, winners = _pool(shape)
    return {"": lambda: kernels.max_pool2d(x, g, out=y, winners=winners)}


def pool_backward(shape):
    x, g, y, winners = _pool(shape)
    kernels.max_pool2d(x, g, out=y, winners=winners)
    return {"": lambda: kernels.max_pool2d_grad(y, winners, g, out=x)}


def _norm(shape):
    """A step of fit on BatchNormalization and ReLU, and its input: what the plan fuses is fused."""
    model = Sequential([layers.BatchNormalization(), layers.ReLU()], seed=0)
    model.build(shape[1:])
    model.compile("sgd", "mse")
    return Step(model), normal(*shape)


def norm_forward(shape):
    step, x = _norm(shape)

    def call():
        with devices.use_workspace(step.workspace):
            step.forward(x, True)

    return {"": call}


def norm_backward(shape):
    step, x = _norm(shape)
    dy = normal(*shape, seed=1)
    with devices.use_workspace(step.workspace):
        step.forward(x, True)

    def call():
        with devices.use_workspace(step.workspace):
            step.backward(step.layers, dy)

    return {"": call}


def cross_entropy(rows, classes):
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    z, y = normal(rows, classes), data.labels(rows, classes)
    workspace = devices.Workspace(CPU)

    def call():
        with devices.use_workspace(workspace):
            loss.forward(y, z)
            loss.backward()

    return {"": call}


def _activation(name, size):
    fn = activations.GELU(approximate=True) if name == "gelu_tanh" else activations.get(name)
    z = normal(size // 1024, 1024)
    return fn, z, CPU.alloc(z.shape, "float32")


def activation_forward(name, size):
    fn, z, y = _activation(name, size)
    return {"": lambda: kernels.activation(z, fn, out=y)}


def activation_backward(name, size):
    fn, z, y = _activation(name, size)
    kernels.activation(z, fn, out=y)
    saved, dy, dx = z if fn.needs == "z" else y, normal(*z.shape, seed=1), CPU.alloc(z.shape, "float32")
    return {"": lambda: kernels.activation_grad(dy, saved, fn, out=dx)}


def elementary(name, size):
    x, out = normal(size), CPU.alloc((size,), "float32")
    return {"": lambda: lib.elementary(name, x, out)}


def copy(size):
    source, out = normal(size), CPU.alloc((size,), "float32")
    return {"": lambda: CPU.write(out, source)}


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
    weights = Weights(8).init((size // 8,), seed=0)
    CPU.write(weights.store.grad, data.normal(weights.store.grad.size, scale=1e-3))
    return {"": lambda: made.step(weights)}


OPERATIONS = {
    function.__name__: function
    for function in (
        matmul, conv, pool_forward, pool_backward, norm_forward, norm_backward, cross_entropy, activation_forward,
        activation_backward, elementary, copy, optimizer,
    )
}  # fmt: skip
