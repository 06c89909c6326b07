"""PyTorch's own database of modules and their sample inputs, each beside npdl's layer or loss.

For every sample: the outputs, and the gradients of inputs and parameters for a random dy, in float64. Second outputs
that npdl's layers do not give (the indices of maxima, the averaged weights of attention) and gradients of targets are
not compared. A sample without a batch gets one; channels move to the end.
"""

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from npdl import layers, losses

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytest.importorskip("expecttest", reason="PyTorch's database of modules needs it")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:linear_cross_entropy. ``options`` ignored"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True, but"),
]

CLOSE, ROUNDING = 1e-8, 1e-13  # the second where a gradient is 0


class LeftOut(Exception):
    """Why npdl has nothing for this sample."""


# ---- what is compared


class Chain:
    """Layers one after the other, made for what comes, with PyTorch's weights."""

    def __init__(self, *parts, mask=None):
        self.parts, self.mask, self.used = parts, mask, []

    def begin(self, weights):
        self.weights = iter(weights)

    def use(self, part, x, mask=None):
        part.init(tuple(a.shape[1:] for a in x) if isinstance(x, tuple) else x.shape[1:], "float64", seed=0)
        for inner in part.walk():
            for array in inner.params.values():
                array[...] = next(self.weights)
        self.used.append(part)
        return part(x, training=True, mask=mask)

    def forward(self, *xs):
        x = xs if len(xs) > 1 else xs[0]
        for part in self.parts:
            x = self.use(part, x, self.mask)
        return x

    def backward(self, dy):
        for part in reversed(self.parts):
            dy = part.backward(dy)
        return dy

    def gradients(self):
        assert next(self.weights, None) is None
        return [grad for part in self.used for inner in part.walk() for grad in inner.grads.values()]


class Stack(Chain):
    """Recurrent layers over each other: (x, *states of each) -> (y, *last states of each)."""

    def forward(self, x, *states):
        count, y = len(states) // len(self.parts), []
        for number, part in enumerate(self.parts):
            own = states[number * count : (number + 1) * count]
            x, *last = self.use(part, (x, *own) if own else x)
            y += last
        self.given = count > 0
        return x, *y

    def backward(self, dy):
        dy, *dlast = dy
        count, dstates = len(dlast) // len(self.parts), []
        for number, part in reversed([*enumerate(self.parts)]):
            dy = part.backward((dy, *dlast[number * count : (number + 1) * count]))
            if self.given:
                dy, *own = dy
                dstates = [*own, *dstates]
        return dy, *dstates


class EncoderDecoder(Chain):
    """(source, target) -> y; an encoder and a decoder, and a normalization behind each."""

    def forward(self, source, target):
        encoder, norm, decoder, last_norm = self.parts
        e = self.use(norm, self.use(encoder, source, self.mask[0]))
        return self.use(last_norm, self.use(decoder, (target, e), self.mask[1]))

    def backward(self, dy):
        encoder, norm, decoder, last_norm = self.parts
        dtarget, de = decoder.backward(last_norm.backward(dy))
        return encoder.backward(norm.backward(de)), dtarget


@dataclass
class Case:
    """npdl's part of a sample: tensors in npdl's form, made from PyTorch's by operations that autograd goes back."""

    chain: Chain
    inputs: list
    weights: list = field(default_factory=list)
    outputs: Any = lambda y: y  # PyTorch's output in npdl's form; a tuple of several
    loss: Any = None
    target: Any = None
    sample_weight: Any = None  # a tensor, or None


def array(tensor):
    return np.ascontiguousarray(tensor.detach().numpy())


def several(x):
    return x if isinstance(x, tuple) else (x,)


def close(got, expected):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert got.size == 0 or np.abs(got - expected).max() <= CLOSE * np.abs(expected).max() + ROUNDING


def compare(case, module, y, leaves, rng):
    """Run npdl, and hold it beside y and the gradients of the leaves, PyTorch's inputs and parameters."""
    case.chain.begin([array(w) for w in case.weights])
    found = case.chain.forward(*map(array, case.inputs))
    if case.loss is None:
        expected = several(case.outputs(y))
        for a, b in zip(several(found), expected, strict=True):
            close(a, b.detach())
        dys = [rng.standard_normal(b.shape) for b in expected]
        total = sum((b * torch.tensor(dy)).sum() for b, dy in zip(expected, dys))
        dy = tuple(dys) if len(dys) > 1 else dys[0]
    else:
        weight, total = case.sample_weight, y
        if module.reduction == "none":
            random = torch.tensor(rng.uniform(0.5, 2, y.shape))
            weight = random.reshape(-1) if weight is None else weight * random.reshape(weight.shape)
            total = (y * random).sum()
        weight = None if weight is None else array(weight)
        value, mean = case.loss.forward(array(case.target), found, weight), module.reduction == "mean"
        close(value if mean else case.loss.total, total.detach())
        dy = tuple(one * (1 if mean else case.loss.count) for one in several(case.loss.backward()))
        dy = dy if len(dy) > 1 else dy[0]
    dxs = several(case.chain.backward(dy))
    pairs = list(zip([*case.inputs, *case.weights], [*dxs, *case.chain.gradients()], strict=True))
    pairs = [(one, torch.tensor(np.array(grad))) for one, grad in pairs if one.requires_grad]
    right = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True, retain_graph=True)
    if not pairs:
        assert not leaves
        return
    ours = torch.autograd.grad([one for one, _ in pairs], leaves, [grad for _, grad in pairs], allow_unused=True)
    for a, b, leaf in zip(ours, right, leaves, strict=True):
        if a is None and case.loss is not None and not isinstance(leaf, torch.nn.Parameter):
            continue  # a target
        close(a, b)


# ---- forms


def batched(x):
    return x if x.dim() > 1 else x.reshape(1, -1)


def last(axes):
    """(N, C, ...) or (C, ...) with so many axes after C -> (N, ..., C)"""
    return lambda x: (x if x.dim() == axes + 2 else x[None]).movedim(1, -1)


def places(module):
    """How many axes a module works along, from its name's end."""
    return int(type(module).__name__[-2])


def parameters(module, *names):
    return [getattr(module, name) for name in names if getattr(module, name) is not None]


# ---- layers


def elementwise(make):
    return lambda m, x: Case(Chain(*make(m)), [batched(x)], outputs=batched)


def softmax(cls, *before):
    def case(m, x):
        axis = -1 if x.dim() < 2 else m.dim
        return Case(Chain(*(one() for one in before), cls(axis=axis)), [batched(x)], outputs=batched)

    return case


def softmax_2d(m, x):
    return Case(Chain(layers.Softmax()), [last(2)(x)], outputs=last(2))


def softplus(m, x):
    return elementwise(lambda m: [layers.Softplus(m.beta, m.threshold)])(m, x)


def prelu(m, x):
    x, form = batched(x), batched
    if m.num_parameters > 1:
        form = last(x.dim() - 2)
    shared = list(range(1, x.dim() - (m.num_parameters > 1)))
    weights = [m.weight.reshape((1,) * (x.dim() - 2) + (-1,))]
    return Case(Chain(layers.PReLU(shared_axes=shared)), [form(x)], weights, form)


def linear(m, x):
    bias = m.bias is not None
    weights = [m.weight.T, *parameters(m, "bias")]
    return Case(Chain(layers.Dense(m.out_features, use_bias=bias)), [batched(x)], weights, batched)


def convolution(m, x):
    axes, own = places(m), type(m).__name__
    cls = getattr(layers, f"Conv{axes}D" + "Transpose" * ("Transpose" in own))
    if not isinstance(m.padding, str) and any(m.padding):
        raise LeftOut("padding by numbers")
    layer = cls(
        m.out_channels, m.kernel_size, m.stride, m.padding if isinstance(m.padding, str) else "valid",
        dilation_rate=m.dilation, groups=m.groups, use_bias=m.bias is not None,
    )  # fmt: skip
    kernel = m.weight.permute(*range(2, axes + 2), 1, 0)
    return Case(Chain(layer), [last(axes)(x)], [kernel, *parameters(m, "bias")], last(axes))


def each(value, axes):
    return (value,) * axes if isinstance(value, int) else tuple(value)


def pooling(m, x):
    """Maxima do not see the padding, as if the edge were repeated; means see zeros."""
    axes, maximum = places(m), "Max" in type(m).__name__
    size, stride, padding = (each(value, axes) for value in (m.kernel_size, m.stride, m.padding))
    if (maximum and max(each(m.dilation, axes)) > 1) or m.ceil_mode:
        raise LeftOut("dilation or ceil_mode")
    parts = []
    if any(padding):
        cls = getattr(layers, f"{'Replication' if maximum else 'Zero'}Padding{axes}D")
        parts.append(cls(padding[0] if axes == 1 else padding))
    parts.append(getattr(layers, f"{'Max' if maximum else 'Average'}Pooling{axes}D")(size, stride))
    if getattr(m, "divisor_override", None):
        parts.append(layers.Rescaling(math.prod(size) / m.divisor_override))
    first = last(axes)
    return Case(Chain(*parts), [first(x)], outputs=lambda y: first(several(y)[0]))


def power_pooling(m, x):
    if m.ceil_mode:
        raise LeftOut("dilation or ceil_mode")
    axes = places(m)
    layer = getattr(layers, f"LPPooling{axes}D")(m.norm_type, m.kernel_size, m.stride)
    return Case(Chain(layer), [last(axes)(x)], outputs=last(axes))


def fractional_pooling(m, x):
    """With PyTorch's random numbers; those of the width come first in two dimensions."""
    axes, form = places(m), last(places(m))
    given = {"output_size": m.output_size} if m.output_size else {"output_ratio": m.output_ratio}
    layer = getattr(layers, f"FractionalMaxPooling{axes}D")(m.kernel_size, **given)
    draws = m._random_samples.detach().numpy()
    layer.draw = lambda samples: (draws[..., ::-1] if axes == 2 else draws)[:samples]
    return Case(Chain(layer), [form(x)], outputs=lambda y: form(several(y)[0]))


def local_response_norm(m, x):
    form = last(x.dim() - 2)
    return Case(Chain(layers.LocalResponseNormalization(m.size, m.alpha, m.beta, m.k)), [form(x)], outputs=form)


def bilinear(m, a, b):
    layer = layers.Bilinear(m.out_features, use_bias=m.bias is not None)
    form = batched if a.dim() < 2 else (lambda x: x)
    return Case(Chain(layer), [form(a), form(b)], [m.weight.permute(1, 2, 0), *parameters(m, "bias")], form)


def adaptive_pooling(m, x):
    axes, kind = places(m), "Max" if "Max" in type(m).__name__ else "Average"
    sizes = each(m.output_size, axes) if isinstance(m.output_size, int) else m.output_size
    sizes = tuple(own or given for own, given in zip(sizes, x.shape[-axes:], strict=True))
    return Case(Chain(getattr(layers, f"Adaptive{kind}Pooling{axes}D")(sizes)), [last(axes)(x)], outputs=last(axes))


def margins(m):
    pairs = list(zip(m.padding[::2], m.padding[1::2], strict=True))[::-1]
    return pairs[0] if len(pairs) == 1 else pairs


def padding(kind):
    def case(m, x):
        axes = places(m)
        layer, value = getattr(layers, f"{kind}Padding{axes}D")(margins(m)), getattr(m, "value", 0)
        parts = (layers.Rescaling(1.0, -value), layer, layers.Rescaling(1.0, value)) if value else (layer,)
        return Case(Chain(*parts), [last(axes)(x)], outputs=last(axes))

    return case


def affine(m):
    return {"scale": m.weight is not None, "center": m.bias is not None}


def batch_norm(m, x):
    momentum = 0.0 if m.momentum is None else 1 - m.momentum
    form = last(x.dim() - 2)
    layer = layers.BatchNormalization(momentum=momentum, epsilon=m.eps, **affine(m))
    return Case(Chain(layer), [form(x)], parameters(m, "weight", "bias"), form)


def group_norm(m, x):
    form = last(x.dim() - 2)
    layer = layers.GroupNormalization(m.num_groups, epsilon=m.eps, **affine(m))
    return Case(Chain(layer), [form(x)], parameters(m, "weight", "bias"), form)


def instance_norm(m, x):
    form = last(places(m))
    layer = layers.InstanceNormalization(epsilon=m.eps, **affine(m))
    return Case(Chain(layer), [form(x)], parameters(m, "weight", "bias"), form)


def flat_from(axes):
    return lambda x: x.flatten(x.dim() - axes)


def layer_norm(m, x):
    form = flat_from(len(m.normalized_shape))
    weights = [one.reshape(-1) for one in parameters(m, "weight", "bias")]
    return Case(Chain(layers.LayerNormalization(epsilon=m.eps, **affine(m))), [form(x)], weights, form)


def rms_norm(m, x):
    form = flat_from(len(m.normalized_shape))
    scale = torch.ones(math.prod(m.normalized_shape)) if m.weight is None else m.weight.reshape(-1)
    return Case(Chain(layers.RMSNormalization(epsilon=m.eps)), [form(x)], [scale], form)


def embedding(m, x):
    return Case(Chain(layers.Embedding(m.num_embeddings, m.embedding_dim)), [x], [m.weight])


# ---- recurrent layers

GATES = {"LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2], "RNN": [0]}  # PyTorch's gates in npdl's order


def kind_of(m):
    return type(m).__name__.removesuffix("Cell")


def recurrent(m, **options):
    """npdl's layer like m, or like one layer of it."""
    activation = {"activation": m.nonlinearity} if kind_of(m) == "RNN" else {}
    if getattr(m, "proj_size", 0):
        return layers.ProjectedLSTM(m.hidden_size, m.proj_size, use_bias=bool(m.bias), **options)
    cls = getattr(layers, kind_of(m).replace("RNN", "SimpleRNN"))
    return cls(m.hidden_size, use_bias=bool(m.bias), **activation, **options)


def recurrent_weights(m, end=""):
    def of(name):
        parts = getattr(m, name + end).chunk(len(GATES[kind_of(m)]))
        return torch.cat([parts[gate] for gate in GATES[kind_of(m)]])

    biases = [of("bias_ih"), of("bias_hh")] if m.bias else []
    biases = [torch.stack(biases) if kind_of(m) == "GRU" else sum(biases)] if biases else []
    projection = [getattr(m, f"weight_hr{end}").T] if getattr(m, "proj_size", 0) else []
    return [of("weight_ih").T, of("weight_hh").T, *biases, *projection]


def cell(m, x, states):
    states = [one[None] for one in several(states)]
    layer = recurrent(m, return_state=len(states) > 1)

    def outputs(y):
        return y[None] if len(states) == 1 else (y[0][None], *(one[None] for one in y))

    return Case(Chain(layer), [x[None, None], *states], recurrent_weights(m), outputs)


def recurrent_stack(m, x, states=None):
    single, ends = x.dim() == 2, ("", "_reverse") if m.bidirectional else ("",)

    def sequences(x):
        return x[None] if single else x if m.batch_first else x.transpose(0, 1)

    def in_order(states):
        """(h, c) of (layers · directions, N, U) each -> h, c of each layer and direction."""
        return [one[None] if single else one for each in zip(*several(states)) for one in each]

    parts = [recurrent(m, return_sequences=True, return_state=True) for _ in range(m.num_layers)]
    parts = [layers.Bidirectional(part) for part in parts] if m.bidirectional else parts
    weights = [w for n in range(m.num_layers) for end in ends for w in recurrent_weights(m, f"_l{n}{end}")]
    inputs = [sequences(x), *([] if states is None else in_order(states))]
    return Case(Stack(*parts), inputs, weights, lambda y: (sequences(y[0]), *in_order(y[1])))


# ---- attention


def pairs(shape, blocked, padding):
    """Which query sees which key, (N, T, S), from PyTorch's masks, which are True where it does not."""
    if blocked is None and padding is None:
        return None
    seen = np.ones(shape, bool)
    if blocked is not None and blocked.dim() > 2:
        if (blocked != blocked[:1]).any():
            raise LeftOut("other masks for other heads")
        blocked = blocked[0]
    for mask in (blocked, None if padding is None else padding.reshape(-1, 1, shape[2])):
        seen = seen if mask is None else seen & ~mask.numpy()
    return seen


def sequences_first(batch_first):
    return lambda x: x[None] if x.dim() == 2 else x if batch_first else x.transpose(0, 1)


def attention_weights(m):
    d, heads = m.embed_dim, m.num_heads
    kernels = [one.T.reshape(d, heads, d // heads) for one in m.in_proj_weight.chunk(3)]
    kernels.append(m.out_proj.weight.T.reshape(heads, d // heads, d))
    if m.in_proj_bias is None:
        return kernels, []
    return kernels, [*(one.reshape(heads, -1) for one in m.in_proj_bias.chunk(3)), m.out_proj.bias]


def attention(m, query, key, value, key_padding_mask=None, attn_mask=None):
    if m.bias_k is not None or m.add_zero_attn:
        raise LeftOut("a key and a value of their own beside the inputs'")
    form = sequences_first(m.batch_first)
    q, k, v = map(form, (query, key, value))
    kernels, biases = attention_weights(m)
    weights = [w for both in zip(kernels, biases) for w in both] if biases else kernels
    layer = layers.MultiHeadAttention(m.num_heads, m.head_dim, use_bias=bool(biases))
    mask = pairs((*q.shape[:2], k.shape[1]), attn_mask, key_padding_mask)
    return Case(Chain(layer, mask=mask), [q, v, k], weights, lambda y: form(y[0]))


def block_weights(*modules):
    """Of parts of a Transformer, in npdl's order; npdl's have biases, of 0 where PyTorch's have none."""
    weights = []
    for m in modules:
        if isinstance(m, torch.nn.MultiheadAttention):
            kernels, biases = attention_weights(m)
            biases = biases or [torch.zeros(w.shape[1:]) for w in kernels[:3]] + [torch.zeros(m.embed_dim)]
            weights += [w for both in zip(kernels, biases) for w in both]
        else:
            weights.append(m.weight.T if m.weight.dim() > 1 else m.weight)
            weights.append(torch.zeros(len(m.weight)) if m.bias is None else m.bias)
    return weights


def block(cls, m):
    activation = "gelu" if m.activation is torch.nn.functional.gelu else "relu"
    return cls(
        m.linear1.out_features, m.self_attn.num_heads, activation=activation,
        layer_norm_epsilon=m.norm1.eps, normalize_first=m.norm_first,
    )  # fmt: skip


def encoder_weights(m):
    return block_weights(m.self_attn, m.norm1, m.norm2, m.linear1, m.linear2)


def decoder_weights(m):
    return block_weights(m.self_attn, m.norm1, m.multihead_attn, m.norm2, m.linear1, m.linear2, m.norm3)


def decoder_block(m):
    """Its self attention sees all places, unless a mask says otherwise."""
    layer = block(layers.TransformerDecoder, m)
    layer.parts["self_attention"].use_causal_mask = False
    return layer


def encoder(m, x, src_mask=None, src_key_padding_mask=None, mask=None):
    blocks = getattr(m, "layers", [m])
    form = sequences_first(blocks[0].self_attn.batch_first)
    n, t, _ = form(x).shape
    seen = pairs((n, t, t), mask if src_mask is None else src_mask, src_key_padding_mask)
    weights = [w for one in blocks for w in encoder_weights(one)]
    parts = [block(layers.TransformerEncoder, one) for one in blocks]
    return Case(Chain(*parts, mask=seen), [form(x)], weights, form)


def decoder(
    m, x, e, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None
):  # fmt: skip
    form = sequences_first(m.self_attn.batch_first)
    (n, t, _), s = form(x).shape, form(e).shape[1]
    mask = pairs((n, t, t), tgt_mask, tgt_key_padding_mask), pairs((n, t, s), memory_mask, memory_key_padding_mask)
    chain = Chain(decoder_block(m), mask=None if mask[0] is mask[1] is None else mask)
    return Case(chain, [form(x), form(e)], decoder_weights(m), form)


def encoder_decoder(
    m, source, target, src_mask=None, tgt_mask=None, src_key_padding_mask=None, tgt_key_padding_mask=None
):  # fmt: skip
    form = sequences_first(m.batch_first)
    (first,), (second,) = m.encoder.layers, m.decoder.layers
    (n, s, _), t = form(source).shape, form(target).shape[1]
    seen, own = pairs((n, s, s), src_mask, src_key_padding_mask), pairs((n, t, t), tgt_mask, tgt_key_padding_mask)
    norms = [layers.LayerNormalization(epsilon=one.eps) for one in (m.encoder.norm, m.decoder.norm)]
    parts = block(layers.TransformerEncoder, first), norms[0], decoder_block(second), norms[1]
    weights = [*encoder_weights(first), *block_weights(m.encoder.norm)]
    weights += [*decoder_weights(second), *block_weights(m.decoder.norm)]
    chain = EncoderDecoder(*parts, mask=(seen, None if own is None else (own, None)))
    return Case(chain, [form(source), form(target)], weights, form)


# ---- losses


def elements(make):
    """A loss whose mean is over all elements: each is a sample of its own."""

    def case(m, p, t):
        weight = getattr(m, "weight", None)
        weight = None if weight is None else weight.expand(p.shape).reshape(-1)
        rows = [one.reshape(-1, 1) for one in (p, t)]
        return Case(Chain(), rows[:1], loss=make(m), target=rows[1], sample_weight=weight)

    return case


def rows(make, form=lambda x: x):
    return lambda m, p, t: Case(Chain(), [form(p)], loss=make(m), target=form(t))


def class_rows(x):
    """(N, C, ...) -> (N · ..., C)"""
    return x.movedim(1, -1).reshape(-1, x.shape[1])


def plain(weight):
    return None if weight is None else weight.tolist()


def soft_cross_entropy(m, t):
    """(loss, target, number) for rows of probabilities: weights of classes go into them, and a number before them."""
    if m.weight is None:
        return losses.CategoricalCrossentropy(from_logits=True, label_smoothing=m.label_smoothing), t, 1.0
    t = m.weight * ((1 - m.label_smoothing) * t + m.label_smoothing / t.shape[-1])
    return losses.CategoricalCrossentropy(from_logits=True), t / t.max(), t.max().item()


def cross_entropy(m, z, t):
    z = z if z.dim() > 1 else z[None]
    if t.is_floating_point():
        loss, t, number = soft_cross_entropy(m, class_rows(t))
        return Case(Chain(), [class_rows(z)], loss=loss, target=t, sample_weight=torch.full((len(t),), number))
    if m.reduction == "mean" and (t == m.ignore_index).all():
        raise LeftOut("a mean of no labels, NaN in PyTorch and 0 in npdl")
    loss = losses.CrossEntropyLoss(plain(m.weight), m.ignore_index, m.label_smoothing)
    return Case(Chain(), [class_rows(z)], loss=loss, target=t.reshape(-1))


def linear_cross_entropy(m, x, t):
    """A Dense layer with an output for each place and class, the classes last."""
    x, t = (x, t) if x.dim() > 1 else (x[None], t[None])
    classes, spots = m.num_classes, math.prod(m.out_features)
    if m.reduction == "mean" and m.ignore_index is not None and (t == m.ignore_index).all():
        raise LeftOut("a mean of no labels, NaN in PyTorch and 0 in npdl")
    kernel = m.linear.weight.reshape(classes, spots, -1).transpose(0, 1).reshape(classes * spots, -1).T
    biases = [] if m.linear.bias is None else [m.linear.bias.reshape(classes, spots).T.reshape(-1)]
    chain = Chain(layers.Dense(classes * spots, use_bias=bool(biases)), layers.Reshape((spots, classes)))
    if t.is_floating_point():
        loss, t, number = soft_cross_entropy(m, t.reshape(len(t), classes, spots).transpose(1, 2))
    else:
        t, number = t.reshape(len(t), spots), 1.0
        ignored = -100 if m.ignore_index is None else m.ignore_index
        loss = losses.CrossEntropyLoss(plain(m.weight), ignored, m.label_smoothing)
    each_place = torch.full((len(t), spots), number)
    return Case(chain, [x], [kernel, *biases], loss=loss, target=t, sample_weight=each_place)


def nll(m, p, t):
    loss = losses.NLLLoss(plain(m.weight), m.ignore_index)
    return Case(Chain(), [class_rows(p)], loss=loss, target=t.reshape(-1))


def multi_label(m, p, t):
    """From lists of labels, up to the first -1, to how often each is there."""
    p, t = batched(p), batched(t)
    counts = torch.zeros(p.shape)
    for row, labels in zip(counts, t.tolist()):
        for label in labels[: labels.index(-1)] if -1 in labels else labels:
            row[label] += 1
    return Case(Chain(), [p], loss=losses.MultiLabelMarginLoss(), target=counts)


def kl_divergence(m, p, t):
    case = elements(lambda m: losses.KLDivLoss(m.log_target))(m, p, t)
    if m.reduction == "batchmean":
        case.sample_weight = torch.full((p.numel(),), 1 / len(p) if p.dim() else 1.0)
    return case


def gaussian(m, mean, t, variance):
    parts = [one.expand(mean.shape).reshape(-1, 1) for one in (mean, variance, t)]
    return Case(Chain(), parts[:2], loss=losses.GaussianNLLLoss(m.full, m.eps), target=parts[2])


def ranking(m, a, b, t):
    parts = [one.reshape(-1, 1) for one in (a, b, t)]
    return Case(Chain(), parts[:2], loss=losses.MarginRankingLoss(m.margin), target=parts[2])


def cosine_embedding(m, a, b, t):
    return Case(Chain(), [a, b], loss=losses.CosineEmbeddingLoss(m.margin), target=t)


def ctc(m, p, t, frames, lengths):
    """npdl's blank is class 0 and ends the rows; its labels are padded, its samples all of one number of frames."""
    lengths = torch.as_tensor(lengths)
    if t.dim() == 1:
        t = torch.nn.utils.rnn.pad_sequence(t.split(lengths.tolist()), batch_first=True)
    order = [m.blank, *(one for one in range(p.shape[-1]) if one != m.blank)]
    labels = torch.tensor([order.index(one) for one in range(p.shape[-1])])[t]
    labels[torch.arange(labels.shape[1]) >= lengths[:, None]] = 0
    weight = 1 / lengths.double() if m.reduction == "mean" else None
    return Case(Chain(), [p.transpose(0, 1)[..., order]], loss=losses.CTC(), target=labels, sample_weight=weight)


# ---- PyTorch's module -> what npdl has for it, and how many of its samples agree

TABLE = {
    "AdaptiveAvgPool1d": (adaptive_pooling, 3),
    "AdaptiveAvgPool2d": (adaptive_pooling, 5),
    "AdaptiveAvgPool3d": (adaptive_pooling, 5),
    "AdaptiveMaxPool1d": (adaptive_pooling, 2),
    "AdaptiveMaxPool2d": (adaptive_pooling, 4),
    "AdaptiveMaxPool3d": (adaptive_pooling, 6),
    "AvgPool1d": (pooling, 4),
    "AvgPool2d": (pooling, 7),
    "AvgPool3d": (pooling, 15),
    "BCELoss": (elements(lambda m: losses.BinaryCrossentropy(from_logits=False)), 6),
    "BCEWithLogitsLoss": (elements(lambda m: losses.BCEWithLogitsLoss()), 6),
    "BatchNorm1d": (batch_norm, 8),
    "BatchNorm2d": (batch_norm, 7),
    "BatchNorm3d": (batch_norm, 7),
    "Bilinear": (bilinear, 3),
    "CELU": (elementwise(lambda m: [layers.CELU(m.alpha)]), 3),
    "CTCLoss": (ctc, 40),
    "CircularPad1d": (padding("Circular"), 4),
    "CircularPad2d": (padding("Circular"), 4),
    "CircularPad3d": (padding("Circular"), 4),
    "ConstantPad1d": (padding("Zero"), 2),
    "ConstantPad2d": (padding("Zero"), 2),
    "ConstantPad3d": (padding("Zero"), 2),
    "Conv1d": (convolution, 4),
    "Conv2d": (convolution, 4),
    "Conv3d": (convolution, 4),
    "ConvTranspose1d": (convolution, 2),
    "ConvTranspose2d": (convolution, 2),
    "ConvTranspose3d": (convolution, 2),
    "CosineEmbeddingLoss": (cosine_embedding, 5),
    "CrossEntropyLoss": (cross_entropy, 104),
    "ELU": (elementwise(lambda m: [layers.ELU(m.alpha)]), 4),
    "Embedding": (embedding, 2),
    "FractionalMaxPool2d": (fractional_pooling, 5),
    "FractionalMaxPool3d": (fractional_pooling, 6),
    "GELU": (elementwise(lambda m: [layers.GELU(m.approximate == "tanh")]), 3),
    "GLU": (softmax(layers.GLU), 3),
    "GRU": (recurrent_stack, 16),
    "GRUCell": (cell, 2),
    "GaussianNLLLoss": (gaussian, 5),
    "GroupNorm": (group_norm, 10),
    "Hardshrink": (elementwise(lambda m: [layers.HardShrink(m.lambd)]), 3),
    "Hardswish": (elementwise(lambda m: [layers.HardSiLU()]), 2),
    "Hardtanh": (elementwise(lambda m: [layers.HardTanh()]), 3),
    "HingeEmbeddingLoss": (elements(lambda m: losses.HingeEmbeddingLoss(m.margin)), 10),
    "HuberLoss": (elements(lambda m: losses.Huber(m.delta)), 4),
    "InstanceNorm1d": (instance_norm, 6),
    "InstanceNorm2d": (instance_norm, 6),
    "InstanceNorm3d": (instance_norm, 6),
    "KLDivLoss": (kl_divergence, 10),
    "L1Loss": (elements(lambda m: losses.MeanAbsoluteError()), 5),
    "LPPool1d": (power_pooling, 3),
    "LPPool2d": (power_pooling, 3),
    "LPPool3d": (power_pooling, 3),
    "LSTM": (recurrent_stack, 32),
    "LSTMCell": (cell, 2),
    "LayerNorm": (layer_norm, 7),
    "LazyConv1d": (convolution, 4),
    "LazyConv2d": (convolution, 4),
    "LazyConv3d": (convolution, 4),
    "LazyConvTranspose1d": (convolution, 2),
    "LazyConvTranspose2d": (convolution, 2),
    "LazyConvTranspose3d": (convolution, 2),
    "LeakyReLU": (elementwise(lambda m: [layers.LeakyReLU(m.negative_slope)]), 5),
    "Linear": (linear, 3),
    "LinearCrossEntropyLoss": (linear_cross_entropy, 857),
    "LocalResponseNorm": (local_response_norm, 3),
    "LogSigmoid": (elementwise(lambda m: [layers.LogSigmoid()]), 3),
    "LogSoftmax": (softmax(layers.LogSoftmax), 4),
    "MSELoss": (elements(lambda m: losses.MeanSquaredError()), 8),
    "MarginRankingLoss": (ranking, 5),
    "MaxPool1d": (pooling, 3),
    "MaxPool2d": (pooling, 3),
    "MaxPool3d": (pooling, 4),
    "Mish": (elementwise(lambda m: [layers.Mish()]), 3),
    "MultiLabelMarginLoss": (multi_label, 8),
    "MultiLabelSoftMarginLoss": (rows(lambda m: losses.MultiLabelSoftMarginLoss(plain(m.weight))), 5),
    "MultiMarginLoss": (rows(lambda m: losses.MultiMarginLoss(m.p, m.margin, plain(m.weight))), 7),
    "MultiheadAttention": (attention, 16),
    "NLLLoss": (nll, 28),
    "PReLU": (prelu, 8),
    "PoissonNLLLoss": (elements(lambda m: losses.PoissonNLLLoss(m.log_input, m.full, m.eps)), 7),
    "RMSNorm": (rms_norm, 6),
    "RNN": (recurrent_stack, 32),
    "RNNCell": (cell, 3),
    "ReLU": (elementwise(lambda m: [layers.ReLU()]), 4),
    "ReLU6": (elementwise(lambda m: [layers.ReLU6()]), 4),
    "ReflectionPad1d": (padding("Reflection"), 2),
    "ReflectionPad2d": (padding("Reflection"), 2),
    "ReflectionPad3d": (padding("Reflection"), 2),
    "ReplicationPad1d": (padding("Replication"), 2),
    "ReplicationPad2d": (padding("Replication"), 2),
    "ReplicationPad3d": (padding("Replication"), 2),
    "SELU": (elementwise(lambda m: [layers.SELU()]), 3),
    "SiLU": (elementwise(lambda m: [layers.SiLU()]), 3),
    "Sigmoid": (elementwise(lambda m: [layers.Sigmoid()]), 4),
    "SmoothL1Loss": (elements(lambda m: losses.SmoothL1Loss(m.beta)), 8),
    "SoftMarginLoss": (elements(lambda m: losses.SoftMarginLoss()), 4),
    "Softmax": (softmax(layers.Softmax), 3),
    "Softmax2d": (softmax_2d, 2),
    "Softmin": (softmax(layers.Softmax, lambda: layers.Rescaling(-1.0)), 4),
    "Softplus": (softplus, 5),
    "Softshrink": (elementwise(lambda m: [layers.SoftShrink(m.lambd)]), 4),
    "Softsign": (elementwise(lambda m: [layers.Softsign()]), 3),
    "Tanh": (elementwise(lambda m: [layers.Tanh()]), 3),
    "Tanhshrink": (elementwise(lambda m: [layers.TanhShrink()]), 3),
    "Threshold": (elementwise(lambda m: [layers.Threshold(m.threshold, m.value)]), 4),
    "Transformer": (encoder_decoder, 64),
    "TransformerDecoderLayer": (decoder, 67),
    "TransformerEncoder": (encoder, 39),
    "TransformerEncoderLayer": (encoder, 39),
    "ZeroPad1d": (padding("Zero"), 2),
    "ZeroPad2d": (padding("Zero"), 2),
    "ZeroPad3d": (padding("Zero"), 2),
}
LEFT_OUT: dict[str, str] = {}


# ---- the database


@pytest.fixture(scope="module")
def database():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_modules import module_db
    yield {info.module_cls.__name__: info for info in module_db}
    torch.set_default_dtype(before)


def samples(info):
    torch.manual_seed(0)
    return info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=True)


def leaf(x):
    return x.detach().clone().requires_grad_(x.requires_grad) if torch.is_tensor(x) else x


def made(info, sample):
    """PyTorch's module and its output, the inputs as leaves."""
    module = info.module_cls(*sample.constructor_input.args, **sample.constructor_input.kwargs).double().train()
    if isinstance(weight := getattr(module, "weight", None), torch.Tensor) and not isinstance(
        weight, torch.nn.Parameter
    ):
        module.weight = weight.abs()  # npdl's weights of classes are not negative
    given = sample.forward_input
    args = torch.utils._pytree.tree_map(leaf, tuple(given.args))
    if info.module_cls is torch.nn.KLDivLoss or getattr(module, "norm_type", 2) % 2:  # NaN of numbers below 0
        args = tuple(leaf(one.detach().nan_to_num(0.5).abs().requires_grad_(one.requires_grad)) for one in args)
    if info.module_cls is torch.nn.MarginRankingLoss:
        args[2][args[2] == 0] = 1  # the sign of 0 says nothing
    kwargs = dict(given.kwargs)
    args = args + tuple(kwargs.pop(name) for name in ("input",) if name in kwargs)
    args = torch.utils._pytree.tree_map(leaf, args)
    y = module(*args, **kwargs)
    for one in several(y):
        if torch.is_tensor(one) and one.requires_grad:  # its InstanceNorm mistakes gradients in another order of axes
            one.register_hook(torch.Tensor.contiguous)
    return module, args, kwargs, y


@pytest.mark.parametrize("name", TABLE)
def test_module(name, database, rng):
    case_of, agree = TABLE[name]
    found, why = 0, {}
    for number, sample in enumerate(samples(database[name])):
        module, args, kwargs, y = made(database[name], sample)
        try:
            case = case_of(module, *args, **kwargs)
        except LeftOut as reason:
            why.setdefault(str(reason), []).append(sample.desc or number)
            continue
        inputs = [one for one in torch.utils._pytree.tree_leaves(args) if torch.is_tensor(one) and one.requires_grad]
        compare(case, module, y, [*inputs, *module.parameters()], rng)
        found += 1
    print(f"{name}: {found} samples agree", *(f"without {one}: {reason}" for reason, one in why.items()))
    assert found == agree


def test_counts(database):
    total = sum(len(samples(info)) for info in database.values())
    agree = sum(count for _, count in TABLE.values())
    print(f"{len(TABLE)} of {len(database)} modules, {agree} of {total} samples agree; without {LEFT_OUT}")
    assert TABLE.keys() | LEFT_OUT.keys() == database.keys() and not TABLE.keys() & LEFT_OUT.keys()
    assert (len(TABLE), len(database), agree, total) == (114, 114, 1764, 1813)
