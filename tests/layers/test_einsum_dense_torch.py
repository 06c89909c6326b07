import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes", "shape"),
    [
        ("ab,bc->ac", 9, "c", (8,)), ("abc,cde->abde", (None, 2, 3), "de", (3, 4)),
        ("abcd,cde->abe", (None, 5), "e", (3, 2, 4)), ("abc,bd->adc", (7, None), "d", (3, 5)),
        ("abc,cbd->adb", (2, 3), "db", (3, 5)), ("...x,xy->...y", 20, "y", (3, 2, 17)),
    ],
)  # fmt: skip
def test_einsum_dense(equation, output_shape, bias_axes, shape, rng, step, close, device):
    layer = layers.EinsumDense(equation, output_shape, "tanh", bias_axes).init(shape, dtype="float64", device=device)
    x = rng.normal(size=(3, *shape))
    got = step(layer, x)
    tx, kernel, bias = (
        torch.tensor(value, requires_grad=True) for value in (x, layer.params["kernel"], layer.params["bias"])
    )
    y = torch.tanh(torch.einsum(equation, tx, kernel) + bias)
    y.backward(torch.tensor(got["dy"]))
    for name, tensor in (("y", y.detach()), ("dx", tx.grad), ("kernel", kernel.grad), ("bias", bias.grad)):
        close(got[name], tensor)
