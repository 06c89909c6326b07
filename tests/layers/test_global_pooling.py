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
