"""Models of Keras 3 as models of npdl: layers by their descriptions, called as they are there, with their weights."""

import json

from npdl import layers
from npdl.layers import node as nodes
from npdl.models import saving
from npdl.models.functional import Model
from npdl.models.network import Network
from npdl.models.sequential import Sequential

NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Classes of Keras that are called otherwise here."""
OPERATIONS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
"""What `a + b` and its like are in a description; the layers of these names do the same."""
WITH_NUMBER = {
    "Add": lambda number: (1, number), "Subtract": lambda number: (1, -number),
    "Multiply": lambda number: (number, 0), "TrueDivide": lambda number: (1 / number, 0),
}  # fmt: skip
"""scale and offset of the Rescaling that `a + 3` and its like are."""
HOW = ("use_causal_mask", "return_attention_scores")
"""Arguments of a call there, of the layer here."""
RECURRENT = ("RNN", "SimpleRNN", "LSTM", "GRU", "Bidirectional")
"""Layers in whose calls Keras writes `training=False` where nobody said so."""


def from_keras(model, custom_objects=None, *, seed=None):
    """A model of npdl from a Sequential or functional model of Keras 3: the same layers, names, calls and weights.

    Keras itself is not imported. What npdl does not have is refused by name, and nothing is left out in silence.

    Args:
        model: a model of Keras, which must be built; or its description, which holds no weights: `model.get_config()`,
            `model.to_json()` or `keras.saving.serialize_keras_object(model)`.
        custom_objects: dict name -> your own classes, as of `load_model`.
        seed: of the model; see `Sequential`.

    Returns:
        `Sequential` or `Model`, not compiled.

    Raises:
        TypeError: not a model of Keras, or one that is a class of its own and thus has no description.
        ValueError: a layer, an argument or an operation that npdl does not have.

    >>> described = {"class_name": "Sequential", "config": {"name": "net", "layers": [
    ...     {"class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "x"}},
    ...     {"class_name": "Dense", "config": {"name": "logits", "units": 3, "activation": "linear"}}]}}
    >>> from_keras(described, seed=0).output_shape
    (3,)
    """
    entry = _entry(model)
    made = _model(entry, custom_objects, seed)
    if hasattr(model, "get_weights"):
        _copy_weights(model, made)
    return made


def _entry(model):
    """{"class_name", "config"}"""
    if isinstance(model, str):
        try:
            model = json.loads(model)
        except ValueError:  # a path, perhaps: told below
            pass
    if hasattr(model, "get_config") and hasattr(model, "layers") and not isinstance(model, Network):
        model = model.get_config()
    if isinstance(model, dict) and "layers" in model:
        model = {"class_name": "Functional" if "input_layers" in model else "Sequential", "config": model}
    if not isinstance(model, dict) or "layers" not in (model.get("config") or ()):
        raise TypeError(
            f"from_keras takes a Sequential or functional model of Keras 3, or its description, got {model!r}; "
            "pass the model, e.g. keras.saving.load_model(path), model.get_config() or model.to_json()"
        )
    return model


def _model(entry, custom_objects, seed=None):
    config = entry["config"]
    given = {"name": config["name"], "seed": seed, "dtype": _dtype(config)}
    if "input_layers" in config:
        inputs, outputs = _wired(config, custom_objects)
        return Model(inputs, outputs, config.get("trainable", True), **given)
    made = Sequential([_layer(one, custom_objects) for one in config["layers"]], config.get("trainable", True), **given)
    if made.store is None and config.get("build_input_shape"):
        made.build(tuple(config["build_input_shape"][1:]))
    return made


def _dtype(config):
    """float64 where the model, or a layer in it, works so: a functional model's description does not say."""
    policy = config.get("dtype")
    policy = policy["config"].get("name") if isinstance(policy, dict) else policy
    inside = config["layers"] if isinstance(config.get("layers"), list) else ()
    return "float64" if "float64" in (policy, *(_dtype(one["config"]) for one in inside)) else "float32"


def _layer(entry, custom_objects, **how):
    """The layer, or model, of a description; `how` it is called where that is an argument here."""
    kind, config = entry["class_name"], entry["config"]
    if kind == "InputLayer":
        shape, dtype = tuple(config["batch_shape"][1:]), config.get("dtype")
        return layers.Input(shape, name=config["name"], dtype=dtype if str(dtype).startswith("int") else None)
    if isinstance(config.get("layers"), list) and kind in ("Sequential", "Functional", "Model"):
        return _model(entry, custom_objects)
    if _is_operation(entry):
        return _operation(entry)
    return saving.layer_from_config({"class_name": NAMES.get(kind, kind), "config": {**config, **how}}, custom_objects)


def _is_operation(entry):
    return ".ops" in (entry.get("module") or "")


def _operation(entry):
    """The layer that an operation on arrays is."""
    kind, name = entry["class_name"], entry["config"]["name"]
    numbers = [one for call in entry["inbound_nodes"] for one in call["args"] if isinstance(one, (int, float))]
    if kind in WITH_NUMBER and len(numbers) == 1 and _key(entry["inbound_nodes"][0]["args"][0]):
        return layers.Rescaling(*WITH_NUMBER[kind](numbers[0]), name=name)
    if kind in OPERATIONS and not numbers:
        return getattr(layers, kind)(name=name)
    on = f" on {numbers[0]}" if numbers else ""
    raise ValueError(f"{name}: npdl has no operation {kind}{on}; make it a layer of the Keras model")


def _wired(config, custom_objects):
    """(inputs, outputs) of a functional model: nodes, as they were given."""
    made, arrays, waiting = {}, {}, []
    for entry in _needed(config):
        name, calls = entry["name"], entry["inbound_nodes"]
        how = {key: call["kwargs"][key] for call in calls for key in HOW if call["kwargs"].get(key)}
        layer = made[name] = _layer({**entry, "config": {**entry["config"], "name": name}}, custom_objects, **how)
        if not calls:
            arrays[name, 0, 0] = layer.node
        waiting += [(name, place, *_read(entry, call)) for place, call in enumerate(calls)]
    while waiting:
        ready = [one for one in waiting if all(key in arrays for key in one[2])]
        if not ready:
            raise ValueError(f"{config['name']}: {waiting[0][0]} reads what no layer of this description makes")
        for name, place, keys, several, fixed in ready:
            given = [arrays[key] for key in keys]
            y = nodes.call(made[name], given if several else given[0], fixed)
            arrays.update(((name, place, i), one) for i, one in enumerate(y if isinstance(y, tuple) else (y,)))
        waiting = [one for one in waiting if one not in ready]
    return _structure(config["input_layers"], arrays.get), _structure(config["output_layers"], arrays.get)


def _needed(config):
    """The layers that an output needs, and the inputs. Without the operations that make masks: in Keras they are part
    of the graph, here a layer hands its mask on by itself."""
    entries, names = {entry["name"]: entry for entry in config["layers"]}, set()
    left = [name for name, entry in entries.items() if not entry["inbound_nodes"]]
    _structure(config["output_layers"], lambda key: left.append(key[0]))
    while left:
        name = left.pop()
        if name not in names:
            names.add(name)
            left += [key[0] for call in entries[name]["inbound_nodes"] for key in _read(entries[name], call)[0]]
            for call in entries[name]["inbound_nodes"]:
                mask = _key(call["kwargs"].get("mask"))
                if mask and not _is_operation(entries[mask[0]]):
                    raise ValueError(
                        f"{name}: its mask is made by {mask[0]}, and in npdl masks come from Embedding(mask_zero=True) "
                        "or Masking, or with the data; leave mask= out of the Keras model's call"
                    )
    return [entry for name, entry in entries.items() if name in names]


def _read(entry, call):
    """(the arrays that a call reads, whether as a list, whether it is fixed to inference)"""
    given, kwargs = list(call["args"]), dict(call["kwargs"])
    if _is_operation(entry):
        given = [one for one in given if not isinstance(one, (int, float))]  # `_operation` has read it
    given += [kwargs.pop(name) for name in ("value", "key", "initial_state") if kwargs.get(name) is not None]
    fixed = kwargs.pop("training", None) is False and entry["class_name"] not in RECURRENT
    said = {name for name, value in kwargs.items() if value not in (None, False) and name not in (*HOW, "mask")}
    flat = [one for part in given for one in (part if isinstance(part, list) else [part])]
    keys = [_key(one) for one in flat]
    if said or None in keys or not keys:
        what = f"with {', '.join(sorted(said))}" if said else f"on {[one for one, key in zip(flat, keys) if not key]}"
        raise ValueError(
            f"{entry['name']}: npdl cannot call {entry['class_name']} {what}; "
            "call it on arrays alone in the Keras model"
        )
    return keys, len(given) > 1 or isinstance(given[0], list), fixed


def _key(one):
    """(layer, number of its call, place) of an array in a description, else None."""
    tensor = isinstance(one, dict) and one.get("class_name") == "__keras_tensor__"
    return tuple(one["config"]["keras_history"]) if tensor else None


def _structure(described, node_of):
    """What `node_of` gives for each of `input_layers` or `output_layers`, nested as there."""
    if isinstance(described, dict):
        return {name: _structure(one, node_of) for name, one in described.items()}
    if len(described) == 3 and isinstance(described[0], str):
        return node_of(tuple(described))
    return [_structure(one, node_of) for one in described]


def _copy_weights(theirs, ours):
    """Layer by layer, by name: the two libraries need not hold them in one order."""
    for layer in theirs.layers:
        mine = ours.get_layer(layer.name) if layer.weights else None
        if isinstance(mine, Network):
            _copy_weights(layer, mine)
        elif mine is not None:
            mine.set_weights(layer.get_weights())
