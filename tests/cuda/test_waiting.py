"""`fit` on a GPU waits for it where somebody looks, and not in every step."""

import numpy as np
import pytest

import npdl
from npdl import Sequential, devices, layers


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
