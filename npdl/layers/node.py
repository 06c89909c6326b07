"""Nodes: what a layer gives when it is called on nodes instead of arrays; models are made of them.

    x = layers.Input((4,));  h = layers.Dense(8)(x);  y = layers.Dense(1)(h);  model = npdl.Model(x, y)

Nothing is computed then: a node knows the shape of one sample, and the call that it comes from.
"""

import itertools

from npdl.layers import mode

_numbers = itertools.count()


class Call:
    """One call of a layer on nodes.

    Attributes:
        layer: the layer.
        inputs: the nodes that it reads; `several` says whether as a tuple, or the only one.
        outputs: the nodes that it makes; `many` says whether as a tuple, or the only one.
        fixed: whether training=False was given: it does what inference does, in training too.
        number: calls are counted; those with a smaller one came first.
    """

    def __init__(self, layer, inputs, several, shapes, many, fixed=False):
        self.fixed = fixed
        self.layer, self.inputs, self.several, self.many = layer, tuple(inputs), several, many
        self.number = next(_numbers)
        self.outputs = tuple(Node(self, place, shape) for place, shape in enumerate(shapes))


class Node:
    """A symbolic array: output `place` of a call; `shape` is that of one sample, None stands for any length."""

    def __init__(self, call, place, shape):
        self.call, self.place, self.shape = call, place, tuple(shape)

    @property
    def layer(self):
        """The layer that it comes from."""
        return self.call.layer

    @property
    def name(self):
        """Of that layer."""
        return self.call.layer.name

    def __repr__(self):
        return f"<Node {self.name} {self.shape}>"


def as_node(x):
    """A node for a node or an `Input` layer; None for anything else."""
    return x if isinstance(x, Node) else getattr(x, "node", None)


def is_symbolic(x):
    """Whether x is a node, or a list or tuple with one in it."""
    if isinstance(x, (list, tuple)):
        return any(map(is_symbolic, x))
    return as_node(x) is not None


def call(layer, x, fixed=False):
    """What `layer` makes of nodes: a node, or a tuple of them; `fixed` as of `Call`.

    Raises:
        TypeError: something among them is no node.
        ValueError: the layer does not take samples of such shapes.
    """
    several = isinstance(x, (list, tuple))
    nodes = [as_node(one) for one in (x if several else [x])]
    if None in nodes:
        stray = x[nodes.index(None)]
        raise TypeError(
            f"{layer.name} is called on nodes and on {type(stray).__name__}; call it on nodes alone (a model is made "
            "of them), or on arrays alone"
        )
    shapes = tuple(node.shape for node in nodes)
    made = layer.build_once(shapes if several else shapes[0])
    many = has_several(made)
    done = Call(layer, nodes, several, made if many else [made], many, fixed)
    layer.calls.append(done)
    return done.outputs if many else done.outputs[0]


def demand_plain(layer, training, mask=None):
    """Whether a call on nodes is fixed to inference: by training=False.

    Raises:
        TypeError: a second input in the place of `training`; of nodes, training=True or a mask.
    """
    if is_symbolic(training) or hasattr(training, "shape"):
        raise TypeError(
            f"{layer.name}(x, training) got a second input in the place of training; pass several inputs as a list, "
            f"e.g. {layer.name}([query, value])"
        )
    if mask is not None or training:
        raise TypeError(
            f"{layer.name} is called on nodes: `fit` and `predict` say later whether it trains, masks come with "
            f"the data; call {layer.name}(x), or {layer.name}(x, training=False) to have it do always what it does "
            "in inference. For random numbers in inference call the model on arrays: model(x, training=True)"
        )
    return training is not None


def has_several(shape):
    """Whether this is a tuple of shapes, not one."""
    return isinstance(shape, (list, tuple)) and any(isinstance(part, (list, tuple)) for part in shape)


def free_length(built, came):
    """What helps where sequences differ in their length alone, for an error."""
    free = not has_several(built) and not has_several(came) and len(built) == len(came) > 0
    if not free or tuple(built[1:]) != tuple(came[1:]):
        return ""
    return f", or call it on sequences of any length: layers.Input({(None, *built[1:])})"


def shapes_of(shape):
    """A list of the shapes: of one, or of each in a tuple."""
    return list(shape) if has_several(shape) else [shape]


class Symbolic(mode.Moded):
    """What a layer has of its calls on nodes: `calls`, `input`, `output`."""

    owner = None

    @property
    def input(self):
        """The node (or tuple of nodes) that the layer reads."""
        done = self._only_call("input")
        return done.inputs if done.several else done.inputs[0]

    @property
    def output(self):
        """The node (or tuple of nodes) that the layer makes: `npdl.Model(model.inputs, layer.output)` reads it out."""
        done = self._only_call("output")
        return done.outputs if done.many else done.outputs[0]

    def _only_call(self, what):
        if not self.calls and hasattr(self.owner, "trace"):
            self.owner.trace()
        if len(self.calls) != 1:
            often = f"was called {len(self.calls)} times" if self.calls else "was not called on a node yet"
            fix = "take it from one of layer.calls" if self.calls else "call it, e.g. layer(layers.Input(shape))"
            raise AttributeError(f"{self.name} {often}, so it has no {what} of its own; {fix}")
        return self.calls[0]
