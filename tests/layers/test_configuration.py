"""from_config on configurations as Keras 3 writes them."""

import json

import numpy as np
import pytest

from npdl import activations, initializers, layers
from npdl.models import saving


def initializer(name, **config):
    return {"module": "keras.initializers", "class_name": name, "config": config, "registered_name": None}


POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
DENSE = """{
  "name": "dense", "trainable": true,
  "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": null},
  "units": 64, "activation": "relu", "use_bias": true,
  "kernel_initializer": {
    "module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": null}, "registered_name": null},
  "bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": null},
  "kernel_regularizer": null, "bias_regularizer": null, "kernel_constraint": null, "bias_constraint": null
}"""
NO_WEIGHT_RULES = {
    f"{weight}_{rule}": None for weight in ("kernel", "bias") for rule in ("regularizer", "constraint")
} | {"activity_regularizer": None}
KERAS = [  # class, configuration, what the layer must then have
    ("Dense", json.loads(DENSE), {"units": 64, "activation": activations.relu, "use_bias": True}),
    (
        "Dense",
        {
            "units": 3, "activation": "linear", "use_bias": False,
            "kernel_initializer": initializer("VarianceScaling", scale=2.0, mode="fan_out", distribution="uniform",
                                              seed=7),
            "bias_initializer": initializer("Constant", value=0.5), **NO_WEIGHT_RULES, "quantization_config": None,
        },
        {
            "kernel_initializer": initializers.VarianceScaling(2.0, "fan_out", "uniform", 7),
            "bias_initializer": initializers.Constant(0.5), "use_bias": False,
        },
    ),
    (
        "Dense",
        {
            "units": 3,
            "activation": {
                "module": "keras.layers", "class_name": "LeakyReLU", "registered_name": None,
                "config": {"name": "leaky_re_lu", "trainable": True, "dtype": POLICY, "negative_slope": 0.1},
            },
            "kernel_initializer": initializer(
                "RandomNormal", mean=0.0, stddev=0.02,
                seed={"module": "keras.random", "class_name": "SeedGenerator", "config": {"seed": 5},
                      "registered_name": None},
            ),
            "bias_initializer": initializer(
                "Constant", value={"class_name": "__numpy__", "config": {"value": [1, 2, 3], "dtype": "float64"}}),
        },
        {
            "activation": activations.LeakyReLU(0.1), "bias_initializer": initializers.Constant([1, 2, 3]),
            "kernel_initializer": initializers.RandomNormal(0.0, 0.02, 5),
        },
    ),
    (
        "Conv2D",
        {
            "name": "conv2d", "trainable": False, "dtype": "float32", "filters": 32, "kernel_size": [3, 3],
            "strides": [1, 1], "padding": "same", "data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1,
            "activation": "relu", "use_bias": True, "kernel_initializer": initializer("HeNormal", seed=None),
            "bias_initializer": initializer("Zeros"), **NO_WEIGHT_RULES,
        },
        {"kernel_size": (3, 3), "padding": "same", "kernel_initializer": initializers.HeNormal(), "trainable": False},
    ),
    (
        "BatchNormalization",
        {
            "name": "bn", "trainable": True, "dtype": POLICY, "axis": -1, "momentum": 0.9, "epsilon": 0.01,
            "center": True, "scale": True, "beta_initializer": initializer("Zeros"),
            "gamma_initializer": initializer("Ones"), "moving_mean_initializer": initializer("Zeros"),
            "moving_variance_initializer": initializer("Ones"), "beta_regularizer": None, "gamma_regularizer": None,
            "beta_constraint": None, "gamma_constraint": None, "synchronized": False,
        },
        {"momentum": 0.9, "epsilon": 0.01, "name": "bn"},
    ),
    (
        "MaxPooling2D",
        {"name": "pool", "trainable": True, "dtype": POLICY, "pool_size": [2, 2], "padding": "valid",
         "strides": [2, 2], "data_format": "channels_last"},
        {"pool_size": (2, 2), "strides": (2, 2)},
    ),
    (
        "Dropout",
        {"name": "dropout", "trainable": True, "dtype": POLICY, "rate": 0.5, "seed": None, "noise_shape": None},
        {"rate": 0.5},
    ),
    ("Flatten", {"name": "flatten", "trainable": True, "dtype": POLICY, "data_format": "channels_last"}, {}),
    ("Reshape", {"name": "reshape", "dtype": POLICY, "target_shape": [3, -1]}, {"target_shape": (3, -1)}),
    ("ReLU", {"name": "r", "dtype": POLICY, "max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0},
     {"max_value": 6.0}),
    ("Identity", {"name": "identity", "trainable": True, "dtype": POLICY}, {"name": "identity"}),
    ("Permute", {"name": "p", "trainable": True, "dtype": POLICY, "dims": [2, 1]}, {"dims": (2, 1)}),
    ("RepeatVector", {"name": "r", "trainable": True, "dtype": POLICY, "n": 3}, {"n": 3}),
    ("Cropping1D", {"name": "c", "trainable": True, "dtype": POLICY, "cropping": [1, 2]}, {"cropping": (1, 2)}),
    ("Cropping2D", {"name": "c", "dtype": POLICY, "cropping": [[1, 2], [0, 0]], "data_format": "channels_last"},
     {"cropping": ((1, 2), (0, 0))}),
    ("ZeroPadding2D", {"name": "z", "dtype": POLICY, "padding": [[1, 1], [2, 2]], "data_format": "channels_last"},
     {"padding": ((1, 1), (2, 2))}),
    (
        "Embedding",
        {
            "name": "embedding", "trainable": True, "dtype": POLICY, "input_dim": 1000, "output_dim": 64,
            "embeddings_initializer": initializer("RandomUniform", minval=-0.05, maxval=0.05, seed=None),
            "embeddings_regularizer": None, "activity_regularizer": None, "embeddings_constraint": None,
            "mask_zero": True,
        },
        {"embeddings_initializer": initializers.RandomUniform(), "mask_zero": True, "input_dim": 1000},
    ),
    (
        "EinsumDense",
        {
            "name": "einsum_dense", "trainable": True, "dtype": POLICY, "output_shape": [None, 64],
            "equation": "abc,cd->abd", "activation": "relu", "bias_axes": "d",
            "kernel_initializer": initializer("GlorotUniform", seed=None), "bias_initializer": initializer("Zeros"),
            **NO_WEIGHT_RULES,
        },
        {"equation": "abc,cd->abd", "bias_axes": "d", "asked": (None, 64)},
    ),
    ("UpSampling1D", {"name": "u", "dtype": POLICY, "size": 2}, {"size": 2}),
    ("UpSampling2D", {"name": "u", "dtype": POLICY, "size": [2, 2], "data_format": "channels_last",
                      "interpolation": "nearest"}, {"size": (2, 2), "interpolation": "nearest"}),
    ("UpSampling3D", {"name": "u", "dtype": POLICY, "size": [2, 2, 2], "data_format": "channels_last"},
     {"size": (2, 2, 2)}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "config", "expected"), KERAS)
def test_keras(name, config, expected):
    kept = json.dumps(config)
    layer = getattr(layers, name).from_config(config)
    for key, value in expected.items():
        assert getattr(layer, key) == value, key
    assert json.dumps(config) == kept
    again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()
    entry = {"module": "keras.layers", "class_name": name, "config": config, "registered_name": None,
             "build_config": {"input_shape": [None, 4]}}  # fmt: skip
    assert saving.layer_from_config(entry).get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            {"gamma_regularizer": {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.01}}},
            ValueError,
            r"Dense.from_config: npdl's Dense has no gamma_regularizer, got .*L2.*; make it None",
        ),
        (
            {"kernel_regularizer": {"module": "keras.regularizers", "class_name": "L3", "config": {}}},
            ValueError,
            "npdl has no regularizers.L3, got kernel_regularizer=.*an object of npdl.regularizers",
        ),
        ({"beta_constraint": "non_neg"}, ValueError, "has no beta_constraint, got beta_constraint='non_neg'"),
        ({"data_format": "channels_first"}, ValueError, "has no data_format"),
        ({"lora_rank": 4}, ValueError, "has no lora_rank, got lora_rank=4"),
        ({"dtype": "mixed_bfloat16"}, ValueError, r"float32 or float64, got dtype='mixed_bfloat16'.*Sequential\("),
        ({"dtype": {**POLICY, "config": {"name": "mixed_float16"}}}, ValueError, "got dtype='mixed_float16'"),
        (
            {"kernel_initializer": initializer("STFT", side="real")},
            ValueError,
            r"npdl has no initializers.STFT, got kernel_initializer=.*an object of npdl.initializers",
        ),
        (
            {"activation": {"module": "builtins", "class_name": "function", "config": "swoosh"}},
            ValueError,
            r"activation is a Python function swoosh, .* set config\['activation'\]",
        ),
        ({"activation": {"module": "keras.layers", "class_name": "PReLU", "config": {}}}, ValueError, "layers.PReLU"),
        ({"activation": "swoosh"}, ValueError, "unknown activation 'swoosh'"),
        ({"unit": 3}, TypeError, r"Dense.from_config: unknown argument unit=3; Dense takes units, activation"),
    ],
)
def test_what_cannot_be_read(change, error, text):
    with pytest.raises(error, match=text):
        layers.Dense.from_config({**json.loads(DENSE), **change})


def test_other_layers_say_so_too():
    with pytest.raises(ValueError, match="channels last"):
        layers.Conv2D.from_config({"filters": 2, "kernel_size": 3, "data_format": "channels_first"})
    with pytest.raises(ValueError, match="BatchNormalization has no synchronized, got synchronized=True"):
        layers.BatchNormalization.from_config({"synchronized": True})


def test_weights_of_a_keras_layer_fit(rng):
    """The order and the shapes are Keras', so what its get_weights() gives can be set."""
    layer = layers.Dense.from_config(json.loads(DENSE)).init((5,))
    kernel, bias = rng.normal(size=(5, 64)).astype("float32"), rng.normal(size=64).astype("float32")
    layer.set_weights([kernel, bias])
    x = rng.normal(size=(2, 5)).astype("float32")
    np.testing.assert_allclose(layer(x), np.maximum(x @ kernel + bias, 0), rtol=1e-5, atol=1e-6)
