"""Wiring: which calls lie between nodes, the layers in them and their names, and all of it as plain values."""

from npdl.layers import Input
from npdl.layers import node as nodes
from npdl.models import saving


class Structure:
    """Nodes as they were given: one, or a list, tuple or dict of them.

    Args:
        given: those.
        argument: its name, for errors.

    Attributes:
        nodes: the nodes in order; `keys` their names where it is a dict.
        kind: list, tuple, dict, or None for one.
    """

    def __init__(self, given, argument):
        self.kind = type(given) if isinstance(given, (list, tuple, dict)) else None
        self.keys = list(given) if self.kind is dict else None
        parts = list(given.values()) if self.kind is dict else list(given) if self.kind else [given]
        self.nodes = [nodes.as_node(part) for part in parts]
        if None in self.nodes or not self.nodes:
            stray = parts[self.nodes.index(None)] if parts else given
            example = "x = layers.Input((4,))" if argument == "inputs" else "layers.Dense(1)(x)"
            raise TypeError(f"Model takes nodes as {argument}, got {stray!r}; a node is e.g. {example}")

    def restored(self, values):
        """A list of values, one for each node, in the form that was given."""
        if self.kind is None:
            return values[0]
        return dict(zip(self.keys, values, strict=True)) if self.kind is dict else self.kind(values)

    def ordered(self, value, where):
        """A list of the values in the order of the nodes.

        Raises:
            ValueError: another number of them, or other keys.
        """
        count = len(self.nodes)
        if isinstance(value, dict) and self.kind is dict:
            if set(value) != set(self.keys):
                raise ValueError(f"{where} is a dict of {', '.join(value)}, expected {', '.join(self.keys)}")
            return [value[key] for key in self.keys]
        if isinstance(value, (list, tuple)) and (count > 1 or self.kind is not None):
            if len(value) != count:
                raise ValueError(
                    f"{where} has {len(value)} parts, the model has {count}; pass a list with one for each"
                )
            return list(value)
        if count > 1:
            kind = type(value).__name__
            raise ValueError(f"{where} is one {kind}, the model has {count} of them; pass a list with one for each")
        return [value]


def steps(inputs, outputs):
    """The calls between nodes, in the order in which they were made.

    Raises:
        ValueError: an output needs an input that is not there, or an input is not needed.
    """
    found, used, todo = set(), set(), list(outputs)
    while todo:
        one = todo.pop()
        if one in inputs:
            used.add(one)
        elif not one.call.inputs:
            known = ", ".join(repr(node.name) for node in inputs)
            raise ValueError(
                f"the graph is disconnected: the outputs need {one.name!r}, an Input of shape {one.shape}, and inputs "
                f"holds {known}; pass inputs=[..., {one.name}] too"
            )
        elif one.call not in found:
            found.add(one.call)
            todo += one.call.inputs
    for one in inputs:
        if one not in used:
            raise ValueError(
                f"the graph is disconnected: no output needs the input {one.name!r} of shape {one.shape}; leave it out"
            )
    return sorted(found, key=lambda call: call.number)


def layers_of(calls, inputs, outputs):
    """The layers in Keras' order, which is that of the weights: by their distance from the outputs, the farthest first.

    Layers equally far away come in the order in which one meets them going back from the outputs.
    """
    order, postorder, inside = [], [], set(calls)

    def visit(one):
        if one.layer not in order:
            order.append(one.layer)
        if one.call not in postorder and (one.call in inside or one in inputs):
            if one not in inputs:
                for before in one.call.inputs:
                    visit(before)
            if one.call not in postorder:
                postorder.append(one.call)

    for one in outputs:
        visit(one)
    depth, of_layer = {}, {}
    for call in reversed(postorder):
        depth[call] = max(depth.get(call, 0), of_layer.get(call.layer, 0))
        of_layer[call.layer] = depth[call]
        for before in call.inputs if call in inside else ():
            depth[before.call] = max(depth.get(before.call, 0), depth[call] + 1)
    mine = {call.layer for call in calls} | {one.layer for one in inputs if isinstance(one.layer, Input)}
    return sorted((layer for layer in order if layer in mine), key=lambda layer: -of_layer[layer])


def names(structure):
    """A name for each node: its key in the dict, else that of its layer; the second of a name gets a number."""
    if structure.keys is not None:
        return [str(key) for key in structure.keys]
    found: list[str] = []
    for one in structure.nodes:
        name, count = one.name, 0
        while name in found:
            count += 1
            name = f"{one.name}_{count}"
        found.append(name)
    return found


def take_in(model):
    """Give the layers of a graph names and an owner; those of other models keep theirs as far as they differ.

    Raises:
        ValueError: two layers of one name, a layer that is inside another layer.
    """
    taken: set[str] = set()
    for layer in sorted(model.layers, key=lambda layer: layer.owner is None):
        owner = layer.owner
        if owner is not None and not hasattr(owner, "compile"):
            raise ValueError(f"{layer.name} is inside {owner.name}; call {owner.name} itself, or copy.deepcopy(layer)")
        if hasattr(layer, "demand_forward"):
            layer.demand_forward()
        if layer.name in taken and layer.given_name is not None and owner is None:
            raise ValueError(f"two layers are named {layer.name!r}; give one of them another name=")
        base, count = layer.name, 0
        while layer.name in taken:
            count += 1
            layer.name = f"{base}_{count}"
        taken.add(layer.name)
        if hasattr(layer, "held_by"):
            layer.held_by(model)
        elif owner is None:
            for part in layer.walk():
                if part is not layer and "/" not in part.name:
                    part.name = f"{layer.name}/{part.name}"
            layer.owner, layer.may_overwrite = model, True


def reads_integers(one, calls):
    """Whether whole numbers are to be put in at a node: it says so, or a layer that reads it does."""
    if isinstance(one.layer, Input) and one.layer.reads_integers:
        return True
    for call in calls:
        for place, read in enumerate(call.inputs):
            says = call.layer.reads_integers
            if read is one and (says[place] if isinstance(says, list) else says):
                return True
    return False


# ---- as plain values


def described(model):
    """The layers, and which of them is called on what: arrays are numbered, the inputs first, then what calls make."""
    places = {one: place for place, one in enumerate(model.input_nodes)}
    calls = []
    for call in model.steps:
        name = model.own_name(call.layer)
        calls.append({"layer": name, "inputs": [places[one] for one in call.inputs], "several": call.several})
        if call.fixed:
            calls[-1]["training"] = False
        for one in call.outputs:
            places[one] = len(places)
    ins, outs = model._structures
    return {
        "layers": [saving.described(layer, model.own_name(layer)) for layer in model.layers],
        "inputs": [{"name": model.own_name(one.layer), "shape": one.shape} for one in model.input_nodes],
        "calls": calls,
        "outputs": [places[one] for one in model.output_nodes],
        "kinds": [part.kind and part.kind.__name__ for part in (ins, outs)],
        "keys": [part.keys for part in (ins, outs)],
    }


def rewired(config, custom_objects=None):
    """(inputs, outputs) of new layers, called as `described` says."""
    made = {entry["config"]["name"]: saving.layer_from_config(entry, custom_objects) for entry in config["layers"]}
    arrays = []
    for one in config["inputs"]:
        known = made.get(one["name"])
        layer = known if isinstance(known, Input) else Input(tuple(one["shape"]), name=f"{one['name']}_input")
        arrays.append(layer.node)
    for call in config["calls"]:
        given = [arrays[place] for place in call["inputs"]]
        y = nodes.call(made[call["layer"]], given if call["several"] else given[0], call.get("training") is False)
        arrays += y if isinstance(y, tuple) else [y]
    parts = arrays[: len(config["inputs"])], [arrays[place] for place in config["outputs"]]
    return tuple(map(_as_given, parts, config["kinds"], config["keys"]))


def _as_given(parts, kind, keys):
    if kind is None:
        return parts[0]
    return dict(zip(keys, parts, strict=True)) if kind == "dict" else tuple(parts) if kind == "tuple" else parts


# ---- checks of calls by hand


def check_dtypes(model, xs):
    """Raise where an input does not lie on the model's device, is not of its dtype, or not C-contiguous."""
    for name, one, x in zip(model.input_names, model.input_nodes, xs, strict=True):
        model.device.demand_own(x, f"{model.name}: input {name!r}")
        if x.dtype != model.dtype and not reads_integers(one, model.steps):
            raise TypeError(
                f"{model.name}: input {name!r} works in {model.dtype}, got {x.dtype}; "
                f"pass x.astype({model.dtype.name!r}), or build the model with dtype={x.dtype.name!r}"
            )
        if getattr(x, "flags", None) is not None and not x.flags.c_contiguous:
            raise ValueError(f"{model.name}: input {name!r} must be C-contiguous; pass np.ascontiguousarray(x)")


def check_gradients(model, dys):
    """Raise where what is given to `backward` by hand is not a gradient of the outputs."""
    for name, shape, dy in zip(model.output_names, model.output_shapes, dys, strict=True):
        if dy is None:
            continue
        wanted = f"({', '.join(['N', *map(str, shape)])})"
        came = tuple(dy.shape) if hasattr(dy, "shape") else type(dy).__name__
        if not hasattr(dy, "shape") or len(came) != len(shape) + 1:
            fits = False
        else:
            fits = all(e in (None, s) for e, s in zip(shape, came[1:], strict=True))
        if not fits:
            raise ValueError(
                f"{model.name}: backward takes dL/dy of shape {wanted} for the output {name!r}, got {came}; "
                "pass what loss.backward() gives, or None for zero"
            )
        model.device.demand_own(dy, f"{model.name}: backward, output {name!r},")
        if dy.dtype != model.dtype:
            raise TypeError(
                f"{model.name}: backward takes dL/dy in {model.dtype} for the output {name!r}, got {dy.dtype}; "
                f"pass dy.astype({model.dtype.name!r})"
            )
