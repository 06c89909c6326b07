"""Single operations in PyTorch.

Gradients call PyTorch's own backward operators, so that no cost of its tape is in them. Where an operator takes `out=`
it is measured with it too, and images in both memory formats: the fastest configuration counts.
"""

import torch
import torch.nn.functional as F

from benchmarks import data

aten = torch.ops.aten
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def there(array):
    """A NumPy array as a tensor on the device that is measured."""
    return torch.from_numpy(array).to(torch.get_default_device())


def normal(*shape, seed=0, scale=1.0):
    return there(data.normal(*shape, seed=seed, scale=scale))


def on_gpu():
    return torch.get_default_device().type == "cuda"


def graphed(call):
    """`call` as a CUDA graph, after a few turns beside, as PyTorch demands; elsewhere `call` itself."""
    if not on_gpu():
        return call
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def images(*shape, seed=0, memory_format=torch.contiguous_format):
    """Images of `shape` (N, H, W, C), as PyTorch's (N, C, H, W)."""
    return normal(*shape, seed=seed).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)


def forward_only(call):
    """`call` without anything kept for a gradient."""

    def inference():
        with torch.inference_mode():
            call()

    return inference


def in_both_formats(make):
    """{configuration: make(memory format)}"""
    return {name: make(memory_format) for name, memory_format in FORMATS.items()}


def matmul(m, n, k, transpose_a, transpose_b):
    a = normal(k, m).t() if transpose_a else normal(m, k)
    b = normal(n, k, seed=1).t() if transpose_b else normal(k, n, seed=1)
    out = torch.empty(m, n)
    return {"out=": forward_only(lambda: torch.mm(a, b, out=out)), "new": forward_only(lambda: torch.mm(a, b))}


def conv(direction, batch, size, channels, filters, kernel, padding, groups):
    pad = kernel // 2 if padding == "same" else 0
    out = size if padding == "same" else size - kernel + 1

    def make(memory_format):
        x = images(batch, size, size, channels, memory_format=memory_format)
        dy = images(batch, out, out, filters, seed=2, memory_format=memory_format)
        w = normal(filters, channels // groups, kernel, kernel, seed=1, scale=0.1)
        w, bias = w.contiguous(memory_format=memory_format), normal(filters, seed=3)
        if direction == "forward":
            return forward_only(lambda: F.conv2d(x, w, bias, padding=pad, groups=groups))
        wanted = [direction == "dx", direction == "dw", False]
        geometry = ([1, 1], [pad, pad], [1, 1], False, [0, 0], groups)
        return lambda: aten.convolution_backward(dy, x, w, None, *geometry, wanted)

    return in_both_formats(make)


def pool_forward(shape):
    def make(memory_format):
        x = images(*shape, memory_format=memory_format)
        return forward_only(lambda: aten.max_pool2d_with_indices(x, [2, 2]))

    return in_both_formats(make)


def pool_backward(shape):
    def make(memory_format):
        x = images(*shape, memory_format=memory_format)
        dy, indices = aten.max_pool2d_with_indices(x, [2, 2])
        backward, window = aten.max_pool2d_with_indices_backward, ([2, 2], [2, 2], [0, 0], [1, 1], False)
        dx = torch.empty_like(x)
        return {
            "new": lambda: backward(dy, x, *window, indices),
            "out=": lambda: backward.grad_input(dy, x, *window, indices, grad_input=dx),
        }

    made = in_both_formats(make)
    return {f"{layout} {way}": call for layout, calls in made.items() for way, call in calls.items()}


def _norm(shape, memory_format):
    x, channels = images(*shape, memory_format=memory_format), shape[-1]
    gamma, variance = torch.ones(channels), torch.ones(channels)
    beta, mean = torch.zeros(channels), torch.zeros(channels)

    def forward():
        y, save_mean, save_scale = aten.native_batch_norm(x, gamma, beta, mean, variance, True, 0.01, 1e-3)
        return torch.relu_(y), save_mean, save_scale

    def backward(dy, y, save_mean, save_scale):
        dz = aten.threshold_backward(dy, y, 0)
        moving = (mean, variance, save_mean, save_scale)
        return aten.native_batch_norm_backward(dz, x, gamma, *moving, True, 1e-3, [True, True, True])

    return forward, backward


def norm_forward(shape):
    return in_both_formats(lambda memory_format: forward_only(_norm(shape, memory_format)[0]))


def norm_backward(shape):
    def make(memory_format):
        forward, backward = _norm(shape, memory_format)
        kept = forward()
        dy = images(*shape, seed=1, memory_format=memory_format)
        return lambda: backward(dy, *kept)

    return in_both_formats(make)


def cross_entropy(rows, classes):
    z, y = normal(rows, classes), there(data.labels(rows, classes))
    leaf = z.clone().requires_grad_()
    one = torch.tensor(1.0)

    def by_hand():
        p = aten._log_softmax(z, 1, False)
        _, weight = aten.nll_loss_forward(p, y, None, 1, -100)
        dp = aten.nll_loss_backward(one, p, y, None, 1, -100, weight)
        aten._log_softmax_backward_data(dp, p, 1, torch.float32)

    return {
        "autograd": lambda: torch.autograd.grad(F.cross_entropy(leaf, y), leaf),
        "operators": forward_only(by_hand),
    }


_ACTIVATIONS = {  # forward(z), forward.out(z, out=y); then the same of backward(dy, saved)
    "relu": (aten.relu, (), aten.threshold_backward, (0,), "y"),
    "leaky_relu": (aten.leaky_relu, (0.2,), aten.leaky_relu_backward, (0.2, False), "z"),
    "elu": (aten.elu, (), aten.elu_backward, (1, 1, 1, False), "z"),
    "gelu": (aten.gelu, (), aten.gelu_backward, (), "z"),
    "gelu_tanh": (aten.gelu, (), aten.gelu_backward, (), "z"),
    "sigmoid": (aten.sigmoid, (), aten.sigmoid_backward, (), "y"),
    "tanh": (aten.tanh, (), aten.tanh_backward, (), "y"),
    "softmax": (aten._softmax, (1, False), aten._softmax_backward_data, (1, torch.float32), "y"),
}


def _named(name):
    return {"approximate": "tanh"} if name == "gelu_tanh" else {}


def activation_forward(name, size):
    forward, more, *_ = _ACTIVATIONS[name]
    z, named = normal(size // 1024, 1024), _named(name)
    y = torch.empty_like(z)
    return {
        "out=": forward_only(lambda: forward.out(z, *more, **named, out=y)),
        "new": forward_only(lambda: forward(z, *more, **named)),
    }


def activation_backward(name, size):
    forward, more, backward, last, needs = _ACTIVATIONS[name]
    z, named = normal(size // 1024, 1024), _named(name)
    y = forward(z, *more, **named)
    dy, saved, dx = normal(*z.shape, seed=1), z if needs == "z" else y, torch.empty_like(z)
    if name == "elu":  # elu_backward(dy, alpha, scale, input_scale, is_result, saved)
        arguments = (dy, *last, saved)
    else:
        arguments = (dy, saved, *last)
    into = backward.out if name == "softmax" else backward.grad_input
    return {
        "out=": forward_only(lambda: into(*arguments, **named, grad_input=dx)),
        "new": forward_only(lambda: backward(*arguments, **named)),
    }


def elementary(name, size):
    x, out, function = normal(size), torch.empty(size), getattr(torch, name)
    return {"out=": forward_only(lambda: function(x, out=out))}


def copy(size):
    source, out = normal(size), torch.empty(size)
    return {"copy_": lambda: out.copy_(source)}


def launch():
    a, out = normal(1), torch.empty(1)
    return {"out=": forward_only(lambda: torch.add(a, a, out=out))}


def products_in_graph(n, count):
    a, b, out = normal(n, n), normal(n, n, seed=1), torch.empty(n, n)

    def call():
        with torch.inference_mode():
            for _ in range(count):
                torch.mm(a, b, out=out)

    return {"graph": graphed(call)}


def optimizer(name, size):
    kinds = {
        "sgd": (torch.optim.SGD, {"lr": 1e-3}),
        "sgd-momentum": (torch.optim.SGD, {"lr": 1e-3, "momentum": 0.9}),
        "adam": (torch.optim.Adam, {"eps": 1e-7}),
        "adamw": (torch.optim.AdamW, {"eps": 1e-7, "weight_decay": 0.01}),
        "rmsprop": (torch.optim.RMSprop, {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7}),
    }
    kind, settings = kinds[name]

    def make(**how):
        weights = [torch.ones(size // 8, requires_grad=True) for _ in range(8)]
        for weight in weights:
            weight.grad = normal(size // 8, scale=1e-3)
        return kind(weights, **settings, **how).step

    ways = {"foreach": {"foreach": True}, "loop": {"foreach": False}}
    if name != "rmsprop":  # PyTorch has no fused one
        ways["fused"] = {"fused": True}
    calls = {way: make(**how) for way, how in ways.items()}
    if on_gpu():
        counts = {} if name.startswith("sgd") else {"capturable": True}  # of its steps, on the GPU
        calls |= {f"{way} in a graph": graphed(make(**how, **counts)) for way, how in ways.items() if way != "loop"}
    return calls


OPERATIONS = {
    function.__name__: function
    for function in (
        matmul, conv, pool_forward, pool_backward, norm_forward, norm_backward, cross_entropy, activation_forward,
        activation_backward, elementary, copy, launch, products_in_graph, optimizer,
    )
}  # fmt: skip
