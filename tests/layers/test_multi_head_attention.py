"""MultiHeadAttention and GroupedQueryAttention: values, gradients, masks, several inputs, errors."""

import numpy as np
import pytest

from npdl import layers
from npdl.kernels.reference import attention as reference
from npdl.testing import check_layer
from npdl.testing.differences import Tensor, compare

MHA, GQA = layers.MultiHeadAttention, layers.GroupedQueryAttention
CONTEXTS = [((4, 6), (5, 3)), ((4, 6), (5, 3), (5, 2))]


@pytest.mark.parametrize(
    "layer, shape",
    [
        (MHA(2, 3, value_dim=5), (4, 6)),
        (MHA(1, 1, use_bias=False, use_causal_mask=True), (None, 1)),
        (MHA(3, 2, dropout=0.4, output_shape=7), (5, 4)),
        (MHA(2, 3, attention_axes=2, output_shape=(2, 3), seed=4), (3, 4, 5)),
        (MHA(2, 2), (2, 3, 4)),
        (GQA(3, 4, 2, use_causal_mask=True), (5, 6)),
        (GQA(2, 3, 1, dropout=0.2, use_bias=False), (4, 3)),
    ],
    ids=str,
)
def test_contract(layer, shape):
    check_layer(layer, shape)


def arrays(rng, shapes, n=3):
    return tuple(rng.standard_normal((n, *shape)) for shape in shapes)


def check_gradients(layer, x, mask, rng):
    """Every weight's gradient and that of every input against central differences."""
    step = layer.step

    def y():
        layer.step = step
        return layer.forward(x, True, mask)

    r = rng.standard_normal(y().shape)
    dx = layer.backward(r.copy())
    several = isinstance(x, tuple)
    tensors = [(f"x{i}", a, d) for i, (a, d) in enumerate(zip(x, dx, strict=True) if several else [(x, dx)])]
    tensors += [(name, layer.params[name], layer.grads[name]) for name in layer.params]
    compare([Tensor(layer.name, name, a, np.array(g), lambda: y() * r) for name, a, g in tensors]).raise_if_wrong()


@pytest.mark.parametrize("shapes", CONTEXTS, ids=("value", "key"))
@pytest.mark.parametrize("kind", ("plain", "masks", "pairs"))
def test_several_inputs(rng, shapes, kind):
    x = arrays(rng, shapes)
    masks = {"masks": tuple(rng.random(a.shape[:2]) < 0.7 for a in x), "pairs": rng.random((3, 4, 5)) < 0.7}
    for layer in (MHA(2, 3, value_dim=4, dropout=0.3, use_causal_mask=True), GQA(3, 4, 2)):
        check_gradients(layer.init(shapes, dtype="float64", seed=1), x, masks.get(kind), rng)


def test_one_input_with_masks(rng):
    (x,) = arrays(rng, [(4, 6)])
    for mask in (rng.random((3, 4)) < 0.7, rng.random((3, 4, 4)) < 0.7):
        check_gradients(MHA(2, 3).init((4, 6), dtype="float64", seed=1), x, mask, rng)


def test_several_inputs_on_every_device(rng):
    x, results = tuple(a.astype("float32") for a in arrays(rng, CONTEXTS[1])), {}
    masks = tuple(rng.random(a.shape[:2]) < 0.7 for a in x)
    for device in ("cpu", "reference", "strict"):
        layer = MHA(2, 3, value_dim=4, dropout=0.3).init(CONTEXTS[1], seed=1, device=device)
        put, host = layer.device.from_host, layer.device.to_host
        y = layer.forward(tuple(map(put, x)), True, tuple(put(mask) for mask in masks))
        dx = layer.backward(put(np.ones(y.shape, "float32")))
        results[device] = [host(a) for a in (y, *dx, *layer.grads.values())]
    for got, right, same in zip(results["reference"], results["cpu"], results["strict"], strict=True):
        np.testing.assert_allclose(got, right, atol=1e-4)
        np.testing.assert_array_equal(same, right)


def test_weights_are_those_of_keras():
    layer = MHA(2, 3, value_dim=5).init(((4, 6), (5, 7), (5, 8)))
    assert [(name, array.shape) for name, array in layer.params.items()] == [
        ("query/kernel", (6, 2, 3)), ("query/bias", (2, 3)), ("key/kernel", (8, 2, 3)), ("key/bias", (2, 3)),
        ("value/kernel", (7, 2, 5)), ("value/bias", (2, 5)), ("attention_output/kernel", (2, 5, 6)),
        ("attention_output/bias", (6,)),
    ]  # fmt: skip
    names = [array.shape for array in GQA(3, 4, 2, use_bias=False).init((5, 6)).get_weights()]
    assert names == [(6, 4, 3), (6, 2, 3), (6, 2, 3), (4, 3, 6)]


def test_a_configuration_of_keras():
    config = {
        "name": "attend", "trainable": True, "dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}},
        "num_heads": 2, "key_dim": 8, "value_dim": 8, "dropout": 0.1, "use_bias": True, "output_shape": None,
        "attention_axes": [1], "flash_attention": None, "kernel_regularizer": None, "bias_regularizer": None,
        "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None, "seed": None,
        "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None},
                               "registered_name": None},
        "bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {},
                             "registered_name": None},
    }  # fmt: skip
    layer = MHA.from_config(config)
    assert (layer.name, layer.dropout, layer.attention_axes) == ("attend", 0.1, [1])
    assert MHA.from_config(layer.get_config()).get_config() == layer.get_config()


def test_regularizers_and_constraints_are_for_every_kernel():
    layer = MHA(2, 3, kernel_regularizer="l2", bias_constraint="non_neg").init((4, 6))
    rules = {one.name: (one.regularizer is not None, one.constraint is not None) for one in layer.declared}
    assert rules == {name: ("kernel" in name, "bias" in name) for name in layer.params}
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_the_formula(rng):
    x, value = arrays(rng, CONTEXTS[0])
    layer = MHA(2, 3).init(CONTEXTS[0], dtype="float64", seed=2)
    W = layer.params
    q, k, v = (
        np.einsum("ntd,dhe->nthe", a, W[f"{name}/kernel"]) + W[f"{name}/bias"]
        for a, name in ((x, "query"), (value, "key"), (value, "value"))
    )
    a = np.empty_like(q)
    reference.attention(q, k, v, 3**-0.5, out=a)
    y = np.einsum("nthe,heu->ntu", a, W["attention_output/kernel"]) + W["attention_output/bias"]
    np.testing.assert_allclose(layer((x, value)), y, rtol=1e-12)


def test_a_query_that_sees_nothing(rng):
    x, mask = arrays(rng, [(4, 6)])[0], np.ones((3, 4, 4), bool)
    mask[1, 2] = False
    layer = MHA(2, 3, bias_initializer="ones").init((4, 6), dtype="float64", seed=1)
    y = layer.forward(x, True, mask)
    np.testing.assert_array_equal(y[1, 2], layer.params["attention_output/bias"])
    assert np.isfinite(layer.backward(np.ones_like(y))).all()
    assert not layer.forward(x, True, np.zeros((3, 4), bool))[..., 0].any() - 1  # the bias alone
    y = layer.forward(x, True, np.array([[True, True, False, True]] * 3))
    assert (y[:, 2] == 1).all() and not (y[:, [0, 1, 3]] == 1).any()  # padding, which others do not see either


def test_flops():
    layer = MHA(2, 3, value_dim=4).init(((4, 6), (5, 7)), seed=1)
    projections = 4 * 6 * 2 * 3 + 5 * 7 * 2 * 3 + 5 * 7 * 2 * 4 + 4 * 2 * 4 * 6
    assert layer.flops() == 2 * (projections + 4 * 5 * 2 * (3 + 4))


def test_padding_does_not_matter(rng):
    (x,) = arrays(rng, [(7, 6)])
    layer = MHA(2, 3).init((None, 6), dtype="float64", seed=1)
    mask = np.arange(7) < np.array([[4], [7], [1]])
    y = layer.forward(x, False, mask)
    for i, length in enumerate((4, 7, 1)):
        np.testing.assert_allclose(layer.forward(x[i : i + 1, :length])[0], y[i, :length], rtol=1e-12)
    assert layer.compute_mask(x, mask) is mask and layer.compute_mask(x) is None
    assert layer.compute_mask(x, np.ones((3, 7, 7), bool)) is None


def test_dropout_does_not_depend_on_the_batch(rng):
    (x,) = arrays(rng, [(5, 6)])
    layer = MHA(2, 3, dropout=0.5, seed=3).init((5, 6), dtype="float64", seed=1)
    y = layer.forward(x, True)
    layer.step = 0
    np.testing.assert_array_equal(layer.forward(x[:1], True), y[:1])
    assert np.abs(layer.forward(x[:1], True) - y[:1]).max() > 0  # another step, another mask
    np.testing.assert_array_equal(layer.forward(x), layer.forward(x))


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: MHA(0, 3), r"needs num_heads to be a whole number of at least 1, got num_heads=0; pass e\.g\. Multi"),
        (lambda: MHA(2, 3, value_dim=0), "needs value_dim to be a whole number of at least 1"),
        (
            lambda: MHA(2, 3, dropout=1),
            r"MultiHeadAttention needs dropout in \[0, 1\), got dropout=1; pass e\.g\. drop",
        ),
        (lambda: MHA(2, 3, output_shape=(4, 0)), "needs output_shape to be a whole number of at least 1"),
        (lambda: GQA(2, 3, 2), "num_query_heads to be a multiple of num_key_value_heads, got 3 and 2; pass e.g."),
        (lambda: MHA(2, 3).init((4,)), r"takes samples \(places, features\) .* got samples of shape \(4,\); e\.g\. "),
        (lambda: MHA(2, 3).init((4, None)), "with a fixed number of features"),
        (lambda: MHA(2, 3).init(((4, 6), (2, 4, 6))), "the same axes in each input"),
        (lambda: MHA(2, 3).init(((4, 6),) * 4), r"takes up to three inputs, got 4; pass one array, \(query, value\)"),
        (lambda: MHA(2, 3).init(((4, 6), (5, 6), (3, 6))), "each key belongs to a value, .* give both one length"),
        (lambda: MHA(2, 3, attention_axes=[1]).init((3, 4, 5)), r"must be the last axes before .* put layers\.Permute"),
        (lambda: MHA(2, 3, attention_axes=3).init((3, 4, 5)), "must be the last axes before the features"),
    ],
)
def test_arguments_that_do_not_fit(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_inputs_that_do_not_fit(rng):
    x, value, key = (a.astype("float32") for a in arrays(rng, CONTEXTS[1]))
    one, two, three = (
        MHA(2, 3).init((4, 6)),
        MHA(2, 3).init(CONTEXTS[0]),
        MHA(2, 3).init(((4, 6), (None, 3), (None, 2))),
    )
    with pytest.raises(ValueError, match="was built for one input, got 2; build it with a tuple of shapes"):
        one((x, value))
    with pytest.raises(ValueError, match=r"was built for 2 inputs, got 1; pass one array, \(query, value\) or"):
        two(x)
    with pytest.raises(ValueError, match=r"was built for inputs of shape \(N, 5, 3\), got \(N, 4, 6\)"):
        two((x, x))
    with pytest.raises(ValueError, match="takes inputs of one batch, got 3, 2 samples; pass as many of each"):
        two((x, value[:2]))
    with pytest.raises(ValueError, match="each key belongs to a value"):
        three((x, value, np.ascontiguousarray(key[:, :4])))
    with pytest.raises(
        ValueError, match=r"takes a mask for each input, .* got 1 for 2; pass mask=\(query_mask, value_m"
    ):
        two.forward((x, value), mask=np.ones((3, 4), bool))
    with pytest.raises(ValueError, match=r"a mask of \(3, 4, 6\) has shape \(3, 4\), .*\(3, 4, 4\), got \(3, 5\)"):
        one.forward(x, mask=np.ones((3, 5), bool))
    with pytest.raises(TypeError, match=r"takes masks of bool, .*got float64; pass mask\.astype\(bool\)"):
        one.forward(x, mask=np.ones((3, 4)))
