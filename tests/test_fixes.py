"""What an error proposes: each ends with something to write instead."""

import numpy as np
import pytest

from npdl import Sequential, callbacks, layers, losses, metrics, optimizers, schedules, utils


def fit(**arguments):
    model = Sequential([layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, **arguments)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: callbacks.ModelCheckpoint("m.npdl", save_freq=0), r'got 0; pass e.g. save_freq="epoch"'),
        (lambda: callbacks.BackupAndRestore("b", save_freq=-1), r'got -1; pass e.g. save_freq="epoch"'),
        (lambda: callbacks.LambdaCallback(on_epoch_end=3), "got 3; pass e.g. on_epoch_end=lambda epoch, logs: print"),
        (lambda: callbacks.EarlyStopping(mode="low"), "got 'low'; pass \"min\" for a loss"),
        (lambda: callbacks.ProgressBar(7), "got 7; pass e.g. verbose=2"),
        (lambda: callbacks.ScalarLogger(print, every=0), "got 0; pass every=10"),
        (lambda: callbacks.TensorBoard("t", histogram_freq=-1), "got -1; pass e.g. histogram_freq=1"),
        (lambda: callbacks.TensorBoard("t", update_freq="x"), "got 'x'; pass e.g. update_freq=\"epoch\""),
        (lambda: callbacks.Timer(9, interval="day"), "got 'day'; pass interval=\"epoch\""),
        (lambda: layers.CategoryEncoding(3).init((None,)), r"got \(None,\); pass e.g. layers.Input\(\(5,\)"),
        (lambda: layers.GRU(2).init((3, 1))((np.ones((1, 3, 1)),) * 2), "got 2; pass x alone, or build a new layer"),
        (lambda: layers.Dot(3).init(((4,), (4,))), "got axes=3; pass e.g. axes=-1"),
        (lambda: losses.MarginRankingLoss().check_shape((2,), ((2, 1), (2, 3))), "end each branch .* as many units"),
        (lambda: metrics.AUC(1), "got 1; pass e.g. 200"),
        (lambda: metrics.IoU(2, [5]), r"got \[5\]; pass e.g. \[0\]"),
        (lambda: metrics.Precision(class_id=7)(np.ones((1, 2)), np.ones((1, 2))), "pass a number from 0, and one-hot"),
        (lambda: fit(batch_size=0), "batch_size must be .* got 0; pass batch_size=32"),
        (lambda: fit(epochs=-1), "epochs must be .* got -1; pass e.g. epochs=1"),
        (lambda: fit(validation_split=0.5, validation_freq=0), "got 0; pass validation_freq=1"),
        (lambda: fit(validation_data=(1,)), r"got 1 parts; pass \(x, y\)"),
        (lambda: Sequential(dtype="float16"), "got 'float16'; pass e.g. dtype=\"float32\""),
        (lambda: Sequential([layers.Dense(1)]).get_layer(index=4), "no layer 4; the first is index=0"),
        (lambda: schedules.OneCycle(0.1, 9, anneal_strategy="x"), "got 'x'; leave it out"),
        (lambda: schedules.Cyclic(0.1, 1, mode="x"), "got 'x'; pass e.g. \"triangular\""),
        (lambda: schedules.get(3), r"got 3; pass e.g. npdl.schedules.CosineDecay\("),
        (lambda: optimizers.LBFGS(line_search_fn="x"), "got 'x'; pass \"strong_wolfe\""),
        (lambda: utils.pad_sequences([[1]], padding="x"), "got 'x'; pass e.g. padding=\"post\""),
        (lambda: utils.pad_sequences([[1]], maxlen=-1), "got -1; pass maxlen=100"),
    ],
)
def test_the_fix_is_named(make, text):
    with pytest.raises((ValueError, TypeError), match=text):
        make()
