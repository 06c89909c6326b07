import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize(("n", "width"), [(1, 1), (3, 5), (4, 17)])
def test_contract(n, width):
    testing.check_layer(layers.RepeatVector(n), (width,))


def test_steps(step, device):
    layer = layers.RepeatVector(3).init((2,), dtype="float64", device=device)
    got = step(layer, np.array([[1.0, 2], [3, 4]]), dy=np.arange(12.0).reshape(2, 3, 2))
    np.testing.assert_array_equal(got["y"], [[[1, 2]] * 3, [[3, 4]] * 3])
    np.testing.assert_array_equal(got["dx"], [[6, 9], [24, 27]])


def test_a_batch_of_none(step, device):
    layer = layers.RepeatVector(3).init((2,), device=device)
    got = step(layer, np.zeros((0, 2), "float32"), dy=np.zeros((0, 3, 2), "float32"))
    assert got["y"].shape == (0, 3, 2) and got["dx"].shape == (0, 2)


def test_wrong_calls():
    with pytest.raises(ValueError, match=r"RepeatVector needs n .* got n=0; pass e.g. RepeatVector\(3\)"):
        layers.RepeatVector(0)
    with pytest.raises(ValueError, match=r"repeat_vector: .* shape \(4, 5\); put layers.Flatten\(\) before it"):
        layers.RepeatVector(2).init((4, 5))
