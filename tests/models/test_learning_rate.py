"""The learning-rate finder: its curve, its picture, and that it leaves the model alone."""

import numpy as np
import pytest

from npdl import Model, Sequential, datasets, layers, viz
from npdl.data import Mapped
from npdl.models import LearningRateCurve, find_learning_rate, saving
from npdl.optimizers import SGD, Adam, Lookahead
from npdl.schedules import CosineDecay


def bits(model):
    header, tensors = saving.to_parts(model)
    return repr(header), {name: value.tobytes() for group in tensors.values() for name, value in group.items()}


@pytest.mark.parametrize("optimizer", (lambda: SGD(CosineDecay(0.1, 50), momentum=0.9), lambda: Lookahead(Adam(0.1))))
def test_the_model_is_left_alone_and_the_curve_turns(optimizer):
    (x, y), _ = datasets.digits.load_data()
    x = x[:640].reshape(640, -1).astype("float32") / 16
    model = Sequential([layers.Dense(32, activation="relu"), layers.Dropout(0.1), layers.Dense(10)], seed=0)
    model.compile(optimizer(), "sparse_categorical_crossentropy")
    if model.loss.from_logits is None:
        model.loss.from_logits = True
    model.fit(x[:64], y[:64], verbose=0)
    before = bits(model)
    curve = find_learning_rate(model, x, y[:640], max_learning_rate=1000.0, steps=60)
    assert bits(model) == before
    assert 20 < len(curve.rates) == len(curve.losses) == len(curve.smoothed) <= 60
    assert curve.rates[0] == pytest.approx(1e-7) and (np.diff(np.log(curve.rates)) > 0).all()
    assert 1e-5 < curve.suggestion < 10 and f"suggests {curve.suggestion:.2g}" in repr(curve)
    again = find_learning_rate(model, x, y[:640], max_learning_rate=1000.0, steps=60)
    np.testing.assert_array_equal(curve.losses, again.losses)


def test_several_inputs_and_outputs_and_pipelines(rng):
    """Dicts, `Mapped`, generators and weights of steps: the first loss is that of the model, whatever the form."""
    x = {"steps": rng.normal(size=(40, 5, 3)), "words": rng.integers(0, 7, (40, 5)).astype("int32")}
    y = {"tags": rng.integers(0, 4, (40, 5)), "number": rng.normal(size=(40, 1))}
    w = {"tags": rng.random((40, 5)), "number": rng.random(40)}

    def make():
        ins = {"steps": layers.Input((5, 3)), "words": layers.Input((5,), dtype="int32")}
        h = layers.Concatenate()([ins["steps"], layers.Embedding(7, 2)(ins["words"])])
        outs = {"tags": layers.Dense(4)(h), "number": layers.Dense(1)(layers.Flatten()(h))}
        model = Model(ins, outs, seed=0, dtype="float64")
        chosen = {"tags": "sparse_categorical_crossentropy", "number": "mse"}
        model.compile(SGD(0.1), chosen, loss_weights={"tags": 2.0, "number": 0.5})
        return model

    def stream():
        for start in (0, 20):
            yield tuple({name: one[start : start + 20] for name, one in part.items()} for part in (x, y, w))

    found = [
        find_learning_rate(make(), x, y, 40, w, steps=5),
        find_learning_rate(make(), Mapped(lambda x, y, place: (x, y), x, y, w), batch_size=40, steps=5),
        find_learning_rate(make(), tuple(x.values()), list(y.values()), 40, list(w.values()), steps=5),
    ]
    assert len(find_learning_rate(make(), stream, steps=5).losses) == 5
    first = make().evaluate(x, y, batch_size=40, sample_weight=w, verbose=0)[0]
    for curve in found:
        assert curve.losses[0] == pytest.approx(first, rel=1e-12)
        np.testing.assert_array_equal(curve.losses, found[0].losses)


def test_a_valley_and_a_slope():
    rates = np.logspace(-5, 0, 51)
    valley = np.tanh(10 * np.log10(rates / 1e-2) / 5) * -1 + (rates > 0.3)
    assert LearningRateCurve(rates, valley, valley).suggestion == pytest.approx(1e-2, rel=0.3)
    assert LearningRateCurve(rates, rates, rates).suggestion is None
    assert "the loss did not fall" in repr(LearningRateCurve(rates, rates, rates))


def test_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    rates = np.logspace(-5, 0, 51)
    losses = 2 - np.exp(-((np.log10(rates) + 1.5) ** 2))
    figure = LearningRateCurve(rates, losses, losses).plot(tmp_path / "rates.png")
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "learning rate", "loss")
    assert axes.get_legend().get_texts()[2].get_text().startswith("falls fastest: 0.0")
    assert (tmp_path / "rates.png").stat().st_size > 5000 and figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"as many losses as rates, .* got 2 rates and 1 losses"):
        viz.learning_rate_curve([1, 2], [3])


def test_bad_arguments():
    model = Sequential([layers.Dense(1)])
    x = np.ones((4, 2), "float32")
    with pytest.raises(RuntimeError, match=r"find_learning_rate needs model.compile\(optimizer, loss\) first"):
        find_learning_rate(model, x, x[:, :1])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"needs rates that rise from above 0 and at least 3 steps, got min.*=1"):
        find_learning_rate(model, x, x[:, :1], min_learning_rate=1, max_learning_rate=0.1)
