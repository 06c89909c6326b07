"""Merging layers against PyTorch, live: outputs and all gradients in float64."""

import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def mean(*x):
    return sum(x) / len(x)


CASES = [
    (layers.Add(), lambda *x: sum(x), [(3, 4)] * 3),
    (layers.Subtract(), torch.sub, [(3, 4)] * 2),
    (layers.Multiply(), lambda a, b, c: a * b * c, [(3, 4)] * 3),
    (layers.Average(), mean, [(3, 4)] * 3),
    (layers.Maximum(), lambda *x: torch.stack(x).amax(0), [(3, 4)] * 3),
    (layers.Minimum(), lambda *x: torch.stack(x).amin(0), [(3, 4)] * 3),
    (layers.Concatenate(1), lambda *x: torch.cat(x, 1), [(3, 4), (1, 4), (2, 4)]),
    (layers.Concatenate(), lambda *x: torch.cat(x, -1), [(2, 3), (2, 1)]),
    (layers.Dot(1), lambda a, b: (a * b).sum(1, keepdim=True), [(7,), (7,)]),
    (layers.Dot(1, normalize=True), lambda a, b: torch.cosine_similarity(a, b)[:, None], [(7,), (7,)]),
    (layers.Dot((2, 1)), torch.bmm, [(5, 3), (3, 2)]),
    (layers.Dot(2, normalize=True), lambda a, b: torch.einsum(
        "nik,njk->nij", *(torch.nn.functional.normalize(x, dim=2) for x in (a, b))), [(5, 3), (4, 3)]),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "function", "shapes"), CASES, ids=[repr(case[0]) for case in CASES])
@pytest.mark.parametrize("n", [1, 6])
def test_output_and_gradients(layer, function, shapes, n, rng):
    layer = type(layer).from_config(layer.get_config()).init(tuple(shapes), dtype="float64")
    x = [rng.normal(size=(n, *shape)) for shape in shapes]
    theirs = [torch.tensor(one, requires_grad=True) for one in x]
    expected = function(*theirs)
    dy = rng.normal(size=expected.shape)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer(tuple(x), training=True), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    for mine, their in zip(layer.backward(dy), theirs, strict=True):
        np.testing.assert_allclose(mine, their.grad.numpy(), rtol=1e-8, atol=1e-11)
