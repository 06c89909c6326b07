import numpy as np
import pytest

from npdl import layers, testing
from npdl.layers import masks


@pytest.mark.parametrize(("layer", "shape"), [(layers.Masking(), (3, 2)), (layers.Masking(2.5), (None, 1, 4))])
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


def test_steps_of_one_value(step, device):
    layer = layers.Masking(mask_value=2.0).init((4, 2), dtype="float64", device=device)
    x = np.array([[[1, 2], [2, 2], [2, 0], [np.nan, 2]], [[2, 2], [2, 2], [0, 0], [2, 1]]])
    found = np.array([[True, False, True, True], [False, False, True, True]])
    np.testing.assert_array_equal(layer.compute_mask(x), found)
    got = step(layer, x)
    np.testing.assert_array_equal(got["y"], np.where(found[..., None], x, 0))
    np.testing.assert_array_equal(got["dx"], np.where(found[..., None], got["dy"], 0))


def test_wrong_samples():
    with pytest.raises(
        ValueError, match=r"Masking reads sequences .* got samples of shape \(5,\); pass x\[..., None\]"
    ):
        layers.Masking().init((5,))


@pytest.mark.parametrize(
    ("layer", "shape", "stays"),
    [
        (layers.Dense(5), (4, 3), True),
        (layers.Dense(5), (None, 3), True),
        (layers.Dropout(0.5), (4, 3), True),
        (layers.Reshape((4, 3, 1)), (4, 3), True),
        (layers.Reshape((3, 4)), (4, 3), False),
        (layers.Flatten(), (4, 3), False),
        (layers.Permute((1, 3, 2)), (4, 3, 4), True),
        (layers.Permute((2, 1)), (4, 4), False),
        (layers.ZeroPadding1D(1), (4, 3), False),
        (layers.Residual([layers.Dense(3)]), (4, 3), True),
    ],
)
def test_a_mask_stays_while_its_axes_do(layer, shape, stays):
    x = np.ones((2, 4, *shape[1:]), "float32")
    mask = np.array([[True, True, False, True], [True, False, False, False]])
    layer = layer.init(shape)
    y, after = masks.forward(layer, x, False, mask)
    assert (after is not None) == stays
    assert y.shape[1:] == tuple(4 if n is None else n for n in layer.output_shape)
    assert masks.forward(layer, x)[1] is None
    if stays:
        np.testing.assert_array_equal(after, mask)


def test_wrong_mask():
    layer, x = layers.Dense(5).init((4, 3)), np.ones((2, 4, 3), "float32")
    with pytest.raises(TypeError, match=r"dense: a mask is an array of bool, got float64; pass np.asarray\(mask, bool"):
        layer(x, mask=np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"the mask has shape \(2, 3\), expected the leading axes of x"):
        layer(x, mask=np.ones((2, 3), bool))


def test_a_sum_counts_where_both_do(device):
    """A mask is made in one branch of a residual block, another comes from before it."""
    block = layers.Residual([layers.Masking(1.0), layers.Dense(2)]).init((3, 2), device=device)
    x = np.array([[[0, 1], [1, 1], [2, 2]]], "float32")
    before = np.array([[False, True, True]])
    assert masks.forward(block, x)[1].tolist() == [[True, False, True]]
    after = masks.forward(block, x, False, before)[1]
    np.testing.assert_array_equal(after, [[False, False, True]])
