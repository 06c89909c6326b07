"""Models as files: `.npdl` holds the layers as JSON and the arrays in safetensors layout."""

import inspect
import pathlib
import zipfile

from npdl import activations, initializers, layers, losses, metrics, optimizers, schedules
from npdl.models import archive

FORMAT = 1
_registered: dict[str, type] = {}


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
    elif name in module.__all__:
        found = getattr(module, name)
    else:
        raise _unknown(name)
    if entry["config"] is None:  # a function, or a class without configuration
        return found() if isinstance(found, type) else found
    config = {key: _inside(value, own) for key, value in entry["config"].items()}
    return found.from_config(config)


def _inside(value, own):
    """A layer's argument from its description: layers inside it, an activation, an initializer, or a plain value."""
    if isinstance(value, list) and value and all(isinstance(part, dict) and "class_name" in part for part in value):
        return [layer_from_config(part, own) for part in value]
    return _own_part(value, own)


def _own_part(value, own):
    """The user's own activation or initializer inside a layer's configuration; anything else as it is."""
    if isinstance(value, dict) and value.get("class_name") in own:
        return own[value["class_name"]](**value.get("config", {}))
    if isinstance(value, dict) and isinstance(value.get("class_name"), str) and "module" not in value:
        name = value["class_name"]
        if not any(hasattr(module, name) for module in (activations, initializers, optimizers, schedules)):
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
        "loss": _entry(model.loss),
        "metrics": [_entry(metric) for metric in model.metrics],
        "weighted_metrics": [_entry(metric) for metric in model.weighted_metrics],
        "check_gradients": model.check_gradients,
    }


def to_parts(model):
    """(header, tensors) of a model: plain values, and host arrays by group."""
    header = {
        "format": FORMAT,
        "config": model.get_config(),
        "step": {layer.name: layer.step for layer in model.walk() if layer.step},
        "compiled": _compiled(model),
    }
    tensors = {}
    if model.store is not None:
        tensors["weights"] = {weight.path: model.store.values(weight) for weight in model.store.weights}
    if model.optimizer is not None:
        header["optimizer"], tensors["optimizer"] = model.optimizer.get_state()
    return header, tensors


def custom_classes(model):
    """The user's own classes and metric functions in a model, by name."""
    parts = [part for layer in model.walk() for part in vars(layer).values() if hasattr(part, "get_config")]
    kinds = [
        x if inspect.isfunction(x) else type(x)
        for x in (*model.walk(), *parts, model.loss, *model.metrics, *model.weighted_metrics)
    ]
    return {kind.__name__: kind for kind in kinds if not kind.__module__.startswith(("npdl.", "builtins"))}


def from_parts(cls, header, tensors, custom_objects=None):
    """The model that `to_parts` took apart."""
    model = cls.from_config(header["config"], custom_objects)
    for layer in model.walk():
        layer.step = header["step"].get(layer.name, 0)
    if "weights" in tensors:
        _assign(model, tensors["weights"])
    compiled = header["compiled"]
    if compiled is not None:
        model.compile(
            _from_config(compiled["optimizer"], optimizers, custom_objects),
            _from_config(compiled["loss"], losses, custom_objects),
            *(
                [_from_config(metric, metrics, custom_objects) for metric in compiled[name]]
                for name in ("metrics", "weighted_metrics")
            ),
            check_gradients=compiled["check_gradients"],
        )
        model.optimizer.set_state(header["optimizer"], tensors.get("optimizer", {}), model.store)
    return model


def _assign(model, values):
    """Write weights by path; nothing is written unless all names and shapes fit."""
    expected = {weight.path: weight for weight in model.store.weights}
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
    archive.save_safetensors(path, {weight.path: model.store.values(weight) for weight in model.store.weights})


def load_weights(model, path):
    """Read weights from a file of `save_weights` or `save_model`."""
    is_model = zipfile.is_zipfile(path)
    _assign(model, read_model(path)[1]["weights"] if is_model else archive.load_safetensors(path))
