import numpy as np
import pytest

from npdl import layers, testing

BOTH = pytest.mark.parametrize("kind", [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D])


@BOTH
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (7, 7, 33)])
def test_contract(kind, keepdims, shape):
    testing.check_layer(kind(keepdims=keepdims), shape)


@pytest.mark.parametrize("kind", ["Average", "Max"])
@pytest.mark.parametrize(("keepdims", "shape"), [(False, (4, 3)), (True, (None, 17)), (True, (3, 2, None, 5))])
def test_contract_of_sequences_and_volumes(kind, keepdims, shape):
    testing.check_layer(getattr(layers, f"Global{kind}Pooling{len(shape) - 1}D")(keepdims=keepdims), shape)


def test_ties_go_to_the_first_maximum(step, device):
    layer = layers.GlobalMaxPooling2D().init((2, 2, 1), dtype="float64", device=device)
    got = step(layer, np.array([-2.0, -1, -1, -3]).reshape(1, 2, 2, 1), dy=np.array([[5.0]]))
    assert got["y"] == -1
    np.testing.assert_array_equal(got["dx"].reshape(-1), [0, 5, 0, 0])


@BOTH
def test_errors_and_flops(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__} reads images .*put e.g. layers.Reshape"):
        kind().init((16,))
    with pytest.raises(ValueError, match="moveaxis"):
        kind(data_format="channels_first")
    assert kind().init((3, 4, 5)).flops() == 60


@pytest.mark.parametrize("keepdims", [False, True])
def test_averages_of_the_steps_that_count(keepdims, rng, device):
    layer = layers.GlobalAveragePooling1D(keepdims=keepdims).init((None, 3), dtype="float64", device=device)
    x, mask = rng.normal(size=(4, 6, 3)), np.arange(6) < np.array([[6], [4], [1], [0]])
    mask[1, 0] = False
    y = layer(x, training=True, mask=mask)
    expected = np.stack([x[0].mean(axis=0), x[1, 1:4].mean(axis=0), x[2, 0], np.zeros(3)])
    np.testing.assert_allclose(y.reshape(4, 3), expected, rtol=1e-12, atol=1e-15)
    dy = rng.normal(size=y.shape)
    dx = layer.backward(dy)
    share = mask / np.maximum(mask.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(dx, dy.reshape(4, 1, 3) * share[..., None], rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(layer(x, mask=mask), y)
    assert layer.compute_mask(x, mask) is None
    np.testing.assert_allclose(layer(x, mask=np.ones((4, 6), bool)), layer(x), rtol=1e-12)
    half = layers.GlobalAveragePooling1D().init((6, 3), device="strict")
    on_device = half.device.from_host(x.astype("float32")), half.device.from_host(mask)
    y = half.forward(on_device[0], True, on_device[1])
    assert half.device.to_host(half.backward(y)).shape == (4, 6, 3)
