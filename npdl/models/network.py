"""Network: what a Sequential and a Model have in common: weights, files, description."""

import contextlib
import math

import numpy as np

from npdl import devices, random
from npdl.layers import Layer
from npdl.models import saving, stores, summary
from npdl.models.graph import Graph
from npdl.models.training import Trainer


class Network(Trainer, Layer):
    """A model: layers in a store of weights. A subclass has `layers`, `build_once` and a `graph` of its layers.

    Attributes:
        layers: the layers, models among them; `walk` goes through all there are, those of models inside too.
        store: where the weights are, None before they are made.
        seed: makes initial weights, shuffles and dropout.
    """

    layers: list

    def __init__(self, name, seed, dtype):
        super().__init__(name=name)
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}; pass e.g. dtype="float32"')
        self.dtype = np.dtype(dtype)
        self.seed = random.draw_seed() if seed is None else random.check_seed(seed)
        self._device, self._graph, self._outside = devices.get("cpu"), None, (None, ())

    # ---- where the weights are

    @property
    def store(self):
        """The `ParamStore` of all layers; models of the same layers share it."""
        if self._store is not None and self._store.successor is not None:
            self._store = self._store.newest()
        return self._store

    @store.setter
    def store(self, value):
        self._store = value

    @property
    def device(self):
        """Where the arrays are."""
        return self._device if self.store is None else self.store.device

    @property
    def precision(self):
        """None: the model's dtype; or "mixed_bfloat16" or "mixed_float16", where `compile` was told so."""
        return self.device.precision

    @property
    def k(self):
        """The kernels there."""
        return self.device.kernels

    def allocate(self):
        """Make the weights of all layers, once their shapes are known."""
        store = stores.joined(self)
        self.adopt(store)

    def adopt(self, store):
        """Take a store, and hand it on to the models inside."""
        self.store, self.dtype, self._graph = store, store.dtype, None
        for inside in self.layers:
            if isinstance(inside, Network):
                inside.adopt(store)

    def held_by(self, owner):
        """Be a layer of another model, the first if there are several; None: of none any more."""
        if owner is None:
            for layer in self.layers:
                layer.name = self.own_name(layer)
        if owner is None or self.owner is None:
            self.owner = owner
            self.name = self.name  # the layers inside take theirs

    def demand_forward(self):
        """Raise where a subclass has a forward of its own: a model inside another is taken apart into its layers.

        Raises:
            TypeError: so.
        """
        kind = type(self)
        if not kind.forward.__module__.startswith("npdl.") or not kind.backward.__module__.startswith("npdl."):
            raise TypeError(
                f"{kind.__name__} has a forward or backward of its own, and a model inside another runs as its layers; "
                "make it a subclass of layers.Layer"
            )

    def walk(self):
        for layer in self.layers:
            yield from layer.walk()

    def outside(self):
        """The layers of other models in the same store, a tuple."""
        store = self.store
        if self._outside[0] is not store:
            mine = set(map(id, self.walk()))
            self._outside = store, tuple(layer for layer in store.layers if id(layer) not in mine)
        return self._outside[1]

    def alone(self):
        """A context in which layers of other models in the same store are frozen: optimizers leave them as they are."""
        return _frozen(self.outside())

    @property
    def masks_pairs(self):
        """Whether a mask may be of pairs of places, (N, T, S), because a layer takes such."""
        return any(part.masks_pairs for part in self.walk())

    def need_build(self, what):
        """Raise where the weights are not there yet."""
        if self.store is None:
            raise ValueError(
                f"{what} needs the input's shape: call model.build(shape of one sample), put layers.Input(shape) "
                "first, or fit once"
            )

    def to(self, device):
        """Move the model to a device by name; models that share its weights move too. Returns the model."""
        return self._move(devices.get(device, self.precision))

    def _move(self, device):
        """Be on that device, which may be this one in another precision."""
        if self.store is not None and device is not self.store.device:
            self.store.to(device)
        self._device = device
        return self

    # ---- the layers

    @property
    def graph(self):
        """The `Graph` of its layers, those of models inside too; another where the model has moved."""
        if self._graph is None or self._graph.device is not self.device:
            self._graph = Graph(self)
        return self._graph

    def get_layer(self, name=None, index=None):
        """A layer by its name or its place."""
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"this model has {len(self.layers)} layers, no layer {index}; the first is index=0")
            return self.layers[index]
        for layer in self.layers:
            if name in (layer.name, self.own_name(layer)):
                return layer
        raise ValueError(f"no layer is named {name!r}; there are {', '.join(layer.name for layer in self.layers)}")

    def own_name(self, layer):
        """The name of one of its layers without that of this model, which is in front of it inside another model."""
        return layer.name.removeprefix(f"{self.name}/") if self.owner is not None else layer.name

    def path(self, weight):
        """`layer/name` of a weight, as in a saved file of this model."""
        return f"{self.own_name(weight.layer)}/{weight.name}"

    @property
    def name(self):
        """Shown in errors and `summary()`; inside another model the layers have it in front of theirs."""
        return self._name

    @name.setter
    def name(self, value):
        before, self._name = getattr(self, "_name", None), value
        if self.owner is not None:
            for layer in self.layers:
                layer.name = f"{value}/{layer.name.removeprefix(f'{before}/')}"

    @property
    def trainable(self):
        """Whether any layer may learn; setting it sets every layer."""
        return any(layer.trainable for layer in self.layers) if self.layers else True

    @trainable.setter
    def trainable(self, value):
        for layer in self.layers:
            layer.trainable = value

    def flops(self):
        return sum(layer.flops() for layer in self.layers)

    # ---- weights

    def get_weights(self):
        """Host copies of all weights, layer by layer, trained ones first within a layer."""
        self.need_build("get_weights")
        return [self.store.values(weight) for weight in self.weights()]

    def set_weights(self, weights):
        """Write all weights from a list in the order of `get_weights`.

        Raises:
            ValueError: the number of arrays or a shape differs; nothing is written then.
        """
        self.need_build("set_weights")
        places = self.weights()
        weights = [np.asarray(values) for values in weights]
        if len(weights) != len(places):
            raise ValueError(f"this model has {len(places)} weight arrays, got {len(weights)}; see model.get_weights()")
        for place, values in zip(places, weights, strict=True):
            if place.shape != values.shape:
                raise ValueError(f"{place.path} has shape {place.shape}, got {values.shape}; nothing was written")
        for place, values in zip(places, weights, strict=True):
            self.store.assign(place, values)

    def weights(self):
        """The `Weight`s of its layers in the store, trained ones first within a layer."""
        of = {id(layer): [] for layer in self.walk()}
        for weight in self.store.weights:
            if id(weight.layer) in of:
                of[id(weight.layer)].append(weight)
        return [weight for some in of.values() for weight in sorted(some, key=lambda weight: not weight.trained)]

    def count_params(self):
        """Number of parameters, trained or not."""
        self.need_build("count_params")
        return sum(self.count())

    def count(self):
        """(trainable, not trainable) numbers of parameters."""
        sizes = {True: 0, False: 0}
        for weight in self.weights():
            sizes[weight.trainable] += math.prod(weight.shape)
        return sizes[True], sizes[False]

    # ---- description and files

    def summary(self, print_fn=print):
        """Print a table: each layer's output shape, parameters, FLOPs and bytes of one sample."""
        self.need_build("summary")
        print_fn(summary.table(self))

    def save(self, filepath, overwrite=True):
        """Write the whole model to one `.npdl` file: layers, weights, optimizer and random state."""
        self.need_build("save")
        saving.check_overwrite(filepath, overwrite)
        saving.save_model(self, filepath)

    def save_weights(self, filepath, overwrite=True):
        """Write the weights alone, in safetensors layout."""
        self.need_build("save_weights")
        saving.check_overwrite(filepath, overwrite)
        saving.save_weights(self, filepath)

    def load_weights(self, filepath):
        """Read weights written by `save_weights` or `save`; nothing changes unless all of them fit."""
        self.need_build("load_weights")
        saving.load_weights(self, filepath)

    def load_state(self, filepath):
        """Go on where `save` wrote the file: weights, the optimizer's state, the seed and the steps of dropout.

        The model has the same layers and is compiled with the same optimizer; weights are written only if all fit.
        """
        self.need_build("load_state")
        saving.load_state(self, filepath)

    def __reduce__(self):
        return saving.from_parts, (type(self), *saving.to_parts(self), saving.custom_classes(self))


@contextlib.contextmanager
def _frozen(layers):
    frozen = [layer for layer in layers if layer.trainable and not hasattr(layer, "chains")]
    try:
        for layer in frozen:
            layer.trainable = False
        yield
    finally:
        for layer in frozen:
            layer.trainable = True
