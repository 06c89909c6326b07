"""Transformer blocks and positions against PyTorch."""

import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def tensor(array):
    return torch.tensor(np.array(array))


def copy_dense(theirs, kernel, bias):
    theirs.weight.data = tensor(kernel.reshape(-1, bias.size)).T.contiguous()
    theirs.bias.data = tensor(bias.reshape(-1))


def copy_attention(theirs, ours):
    p, parts = ours.params, ("query", "key", "value")
    d = ours.params["query/kernel"].shape[0]
    theirs.in_proj_weight.data = torch.cat([tensor(p[f"{name}/kernel"]).reshape(d, d).T for name in parts])
    theirs.in_proj_bias.data = torch.cat([tensor(p[f"{name}/bias"]).reshape(-1) for name in parts])
    copy_dense(theirs.out_proj, p["attention_output/kernel"], p["attention_output/bias"])


def copy_norm(theirs, ours):
    theirs.weight.data, theirs.bias.data = tensor(ours.params["gamma"]), tensor(ours.params["beta"])


def close(got, expected):
    expected = expected.detach().numpy()
    assert np.abs(got - expected).max() <= 1e-8 * np.abs(expected).max() + 1e-13  # some gradients are 0


def moved(layer, rng):
    """Its weights, none 0 or 1 any more."""
    for part in layer.walk():
        for array in part.params.values():
            array += 0.1 * rng.standard_normal(array.shape)
    return layer


def compare(ours, theirs, x, inputs, dy, how, parts):
    y = theirs(*inputs, **how)
    close(ours.forward(x, True), y)
    y.backward(tensor(dy))
    dx = ours.backward(dy)
    for got, right in zip(dx if isinstance(dx, tuple) else (dx,), inputs, strict=True):
        close(got, right.grad)
    for part, (weight, bias) in parts:
        kind = "kernel" if "kernel" in part.params else "gamma"
        right = weight.grad if kind == "gamma" else weight.grad.T
        close(part.grads[kind], right)
        close(part.grads["bias" if kind == "kernel" else "beta"], bias.grad)


@pytest.mark.parametrize("first", (True, False))
@pytest.mark.parametrize("shape", [(1, 1, 4), (3, 7, 8)], ids=str)
def test_encoder(rng, shape, first):
    _, t, d = shape
    ours = layers.TransformerEncoder(5, 2, activation="gelu", normalize_first=first)
    moved(ours.init((t, d), "float64", seed=0), rng)
    theirs = torch.nn.TransformerEncoderLayer(
        d, 2, 5, 0.0, "gelu", batch_first=True, norm_first=first, dtype=torch.float64
    )
    attention, norm1, _, norm2, dense1, dense2, _ = ours.inner()
    copy_attention(theirs.self_attn, attention)
    copy_norm(theirs.norm1, norm1)
    copy_norm(theirs.norm2, norm2)
    copy_dense(theirs.linear1, *dense1.params.values())
    copy_dense(theirs.linear2, *dense2.params.values())
    x = rng.standard_normal(shape)
    modules = (norm1, theirs.norm1), (norm2, theirs.norm2), (dense1, theirs.linear1), (dense2, theirs.linear2)
    parts = [(part, (module.weight, module.bias)) for part, module in modules]
    compare(ours, theirs, x, [tensor(x).requires_grad_()], rng.standard_normal(shape), {}, parts)


@pytest.mark.parametrize("first", (True, False))
def test_decoder(rng, first):
    n, t, s, d = 3, 6, 9, 8
    ours = layers.TransformerDecoder(5, 2, normalize_first=first)
    moved(ours.init(((t, d), (s, d)), "float64", seed=0), rng)
    theirs = torch.nn.TransformerDecoderLayer(
        d, 2, 5, 0.0, "relu", batch_first=True, norm_first=first, dtype=torch.float64
    )
    attention, norm1, _, cross, norm2, _, dense1, dense2, norm3, _ = ours.inner()
    copy_attention(theirs.self_attn, attention)
    copy_attention(theirs.multihead_attn, cross)
    copy_norm(theirs.norm1, norm1)
    copy_norm(theirs.norm2, norm2)
    copy_norm(theirs.norm3, norm3)
    copy_dense(theirs.linear1, *dense1.params.values())
    copy_dense(theirs.linear2, *dense2.params.values())
    x, e = rng.standard_normal((n, t, d)), rng.standard_normal((n, s, d))
    modules = (norm1, theirs.norm1), (norm2, theirs.norm2), (norm3, theirs.norm3), (dense1, theirs.linear1)
    parts = [(part, (module.weight, module.bias)) for part, module in modules]
    how = {"tgt_mask": torch.nn.Transformer.generate_square_subsequent_mask(t, dtype=torch.float64)}
    inputs = [tensor(a).requires_grad_() for a in (x, e)]
    compare(ours, theirs, (x, e), inputs, rng.standard_normal((n, t, d)), how, parts)


def test_rotary(rng):
    """Turned in the complex plane: the features i and i + D/2 are the real and the imaginary part of a number."""
    x, dy = rng.standard_normal((2, 2, 50, 3, 8))
    ours = layers.RotaryEmbedding(max_wavelength=500, scaling_factor=2.0).init((50, 3, 8), "float64")
    theirs = torch.tensor(x, requires_grad=True)
    angles = (
        torch.arange(50, dtype=torch.float64)[:, None, None] / 2 * 500 ** (-torch.arange(4, dtype=torch.float64) / 4)
    )
    turned = torch.complex(theirs[..., :4], theirs[..., 4:]) * torch.polar(torch.ones_like(angles), angles)
    y = torch.cat([turned.real, turned.imag], -1)
    close(ours.forward(x, True), y)
    y.backward(torch.tensor(dy))
    close(ours.backward(dy), theirs.grad)


def test_sines():
    t, i = torch.arange(300, dtype=torch.float64)[:, None], torch.arange(7, dtype=torch.float64)
    angles = t * 10000 ** (-2 * torch.floor(i / 2) / 7)
    expected = torch.where(i % 2 == 0, torch.sin(angles), torch.cos(angles))
    y = layers.SinePositionEncoding().init((300, 7), "float64")(np.zeros((2, 300, 7)))
    close(y[0], expected)
    close(y[1], expected)
