"""The calls of layers in the description of a functional model of Keras 3."""

HOW = ("use_causal_mask", "return_attention_scores")
"""Arguments of a call there, of the layer here."""
ARRAYS = ("inputs", "sequences", "query", "value", "key", "initial_state")
"""Arguments of a call that are arrays, in their order."""
RECURRENT = ("RNN", "SimpleRNN", "LSTM", "GRU", "Bidirectional")
"""Layers in whose calls Keras writes `training=False` where nobody said so."""


def is_operation(entry):
    return ".ops" in (entry.get("module") or "")


def needed(config):
    """The layers that an output needs, and the inputs. Without the operations that make masks: in Keras they are part
    of the graph, here a layer hands its mask on by itself."""
    entries, names = {entry["name"]: entry for entry in config["layers"]}, set()
    left = [name for name, entry in entries.items() if not entry["inbound_nodes"]]
    left += [key[0] for key in keys_of(config["output_layers"])]
    while left:
        name = left.pop()
        if name not in names:
            names.add(name)
            left += [key[0] for call in entries[name]["inbound_nodes"] for key in read(entries[name], call)[0]]
            for call in entries[name]["inbound_nodes"]:
                mask = key_of(call["kwargs"].get("mask"))
                if mask and not is_operation(entries[mask[0]]):
                    raise ValueError(no_mask(name, mask[0]))
    wanted = [entries[name] for name in names]
    read_on = {key[0] for entry in wanted for call in entry["inbound_nodes"] for key in read(entry, call)[0]}
    for name in {key[0] for key in keys_of(config["input_layers"])} - read_on:
        if any(call["args"] and key_of(call["args"][0]) == (name, 0, 0) for call in _left_out(entries, names)):
            raise ValueError(no_mask(config["name"], name))
    return [entry for name, entry in entries.items() if name in names]


def _left_out(entries, names):
    """The calls of operations that no output needs: those that make masks."""
    return [call for name, one in entries.items() if name not in names for call in one["inbound_nodes"]]


def no_mask(name, maker):
    return (
        f"{name}: its mask is made by {maker}, and in npdl masks come from Embedding(mask_zero=True) or Masking, or "
        "with the data; leave mask= out of the Keras model's call"
    )


def order(config, entries):
    """The calls of `entries` (entry, number, keys of what it reads, several, fixed), each after those that it reads."""
    done = {(entry["name"], 0) for entry in entries if not entry["inbound_nodes"]}
    waiting = [
        (entry, place, *read(entry, call)) for entry in entries for place, call in enumerate(entry["inbound_nodes"])
    ]
    while waiting:
        left = []
        for one in waiting:
            if all(key[:2] in done for key in one[2]):
                done.add((one[0]["name"], one[1]))
                yield one
            else:
                left.append(one)
        if len(left) == len(waiting):
            raise ValueError(f"{config['name']}: {left[0][0]['name']} reads what no layer of this description makes")
        waiting = left


def read(entry, call):
    """(the arrays that a call reads, whether as a list, whether it is fixed to inference)"""
    given, kwargs = list(call["args"]), dict(call["kwargs"])
    if is_operation(entry):
        given = [one for one in given if not isinstance(one, (int, float))]  # the layer made of it has the number
    given += [kwargs.pop(name) for name in ARRAYS if kwargs.get(name) is not None]
    fixed = kwargs.get("training") is False and entry["class_name"] not in RECURRENT
    said = {name for name, value in kwargs.items() if value not in (None, False) and name not in (*HOW, "mask")}
    flat = [one for part in given for one in (part if isinstance(part, list) else [part])]
    keys = [key_of(one) for one in flat]
    if said or None in keys or not keys:
        what = f"with {', '.join(sorted(said))}" if said else f"on {[one for one, key in zip(flat, keys) if not key]}"
        raise ValueError(
            f"{entry['name']}: npdl cannot call {entry['class_name']} {what}; "
            "call it on arrays alone in the Keras model"
        )
    return keys, len(given) > 1 or isinstance(given[0], list), fixed


def key_of(one):
    """(layer, number of its call, place) of an array in a description, else None."""
    tensor = isinstance(one, dict) and one.get("class_name") == "__keras_tensor__"
    return tuple(one["config"]["keras_history"]) if tensor else None


def structure(described, of_key):
    """What `of_key` gives for each of `input_layers` or `output_layers`, nested as there."""
    if isinstance(described, dict):
        return {name: structure(one, of_key) for name, one in described.items()}
    if len(described) == 3 and isinstance(described[0], str):
        return of_key(tuple(described))
    return [structure(one, of_key) for one in described]


def keys_of(described):
    """A list of the keys in `input_layers` or `output_layers`."""
    keys = []
    structure(described, keys.append)
    return keys


def counted(key, config):
    """The key of an output: there Keras counts the calls of a functional model inside from 1, and else from 0."""
    inside = any(entry["name"] == key[0] and "input_layers" in entry["config"] for entry in config["layers"])
    return key[0], key[1] - inside, key[2]
