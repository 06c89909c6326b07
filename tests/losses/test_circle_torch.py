"""Circle against its formula in PyTorch, in float64: the value and the gradient."""

import numpy as np
import pytest

from npdl import losses

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def formula(labels, e, gamma, margin, remove_diagonal):
    d = (1 - e @ e.T).clamp(min=0)
    far = labels[:, None] != labels
    near = ~far & ~torch.eye(len(e), dtype=torch.bool) if remove_diagonal else ~far
    p, n = gamma * (margin + d).clamp(min=0) * (d - margin), gamma * (1 + margin - d).clamp(min=0) * (1 - margin - d)
    both = near.any(1) & far.any(1)
    sums = [t.masked_fill(~mask, -torch.inf)[both].logsumexp(1) for t, mask in ((p, near), (n, far))]
    return torch.nn.functional.softplus(sum(sums)).mean()


@pytest.mark.parametrize("remove", [True, False])
@pytest.mark.parametrize("n, size, kinds", [(2, 3, 1), (7, 2, 2), (33, 5, 4), (70, 17, 40)])
def test_value_and_gradient(n, size, kinds, remove, rng):
    labels = rng.integers(0, kinds, n) * 7
    labels[:2] = 0, 7  # there is a pair of two labels
    labels[-1] = labels[-2] if n > 2 else 7
    e = 0.99 * torch.nn.functional.normalize(torch.tensor(rng.normal(size=(n, size))))
    loss = losses.Circle(remove_diagonal=remove)
    e.requires_grad_()
    expected = formula(torch.tensor(labels), e, 80.0, 0.4, remove)
    if n == 2 and remove:
        assert loss.forward(labels, e.detach().numpy()) == 0
        return
    expected.backward()
    assert loss.forward(labels, e.detach().numpy()) == pytest.approx(expected.item(), rel=1e-11)
    assert np.linalg.norm(loss.backward() - e.grad.numpy()) < 1e-9 * np.linalg.norm(e.grad.numpy())
