"""Whole nets in npdl: a training step, inference, an epoch, the way to an accuracy."""

import time

import npdl
from benchmarks import data, nets
from benchmarks.engines.npdl import kernels
from npdl import devices, layers, losses
from npdl.callbacks import Callback
from npdl.models.captured import turn_of
from npdl.models.step import Step


def build_layers(net):
    """A net of benchmarks/nets.py as npdl's layers; a ReLU right after a convolution or Dense is its activation."""
    built: list = []
    for kind, *arguments in net:
        if kind == "conv":
            filters, kernel, padding, stride, bias = arguments
            built.append(layers.Conv2D(filters, kernel, strides=stride, padding=padding, use_bias=bias))
        elif kind == "dense":
            built.append(layers.Dense(*arguments))
        elif kind == "lstm":
            built.append(layers.LSTM(*arguments, return_sequences=True))
        elif kind == "relu" and isinstance(built[-1], (layers.Conv2D, layers.Dense)):
            built[-1].activation = npdl.activations.relu
        elif kind == "residual":
            inside, shortcut = arguments
            shortcut = shortcut and build_layers(shortcut)
            built.append(layers.Residual(build_layers(inside), shortcut=shortcut, activation="relu"))
        elif kind == "embed":
            built.append(layers.Embedding(*arguments))
        elif kind == "positions":
            built.append(layers.Residual([layers.PositionEmbedding(64)]))
        elif kind == "block":
            built.append(layers.TransformerDecoder(*arguments, activation="gelu", normalize_first=True))
        else:
            kinds = {
                "norm": layers.BatchNormalization, "relu": layers.ReLU, "flatten": layers.Flatten,
                "pool": layers.MaxPooling2D, "mean": layers.GlobalAveragePooling2D,
                "layer_norm": layers.LayerNormalization,
            }  # fmt: skip
            built.append(kinds[kind]())
    return built


def model_of(name, seed=0):
    """The net, built, with Adam and cross-entropy from logits."""
    shape, net = nets.NETS[name]
    model = npdl.Sequential(build_layers(net), seed=seed)
    model.build(shape)
    model.to(kernels.place.name)
    model.compile("adam", losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def batch_of(net, batch):
    symbols = nets.symbols(net)
    if symbols:
        return data.sequences(batch, *nets.NETS[net][0], symbols)
    return data.normal(batch, *nets.NETS[net][0]), data.labels(batch, 10)


def train(net, batch):
    """What `fit` runs for each batch; on a GPU without the copy of the batch, which is there already."""
    step = Step(model_of(net))
    x, y = batch_of(net, batch)
    totals = step.totals()

    def call():
        step.train(x, y, None, totals)

    if kernels.place.driver is None:
        return {"": call}
    for _ in range(3):  # the second captures it
        call()
    (x,), (target,), _ = step.parts(x, y, None)
    captured = step.replays.find((x, target), turn_of(step))
    if captured is None or not captured.updates:
        return {"with the batch's copy": call}
    there, captured._feeds, captured._given = captured._given, [], []

    def start(kept=there):  # on the batch that was copied last
        if not captured.start(()):
            raise RuntimeError("the step is another by now: nothing was done that could be measured")

    return {"graph": start}


def infer(net, batch):
    """The model called, in new memory as by hand; and `predict_on_batch`, whose result is new."""
    model = model_of(net)
    x, _ = batch_of(net, batch)
    if kernels.place.driver is not None:
        return infer_on_gpu(model, kernels.place.from_host(x))
    return {"by hand": lambda: model(x), "predict_on_batch": lambda: model.predict_on_batch(x)}


def infer_on_gpu(model, x):
    """The model called on what lies there, and the same as a graph, whose result the next call writes over."""
    workspace = devices.Workspace(kernels.place)

    def call():
        with devices.use_workspace(workspace):
            model.forward(x)

    call()  # memory is taken, kernels are compiled
    with kernels.place.driver.capture() as graph:
        call()
    return {"by hand": call, "graph": graph.launch}


def epoch(samples, batch):
    """fit(epochs=1), with its checks of the data and its shuffling."""
    model = model_of("mlp")
    x, y = data.images(samples)
    return {"fit": lambda: model.fit(x, y, batch_size=batch, epochs=1, verbose=0)}


class UntilAccurate(Callback):
    """Stops `fit` at a test accuracy; `seconds` leaves out the tests themselves."""

    def __init__(self, x, y, goal):
        super().__init__()
        self.x, self.y, self.goal, self.seconds = x, y, goal, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds += time.perf_counter() - self.started
        right = self.model.predict(self.x, batch_size=500, verbose=0).argmax(1) == self.y
        self.model.stop_training = right.mean() >= self.goal


def accuracy(goal, seed, every):
    """Seconds of training until the test accuracy, looked at every so many steps, is reached."""
    (x, y), (x_test, y_test) = data.mnist()
    model, stop = model_of("mnist", seed), UntilAccurate(x_test, y_test, goal)
    model.fit(x, y, batch_size=64, epochs=100, steps_per_epoch=every, verbose=0, callbacks=[stop])
    return stop.seconds


OPERATIONS = {function.__name__: function for function in (train, infer, epoch)}
