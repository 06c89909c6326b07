"""What a layer's configuration holds: plain values, as `get_config` writes them here and in Keras 3.

Keras writes initializers as `{"module", "class_name", "config", "registered_name"}`, activations as names, `dtype` as a
name or an object, and arguments that a layer here may not take. `read` makes of it what `__init__` takes.
"""

import inspect

from npdl import activations, constraints, initializers, regularizers
from npdl.penalties import rule_names

OF_THE_BASE = ("name", "trainable", "input_shape")
NOTHING = {
    "data_format": (None, "channels_last"), "keepdims": (False,), "synchronized": (False,), "sparse": (False,),
    "input_length": (None,), "lora_rank": (None,), "lora_alpha": (None,), "quantization_config": (None,),
    "renorm": (False,), "renorm_clipping": (None,), "renorm_momentum": (0.99,), "rms_scaling": (False,),
    "use_gate": (False,), "sliding_window": (None,),
}  # fmt: skip
"""Arguments of Keras' layers that a layer here may not have, and the values of them that ask for nothing."""
NOTHING_BY_ENDING = {"_regularizer": (None,), "_constraint": (None,)}
ONCE = {"OrthogonalInitializer": "Orthogonal"}
"""Names that classes had in earlier versions of Keras 3."""


PARTS = {
    activations.Activation: activations, constraints.Constraint: constraints, initializers.Initializer: initializers,
    regularizers.Regularizer: regularizers,
}  # fmt: skip
"""Base classes of the objects that a layer takes, and the modules of them."""
OBJECTS = tuple(PARTS)


def plain(value):
    """An argument as a configuration holds it."""
    for kind, module in PARTS.items():
        value = module.serialize(value) if isinstance(value, kind) else value
    return value


def read(cls, config):
    """The arguments of a layer class from a configuration of ours or of Keras'.

    Raises:
        ValueError: an argument asks for something that this layer has not, or an object that is not npdl's.
        TypeError: no layer of Keras has such an argument.
    """
    where, found = f"{cls.__name__}.from_config", {}
    parameters = inspect.signature(cls).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    own = not cls.__module__.startswith("npdl.")
    for key, value in config.items():
        nothing = next((some for end, some in NOTHING_BY_ENDING.items() if key.endswith(end)), NOTHING.get(key))
        if key in parameters or key in OF_THE_BASE or key in rule_names(cls):
            found[key] = _value(where, key, value)
        elif key == "dtype":
            _demand_dtype(where, value)
        elif nothing is not None:
            if not any(value is some or value == some for some in nothing):
                raise ValueError(
                    f"{where}: npdl's {cls.__name__} has no {key}, got {key}={value!r}; "
                    f"make it {nothing[0]!r}, or write a layer of your own"
                )
        elif own and open_ended:
            found[key] = value
        else:
            takes = ", ".join(name for name in parameters if parameters[name].kind is not inspect.Parameter.VAR_KEYWORD)
            raise TypeError(f"{where}: unknown argument {key}={value!r}; {cls.__name__} takes {takes or 'none'}")
    return found


def restore(cls, config, built):
    """The copy of a layer: from its configuration and, where it was built, (shape, dtype, seed, weights, steps)."""
    layer = cls.from_config(config)
    if built:
        input_shape, dtype, seed, weights, steps = built
        layer.init(input_shape, dtype, seed).set_weights(weights)
        for part, step in zip(layer.walk(), steps, strict=True):
            part.step = step
    return layer


def _value(where, key, value):
    """An argument of Keras' as ours; what Keras did not write as it is."""
    if not isinstance(value, dict) or "class_name" not in value:
        return value
    name, inner = ONCE.get(value["class_name"], value["class_name"]), value.get("config")
    if name in ("function", "__lambda__"):
        called = f" {inner}" if isinstance(inner, str) else ""
        raise ValueError(
            f"{where}: {key} is a Python function{called}, and a configuration holds no code that npdl runs; "
            f"set config[{key!r}] to the function or to an npdl object first"
        )
    if name in ("__numpy__", "__tensor__"):
        return inner["value"]
    if name == "SeedGenerator":
        return inner["seed"]
    if not str(value.get("module")).startswith("keras."):
        return value
    modules = {module.__name__.removeprefix("npdl."): module for module in PARTS.values()}
    module = modules.get(value["module"].removeprefix("keras."), activations)
    kind = getattr(module, name, None)
    if not isinstance(kind, type) or not issubclass(kind, OBJECTS):
        raise ValueError(
            f"{where}: npdl has no {value['module'].removeprefix('keras.')}.{name}, got {key}={value!r}; "
            f"set config[{key!r}] to a name or an object of npdl.{module.__name__.removeprefix('npdl.')}"
        )
    takes = inspect.signature(kind).parameters
    inner = {k: _value(where, k, v) for k, v in (inner or {}).items() if k in takes or k not in ("name", "trainable")}
    if "dtype" in inner and "dtype" not in takes:
        _demand_dtype(where, inner.pop("dtype"))
    return {"class_name": name, "config": inner}


def _demand_dtype(where, value):
    """Raise unless it is a type that a model here may have: a layer works in its model's, whatever stands there."""
    policy = value["config"].get("name") if isinstance(value, dict) and value.get("config") else value
    if policy not in (None, "float32", "float64"):
        raise ValueError(
            f"{where}: npdl works in float32 or float64, got dtype={policy!r}; "
            'make it "float32": the type is chosen for a whole model, by Sequential(..., dtype=...)'
        )
