"""Losses by name, and the user's own."""

import numpy as np
import pytest

from npdl import losses


def test_get():
    for name in ("mse", "MSE", "mean_squared_error", "MeanSquaredError", losses.MeanSquaredError):
        assert type(losses.get(name)) is losses.MeanSquaredError
    assert type(losses.get("mae")) is losses.MeanAbsoluteError
    assert type(losses.get("huber")) is losses.Huber
    for name in ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"):
        assert losses.get(name).name == name and losses.get(name).from_logits is None
    loss = losses.Huber(2.0)
    assert losses.get(loss) is loss
    with pytest.raises(ValueError, match="unknown loss 'mean_square_error'; did you mean 'mean_squared_error'"):
        losses.get("mean_square_error")
    with pytest.raises(ValueError, match="unknown loss 'xyz'; there are mean_squared_error, mse"):
        losses.get("xyz")
    for wrong in (3, None, lambda t, p: 0, dict):
        with pytest.raises(TypeError, match=r"loss must be a name, an npdl\.losses object or an object with forward"):
            losses.get(wrong)


def test_repr():
    assert repr(losses.Huber(2.0)) == "Huber(delta=2.0)"
    assert repr(losses.MeanSquaredError()) == "MeanSquaredError()"
    assert repr(losses.BinaryCrossentropy(True, label_smoothing=0.1)) == (
        "BinaryCrossentropy(from_logits=True, label_smoothing=0.1)"
    )


class Cubic(losses.Loss):
    """Lₙ = Σ |e|³"""

    def values(self, y_true, y_pred, out):
        out[...] = (np.abs(y_pred - y_true) ** 3).sum(axis=1)

    def gradient(self, y_true, y_pred, scale, out):
        e = y_pred - y_true
        out[...] = scale[:, None] * 3 * e * np.abs(e)


class Plain:
    """No subclass at all."""

    def forward(self, y_true, y_pred, sample_weight=None):
        self.e = y_pred - y_true
        return float(np.mean(self.e**2))

    def backward(self):
        return 2 * self.e / self.e.size


def test_a_subclass_gets_weights_and_means():
    loss = Cubic()
    assert loss.forward([[0.0], [0.0], [0.0]], np.array([[1.0], [2.0], [9.0]]), [2, 1, 0]) == (2 + 8) / 2
    assert (loss.total, loss.count) == (10.0, 2)
    np.testing.assert_allclose(loss.backward(), [[3.0], [6.0], [0.0]])
    assert repr(loss) == "Cubic()" and loss.accuracy is None and not loss.is_classification
    assert type(Cubic.from_config(loss.get_config())) is Cubic
    assert losses.serialize(loss) == {
        "class_name": "Cubic", "config": {"name": "Cubic", "reduction": "sum_over_batch_size", "dtype": None},
    }  # fmt: skip


def test_a_subclass_with_nothing_in_it():
    class Empty(losses.Loss):
        pass

    with pytest.raises(
        NotImplementedError, match=r"Empty needs values\(self, y_true, y_pred, out\), or its own forward"
    ):
        Empty().forward([[0.0]], np.ones((1, 1)))
    with pytest.raises(NotImplementedError, match=r"Empty needs gradient.*or its own backward"):
        Empty().gradient(None, None, None, None)


def test_any_object_with_forward_and_backward():
    loss = Plain()
    assert losses.get(loss) is loss
    assert losses.serialize(loss) == {"class_name": "Plain", "config": {}}
    losses.validate(loss, np.zeros((3, 2)), (3, 5))  # its targets are its own affair
    with pytest.raises(ValueError, match="Plain: y has 3 rows and the outputs have 4"):
        losses.validate(loss, np.zeros((3, 2)), (4, 2))
    with pytest.raises(ValueError, match="Plain: y holds nan at row 0"):
        losses.validate(loss, np.array([np.nan]), (1, 1))
    assert losses.prepare(loss, np.zeros((3, 2)), np.float32, (3, 2)).dtype == np.float32
    assert losses.prepare(loss, np.zeros(3, "uint8"), np.float32, (3, 2)).dtype == np.uint8
