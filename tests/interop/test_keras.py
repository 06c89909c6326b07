"""from_keras on descriptions as Keras 3 writes them; test_keras_torch.py compares with Keras itself."""

import json

import numpy as np
import pytest

import npdl


def entry(kind, name, *calls, module="keras.layers", **config):
    return {
        "module": module, "class_name": kind, "name": name, "config": {"name": name, **config},
        "inbound_nodes": [call if isinstance(call, dict) else {"args": list(call), "kwargs": {}} for call in calls],
    }  # fmt: skip


def tensor(name, call=0, place=0):
    return {"class_name": "__keras_tensor__", "config": {"shape": [None], "keras_history": [name, call, place]}}


def functional(*entries, inputs, outputs):
    return {"name": "net", "trainable": True, "layers": list(entries), "input_layers": inputs, "output_layers": outputs}


def test_operations_masks_and_shared_layers(rng):
    described = functional(
        entry("InputLayer", "ids", batch_shape=[None, None], dtype="int32"),
        entry("Embedding", "rows", [tensor("ids")], input_dim=9, output_dim=4, mask_zero=True),
        entry("NotEqual", "not_equal", [tensor("ids"), 0], module="keras.src.ops.numpy"),
        entry(
            "LSTM", "read",
            {"args": [tensor("rows")], "kwargs": {"training": False, "mask": tensor("not_equal")}}, units=4,
        ),
        entry("Dense", "twice", [tensor("read")], [tensor("half")], units=4),
        entry("Multiply", "half", [tensor("read"), 0.5], module="keras.src.ops.numpy"),
        entry("Add", "sum", [tensor("twice"), tensor("twice", 1)], module="keras.src.ops.numpy"),
        inputs=["ids", 0, 0], outputs=[["sum", 0, 0], ["read", 0, 0]],
    )  # fmt: skip
    model = npdl.interop.from_keras(json.dumps(described), seed=0)
    ids = rng.integers(1, 9, (3, 5))
    y, read = model.predict(ids, verbose=0)
    np.testing.assert_array_equal(y, np.asarray(model.get_layer("twice")(read) + model.get_layer("twice")(read / 2)))
    padded = np.concatenate([ids, np.zeros((3, 2), int)], axis=1)
    np.testing.assert_array_equal(model.predict(padded, verbose=0)[1], read)


SEQUENTIAL = {"name": "net", "layers": [entry("Dense", "one", units=2)], "build_input_shape": [None, 3]}


def test_sequential_from_each_form():
    for form in (SEQUENTIAL, {"class_name": "Sequential", "config": SEQUENTIAL}, json.dumps(SEQUENTIAL)):
        model = npdl.interop.from_keras(form, seed=0)
        assert (model.name, model.input_shape, model.count_params(), model.dtype) == ("net", (3,), 8, np.float32)
    wide = {**SEQUENTIAL, "dtype": {"class_name": "DTypePolicy", "config": {"name": "float64"}}}
    assert npdl.interop.from_keras(wide).dtype == np.float64


X = entry("InputLayer", "x", batch_shape=[None, 4], dtype="float32")


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (
            entry("Exp", "e", [tensor("x")], module="keras.src.ops.numpy"),
            "e: npdl has no operation Exp; make it a layer",
        ),
        (entry("Power", "e", [tensor("x"), 2], module="keras.src.ops.numpy"), "e: npdl has no operation Power on 2"),
        (
            entry("Dense", "e", [[[1, 2]]], units=2),
            r"e: npdl cannot call Dense on \[\[1, 2\]\]; call it on arrays alone",
        ),
        (
            entry("LSTM", "e", {"args": [tensor("x")], "kwargs": {"mask": tensor("x")}}, units=2),
            r"e: its mask is made by x, and in npdl masks come from Embedding\(mask_zero=True\) or Masking",
        ),
        (
            entry("Attention", "e", {"args": [[tensor("x"), tensor("x")]], "kwargs": {"query_mask": tensor("x")}}),
            "e: npdl cannot call Attention with query_mask",
        ),
        (
            entry("Dropout", "e", {"args": [tensor("x")], "kwargs": {"training": True}}, rate=0.5),
            "cannot call Dropout with",
        ),
        (entry("Dense", "e", [tensor("x")], module="mine", units=2), "e: Dense of mine is a class of your own"),
        (
            entry("TimeDistributed", "e", [tensor("x")], layer={"class_name": "Sequential", "config": SEQUENTIAL}),
            "e: npdl's TimeDistributed goes around a layer, not around a model of Keras",
        ),
        (entry("Lambda", "e", [tensor("x")]), "e: npdl does not run the code of Keras' Lambda; write it as a layer"),
        (
            entry(
                "MultiHeadAttention",
                "e",
                {"args": [tensor("x"), tensor("x")], "kwargs": {"use_causal_mask": True}},
                [tensor("x"), tensor("x")],
                num_heads=2,
                key_dim=3,
            ),
            r"e: npdl calls a layer in one way, got \{'use_causal_mask': True\} and \{\} for its calls",
        ),
        (entry("Hologram", "e", [tensor("x")]), "this model uses a class 'Hologram' that is not npdl's"),
        (
            entry("Dense", "e", [tensor("e", 1)], [tensor("e")], units=4),
            "net: e reads what no layer of this description",
        ),
    ],
)
def test_what_npdl_does_not_have(layer, text):
    with pytest.raises(ValueError, match=text):
        npdl.interop.from_keras(functional(X, layer, inputs=["x", 0, 0], outputs=["e", 0, 0]))


def test_a_layer_twice_in_a_sequential_model():
    twice = {"name": "net", "layers": [entry("Dense", "one", units=4), entry("Dense", "one", units=4)]}
    with pytest.raises(ValueError, match="net: npdl's Sequential has each layer once, got one again"):
        npdl.interop.from_keras(twice)


@pytest.mark.parametrize("wrong", [3, {"units": 3}, "[]", "model.keras", npdl.Sequential()])
def test_no_model_of_keras(wrong):
    with pytest.raises(TypeError, match="from_keras takes a Sequential or functional model of Keras 3, or its descrip"):
        npdl.interop.from_keras(wrong)
