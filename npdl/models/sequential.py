"""Sequential: layers one after the other."""

import numpy as np

from npdl import devices, random
from npdl.layers import Input, Layer, chains, masks
from npdl.models import checks, saving, summary
from npdl.models.training import Trainer
from npdl.params import ParamStore


class Sequential(Trainer, Layer):
    """A stack of layers.

        forward     x₁ = f₁(x),  x₂ = f₂(x₁)  ...  y
        backward    dx = ∂f₁ᵀ ( ... ∂fₙᵀ dy)

    The weights are made when the input's shape is known: from `layers.Input(shape)`, from the first layer's
    `input_shape=`, from `build(shape)`, or from the first batch.

    Args:
        layers: the layers, in order.
        trainable: False freezes all of them.
        name: of the model.
        seed: makes initial weights, shuffles and dropout; None draws one, kept in `model.seed`.
        dtype: "float32" or "float64".

    >>> from npdl import Sequential, layers
    >>> model = Sequential([layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)], seed=0)
    >>> model.output_shape, model.count_params()
    ((1,), 19)
    """

    def __init__(self, layers=None, trainable=True, name=None, *, seed=None, dtype="float32"):
        self.layers = []
        super().__init__(name=name)
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
        self.dtype = np.dtype(dtype)
        self.seed = random.draw_seed() if seed is None else random.check_seed(seed)
        self.device = devices.get("cpu")
        self.sample_shape = None  # one sample's shape, when told before the weights are made
        for layer in chains.listed(self, "layers", layers or ()):
            self._append(layer)
        if not trainable:
            self.trainable = False
        self._build_if_known()

    # ---- the stack

    def add(self, layer):
        """Append a layer; weights that are already there keep their values. A layer that does not fit is not added."""
        self._append(layer)
        try:
            self._rebuild()
        except Exception:
            if self.layers and self.layers[-1] is layer:
                self._drop()
            raise

    def pop(self):
        """Remove the last layer and return it."""
        if not self.layers:
            raise ValueError("this model has no layer to remove")
        layer = self._drop()
        self._rebuild()
        return layer

    def get_layer(self, name=None, index=None):
        """A layer by its name or its place."""
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"this model has {len(self.layers)} layers, no layer {index}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"no layer is named {name!r}; there are {', '.join(layer.name for layer in self.layers)}")

    def _append(self, layer):
        if isinstance(layer, Input):
            if self.layers:
                raise ValueError("layers.Input says the first layer's input shape: put it first")
            self.sample_shape = layer.shape
            return
        if not isinstance(layer, Layer):
            raise TypeError(f"a Sequential holds npdl layers, got {layer!r}; pass e.g. layers.Dense(10)")
        if any(layer is other for other in self.layers):
            raise ValueError(
                f"{layer.name} is in this Sequential already; make a new layer for the second place, "
                f"e.g. {layer!r} written twice"
            )
        if isinstance(layer, Sequential):
            raise TypeError(
                f"a Sequential holds layers, not models; put copies of {layer.name}'s layers there: "
                "*[copy.deepcopy(layer) for layer in model.layers]"
            )
        if layer.owner is not None:
            raise ValueError(
                f"{layer.name} belongs to {layer.owner.name}, and one layer cannot learn in two models; "
                "put copy.deepcopy(layer) there, which has the same weights"
            )
        taken = {other.name for other in self.layers}
        if layer.given_name is not None and layer.name in taken:
            raise ValueError(f"two layers are named {layer.name!r}; give one of them another name=")
        base, count = layer.name, 0
        while layer.given_name is None and layer.name in taken:
            count += 1
            layer.name = f"{base}_{count}"
        if not self.layers and self.sample_shape is None:
            self.sample_shape = layer.given_input_shape
        for part in layer.walk():
            if part is not layer and "/" not in part.name:
                part.name = f"{layer.name}/{part.name}"
        layer.owner, layer.may_overwrite = self, True
        self.layers.append(layer)

    def _drop(self):
        layer = self.layers.pop()
        layer.owner, layer.may_overwrite = None, False
        return layer

    def _rebuild(self):
        """Lay the store out anew for a changed stack; where that fails the old one stays."""
        before = self.store, self.input_shape, self.output_shape
        self.store = self.input_shape = None
        try:
            self._build_if_known()
        except Exception:
            self.store, self.input_shape, self.output_shape = before
            raise

    def _build_if_known(self):
        if self.layers and self.sample_shape is not None:
            self.build(self.sample_shape)

    # ---- building

    def build(self, input_shape):
        """Make the weights for samples of `input_shape`, the shape of one sample without the batch axis."""
        if not self.layers:
            raise ValueError("this model has no layers; pass Sequential([layers.Dense(10)]), or call model.add(...)")
        self.build_once(tuple(input_shape))
        self.sample_shape = self.input_shape
        if self.store is None:
            values = [(layer, layer.get_weights()) for layer in self.walk() if layer.store is not None]
            self.attach(ParamStore(self.walk(), self.device, self.dtype, self.seed).initialize(), place=None)
            for layer, weights in values:  # built before: alone, or in this model
                layer.set_weights(weights)
        return self.output_shape

    def build_once(self, input_shape):
        if self.input_shape is None:
            shape = input_shape
            for layer in self.layers:
                shape = layer.build_once(shape)
            self.output_shape, self.input_shape = shape, input_shape
        elif self.input_shape != input_shape:
            return super().build_once(input_shape)
        return self.output_shape

    def walk(self):
        for layer in self.layers:
            yield from layer.walk()

    def need_build(self, what):
        """Raise where the weights are not there yet."""
        if self.store is None:
            raise ValueError(
                f"{what} needs the input's shape: call model.build(shape of one sample), put layers.Input(shape) "
                "first, or fit once"
            )

    # ---- forward and backward by hand

    def forward(self, x, training=False, mask=None):
        """y for a batch x; `training=True` keeps what `backward` needs.

        `mask`, bool (N, T), says which steps of sequences count, where no layer finds it out itself; that of y, the
        weights of a loss by hand, is `compute_mask(x)`.
        """
        if not hasattr(x, "dtype"):
            raise TypeError(f"forward takes an array, got {type(x).__name__}; pass np.asarray(x, {self.dtype.name!r})")
        if self.store is None:
            self.build(x.shape[1:])
        self.check(x)
        masks.check(self.name, mask, x)
        return masks.chain(self.layers, x, training, mask)[0]

    def compute_mask(self, x, mask=None):
        """The mask of y, bool (N, T), None where all counts: pass it to a loss by hand as sample_weight."""
        self.need_build("compute_mask")
        makers = [place for place, layer in enumerate(self.layers) if layer.makes_mask]
        for place, layer in enumerate(self.layers):
            if makers and place <= makers[-1]:
                with devices.use_workspace(devices.Workspace(self.device)):  # what training has saved stays
                    x, mask = masks.forward(layer, x, False, mask)
            else:
                mask = layer.compute_mask(x, mask)
        return mask

    def check(self, x, expected=None):
        self.layers[0].check(x, expected)

    def check_shape(self, sample, expected=None):
        self.layers[0].check_shape(sample, expected)

    @property
    def makes_mask(self):
        """Whether a layer finds out which steps are padding."""
        return any(layer.makes_mask for layer in self.layers)

    @property
    def reads_integers(self):
        """Whether x are whole numbers, which the first layer says."""
        return bool(self.layers) and self.layers[0].reads_integers

    def backward(self, dy):
        """dL/dx from dy = dL/dy; assigns every layer's gradients."""
        self.need_build("backward")
        checks.gradient(self, dy)
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def __call__(self, x, training=False, mask=None):
        """The same as `forward`."""
        return self.forward(x, training, mask)

    def flops(self):
        return sum(layer.flops() for layer in self.layers)

    # ---- weights

    @property
    def trainable(self):
        """Whether any layer may learn; setting it sets every layer."""
        return any(layer.trainable for layer in self.layers) if self.layers else True

    @trainable.setter
    def trainable(self, value):
        for layer in self.layers:
            layer.trainable = value

    def get_weights(self):
        """Host copies of all weights, layer by layer, trained ones first within a layer."""
        self.need_build("get_weights")
        return [self.store.values(weight) for weight in self._weights()]

    def set_weights(self, weights):
        """Write all weights from a list in the order of `get_weights`.

        Raises:
            ValueError: the number of arrays or a shape differs; nothing is written then.
        """
        self.need_build("set_weights")
        places = self._weights()
        weights = [np.asarray(values) for values in weights]
        if len(weights) != len(places):
            raise ValueError(f"this model has {len(places)} weight arrays, got {len(weights)}; see model.get_weights()")
        for place, values in zip(places, weights, strict=True):
            if place.shape != values.shape:
                raise ValueError(f"{place.path} has shape {place.shape}, got {values.shape}; nothing was written")
        for place, values in zip(places, weights, strict=True):
            self.store.assign(place, values)

    def _weights(self):
        return [w for layer in self.store.layers for w in sorted(layer_weights(self.store, layer), key=_state_last)]

    def count_params(self):
        """Number of parameters, trained or not."""
        self.need_build("count_params")
        return sum(self.store.count())

    def to(self, device):
        """Move the model to a device by name; returns the model."""
        device = devices.get(device)
        if device is not self.device:
            self.device = device
            if self.store is not None:
                self.store.to(device)
                self.attach(self.store, place=None)
        return self

    # ---- description and files

    def summary(self, print_fn=print):
        """Print a table: each layer's output shape, parameters, FLOPs and bytes of one sample."""
        self.need_build("summary")
        print_fn(summary.table(self))

    def get_config(self):
        return {
            "name": self.given_name,
            "seed": self.seed,
            "dtype": self.dtype.name,
            "input_shape": self.sample_shape,
            "layers": [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in self.layers],
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A new model from `get_config()`'s dictionary; weights are made anew from the seed."""
        stack = [saving.layer_from_config(entry, custom_objects) for entry in config["layers"]]
        model = cls(stack, name=config["name"], seed=config["seed"], dtype=config["dtype"])
        if config["input_shape"] is not None:
            model.build(tuple(config["input_shape"]))
        return model

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

    def __reduce__(self):
        return saving.from_parts, (type(self), *saving.to_parts(self), saving.custom_classes(self))

    def __repr__(self):
        stack = ", ".join(map(repr, self.layers))
        return f"Sequential([{stack}], seed={self.seed})"


def layer_weights(store, layer):
    """The `Weight`s of one layer."""
    return [weight for weight in store.weights if weight.layer is layer]


def _state_last(weight):
    return not weight.trained


def clone_model(model):
    """A new model of the same layers, seed and dtype; its weights are the initial ones, as in Keras."""
    return type(model).from_config(model.get_config(), saving.custom_classes(model))


def load_model(filepath, custom_objects=None):
    """The model that `model.save(path)` wrote: layers, weights, optimizer and random state.

    Args:
        filepath: of the `.npdl` file.
        custom_objects: dict name -> your own classes; or decorate them with `@npdl.register`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: truncated, corrupted, not a model file, or a class that is not known.
    """
    header, tensors = saving.read_model(filepath)
    return saving.from_parts(Sequential, header, tensors, custom_objects)
