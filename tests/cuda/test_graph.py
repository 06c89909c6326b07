"""Training steps and inference as graphs: the same bits as without, and only where a step can be one."""

import contextlib

import numpy as np
import pytest

import npdl
from npdl import Sequential, devices, layers
from npdl.models.replay import Replays

X = np.random.default_rng(0).standard_normal((70, 20)).astype("float32")
Y = np.random.default_rng(1).integers(0, 5, 70)


@pytest.fixture
def graphs(monkeypatch):
    """The names of what was done with graphs, in order."""
    driver, done = devices.get("stand-in").driver, []
    capture = driver.capture

    @contextlib.contextmanager
    def noted():
        with capture() as graph:
            done.append("captured")
            launch = graph.launch
            graph.launch = lambda: (done.append("launched"), launch())
            yield graph

    monkeypatch.setattr(driver, "capture", noted)
    return done


def model_of(*more):
    model = Sequential([layers.Input((20,)), layers.Dense(33, activation="relu"), *more, layers.Dense(5)], seed=0)
    model.compile("adam", npdl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model.to("stand-in")


def test_same_bits_as_without_graphs(graphs, monkeypatch):
    found = []
    for wanted in (True, False):
        with monkeypatch.context() as patch:
            if not wanted:
                patch.setattr(Replays, "wants", lambda self, batch: False)
            model = model_of()
            history = model.fit(X, Y, epochs=3, batch_size=32, verbose=0).history
            out = [model.predict(X, batch_size=32, verbose=0) for _ in range(2)]
        found.append((history, out, model.get_weights()))
        if wanted:
            assert graphs.count("captured") == 4  # of batches of 32 and of 6, in training and in inference
            assert graphs.count("launched") == 5 + 2 + 3 + 1  # of 6 + 3 steps and 4 + 2 batches but the first of each
            graphs.clear()
    assert not graphs
    (history, out, weights), (as_history, as_out, as_weights) = found
    assert history == as_history
    for a, b in zip((*out, *weights), (*as_out, *as_weights), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_that_has_changed_is_captured_anew(graphs):
    model = model_of()
    for frozen in (False, True):
        model.layers[1].trainable = not frozen
        before = model.layers[1].get_weights()[0].copy()
        for _ in range(4):
            model.train_on_batch(X[:32], Y[:32])
        assert (model.layers[1].get_weights()[0] == before).all() == frozen
    assert graphs.count("captured") == 2


def test_a_step_that_draws_random_numbers_is_no_graph(graphs):
    model = model_of(layers.Dropout(0.5))
    for _ in range(4):
        model.train_on_batch(X[:32], Y[:32])
    assert not graphs
