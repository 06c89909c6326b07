"""Models as files: `.npdl` holds the layers as JSON and the arrays in safetensors layout."""

import inspect
import pathlib

from npdl import layers, losses, metrics, optimizers, schedules
from npdl.layers.configuration import PARTS
from npdl.models import archive

FORMAT = 1
_registered: dict[str, type] = {}
_models: dict[str, type] = {}


def model_class(cls):
    """Class decorator: files hold models of this class."""
    _models[cls.__name__] = cls
    return cls


def register(cls):
    """Class decorator: `load_model` finds your own layer, loss or metric by its class name.

    >>> import npdl
    >>> @npdl.register
    ... class Twice(npdl.layers.Layer):
    ...     def forward(self, x, training=False): return x + x
    ...     def backward(self, dy): return dy + dy
    """
    _registered[cls.__name__] = cls
    return cls


def described(layer, name):
    """`{"class_name", "config"}` of a layer under that name."""
    return {"class_name": type(layer).__name__, "config": {**layer.get_config(), "name": name}}


def layer_from_config(entry, custom_objects=None):
    """A layer from its `{"class_name", "config"}`."""
    return _from_config(entry, layers, custom_objects)


def _from_config(entry, module, custom_objects):
    """An object of npdl's `module`, or of the user's own class, from `{"class_name", "config"}`."""
    if entry is None or isinstance(entry, str):
        return entry
    name = entry["class_name"]
    own = {**_registered, **(custom_objects or {})}
    if name in own:
        found = own[name]
    elif name in _models:
        return _models[name].from_config(entry["config"], own)
    elif name in module.__all__:
        found = getattr(module, name)
    else:
        raise _unknown(name)
    if hasattr(found, "compile"):  # a model of yours
        return found.from_config(entry["config"], own)
    if entry["config"] is None:  # a function, or a class without configuration
        return found() if isinstance(found, type) else found
    config = {key: _inside(value, own) for key, value in entry["config"].items()}
    return found.from_config(config)


def _inside(value, own):
    """A layer's argument from its description: layers inside it, an activation or its like, or a plain value."""
    if isinstance(value, list) and value and all(isinstance(part, dict) and "class_name" in part for part in value):
        return [layer_from_config(part, own) for part in value]
    return _own_part(value, own)


def _own_part(value, own):
    """The user's own activation, initializer ... inside a layer's configuration; anything else as it is."""
    if isinstance(value, dict) and value.get("class_name") in own:
        return own[value["class_name"]](**value.get("config", {}))
    if isinstance(value, dict) and isinstance(value.get("class_name"), str) and "module" not in value:
        name = value["class_name"]
        if not any(hasattr(module, name) for module in (*PARTS.values(), optimizers, schedules)):
            raise _unknown(name)
    return value


def _unknown(name):
    return ValueError(
        f"this model uses a class {name!r} that is not npdl's; pass load_model(filepath, "
        f"custom_objects={{{name!r}: {name}}}), or decorate the class with @npdl.register"
    )


def _entry(part):
    """What `_from_config` reads: None or a name as it is, an object as class and arguments, a function as its name."""
    if part is None or isinstance(part, str):
        return part
    if inspect.isfunction(part):
        if part.__name__ == "<lambda>":
            raise ValueError("a lambda cannot be saved as a metric; define it as a function with a name")
        return {"class_name": part.__name__, "config": None}
    return {"class_name": type(part).__name__, "config": part.get_config() if hasattr(part, "get_config") else None}


def _compiled(model):
    """What `compile` was given, as plain values; None before it."""
    if model.optimizer is None:
        return None
    return {
        "optimizer": _entry(model.optimizer),
        "loss": _entries(model.loss_as_given()),
        "loss_weights": model.loss_weights,
        "metrics": _entries(model.metrics),
        "weighted_metrics": _entries(model.weighted_metrics),
        "check_gradients": model.check_gradients,
        "precision": model.precision,
        "loss_scale": None
        if model.loss_scale is None
        else {"config": model.loss_scale.get_config(), "state": model.loss_scale.get_state()},
    }


def _entries(parts):
    """`_entry` of one part, of each in a list, or of each in a dict by output."""
    if isinstance(parts, dict) and any(isinstance(name, tuple) for name in parts):
        return {
            "together": [[list(name) if isinstance(name, tuple) else name, _entries(x)] for name, x in parts.items()]
        }
    if isinstance(parts, dict):
        return {"by_output": {name: _entries(part) for name, part in parts.items()}}
    return [_entry(part) for part in parts] if isinstance(parts, (list, tuple)) else _entry(parts)


def _parts(entries, module, custom_objects):
    """What `_entries` described."""
    if isinstance(entries, dict) and "together" in entries:
        pairs = [(tuple(name) if isinstance(name, list) else name, part) for name, part in entries["together"]]
        return {name: _parts(part, module, custom_objects) for name, part in pairs}
    if isinstance(entries, dict) and "by_output" in entries:
        return {name: _parts(part, module, custom_objects) for name, part in entries["by_output"].items()}
    if isinstance(entries, list):
        return [_from_config(entry, module, custom_objects) for entry in entries]
    return _from_config(entries, module, custom_objects)


def _flat(parts):
    """Each part, of one, of a list, or of a dict by output."""
    if isinstance(parts, dict):
        return [one for part in parts.values() for one in _flat(part)]
    return list(parts) if isinstance(parts, (list, tuple)) else [parts]


def to_parts(model):
    """(header, tensors) of a model: plain values, and host arrays by group."""
    header = {
        "format": FORMAT,
        "class_name": type(model).__name__,
        "config": model.get_config(),
        "input_shape": model.input_shape,  # of a part of another model, which knows its own from there
        "step": {model.own_name(layer): layer.step for layer in model.walk() if layer.step},
        "compiled": _compiled(model),
    }
    tensors = {}
    if model.store is not None:
        tensors["weights"] = {model.path(weight): model.store.values(weight) for weight in model.weights()}
    if model.optimizer is not None:
        header["optimizer"], tensors["optimizer"] = {"iterations": 0}, {}
        if model.store is None or not (
            model.owner or model.outside()
        ):  # else it holds the state of another model's layers too
            header["optimizer"], tensors["optimizer"] = model.optimizer.get_state()
    return header, tensors


def custom_classes(model):
    """The user's own classes and metric functions in a model, by name."""
    parts = [part for layer in model.walk() for part in vars(layer).values() if hasattr(part, "get_config")]
    kinds = [
        x if inspect.isfunction(x) else type(x)
        for some in (model.walk(), parts, _flat(model.loss), _flat(model.metrics), _flat(model.weighted_metrics))
        for x in some
    ]
    return {kind.__name__: kind for kind in kinds if not kind.__module__.startswith(("npdl.", "builtins"))}


def from_parts(cls, header, tensors, custom_objects=None):
    """The model that `to_parts` took apart."""
    model = cls.from_config(header["config"], custom_objects)
    for layer in model.walk():
        layer.step = header["step"].get(model.own_name(layer), 0)
    if "weights" in tensors:
        if model.store is None:
            model.build(tuple(header["input_shape"]))
        _assign(model, tensors["weights"])
    compiled = header["compiled"]
    if compiled is not None:
        scale = compiled.get("loss_scale")
        model.compile(
            _from_config(compiled["optimizer"], optimizers, custom_objects),
            _parts(compiled["loss"], losses, custom_objects),
            compiled.get("loss_weights"),
            *(_parts(compiled[name], metrics, custom_objects) for name in ("metrics", "weighted_metrics")),
            check_gradients=compiled["check_gradients"],
            precision=compiled.get("precision"),
            loss_scale=None if scale is None else optimizers.LossScale(**scale["config"]),
        )
        if scale is not None:
            model.loss_scale.set_state(scale["state"])
        model.optimizer.set_state(header["optimizer"], tensors.get("optimizer", {}), model.store)
    return model


def _assign(model, values):
    """Write weights by path; nothing is written unless all names and shapes fit."""
    expected = {model.path(weight): weight for weight in model.weights()}
    if expected.keys() != values.keys():
        missing, unknown = sorted(expected.keys() - values.keys()), sorted(values.keys() - expected.keys())
        raise ValueError(
            f"the weights are another model's: missing {missing or 'none'}, unknown {unknown or 'none'}; "
            "nothing was loaded"
        )
    for path, weight in expected.items():
        if values[path].shape != weight.shape:
            raise ValueError(f"{path} has shape {weight.shape}, the file {values[path].shape}; nothing was loaded")
    for path, weight in expected.items():
        model.store.assign(weight, values[path])


def load_state(model, path):
    """Put a built, compiled model where another one was when `save_model` wrote the file."""
    header, tensors = read_model(path)
    _assign(model, tensors["weights"])
    for layer in model.walk():
        layer.step = header["step"].get(model.own_name(layer), 0)
    model.seed = model.store.seed = header["config"]["seed"]
    if model.optimizer is not None and header["compiled"] is not None:
        model.optimizer.set_state(header["optimizer"], tensors.get("optimizer", {}), model.store)
        if model.loss_scale is not None and header["compiled"].get("loss_scale"):
            model.loss_scale.set_state(header["compiled"]["loss_scale"]["state"])
        rate = header["compiled"]["optimizer"]["config"].get("learning_rate")
        if isinstance(rate, (int, float)):  # not a schedule, which the iterations drive
            model.optimizer.learning_rate = rate


def check_overwrite(path, overwrite):
    """Raise where a file is in the way that must not be replaced."""
    if not overwrite and pathlib.Path(path).exists():
        raise FileExistsError(f"{path} is there already; pass another filepath, or overwrite=True")


def save_model(model, path):
    """Write `to_parts(model)` to one file, moved into place when it is complete."""
    archive.write(path, *to_parts(model))


def read_model(path):
    """(header, tensors) from a file of `save_model`.

    Raises:
        ValueError: not a file that this version reads.
    """
    header, tensors = archive.read(path)
    if header.get("format") != FORMAT:
        raise ValueError(f"{path} has model format {header.get('format')!r}, this npdl reads {FORMAT}; update npdl")
    return header, tensors


def save_weights(model, path):
    """Write the weights alone, in safetensors layout."""
    archive.save_safetensors(path, {model.path(weight): model.store.values(weight) for weight in model.weights()})


def load_weights(model, path):
    """Read weights from a file of `save_weights` or `save_model`."""
    from zipfile import is_zipfile

    is_model = is_zipfile(path)
    _assign(model, read_model(path)[1]["weights"] if is_model else archive.load_safetensors(path))


def clone_model(model):
    """A new model of the same layers, seed and dtype; its weights are the initial ones, as in Keras."""
    return type(model).from_config(model.get_config(), custom_classes(model))


def load_model(filepath, custom_objects=None):
    """The model that `model.save(path)` wrote: layers, weights, optimizer and random state.

    Args:
        filepath: of the `.npdl` file.
        custom_objects: dict name -> your own classes; or decorate them with `@npdl.register`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: truncated, corrupted, not a model file, or a class that is not known.
    """
    header, tensors = read_model(filepath)
    name = header.get("class_name", "Sequential")
    known = {**_models, **_registered, **(custom_objects or {})}
    if name not in known:
        raise _unknown(name)
    return from_parts(known[name], header, tensors, custom_objects)
