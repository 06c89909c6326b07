"""Sequential: layers one after the other."""

from npdl import devices
from npdl.layers import Input, Layer, chains, masks
from npdl.layers import node as nodes
from npdl.models import checks, saving
from npdl.models.network import Network


@saving.model_class
class Sequential(Network):
    """A stack of layers.

        forward     x₁ = f₁(x),  x₂ = f₂(x₁)  ...  y
        backward    dx = ∂f₁ᵀ ( ... ∂fₙᵀ dy)

    The weights are made when the input's shape is known: from `layers.Input(shape)`, from the first layer's
    `input_shape=`, from `build(shape)`, or from the first batch. A model may be one of the layers: it shares its
    weights, so that training either trains both.

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
        super().__init__(name, seed, dtype)
        self.sample_shape = None  # one sample's shape, when told before the weights are made
        self._traced = None  # the nodes of its own x and y
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
        if layer is self:
            raise ValueError("a Sequential cannot be one of its own layers; make another one")
        inside = isinstance(layer, Network)  # a model, which others may hold too
        if inside:
            layer.demand_forward()
            if layer.input_shape is not None and nodes.has_several(layer.input_shape):
                raise ValueError(
                    f"{layer.name} takes several inputs, and a Sequential feeds each layer one; use npdl.Model"
                )
        if layer.owner is not None and not inside:
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
            self.sample_shape = layer.input_shape if inside else layer.given_input_shape
        if inside:
            layer.held_by(self)
        else:
            for part in layer.walk():
                if part is not layer and "/" not in part.name:
                    part.name = f"{layer.name}/{part.name}"
            layer.owner, layer.may_overwrite = self, True
        self.layers.append(layer)

    def _drop(self):
        layer = self.layers.pop()
        if not isinstance(layer, Network):
            layer.owner, layer.may_overwrite = None, False
        elif layer.owner is self:
            layer.held_by(None)
        return layer

    def _rebuild(self):
        """Lay the store out anew for a changed stack; where that fails the old one stays."""
        before = self.store, self.input_shape, self.output_shape
        self.store = self.input_shape = self._graph = None
        self._forget_nodes()
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
            self.allocate()
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

    # ---- forward and backward by hand

    def forward(self, x, training=False, mask=None):
        """y for a batch x; `training=True` keeps what `backward` needs.

        `mask` says what counts where no layer finds it out itself: bool of x's leading axes, (N, T) of steps, (N, H, W)
        of pixels, with attention (N, T, S) of pairs; `compute_mask(x, mask)` is that of y, a loss's weights by hand.
        """
        if not hasattr(x, "dtype"):
            raise TypeError(f"forward takes an array, got {type(x).__name__}; pass np.asarray(x, {self.dtype.name!r})")
        if self.store is None:
            self.build(x.shape[1:])
        self.check(x)
        if mask is not None:
            masks.check(self.name, mask, x, self.masks_pairs)
        return self.graph.forward([x], training, [mask])[0][0]

    def compute_mask(self, x, mask=None):
        """The mask of y, bool (N, T), None where all counts: pass it to a loss by hand as sample_weight."""
        self.need_build("compute_mask")
        if mask is None and not self.makes_mask:
            return None
        with devices.use_workspace(devices.Workspace(self.device)):  # what training has saved stays
            return self.graph.forward([x], False, [mask])[1][0]

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
        return self.graph.backward([dy])[0]

    def __call__(self, x, training=None, mask=None):
        """The same as `forward`; of a node, a node: with training=False all layers stay in inference, in `fit` too."""
        if nodes.is_symbolic(x):
            return nodes.call(self, x, nodes.demand_plain(self, training, mask))
        return self.forward(x, bool(training), mask)

    # ---- as a part of a graph

    is_plain = True

    @property
    def output_names(self):
        """Of the only output: that of the last layer, as in Keras."""
        return [self.layers[-1].name] if self.layers else []

    def restored(self, outputs):
        """The list of outputs as `predict` gives them."""
        return outputs[0]

    def check_shapes(self, samples):
        """Raise where these are not the shapes of one sample of each input."""
        self.check_shape(samples[0])

    @property
    def input_shapes(self):
        """Of one sample of each input."""
        return [self.input_shape]

    @property
    def output_shapes(self):
        """Of one sample of each output."""
        return [self.output_shape]

    def trace(self):
        """(the node of its own x, that of its y): each layer is called on the node of the one before."""
        if self._traced is None:
            self.need_build("a node of this model")
            x = y = Input(self.input_shape, name=f"{self.name}_input").node
            for layer in self.layers:
                y = nodes.call(layer, y)
            self._traced = x, y
        return self._traced

    def _forget_nodes(self):
        if self._traced is not None:
            for layer in self.layers:
                layer.calls = [call for call in layer.calls if not _leads_from(call, self._traced[0])]
            self._traced = None

    @property
    def inputs(self):
        """Its inputs as nodes, a list as in Keras."""
        return [self.trace()[0]]

    @property
    def outputs(self):
        """Its outputs as nodes."""
        return [self.trace()[1]]

    @property
    def input(self):
        """The node of its x."""
        return self.trace()[0]

    @property
    def output(self):
        """The node of its y."""
        return self.trace()[1]

    # ---- description

    def get_config(self):
        return {
            "name": self.given_name,
            "seed": self.seed,
            "dtype": self.dtype.name,
            "input_shape": self.sample_shape,
            "layers": [saving.described(layer, self.own_name(layer)) for layer in self.layers],
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A new model from `get_config()`'s dictionary; weights are made anew from the seed."""
        stack = [saving.layer_from_config(entry, custom_objects) for entry in config["layers"]]
        model = cls(stack, name=config["name"], seed=config["seed"], dtype=config["dtype"])
        if config["input_shape"] is not None:
            model.build(tuple(config["input_shape"]))
        return model

    def __repr__(self):
        stack = ", ".join(map(repr, self.layers))
        return f"Sequential([{stack}], seed={self.seed})"


def _leads_from(call, node):
    """Whether a call is one of a chain that begins at a node."""
    while len(call.inputs) == 1 and call.inputs[0] is not node:
        call = call.inputs[0].call
    return bool(call.inputs)
