import numpy as np
import pytest

from npdl import layers, testing

BOTH = pytest.mark.parametrize("kind", ["Average", "Max"])


def make(kind, axes, output_size):
    return getattr(layers, f"Adaptive{kind}Pooling{axes}D")(output_size)


@BOTH
@pytest.mark.parametrize(
    ("output_size", "shape"),
    [
        (3, (7, 2)), (5, (None, 1)), (7, (3, 17)),
        ((2, 3), (4, 7, 3)), (4, (4, 4, 2)), ((1, 5), (None, 3, 2)),
        (2, (3, 2, 5, 2)), ((4, 1, 3), (3, 3, 3, 1)),
    ],
)  # fmt: skip
def test_contract(kind, output_size, shape):
    testing.check_layer(make(kind, len(shape) - 1, output_size), shape)


def test_bins(device):
    """17 places in 5 bins: 0-3, 3-6, 6-10, 10-13, 13-16, both ends included."""
    x = np.arange(17.0).reshape(1, 17, 1)
    mean = make("Average", 1, 5).init((17, 1), dtype="float64", device=device)
    np.testing.assert_allclose(mean(x)[0, :, 0], [1.5, 4.5, 8, 11.5, 14.5])
    top = make("Max", 1, 5).init((17, 1), dtype="float64", device=device)
    np.testing.assert_array_equal(top(x)[0, :, 0], [3, 6, 10, 13, 16])


def test_ties_go_to_the_first_maximum(step, device):
    layer = make("Max", 2, 1).init((2, 3, 1), dtype="float64", device=device)
    x = np.array([[0, 1, 0, 1, 1, 0], [0, np.nan, 5, np.nan, 0, 0.0]]).reshape(2, 2, 3, 1)
    got = step(layer, x, dy=np.array([2.0, 3.0]).reshape(2, 1, 1, 1))
    np.testing.assert_array_equal(got["dx"].reshape(2, 6), [[0, 2, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0]])


@BOTH
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_whole_factors_are_windows(kind, axes, rng, device):
    x = rng.normal(size=(2, 4, 6, 2)[: axes + 1] + (3,))
    adaptive = make(kind, axes, 2).init(x.shape[1:], dtype="float64", device=device)
    windows = getattr(layers, f"{kind}Pooling{axes}D")(tuple(n // 2 for n in x.shape[1:-1]))
    windows.init(x.shape[1:], dtype="float64", device=device)
    np.testing.assert_allclose(adaptive(x), windows(x), rtol=1e-12, atol=1e-14)


@BOTH
def test_wrong_arguments_and_samples(kind):
    name = f"Adaptive{kind}Pooling2D"
    for wrong in (0, 1.5, (1, 2, 3), None):
        with pytest.raises(ValueError, match=rf"{name} needs output_size .* got .*; pass e.g. output_size=7"):
            make(kind, 2, wrong)
    with pytest.raises(ValueError, match=f"{name} reads images"):
        make(kind, 2, 2).init((16,))
    with pytest.raises(ValueError, match="Pooling3D reads samples of shape"):
        make(kind, 3, 2).init((16, 2))
    assert make(kind, 2, 2).init((5, None, 3)).flops() == 15
