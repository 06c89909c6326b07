"""Models of Keras 3 as models of npdl: layers by their descriptions, called as they are there, with their weights."""

import json
import types

from npdl import layers
from npdl.interop import keras_calls as calls
from npdl.interop import keras_masks
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
NUMBER_FIRST = {**WITH_NUMBER, "Subtract": lambda number: (-1, number), "TrueDivide": None}
"""Of `3 - a` and its like; `3 / a` is none."""


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
    living = hasattr(model, "get_weights")
    if living:
        _demand_own_code(model, custom_objects or {})
    made = _model(entry, custom_objects, seed)
    keras_masks.check_whole(entry, made)
    if living:
        _copy_weights(model, made, {})
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
    names = [one["config"]["name"] for one in config["layers"]]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"{config['name']}: npdl's Sequential has each layer once, got {twice[0]} again; make it a functional model"
        )
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
    _demand_known(entry, custom_objects or {})
    if isinstance(config.get("layers"), list) and kind in ("Sequential", "Functional", "Model"):
        return _model(entry, custom_objects)
    if calls.is_operation(entry):
        return _operation(entry)
    return saving.layer_from_config({"class_name": NAMES.get(kind, kind), "config": {**config, **how}}, custom_objects)


def _demand_known(entry, custom_objects):
    """Raise where a description does not say all that a layer does, or npdl's layer of that name does another thing."""
    kind, config = entry["class_name"], entry["config"]
    module = entry.get("module") or "keras"
    if kind not in custom_objects and module != "keras" and not module.startswith("keras."):
        raise ValueError(
            f"{config.get('name', kind)}: {kind} of {module} is a class of your own; write it as a layer of npdl and "
            f"pass custom_objects={{{kind!r}: {kind}}}"
        )
    if kind == "Lambda" and kind not in custom_objects:
        raise ValueError(
            f"{config['name']}: npdl does not run the code of Keras' Lambda; write it as a layer, or pass "
            'custom_objects={"Lambda": ...}, a class that makes the npdl layer for it'
        )
    if kind == "SpectralNormalization" and kind not in custom_objects:
        raise ValueError(
            f"{config['name']}: outside of training Keras' SpectralNormalization takes the kernel as it is, npdl's "
            "divides it by σ; to have that, pass custom_objects={'SpectralNormalization': "
            "npdl.layers.SpectralNormalization}"
        )
    around = config.get("layer")
    if isinstance(around, dict) and "layers" in (around.get("config") or ()):
        raise ValueError(
            f"{config['name']}: npdl's {kind} goes around a layer, not around a model of Keras; in the Keras model put "
            "one around each layer of it"
        )


def _operation(entry):
    """The layer that an operation on arrays is."""
    kind, name = entry["class_name"], entry["config"]["name"]
    numbers = [one for call in entry["inbound_nodes"] for one in call["args"] if isinstance(one, (int, float))]
    first = not calls.key_of(entry["inbound_nodes"][0]["args"][0])
    made_of = (NUMBER_FIRST if first else WITH_NUMBER).get(kind)
    if made_of and len(numbers) == 1:
        return layers.Rescaling(*made_of(numbers[0]), name=name)
    if kind in OPERATIONS and not numbers:
        return getattr(layers, kind)(name=name)
    on = f" on {numbers[0]}" if numbers else ""
    raise ValueError(f"{name}: npdl has no operation {kind}{on}; make it a layer of the Keras model")


def _wired(config, custom_objects):
    """(inputs, outputs) of a functional model: nodes, as they were given."""
    made, arrays, entries = {}, {}, calls.needed(config)
    for entry in entries:
        name, said = entry["name"], [call["kwargs"] for call in entry["inbound_nodes"]]
        hows = [{key: one[key] for key in calls.HOW if one.get(key)} for one in said] or [{}]
        if any(how != hows[0] for how in hows):
            raise ValueError(
                f"{name}: npdl calls a layer in one way, got {' and '.join(map(str, hows))} for its calls; "
                "make it two layers in the Keras model"
            )
        made[name] = _layer({**entry, "config": {**entry["config"], "name": name}}, custom_objects, **hows[0])
        if not said:
            arrays[name, 0, 0] = made[name].node
    for entry, place, keys, several, fixed in calls.order(config, entries):
        name, given = entry["name"], [arrays[key] for key in keys]
        y = nodes.call(made[name], given if several else given[0], fixed)
        arrays.update(((name, place, i), one) for i, one in enumerate(y if isinstance(y, tuple) else (y,)))
    outputs = calls.structure(config["output_layers"], lambda key: arrays[calls.counted(key, config)])
    return calls.structure(config["input_layers"], arrays.get), outputs


def _copy_weights(theirs, ours, found):
    """Layer by layer, by name: the two libraries need not hold them in one order. `found` has whose each weight is."""
    for layer in theirs.layers:
        mine = ours.get_layer(layer.name) if layer.weights else None
        if isinstance(mine, Network):
            _copy_weights(layer, mine, found)
        elif mine is not None:
            for weight in layer.weights:
                if found.setdefault(id(weight), mine) is not mine:
                    raise ValueError(
                        f"{layer.name} has a weight of {found[id(weight)].name} too, and only one model's layer can be "
                        "shared, by calls in that functional model; share it so in the Keras model"
                    )
            order = sorted(range(len(layer.weights)), key=lambda i: layer.weights[i].name != "vector_u")
            values = layer.get_weights()
            mine.set_weights([values[i] for i in order])  # u of SpectralNormalization first, the others as they are


def _demand_own_code(model, custom_objects):
    """Raise where a model's class, or a function in a layer, is the user's, and the description does not tell."""
    caller = next(kind for kind in type(model).__mro__ if "call" in vars(kind))
    if not caller.__module__.startswith("keras."):
        raise TypeError(
            f"from_keras takes a Sequential or functional model of Keras 3, got {type(model).__name__}, whose call is "
            "its own; write what it does with layers, or pass its parts one by one"
        )
    for layer in model.layers:
        kind = type(layer)
        if kind.__name__ in custom_objects:
            continue
        if not kind.__module__.startswith("keras.") and kind.__name__ in layers.__all__:
            raise ValueError(
                f"{layer.name}: this {kind.__name__} is a class of your own; write it as a layer of npdl and pass "
                f"custom_objects={{{kind.__name__!r}: {kind.__name__}}}"
            )
        if hasattr(layer, "layers"):
            _demand_own_code(layer, custom_objects)
        for part in layer._flatten_layers():
            for key in ("activation", "recurrent_activation"):
                one = getattr(part, key, None)
                if isinstance(one, types.FunctionType) and not one.__module__.startswith("keras."):
                    raise ValueError(
                        f"{layer.name}: {key} is a function of your own, {one.__name__}, of which a description has "
                        "the name alone; take one of keras.activations"
                    )
