"""Model: a graph of layers with any number of inputs and outputs."""

from npdl import devices
from npdl.layers import Input, masks
from npdl.layers import node as nodes
from npdl.models import saving, wiring
from npdl.models.network import Network


@saving.model_class
class Model(Network):
    """The layers between some nodes and others.

        forward     each layer on what the layers before it made, in the order in which they were called
        backward    in the opposite order; gradients of an array that several layers read are added in that order

    A layer called on several nodes is one layer: its gradients are added up. A model called on a node is a layer. A
    model made of layers that another holds, such as `Model(model.inputs, some_layer.output)`, shares their weights.

    Args:
        inputs: `layers.Input(...)`, or another node; or a list, tuple or dict of them.
        outputs: a node, or a list, tuple or dict of them; `predict` gives the same.
        trainable: False freezes all layers.
        name: of the model.
        seed: makes initial weights, shuffles and dropout; None draws one, kept in `model.seed`.
        dtype: "float32" or "float64"; None is that of the layers which have weights already, else "float32".

    Raises:
        TypeError: something else than nodes.
        ValueError: an output that needs an input which is not given, an input that no output needs, two layers of one
            name.

    >>> import npdl
    >>> from npdl import layers
    >>> x = layers.Input((4,))
    >>> h = layers.Dense(8, activation="relu")(x)
    >>> model = npdl.Model(x, layers.Dense(1)(layers.Concatenate()([x, h])), seed=0)
    >>> model.output_shape, model.count_params()
    ((1,), 53)
    """

    def __init__(self, inputs=None, outputs=None, trainable=True, name=None, *, seed=None, dtype=None):
        self.layers = []
        if inputs is None or outputs is None:
            raise TypeError(
                f"{type(self).__name__} needs inputs and outputs, e.g. x = layers.Input((4,)), "
                "Model(x, layers.Dense(1)(x)); a layer with a forward of your own is a subclass of layers.Layer"
            )
        ins, outs = wiring.Structure(inputs, "inputs"), wiring.Structure(outputs, "outputs")
        self.input_nodes, self.output_nodes = ins.nodes, outs.nodes
        self.steps = wiring.steps(ins.nodes, outs.nodes)
        found = wiring.layers_of(self.steps, ins.nodes, outs.nodes)
        known = next((layer.store.dtype for layer in found if layer.store is not None), "float32")
        super().__init__(name, seed, known if dtype is None else dtype)
        self.layers, self._structures = found, (ins, outs)
        wiring.take_in(self)
        self.input_names, self.output_names = wiring.names(ins), wiring.names(outs)
        self.input_shape, self.output_shape = ins.restored(self.input_shapes), outs.restored(self.output_shapes)
        if not trainable:
            self.trainable = False
        self.allocate()

    # ---- what it reads and makes

    @property
    def input_shapes(self):
        """Of one sample of each input."""
        return [node.shape for node in self.input_nodes]

    @property
    def output_shapes(self):
        """Of one sample of each output."""
        return [node.shape for node in self.output_nodes]

    @property
    def inputs(self):
        """Its inputs as nodes, a list."""
        return list(self.input_nodes)

    @property
    def outputs(self):
        """Its outputs as nodes, a list."""
        return list(self.output_nodes)

    @property
    def input(self):
        """Its inputs as nodes, as they were given."""
        return self._structures[0].restored(self.input_nodes)

    @property
    def output(self):
        """Its outputs as nodes, as they were given."""
        return self._structures[1].restored(self.output_nodes)

    @property
    def is_plain(self):
        """Whether data are arrays, because there is one input and one output and neither has a name in a dict."""
        return all(len(part.nodes) == 1 and part.kind is not dict for part in self._structures)

    @property
    def reads_integers(self):
        """Whether x are whole numbers; a list of that for each input where data are not plain arrays."""
        whole = [wiring.reads_integers(node, self.steps) for node in self.input_nodes]
        return whole[0] if self.is_plain else whole

    @property
    def makes_mask(self):
        """Whether a layer finds out which steps are padding."""
        return any(layer.makes_mask for layer in self.layers)

    def restored(self, outputs):
        """The list of outputs as `predict` gives them: as they were given."""
        return self._structures[1].restored(outputs)

    def walk(self):
        for layer in self.layers:
            if not isinstance(layer, Input):
                yield from layer.walk()

    # ---- building

    def build(self, input_shape):
        """Its weights are there already; the shape must be the one that it was made for."""
        return self.build_once(input_shape)

    def build_once(self, input_shape):
        shapes = [input_shape] if not nodes.has_several(input_shape) else list(input_shape)
        if len(shapes) != len(self.input_nodes):
            raise ValueError(
                f"{self.name} has {len(self.input_nodes)} inputs, {', '.join(self.input_names)}, got {len(shapes)}; "
                "pass a list with one for each"
            )
        self.check_shapes([tuple(shape) for shape in shapes])
        return self.output_shape if len(self.output_nodes) == 1 else tuple(self.output_shapes)

    def check_shapes(self, samples):
        """Raise where these are not the shapes of one sample of each input."""
        for name, node, sample in zip(self.input_names, self.input_nodes, samples, strict=True):
            if len(sample) != len(node.shape) or any(e not in (None, s) for e, s in zip(node.shape, sample)):
                wanted, came = (
                    ", ".join(["N", *("any" if s is None else str(s) for s in shape)]) for shape in (node.shape, sample)
                )
                raise ValueError(
                    f"{self.name}: input {name!r} was built for inputs of shape ({wanted}), got ({came}); "
                    "reshape the data, or build a new model for this shape"
                )

    # ---- forward and backward by hand

    def forward(self, x, training=False, mask=None):
        """The outputs for a batch x, an array or as many as there are inputs (list, tuple, dict); as they were given.

        `training=True` keeps what `backward` needs. `mask` says what counts where no layer finds it out itself: for
        each input None or bool of its leading axes, (N, T) of steps, (N, H, W) of pixels; of a model with attention
        also (N, T, S) of pairs.
        """
        xs = self._structures[0].ordered(x, f"{self.name}: x")
        self._check_arrays(xs)
        return self.restored(self.graph.forward(xs, training, self._marks(xs, mask))[0])

    def _marks(self, xs, mask):
        """The masks of the inputs, a list, checked; None where there is none."""
        if mask is None:
            return None
        marks = self._structures[0].ordered(mask, f"{self.name}: mask")
        for one, x in zip(marks, xs, strict=True):
            masks.check(self.name, one, x, self.masks_pairs)
        return marks

    def compute_mask(self, x, mask=None):
        """The masks of the outputs, None where all counts."""
        if mask is None and not self.makes_mask:
            return None
        xs = self._structures[0].ordered(x, f"{self.name}: x")
        marks = self._marks(xs, mask)
        with devices.use_workspace(devices.Workspace(self.device)):  # what training has saved stays
            return self.restored(self.graph.forward(xs, False, marks)[1])

    def backward(self, dy):
        """dL/dx from dy = dL/dy, each as the inputs and outputs were given; assigns every layer's gradients.

        dy of an output may be None, which is zero; dx of an input is None where there is none (whole numbers).
        """
        dys = self._structures[1].ordered(dy, f"{self.name}: dy")
        wiring.check_gradients(self, dys)
        return self._structures[0].restored(self.graph.backward(dys))

    def __call__(self, x, training=None, mask=None):
        """The same as `forward`; of nodes, nodes: with training=False all layers do what they do in inference, in `fit`
        too, as a trained model shall that is a part of another (transfer learning)."""
        if nodes.is_symbolic(x) or (isinstance(x, dict) and any(map(nodes.is_symbolic, x.values()))):
            fixed = nodes.demand_plain(self, training, mask)
            ordered = self._structures[0].ordered(x, f"{self.name}: x")
            made = nodes.call(self, ordered if len(ordered) > 1 else ordered[0], fixed)
            return self.restored(list(made) if isinstance(made, tuple) else [made])
        return self.forward(x, bool(training), mask)

    def _check_arrays(self, xs):
        for name, x in zip(self.input_names, xs, strict=True):
            if not hasattr(x, "dtype"):
                raise TypeError(
                    f"{self.name}: forward takes arrays, got {type(x).__name__} for input {name!r}; "
                    f"pass np.asarray(x, {self.dtype.name!r})"
                )
        self.check_shapes([tuple(x.shape[1:]) for x in xs])
        if len({len(x) for x in xs}) > 1:
            rows = ", ".join(f"{name} has {len(x)}" for name, x in zip(self.input_names, xs, strict=True))
            raise ValueError(f"{self.name}: all inputs have as many samples, got {rows}; pass as many of each")
        wiring.check_dtypes(self, xs)

    # ---- description

    def get_config(self):
        return {
            "name": self.given_name,
            "seed": self.seed,
            "dtype": self.dtype.name,
            **wiring.described(self),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A new model from `get_config()`'s dictionary; weights are made anew from the seed."""
        inputs, outputs = wiring.rewired(config, custom_objects)
        return cls(inputs, outputs, name=config["name"], seed=config["seed"], dtype=config["dtype"])

    def __repr__(self):
        return f"<Model {self.name}: {', '.join(self.input_names)} -> {', '.join(self.output_names)}>"
