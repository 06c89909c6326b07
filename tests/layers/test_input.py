import pytest

from npdl import layers, testing


@pytest.mark.parametrize("shape", [(3,), (4, 5, 2), ()])
def test_contract(shape):
    testing.check_layer(layers.Input(shape), shape)


def test_it_says_the_shape():
    assert layers.Input([28, 28, 1]).shape == (28, 28, 1)
    assert layers.Input((4,)).init((4,)).flops() == 0


def test_errors():
    with pytest.raises(
        ValueError, match=r"Input takes one sample's shape as a tuple, got shape=4; pass e.g. Input\(\(4,\)\)"
    ):
        layers.Input(4)
    with pytest.raises(ValueError, match=r"input: Input says samples of shape \(4,\), got \(5,\)"):
        layers.Input((4,)).init((5,))
