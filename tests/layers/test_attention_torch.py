"""Attention, AdditiveAttention and the scores of MultiHeadAttention against PyTorch."""

import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def close(got, expected):
    expected = expected.detach().numpy()
    assert np.abs(got - expected).max() <= 1e-8 * np.abs(expected).max() + 1e-13


@pytest.mark.parametrize("causal", (True, False))
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 7, 9, 5), (3, 20, 33, 17)], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda **how: layers.Attention(use_scale=True, **how),
        lambda **how: layers.Attention(True, "concat", **how),
        lambda **how: layers.AdditiveAttention(**how),
    ],
    ids=("dot", "concat", "additive"),
)
def test_without_projections(rng, make, sizes, causal):
    n, t, s, d = sizes
    shapes = (t, d), (s, 6), (s, d)
    ours = make(use_causal_mask=causal, return_attention_scores=True).init(shapes, dtype="float64", seed=0)
    for array in ours.params.values():
        array += rng.uniform(0.2, 0.5, array.shape)
    W = {name: torch.tensor(array, requires_grad=True) for name, array in ours.params.items()}
    query, value, key = (torch.tensor(rng.standard_normal((n, *shape)), requires_grad=True) for shape in shapes)
    mask = np.arange(s) < rng.integers(1, s + 1, (n, 1))
    if ours.name == "attention":
        scores = W["scale"] * query @ key.transpose(1, 2)
        if ours.score_mode == "concat":
            sums = torch.tanh(W["scale"] * (query[:, :, None] + key[:, None]))
            scores = W["concat_score_weight"] * sums.sum(-1)
    else:
        scores = (W["scale"] * torch.tanh(query[:, :, None] + key[:, None])).sum(-1)
    may = torch.tensor(mask)[:, None].expand(n, t, s)
    may = may.tril() if causal else may
    p = torch.softmax(scores.masked_fill(~may, -torch.inf), -1)
    y = p @ value
    dy, dp = rng.standard_normal(y.shape), rng.standard_normal(p.shape)
    got = ours.forward(tuple(a.detach().numpy() for a in (query, value, key)), True, (None, mask, None))
    close(got[0], y)
    close(got[1], p)
    torch.autograd.backward([y, p], [torch.tensor(dy), torch.tensor(dp)])
    for one, right in zip(ours.backward((dy, dp)), (query, value, key), strict=True):
        close(one, right.grad)
    for name, array in W.items():
        close(ours.grads[name], array.grad)


def test_scores_of_multihead_attention(rng):
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    ours = layers.MultiHeadAttention(3, 4, return_attention_scores=True).init((9, 12), dtype="float64", seed=0)
    state = theirs.state_dict()
    for i, name in enumerate(("query", "key", "value")):
        ours.params[f"{name}/kernel"][...] = state["in_proj_weight"][12 * i : 12 * i + 12].numpy().T.reshape(12, 3, 4)
    ours.params["attention_output/kernel"][...] = state["out_proj.weight"].numpy().T.reshape(3, 4, 12)
    x = torch.tensor(rng.standard_normal((2, 9, 12)), requires_grad=True)
    y, p = theirs(x, x, x, average_attn_weights=False)
    got = ours.forward(x.detach().numpy(), True)
    close(got[0], y)
    close(got[1], p)
    dy, dp = rng.standard_normal(y.shape), rng.standard_normal(p.shape)
    torch.autograd.backward([y, p], [torch.tensor(dy), torch.tensor(dp)])
    close(ours.backward((dy, dp)), x.grad)
    for i, name in enumerate(("query", "key", "value")):
        close(ours.grads[f"{name}/kernel"].reshape(12, 12).T, theirs.in_proj_weight.grad[12 * i : 12 * i + 12])
