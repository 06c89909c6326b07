"""Layer: what every layer is, and the few services that it uses."""

from typing import Any

import numpy as np

from npdl import devices, initializers, names, random
from npdl.layers import masks, node
from npdl.layers.configured import Configured
from npdl.params import Declared, ParamStore
from npdl.penalties import Ruled, penalized, penalties


class Layer(Configured, Ruled, node.Symbolic):
    """A function y = f(x) with weights, and its gradient.

    A subclass writes `__init__` (keeps every argument under its own name), `build`, `forward` and `backward`:

        build(input_shape)          one sample's shape -> one sample's output shape; declares weights by add_weight
        forward(x, training=False)  x -> y; while training ends with self.save(what backward needs);
                                    forward(x, training=False, mask=None) where it reads a mask; what only training
                                    does, such as drawing random numbers, if self.varies(training)
        backward(dy)                assigns self.grads[...] (never adds) and returns dL/dx

    Args:
        name: shown in errors and `summary()`; a model numbers unnamed layers.
        trainable: False freezes the weights.
        input_shape: one sample's shape, for the first layer of a model.
        rules: regularizers and constraints, as the class's `ruled` says (`npdl.penalties`).

    Attributes:
        params, grads, state: views into the model's `ParamStore`, by Keras' names.
        needs_dx: False where nobody reads dL/dx; backward may then return None.
        reads_integers: True where x are whole numbers (indices): int32 or int64 instead of the model's dtype.
        adds_loss: True where it adds a term of its own to the loss (`add_loss`, `npdl.penalties`).
        makes_mask, masks_pairs: whether it finds out which steps are padding; whether a mask may be of pairs (N, T, S).
        may_overwrite: True where the caller of backward lets go of dy: a model sets it for its own layers.
        step: training forwards so far where a layer draws random numbers.
    """

    may_overwrite = reads_integers = makes_mask = masks_pairs = False

    def __init__(self, name=None, trainable=True, input_shape=None, **rules):
        self.given_name, self.given_input_shape = name, None if input_shape is None else tuple(input_shape)
        self.name = name or names.snake_case(type(self).__name__)
        self.trainable, self.needs_dx, self.step = trainable, True, 0
        self.declared: list[Declared] = []
        self.params: dict[str, Any] = {}
        self.grads: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.owner: Any = None  # the model that holds it
        self.calls: list[Any] = []  # on nodes
        self.store: Any = None  # the model's ParamStore, once built
        self.input_shape: Any = None  # of one sample, once built
        self.output_shape: Any = None
        self._saved: tuple | None = None
        self.keep_rules(rules)

    # ---- what a subclass writes

    def build(self, input_shape):
        """Declare the weights; returns one sample's output shape."""
        return input_shape

    def forward(self, x, training=False):
        """y"""
        raise NotImplementedError(f"{type(self).__name__} needs forward(self, x, training=False)")

    def backward(self, dy):
        """dL/dx, from dy = dL/dy; assigns `grads`."""
        raise NotImplementedError(f"{type(self).__name__} needs backward(self, dy)")

    def compute_mask(self, x, mask=None):
        """The mask of y, bool, from x and its mask: the same one while y keeps the axes that it has; None: no mask."""
        return masks.kept(mask, self.input_shape, self.output_shape)

    def flops(self):
        """Floating-point operations of one sample's forward; one an output element unless a layer knows better."""
        return sum(int(np.prod(shape, dtype=np.int64)) for shape in node.shapes_of(self.output_shape))

    # ---- what it uses

    def add_weight(self, shape, initializer, name, trainable=True, regularizer=None, constraint=None):
        """Declare a weight; `trainable=False` puts it into `state`. The store allocates all of them at once."""
        rules = regularizer or self.rule_of(name, "regularizer"), constraint or self.rule_of(name, "constraint")
        self.declared.append(Declared(name, tuple(shape), initializers.get(initializer), trainable, *rules))

    def buffer(self, name, shape, dtype=None):
        """An uninitialised array, nobody else's while anyone refers to it: in reused memory inside fit and predict."""
        return self._take(id(self), name, shape, dtype)

    def scratch(self, name, shape, dtype=None):
        """Like `buffer`, but shared by all layers: valid inside this call only."""
        return self._take(None, name, shape, dtype)

    def inplace(self, name, dy):
        """Where to write a result of dy's shape: over dy itself where `may_overwrite`, else and by hand a buffer."""
        return self.over(name, dy) if self.may_overwrite else self.buffer(name, dy.shape)

    def over(self, name, own):
        """Where backward writes what takes the place of an array of this layer's own: over it inside fit, where a
        forward comes before each backward; by hand, and where the workspace says `again`, backward may be called again:
        a buffer."""
        workspace = devices.current_workspace()
        return self.buffer(name, own.shape) if workspace is None or workspace.again else own

    def save(self, *values):
        """Keep what `backward` needs; the last act of a training forward."""
        if (workspace := devices.current_workspace()) is None:
            self._saved = values
        else:
            workspace.saved[id(self)] = values

    def saved(self):
        """What the last training forward saved: the value, or the tuple of several."""
        workspace = devices.current_workspace()
        values = self._saved if workspace is None else workspace.saved.get(id(self))
        if values is None:
            raise RuntimeError(f"{self.name}: call forward(x, training=True) before backward")
        return values[0] if len(values) == 1 else values

    def forget(self):
        """Drop what was saved; an inference forward calls it, and a model's step after backward."""
        if (workspace := devices.current_workspace()) is None:
            self._saved = None
        else:
            workspace.saved.pop(id(self), None)

    def random_key(self, purpose):
        """Key of this layer's random numbers for one purpose: (seed, place in the model, purpose)."""
        return random.key(self.store.seed, self.place, purpose)

    # ---- how it is called

    def __call__(self, x, training=None, mask=None):
        """Check x, then `forward`; of a node (`layers.Input`) or several, a node: training=False holds in `fit` too."""
        if node.is_symbolic(x) or hasattr(training, "shape"):  # the latter raises
            return node.call(self, x, node.demand_plain(self, training, mask))
        if self.store is None:
            raise RuntimeError(f"{self.name} has no weights yet; call layer.init(input_shape) or put it into a model")
        self.check(x)
        masks.check(self.name, mask, x, self.masks_pairs)
        return masks.forward(self, x, bool(training), mask)[0]

    def check(self, x, expected=None):
        """Raise where x is not what this layer was built for: samples of its `input_shape`, or of another expected."""
        on_host = isinstance(x, np.ndarray)
        if not on_host or self.device.driver is not None:
            self.device.demand_own(x, self.name)
        self.check_shape(x.shape[1:], expected)
        if x.dtype != self.dtype and not self.reads_integers:
            raise TypeError(
                f"{self.name} works in {self.dtype}, got {x.dtype}; pass x.astype({self.dtype.name!r}), "
                f"or build the model with dtype={x.dtype.name!r}"
            )
        if on_host and not x.flags.c_contiguous:
            raise ValueError(f"{self.name} reads C-contiguous arrays; pass np.ascontiguousarray(x)")

    def check_shape(self, sample, expected=None):
        """Raise where this is not the shape of a sample that the layer was built for."""
        expected = self.input_shape if expected is None else expected
        if sample == expected:
            return
        if len(sample) != len(expected) or any(e not in (None, s) for e, s in zip(expected, sample)):
            wanted, came = (", ".join(["N", *("any" if s is None else str(s) for s in x)]) for x in (expected, sample))
            raise ValueError(
                f"{self.name} ({type(self).__name__}) was built for inputs of shape ({wanted}), got ({came}); "
                "reshape the data, or build a new model for this shape"
            )

    def init(self, input_shape, dtype="float32", seed=None, device="cpu"):
        """Build this layer alone, for samples of `input_shape`, on a store of its own; returns the layer."""
        self.build_once(tuple(input_shape))
        ParamStore(self.walk(), devices.get(device), dtype, random.draw_seed() if seed is None else seed).initialize()
        return self

    # ---- used by models

    def build_once(self, input_shape):
        """`build`, remembered; returns the output shape."""
        if self.input_shape is None:
            self.declared.clear()  # of an earlier build that failed
            self.output_shape = self.build(input_shape)
            self.input_shape = input_shape
        elif self.input_shape != input_shape:
            raise ValueError(
                f"{self.name} was built for samples of shape {self.input_shape}, got {input_shape}; "
                f"make a new layer for a new input shape{node.free_length(self.input_shape, input_shape)}"
            )
        return self.output_shape

    def walk(self):
        """This layer and, in a container, the layers inside it, in a fixed order."""
        yield self

    def attach(self, store, place):
        """Called by the store: where the weights are, and the layer's place in the model."""
        self.store, self.place, self.dtype = store, place, store.dtype
        self.device, self.k = store.device, store.device.kernels

    def variable(self, name):
        """The weight or state array of that name."""
        return self.params[name] if name in self.params else self.state[name]

    def add_penalties(self):
        """Add the penalties' gradients to `grads`, once after each backward by hand; returns the penalties' sum."""
        return penalties(penalized([self]), gradient=True)

    def count_params(self):
        """Number of parameters, trained or not, those of layers inside too."""
        return sum(int(np.prod(one.shape, dtype=np.int64)) for part in self.walk() for one in part.declared)

    def get_weights(self):
        """Host copies of the weights, in the order of `add_weight`, trained ones first in each layer of `walk`."""
        return [np.array(self.device.to_host(a)) for x in self.walk() for a in (*x.params.values(), *x.state.values())]

    def set_weights(self, weights):
        """Write the weights from host arrays in the order of `get_weights`."""
        arrays = [array for part in self.walk() for array in (*part.params.values(), *part.state.values())]
        expected, came = [array.shape for array in arrays], [np.shape(values) for values in weights]
        if expected != came:
            raise ValueError(f"{self.name} has weights of shapes {expected}, got {came}; nothing was written")
        for array, values in zip(arrays, weights):
            self.device.write(array, values)

    def _take(self, owner, name, shape, dtype):
        workspace, dtype = devices.current_workspace(), dtype or self.dtype
        try:
            if workspace is not None:
                return workspace.take(owner, name, shape, dtype)
            return devices.poison(self.device, self.device.alloc(shape, dtype))
        except MemoryError as error:
            raise devices.no_room(
                f"{self.name} ({type(self).__name__}), array {name!r}", shape, dtype, error
            ) from error
