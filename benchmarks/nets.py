"""The nets of the model rows, written once for every engine; and their arithmetic, counted.

A net is a list of layers, a layer a tuple:

    ("conv", filters, kernel, padding, stride, bias)    padding "same" or "valid"
    ("norm",)  ("relu",)  ("pool",)                     batch normalization; pooling 2x2
    ("flatten",)  ("mean",)  ("dense", units)           "mean" is global average pooling
    ("residual", layers, shortcut)                      relu(layers(x) + shortcut(x)); None is x itself
    ("embed", symbols, width)  ("positions",)           vectors of whole numbers; a learnt vector of each place, added
    ("lstm", units)                                     outputs of all steps
    ("block", width, heads)  ("layer_norm",)            GPT's: causal attention, Dense layers with GELU; normalization
"""

import math
from typing import Any

Net = list[tuple[Any, ...]]


def conv(filters, kernel=3, padding="same", stride=1, bias=True):
    return ("conv", filters, kernel, padding, stride, bias)


def _vgg() -> Net:
    net: Net = []
    for place, filters in enumerate((64, 64, 128, 128, 256, 256)):
        net += [conv(filters), ("norm",), ("relu",)]
        if place % 2:
            net.append(("pool",))
    return [*net, ("flatten",), ("dense", 10)]


def _resnet(blocks=3) -> Net:
    net: Net = [conv(16, bias=False), ("norm",), ("relu",)]
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            shortcut = [conv(filters, 1, stride=stride, bias=False), ("norm",)] if stride == 2 else None
            first = [conv(filters, stride=stride, bias=False), ("norm",), ("relu",)]
            net.append(("residual", [*first, conv(filters, bias=False), ("norm",)], shortcut))
    return [*net, ("mean",), ("dense", 10)]


def _gpt(symbols=65, width=128, blocks=4) -> Net:
    inside = [("block", 4 * width, 4) for _ in range(blocks)]
    return [("embed", symbols, width), ("positions",), *inside, ("layer_norm",), ("dense", symbols)]


NETS: dict[str, tuple[tuple[int, ...], Net]] = {
    "mlp": ((784,), [("dense", 128), ("relu",), ("dense", 10)]),
    "mnist": (
        (28, 28, 1),
        [
            conv(10, 5, "valid"), ("pool",), ("relu",), conv(20, 5, "valid"), ("pool",), ("relu",),
            ("flatten",), ("dense", 50), ("relu",), ("dense", 10),
        ],
    ),
    "cifar": (
        (32, 32, 3),
        [
            conv(64), ("relu",), ("pool",), conv(128), ("relu",), ("pool",),
            ("flatten",), ("dense", 256), ("relu",), ("dense", 10),
        ],
    ),
    "vgg": ((32, 32, 3), _vgg()),
    "resnet20": ((32, 32, 3), _resnet()),
    "gpt": ((64,), _gpt()),
    "lstm": ((64,), [("embed", 65, 64), ("lstm", 256), ("dense", 65)]),
}  # fmt: skip
"""Name -> (shape of one sample, layers)."""


def products(shape, net):
    """([operations of each convolution and dense layer for one sample], output shape); the rest is not counted."""
    counts: list[int] = []
    for kind, *arguments in net:
        if kind == "conv":
            filters, kernel, padding, stride, _ = arguments
            high, wide, channels = shape
            if padding == "valid":
                high, wide = high - kernel + 1, wide - kernel + 1
            shape = (-(-high // stride), -(-wide // stride), filters)
            counts.append(2 * shape[0] * shape[1] * kernel * kernel * channels * filters)
        elif kind == "dense":
            counts.append(2 * math.prod(shape) * arguments[0])
            shape = (*shape[:-1], arguments[0])
        elif kind == "embed":
            counts.append(0)
            shape = (*shape, arguments[1])
        elif kind == "lstm":
            steps, width = shape
            counts.append(2 * steps * (width + arguments[0]) * 4 * arguments[0])
            shape = (steps, *arguments)
        elif kind == "block":
            places, width = shape
            counts.append(2 * places * width * (4 * width + 2 * arguments[0]) + 2 * places * (places + 1) * width)
        elif kind == "pool":
            shape = (shape[0] // 2, shape[1] // 2, shape[2])
        elif kind == "flatten":
            shape = (shape[0] * shape[1] * shape[2],)
        elif kind == "mean":
            shape = shape[2:]
        elif kind == "residual":
            inside, shortcut = arguments
            if shortcut:
                counts += products(shape, shortcut)[0]
            more, shape = products(shape, inside)
            counts += more
    return counts, shape


def symbols(name):
    """How many different whole numbers the net reads; None where it reads float32."""
    kind, *arguments = NETS[name][1][0]
    return arguments[0] if kind == "embed" else None


def flops(name, batch, training):
    """Of one step: forward, and while training both gradients, but no input gradient of the first layer."""
    counts, _ = products(*NETS[name])
    return batch * (3 * sum(counts) - counts[0] if training else sum(counts))
