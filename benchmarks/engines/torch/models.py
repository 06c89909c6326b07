"""Whole nets in PyTorch: a training step, inference, an epoch, the way to an accuracy."""

import functools
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import data, nets
from benchmarks.engines.torch.kernels import graphed, on_gpu, there

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Residual(nn.Module):
    """relu(inside(x) + shortcut(x))"""

    def __init__(self, inside, shortcut):
        super().__init__()
        self.inside, self.shortcut = inside, shortcut

    def forward(self, x):
        y = self.inside(x)
        y += x if self.shortcut is None else self.shortcut(x)
        return torch.relu_(y)


class LSTM(nn.LSTM):
    """The outputs of all steps."""

    def forward(self, x):
        return super().forward(x)[0]


class Positions(nn.Module):
    """x plus a learnt vector of each place"""

    def __init__(self, places, width):
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(places, width))

    def forward(self, x):
        return x + self.vectors


class Attention(nn.Module):
    """Causal self attention: one projection for all three, and the fused kernel, which is the fastest way there is."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.inward, self.outward = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        parts = self.inward(x).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*parts, is_causal=True)
        return self.outward(y.transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    """x + f(norm(x)), of attention and of two Linear layers"""

    def __init__(self, width, inside, heads):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width, heads))
        self.dense = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inside), nn.GELU(), nn.Linear(inside, width))

    def forward(self, x):
        x = x + self.attention(x)
        return x + self.dense(x)


def build(shape, net):
    """(module, output shape of one sample) of a net of benchmarks/nets.py on samples of `shape` (H, W, C)."""
    built: list[nn.Module] = []
    for kind, *arguments in net:
        if kind == "conv":
            filters, kernel, padding, stride, bias = arguments
            pad = kernel // 2 if padding == "same" else 0
            built.append(nn.Conv2d(shape[2], filters, kernel, stride=stride, padding=pad, bias=bias))
        elif kind == "dense":
            built.append(nn.Linear(shape[-1], *arguments))
        elif kind == "embed":
            built.append(nn.Embedding(*arguments))
        elif kind == "lstm":
            built.append(LSTM(shape[-1], *arguments, batch_first=True))
        elif kind == "positions":
            built.append(Positions(*shape))
        elif kind == "block":
            built.append(Block(shape[-1], *arguments))
        elif kind == "layer_norm":
            built.append(nn.LayerNorm(shape[-1], eps=1e-3))
        elif kind == "norm":
            built.append(nn.BatchNorm2d(shape[2], eps=1e-3, momentum=0.01))
        elif kind == "relu":
            built.append(nn.ReLU(inplace=True))
        elif kind == "pool":
            built.append(nn.MaxPool2d(2))
        elif kind == "flatten":
            built.append(nn.Flatten())
        elif kind == "mean":
            built.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        elif kind == "residual":
            inside, shortcut = arguments
            built.append(Residual(build(shape, inside)[0], build(shape, shortcut)[0] if shortcut else None))
        shape = nets.products(shape, [(kind, *arguments)])[1]
    return nn.Sequential(*built), shape


def model_of(name, seed=0):
    torch.manual_seed(seed)
    return build(*nets.NETS[name])[0]


def _batch(net, batch, memory_format):
    if symbols := nets.symbols(net):
        return tuple(map(there, data.sequences(batch, *nets.NETS[net][0], symbols)))
    x = there(data.normal(batch, *nets.NETS[net][0]))
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    return x, there(data.labels(batch, 10))


def _formats(net):
    return FORMATS if len(nets.NETS[net][0]) == 3 else {"": torch.contiguous_format}


def stepper(model, optimizer):
    """step(x, y) -> the loss, a tensor"""

    def step(x, y):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x).flatten(0, -2), y.flatten())
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def adam(model, **how):
    return torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, **how)


def training(net, batch, memory_format, adapt=lambda model: model, **how):
    """A call that does one step."""
    x, y = _batch(net, batch, memory_format)
    model = model_of(net).to(memory_format=memory_format)
    step = stepper(adapt(model), adam(model, **how))
    return lambda: step(x, y)


def train(net, batch):
    """One step, in either memory format, with Adam fused or over lists of tensors."""
    return {
        f"{layout} {way}".strip(): training(net, batch, memory_format, **{way: True})
        for layout, memory_format in _formats(net).items()
        for way in ("fused", "foreach")
    }


def train_graph(net, batch):
    """One step as a CUDA graph, with Adam fused."""
    counts = {"capturable": True} if on_gpu() else {}
    return {
        f"{layout} fused".strip(): graphed(training(net, batch, memory_format, fused=True, **counts))
        for layout, memory_format in _formats(net).items()
    }


def inference(net, batch, memory_format, adapt=lambda model: model):
    """A call that does one forward pass in evaluation."""
    x, _ = _batch(net, batch, memory_format)
    model = adapt(model_of(net).to(memory_format=memory_format).eval())

    def call():
        with torch.inference_mode():
            model(x)

    return call


def infer(net, batch):
    return {layout: inference(net, batch, memory_format) for layout, memory_format in _formats(net).items()}


def infer_graph(net, batch):
    return {layout: graphed(call) for layout, call in infer(net, batch).items()}


def _compiled(make, net, batch, **how):
    """In the memory format that is usually fastest: compiling takes up to a minute. On a GPU also by graphs."""
    layout, memory_format = list(_formats(net).items())[-1]
    modes = ("default", "reduce-overhead") if on_gpu() else ("",)
    return {
        f"{layout} {mode}".strip(): make(
            net, batch, memory_format, functools.partial(torch.compile, mode=mode or None), **how
        )
        for mode in modes
    }


def train_compiled(net, batch):
    return _compiled(training, net, batch, fused=True)


def infer_compiled(net, batch):
    return _compiled(inference, net, batch)


def _epoch(samples, batches):
    """An epoch over `batches(x, y)`; like npdl's fit it ends with the epoch's mean loss."""
    x, y = map(torch.from_numpy, data.images(samples))
    model = model_of("mlp")
    step = stepper(model, adam(model, fused=True))

    def call():
        total = torch.zeros(())
        for xb, yb in batches(x, y):
            total += step(xb, yb) * len(yb)
        return total.item() / len(y)

    return call


def epoch_loader(samples, batch):
    def batches(x, y):
        return DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True, num_workers=0)

    return {"fused": _epoch(samples, batches)}


def slices(x, y, batch):
    """Shuffled batches without a DataLoader."""
    for rows in torch.randperm(len(x)).split(batch):
        yield x[rows], y[rows]


def epoch_slices(samples, batch):
    return {"fused": _epoch(samples, lambda x, y: slices(x, y, batch))}


def accuracy(goal, seed, every):
    """Seconds of training until the test accuracy, looked at every so many steps, is reached."""
    (x, y), (x_test, y_test) = data.mnist()
    model = model_of("mnist", seed).to(memory_format=torch.channels_last)
    step = stepper(model, adam(model, fused=True))

    def tensors(x, y):
        x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        return x, torch.from_numpy(y)

    (x, y), (x_test, y_test) = tensors(x, y), tensors(x_test, y_test)

    def accurate():
        with torch.inference_mode():
            right = sum((model(xb).argmax(1) == yb).sum() for xb, yb in zip(x_test.split(500), y_test.split(500)))
        return right / len(y_test) >= goal

    seconds, count, started = 0.0, 0, time.perf_counter()
    while True:
        for xb, yb in slices(x, y, 64):
            step(xb, yb)
            count += 1
            if count % every == 0:
                seconds += time.perf_counter() - started
                if accurate():
                    return seconds
                started = time.perf_counter()


OPERATIONS = {
    function.__name__: function
    for function in (train, infer, train_graph, infer_graph, train_compiled, infer_compiled, epoch_loader, epoch_slices)
}
