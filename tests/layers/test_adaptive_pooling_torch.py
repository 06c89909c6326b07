import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("kind", ["Average", "Max"])
@pytest.mark.parametrize(
    ("shape", "output_size"),
    [
        ((17, 3), 5), ((3, 18), 7), ((300, 1), 2),
        ((11, 7, 3), (4, 3)), ((8, 9, 19), 1), ((2, 3, 2), (5, 3)),
        ((5, 7, 6, 3), (2, 3, 4)), ((3, 2, 4, 1), 3),
    ],
)  # fmt: skip
def test_adaptive_pooling(kind, shape, output_size, rng, step, close, device):
    axes = len(shape) - 1
    layer = getattr(layers, f"Adaptive{kind}Pooling{axes}D")(output_size)
    layer.init((None,) * axes + shape[-1:], dtype="float64", device=device)
    x = rng.normal(size=(3, *shape))
    got = step(layer, x)
    tx = torch.tensor(x, requires_grad=True)
    pool = getattr(torch.nn.functional, f"adaptive_{'avg' if kind == 'Average' else 'max'}_pool{axes}d")
    y = pool(tx.movedim(-1, 1), output_size).movedim(1, -1)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
