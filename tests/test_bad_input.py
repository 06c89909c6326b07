"""What a beginner gets wrong: every message names what, where, and the line that fixes it; nothing is lost."""

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers, losses, optimizers

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
LABELS = np.arange(12) % 3


def fit(model, x, y, **options):
    return model.fit(x, y, verbose=0, **options)


def classifier():
    model = Sequential([layers.Dense(3)], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def regressor(width=1):
    model = Sequential([layers.Dense(width)], seed=0)
    model.compile("adam", "mse")
    return model


def test_flat_target_against_a_column():
    with pytest.raises(ValueError, match=r"\(12,\).*\(12, 1\).*y\.reshape\(-1, 1\)"):
        fit(regressor(), X, X[:, 0])


def test_unequal_lengths():
    with pytest.raises(ValueError, match=r"12.*11"):
        fit(classifier(), X, LABELS[:11])
    with pytest.raises(ValueError, match=r"sample_weight"):
        fit(classifier(), X, LABELS, sample_weight=np.ones(5))


def test_labels_out_of_range_say_which():
    y = LABELS.copy()
    y[7] = 3
    with pytest.raises(ValueError, match=r"3.*(row|index|position) 7"):
        fit(classifier(), X, y)
    y[7] = -1
    with pytest.raises(ValueError, match=r"-1.*7"):
        fit(classifier(), X, y)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_in_the_data(bad):
    x = X.copy()
    x[4, 1] = bad
    with pytest.raises(ValueError, match=r"(?i)x.*(nan|inf).*4"):
        fit(classifier(), x, LABELS)
    y = X[:, :1].copy()
    y[5] = bad
    with pytest.raises(ValueError, match=r"(?i)(y|target).*(nan|inf).*5"):
        fit(regressor(), X, y)


def test_strings_and_objects():
    with pytest.raises((TypeError, ValueError), match=r"(?i)string|text"):
        fit(classifier(), np.array([["a", "b", "c"]] * 12), LABELS)
    with pytest.raises((TypeError, ValueError), match=r"(?i)object"):
        fit(classifier(), np.array([[1, {}, 3]] * 12, dtype=object), LABELS)
    with pytest.raises((TypeError, ValueError), match=r"x\[0, 1\] is missing"):
        fit(classifier(), np.array([[1, None, 3]] * 12, dtype=object), LABELS)
    with pytest.raises((TypeError, ValueError), match=r"(?i)string|text"):
        fit(classifier(), X, np.array(["cat", "dog", "cow"] * 4))


def test_empty_data():
    with pytest.raises(ValueError, match=r"(?i)empty|no rows"):
        fit(classifier(), X[:0], LABELS[:0])
    with pytest.raises(ValueError, match=r"(?i)empty|no rows"):
        classifier().predict(X[:0])


def test_another_width():
    model = classifier()
    fit(model, X, LABELS)
    before = model.get_weights()
    for use in (lambda x: fit(model, x, LABELS), model.predict, lambda x: model.evaluate(x, LABELS, verbose=0)):
        with pytest.raises(ValueError, match=r"dense \(Dense\) was built for inputs of shape \(N, 3\), got \(N, 2\)"):
            use(X[:, :2].copy())
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_a_kernel_larger_than_the_image():
    with pytest.raises(ValueError, match=r"conv2d.*5.*height 4.*padding=.same."):
        Sequential([layers.Conv2D(2, 5)]).build((4, 8, 1))
    with pytest.raises(ValueError, match=r"max_pooling2d.*3.*width 2"):
        Sequential([layers.MaxPooling2D(3)]).build((4, 2, 1))


def test_flat_input_to_a_convolution():
    with pytest.raises(ValueError, match=r"conv2d.*\(N, H, W, C\)|conv2d.*Reshape"):
        Sequential([layers.Conv2D(2, 3)]).build((784,))
    with pytest.raises(ValueError, match=r"\[\.\.\., None\]|Reshape"):
        Sequential([layers.Conv2D(2, 3)]).build((28, 28))


@pytest.mark.parametrize("units", [0, -1, 2.5, "3", True])
def test_units(units):
    with pytest.raises((ValueError, TypeError), match=r"units=.*pass e\.g\. Dense\(64\)"):
        layers.Dense(units)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValueError, match=r"unknown activation 'rellu'; did you mean 'relu'"):
        layers.Dense(3, activation="rellu")
    with pytest.raises(ValueError, match=r"(?i)loss.*'mse_loss'|did you mean"):
        losses.get("categorical_crossentrpy")
    with pytest.raises(ValueError, match=r"did you mean '?.?adam"):
        optimizers.get("adamm")
    with pytest.raises(ValueError, match=r"did you mean '?.?glorot_uniform"):
        layers.Dense(3, kernel_initializer="glorot_unifrom")
    with pytest.raises(ValueError, match=r"did you mean '?.?accuracy"):
        classifier().compile("adam", "sparse_categorical_crossentropy", metrics=["acuracy"])


def test_accuracy_of_a_regression():
    with pytest.raises(ValueError, match=r"(?i)accuracy.*(mse|mae|r2)"):
        model = Sequential([layers.Dense(1)])
        model.compile("adam", "mse", metrics=["accuracy"])


def test_one_hot_and_labels_mixed_up():
    with pytest.raises(ValueError, match=r"categorical_crossentropy"):
        fit(classifier(), X, np.eye(3)[LABELS])
    model = Sequential([layers.Dense(3)])
    model.compile("adam", "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"sparse_categorical_crossentropy|to_categorical"):
        fit(model, X, LABELS)


def test_channels_first_names_the_fix():
    with pytest.raises(ValueError, match=r"channels_last.*moveaxis|moveaxis"):
        layers.Conv2D(3, 3, data_format="channels_first")


def test_arguments_of_fit():
    for options in (
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"epochs": -1},
        {"validation_split": 1.5},
        {"validation_freq": 0},
    ):
        name = next(iter(options))
        with pytest.raises(ValueError, match=name):
            fit(classifier(), X, LABELS, validation_data=(X, LABELS) if name == "validation_freq" else None, **options)
    with pytest.raises(ValueError, match=r"there are no targets|y"):
        fit(classifier(), X, None)


def test_evaluate_before_compile():
    with pytest.raises(RuntimeError, match=r"evaluate needs model.compile\(optimizer, loss\) first"):
        Sequential([layers.Dense(1)]).evaluate(X, X[:, :1])


def test_validation_data_are_named():
    for data, text in (
        (X, r"validation_data: expected \(x, y\) or .*, got ndarray of shape \(12, 3\); pass validation"),
        ((X,), r"validation_data: expected \(x, y\) or \(x, y, sample_weight\), got 1 parts"),
        ((X, LABELS[:5]), r"validation_data: expected one row each a sample, but x has 12, y has 5"),
    ):
        with pytest.raises(ValueError, match=text):
            fit(classifier(), X, LABELS, validation_data=data)


def test_one_sample_where_a_batch_is_wanted():
    model = classifier()
    model.build((3,))
    text = r"x has shape \(3,\), which is that of one sample; dense takes batches \(N, 3\): pass x\[None\]"
    with pytest.raises(ValueError, match=text):
        model.predict(X[0])
    with pytest.raises(ValueError, match=text):
        model.evaluate(X[0], LABELS[:3])
    assert model.predict(X[:3]).shape == (3, 3)


@pytest.mark.parametrize(
    ("dy", "error", "text"),
    [
        (np.ones((2, 1)), TypeError, r"takes dy = dL/dy in float32, got float64; pass dy.astype\('float32'\)"),
        (
            np.ones((2, 4), "f4"),
            ValueError,
            r"of the shape of the outputs of dense_1, \(N, 1\), got \(2, 4\); pass",
        ),
        (np.ones(2, "f4"), ValueError, r"of the shape of the outputs of dense_1, \(N, 1\), got \(2,\); pass what"),
        ([[1.0], [1.0]], TypeError, r"as an array, got list; pass what loss.backward\(\) gives, or np.asarray"),
        (np.ones((2, 2), "f4")[:, :1], ValueError, r"C-contiguous arrays; pass np.ascontiguousarray\(dy\)"),
    ],
)
def test_a_wrong_gradient_by_hand(dy, error, text):
    model = Sequential([layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(1)], seed=0)
    model.forward(X[:2], training=True)
    with pytest.raises(error, match=f"sequential: backward .*{text}"):
        model.backward(dy)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Sequential(layers.Dense(3), layers.Dense(1)), r"Sequential takes a list as layers, got Dense.*\(\["),
        (lambda: Sequential(3), r"Sequential takes a list as layers, got 3; pass a list: Sequential\(\[layers.Dense"),
        (
            lambda: layers.Residual(layers.Dense(3)),
            r"Residual takes a list as layers, .*: Residual\(\[layers",
        ),
        (lambda: layers.Residual(Sequential([layers.Dense(3)])), r"Residual\(\[\*map\(copy.deepcopy, model.layers\)"),
        (
            lambda: layers.Residual([layers.Dense(3)], shortcut=layers.Dense(3)),
            r"Residual takes a list as shortcut, got Dense.*Residual\(layers, shortcut=\[layers.Dense\(10\)\]\)",
        ),
    ],
)
def test_layers_without_a_list(make, text):
    with pytest.raises(TypeError, match=text):
        make()


def test_the_name_that_others_have_for_the_learning_rate():
    for kind in (optimizers.Adam, optimizers.SGD, optimizers.RMSprop):
        with pytest.raises(TypeError, match=f"{kind.__name__} has no argument 'lr'; did you mean 'learning_rate'"):
            kind(lr=0.1)


class Wrong(layers.Layer):
    """y = 3 x with a gradient of 2."""

    def forward(self, x, training=False):
        return x * x.dtype.type(3)

    def backward(self, dy):
        return dy * dy.dtype.type(2)


class Crooked(layers.Layer):
    """A layer that returns what its build did not promise."""

    def __init__(self, how, **base):
        super().__init__(**base)
        self.how = how

    def forward(self, x, training=False):
        return {"shape": x[:, :1].copy(), "dtype": x.astype("float64"), "none": None, "order": np.asfortranarray(x)}[
            self.how
        ]

    def backward(self, dy):
        return dy


def test_a_wrong_backward_of_your_own_stops_training():
    model = Sequential([layers.Dense(4), Wrong(), layers.Dense(3)], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.build((3,))
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"(?s)backward of wrong does not agree.*check_gradients=False"):
        fit(model, X, LABELS)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    model.compile("adam", "sparse_categorical_crossentropy", check_gradients=False)
    fit(model, X, LABELS)


class WrongLoss(losses.Loss):
    def forward(self, y_true, y_pred, sample_weight=None):
        self.d = y_pred - y_true
        return float((self.d**2).mean())

    def backward(self):
        return -self.d / self.d.size


def test_a_wrong_loss_of_your_own_stops_training():
    model = Sequential([layers.Dense(1)], seed=0)
    model.compile("adam", WrongLoss())
    with pytest.raises(ValueError, match=r"(?s)backward of WrongLoss does not agree.*check_gradients=False"):
        fit(model, X, X[:, :1])


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("shape", r"crooked \(Crooked\).forward returned shape \(12, 1\), expected \(12, 3\)"),
        ("dtype", "crooked .*returned float64, expected float32"),
        ("none", "crooked .*returned NoneType"),
        ("order", "crooked .*C-contiguous"),
    ],
)
def test_a_layer_that_returns_something_else(how, text):
    model = Sequential([layers.Dense(3), Crooked(how)], seed=0)
    model.compile("adam", "mse", check_gradients=False)
    with pytest.raises((ValueError, TypeError), match=text):
        fit(model, X, X)


def test_a_missing_data_file_without_network(monkeypatch, tmp_path):
    import urllib.request

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("NPDL_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises((OSError, RuntimeError), match=r"NPDL_DATA"):
        npdl.datasets.mnist.load_data()
