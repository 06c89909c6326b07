"""MultiHeadAttention and GroupedQueryAttention against PyTorch."""

import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
F = torch.nn.functional
pytestmark = pytest.mark.torch


def close(got, expected):
    expected = expected.detach().numpy()
    assert np.abs(got - expected).max() <= 1e-8 * np.abs(expected).max() + 1e-13  # some gradients are 0


@pytest.mark.parametrize("bias", (True, False))
@pytest.mark.parametrize("padding", (True, False))
@pytest.mark.parametrize("causal", (True, False))
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 7, 7), (3, 20, 33)], ids=str)
def test_against_multihead_attention(rng, sizes, causal, padding, bias):
    (n, t, s), d, heads = sizes, 12, 3
    theirs = torch.nn.MultiheadAttention(d, heads, kdim=5, vdim=6, bias=bias, batch_first=True, dtype=torch.float64)
    shapes = (t, d), (s, 6), (s, 5)
    ours = layers.MultiHeadAttention(heads, d // heads, use_bias=bias, use_causal_mask=causal)
    ours.init(shapes, dtype="float64", seed=0)
    parts = ("query", "key", "value")
    if bias:
        for name in parts:
            ours.params[f"{name}/bias"][...] = rng.standard_normal((heads, d // heads))
    W = {name: torch.tensor(array, requires_grad=True) for name, array in ours.params.items()}
    query, value, key = (torch.tensor(rng.standard_normal((n, *shape)), requires_grad=True) for shape in shapes)
    mask = np.arange(s) < rng.integers(1, s + 1, (n, 1)) if padding else None
    matrices = [W[f"{name}/kernel"].reshape(W[f"{name}/kernel"].shape[0], d).T for name in parts]
    y, _ = F.multi_head_attention_forward(
        query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1), d, heads, None,
        torch.cat([W[f"{name}/bias"].reshape(-1) for name in parts]) if bias else None, None, None, False, 0.0,
        W["attention_output/kernel"].reshape(d, d).T, W.get("attention_output/bias"),
        key_padding_mask=None if mask is None else torch.tensor(~mask),
        attn_mask=torch.ones(t, s, dtype=torch.bool).triu(1) if causal else None, use_separate_proj_weight=True,
        q_proj_weight=matrices[0], k_proj_weight=matrices[1], v_proj_weight=matrices[2], need_weights=False,
    )  # fmt: skip
    y = y.transpose(0, 1)
    assert theirs(query, key, value)[0].shape == y.shape
    x = tuple(a.detach().numpy() for a in (query, value, key))
    dy = rng.standard_normal((n, t, d))
    close(ours.forward(x, True, None if mask is None else (None, None, mask)), y)
    y.backward(torch.tensor(dy))
    for got, right in zip(ours.backward(dy), (query, value, key), strict=True):
        close(got, right.grad)
    for name, array in W.items():
        close(ours.grads[name], array.grad)


@pytest.mark.parametrize("groups", (1, 2, 4))
def test_grouped_queries(rng, groups):
    heads, size, d = 4, 5, 7
    ours = layers.GroupedQueryAttention(size, heads, groups, use_causal_mask=True).init((19, d), "float64", seed=0)
    W = {name: torch.tensor(array, requires_grad=True) for name, array in ours.params.items()}
    x = torch.tensor(rng.standard_normal((3, 19, d)), requires_grad=True)
    q, k, v = (
        (torch.einsum("ntd,dhe->nhte", x, W[f"{name}/kernel"]) + W[f"{name}/bias"][:, None])
        for name in ("query", "key", "value")
    )
    a = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    y = torch.einsum("nhte,heu->ntu", a, W["attention_output/kernel"]) + W["attention_output/bias"]
    dy = rng.standard_normal(y.shape)
    close(ours.forward(x.detach().numpy(), True), y)
    y.backward(torch.tensor(dy))
    close(ours.backward(dy), x.grad)
    for name, array in W.items():
        close(ours.grads[name], array.grad)
