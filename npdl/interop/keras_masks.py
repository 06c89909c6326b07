"""Masks of Keras' models: whether each layer that reads one gets the same mask here as there.

Keras and npdl hand masks on by themselves, but not alike: in Keras Conv1D and its like, and `a + b`, lose them, and a
merging layer lets a step count that counts in one of its inputs. A model in which that makes other numbers is refused.

The state of an array is None, where it has no mask; where its mask comes from; or `Lost`: npdl has one, Keras another.
"""

from typing import NamedTuple

from npdl.interop import keras_calls as calls
from npdl.layers import masks
from npdl.layers.base import Layer

LOSING = (
    "AdaptiveAveragePooling", "AdaptiveMaxPooling", "AveragePooling", "CenterCrop", "Conv", "Cropping", "Depthwise",
    "EinsumDense", "MaxPooling", "Permute", "RMSNormalization", "Random", "RepeatVector", "Reshape", "Resizing",
    "Separable", "SpectralNormalization", "UpSampling", "ZeroPadding",
)  # fmt: skip
"""How the names of the classes begin that lose masks in Keras; not those that begin with KEEPING."""
KEEPING = ("ConvLSTM",)
MERGING = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate")
MAKING = ("NotEqual", "Any", "ConvertToTensor", "LogicalOr", "ExpandDims", "Concatenate", "Squeeze", "ZerosLike")
"""The operations of which Keras makes the masks of Embedding and Masking."""


class Lost(NamedTuple):
    """The state of an array whose mask Keras loses or changes at a layer, and npdl does not."""

    at: str


def check(entry, layer, states):
    """The states of what a layer or model makes of arrays with such states.

    Args:
        entry: its description.
        layer: what was made of it.
        states: a list.

    Raises:
        ValueError: a layer inside, or the loss, would read another mask than in Keras.
    """
    config = entry["config"]
    if "input_layers" in config:
        return _functional(config, layer.get_layer, states)
    if isinstance(config.get("layers"), list) and hasattr(layer, "layers"):
        inside = [one for one in config["layers"] if one["class_name"] != "InputLayer"]
        for one, made in zip(inside, layer.layers, strict=True):
            states = check(one, made, states[:1])
        return states
    return [_made(entry, layer, states)]


def check_whole(entry, model):
    """`check` of a whole model, whose outputs the loss reads."""
    if model.store is not None:
        for state in check(entry, model, [None] * 99):
            _demand_same("the loss", state)


def _functional(config, find, states):
    known = dict(zip(calls.keys_of(config["input_layers"]), states))
    for entry, place, keys, _, _ in calls.order(config, calls.needed(config)):
        name, given = entry["name"], [known.get(key) for key in keys]
        _demand_said(entry, entry["inbound_nodes"][place]["kwargs"].get("mask"), given, config)
        found = check(entry, find(name), given)
        if len(found) == 1 and found[0] == "here":
            found = [(entry["class_name"], keys[0])]
        known.update({(name, place, i): state for i, state in enumerate(found)})
    return [known.get(calls.counted(key, config)) for key in calls.keys_of(config["output_layers"])]


def _made(entry, layer, states):
    """The state of what a layer makes; "here" where the mask comes from it."""
    kind = entry["class_name"]
    if masks.takes_mask(layer) or hasattr(layer, "carry"):
        for state in states:
            _demand_same(entry["config"]["name"], state)
    if layer.makes_mask and kind in ("Embedding", "Masking"):
        return "here"
    if not any(states) or kind == "Dot":
        return None
    if kind in MERGING and not calls.is_operation(entry):
        if kind == "Concatenate" and entry["config"]["axis"] == 1 and len(layer.output_shape) > 1:
            whole = all(states) and not any(isinstance(state, Lost) for state in states)
            return ("Concatenate", tuple(states)) if whole else Lost(entry["config"]["name"])
        return states[0] if all(state == states[0] for state in states) else Lost(entry["config"]["name"])
    if not _kept(layer):
        return None
    losing = kind.startswith(LOSING) and not kind.startswith(KEEPING)
    return Lost(entry["config"]["name"]) if losing or calls.is_operation(entry) else states[0]


def _kept(layer):
    """Whether npdl may hand a mask of steps on through it: its default does where they are as many as before."""
    before, after = layer.input_shape, layer.output_shape
    if not isinstance(before[0], (int, type(None))) or not isinstance(after[0], (int, type(None))):
        return True  # of several arrays
    if type(layer).compute_mask is Layer.compute_mask:
        return 1 < len(after) >= len(before) and after[0] == before[0]
    return len(after) > 1


def _demand_same(name, state):
    if isinstance(state, Lost):
        raise ValueError(
            f"{name}: its mask is not Keras' one, which {state.at} loses or changes, and here hands on; "
            "leave mask_zero=True and Masking out of the Keras model, or have no such layer between"
        )


def _demand_said(entry, said, states, config):
    """Raise unless the mask that a call says is the one that its array has here."""
    entries = {one["name"]: one for one in config["layers"]}
    for mask, state in zip(said if isinstance(said, list) else [said], states):
        key = calls.key_of(mask)
        if key is not None and not isinstance(state, Lost) and not _is_from(key[0], state, entries):
            raise ValueError(calls.no_mask(entry["name"], key[0]))


def _is_from(name, state, entries):
    """Whether operations make the mask of that state: x ≠ 0 of Embedding(mask_zero=True), any(x ≠ v) of Masking."""
    left, compared = [name], []
    while left:
        maker = entries[left.pop()]
        if maker["class_name"] not in MAKING or not calls.is_operation(maker):
            return False
        keys = calls.read(maker, {**maker["inbound_nodes"][0], "kwargs": {}})[0]
        if maker["class_name"] == "NotEqual":
            compared += keys
        else:
            left += [key[0] for key in keys if calls.is_operation(entries[key[0]])]
    return state is not None and (state[0] != "Embedding" or set(compared) == {state[1]})
