"""`fit` on a GPU waits for it where somebody looks, and not in every step."""

import concurrent.futures

import numpy as np
import pytest

import npdl
from npdl import Sequential, devices, layers
from npdl.models import replay
from npdl.models.captured import Captured, CapturedTest


@pytest.fixture
def copies(monkeypatch):
    """The shapes of what is copied to the host."""
    driver, shapes = devices.get("stand-in").driver, []
    download = driver.download

    def counted(array):
        shapes.append(array.shape)
        return download(array)

    monkeypatch.setattr(driver, "download", counted)
    return shapes


def fit(**options):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 5)).astype("float32"), rng.integers(0, 3, 60)
    model = Sequential([layers.Input((5,)), layers.Dense(3)], seed=0).to("stand-in")
    model.compile("sgd", npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model.fit(x, y, epochs=2, batch_size=10, **options)


def test_the_loss_is_read_once_an_epoch(copies):
    history = fit(verbose=0)
    assert copies == [(2,), (2,)]  # of the penalties and of the loss
    assert history.history["loss"][1] < history.history["loss"][0]


def test_a_callback_that_looks_at_every_step_sees_the_mean_so_far(copies):
    seen = []
    history = fit(
        verbose=0, callbacks=[npdl.callbacks.LambdaCallback(on_train_batch_end=lambda b, l: seen.append(l["loss"]))]
    )
    assert len(copies) == 2 * (6 + 1)
    assert seen[5] == history.history["loss"][0] and seen[11] == history.history["loss"][1]
    assert len(set(seen)) == 12


def trained_and_not(make, x):
    """A model on the stand-in, and its outputs on the CPU."""
    model = make()
    wanted = model.to("cpu").predict(x, verbose=0)
    return model.to("stand-in"), wanted


def small():
    model = Sequential([layers.Input((5,)), layers.Dense(3)], seed=0)
    model.compile("sgd", npdl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy", total])
    return model


def total(y_true, y_pred):
    return y_pred.sum(axis=-1)


@pytest.fixture
def captured(monkeypatch):
    """What was made a graph."""
    made, init = [], Captured.__init__
    monkeypatch.setattr(Captured, "__init__", lambda self, *args: (made.append(type(self)), init(self, *args))[1])
    return made


def test_outputs_come_back_while_the_next_batch_is_computed(copies, captured):
    x = np.random.default_rng(0).standard_normal((58, 5)).astype("float32")
    model, wanted = trained_and_not(small, x)
    copies.clear()
    for _ in range(3):
        out = model.predict(x, batch_size=8, verbose=0)
        np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-6)
    assert not copies
    assert len(captured) == 2  # of 8 rows and of 2, not in each `predict`
    for rows in (29, 8, 16) * 2:  # 29 need more memory: the graphs before are not those of that
        np.testing.assert_allclose(model.predict(x, rows, verbose=0), wanted, rtol=1e-5, atol=1e-6)
    assert len(captured) == 2 + 1 + 2 + 2  # 29 rows; 8 and 2; 16 and 10


def test_evaluate_is_a_graph(copies, captured, monkeypatch):
    """The figures are those without graphs, bit for bit, and read once; what the host measures waits for no batch."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((58, 5)).astype("float32"), rng.integers(0, 3, 58)
    found = []
    for most in (-1, replay.MOST):
        monkeypatch.setattr(replay, "MOST", most)
        model = small().to("stand-in")
        history = model.fit(x, y, epochs=3, batch_size=8, validation_data=(x, y), verbose=0).history
        copies.clear()
        results = [model.evaluate(x, y, batch_size=8, verbose=0) for _ in range(3)]
        assert len(copies) == 3 * 2  # twice the sums; outputs, for `total`, come back beside the work
        assert captured.count(CapturedTest) == (0 if most < 0 else 4)  # of 8 rows and of 2, in `fit` and behind it
        results.append(model.evaluate(x, y, batch_size=8, sample_weight=np.ones(58), verbose=0))
        results.append(model.test_on_batch(x[:8], y[:8]))
        found.append((history, results))
    assert found[0] == found[1]
    assert len(model._step._evaluation.workspace.saved) < 8
    on_cpu = small().fit(x, y, epochs=3, batch_size=8, validation_data=(x, y), verbose=0).history
    for name, values in on_cpu.items():
        np.testing.assert_allclose(found[0][0][name], values, rtol=1e-4, atol=1e-6)


def test_threads_evaluate_one_model(captured):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((58, 5)).astype("float32"), rng.integers(0, 3, 58)
    model = small().to("stand-in")
    wanted = model.evaluate(x, y, batch_size=8, verbose=0)
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: model.evaluate(x, y, batch_size=8, verbose=0), range(6)))
    assert found == [wanted] * 6


class Stopped(Exception):
    """What a callback raises."""


def largest(y_true, y_pred):
    return y_pred.max(axis=1)


@pytest.mark.parametrize("device", ("cpu", "stand-in"))
def test_metrics_are_those_of_their_own_batches(device):
    """Not of an epoch that an error has ended, nor of batches that a callback trains on in the midst of one."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((48, 5)).astype("float32"), rng.integers(0, 3, 48)
    model, seen = Sequential([layers.Input((5,)), layers.Dense(3)], seed=0), []
    kind = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(npdl.optimizers.SGD(0.0), kind, metrics=["accuracy", largest])
    model.to(device)
    kernel, bias = model.get_weights()

    def figures(some):
        logits = (x @ kernel + bias)[some]
        return (logits.argmax(axis=1) == y[some]).mean(), logits.max(axis=1).mean()

    def fit(act):
        callback = npdl.callbacks.LambdaCallback(on_train_batch_end=act)
        found = model.fit(x, y, batch_size=8, verbose=0, callbacks=[callback]).history
        np.testing.assert_allclose((found["accuracy"][0], found["largest"][0]), figures(slice(48)), rtol=1e-5)

    def stop(batch, logs):
        if batch == 3:
            raise Stopped

    with pytest.raises(Stopped) as kept:
        fit(stop)
    fit(lambda batch, logs: None)
    assert kept.tb is not None  # with it, all that the epoch before had
    fit(lambda batch, logs: seen.append(model.train_on_batch(x[:8], y[:8])))
    for _, *found in seen:
        np.testing.assert_allclose(found, figures(slice(8)), rtol=1e-5)
    assert len(seen) == 6
