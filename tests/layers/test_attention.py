"""Attention and AdditiveAttention, and the scores that every attention layer gives back."""

import numpy as np
import pytest

import npdl
from npdl import layers
from npdl.testing import check_layer
from npdl.testing.differences import Tensor, compare

Attention, Additive = layers.Attention, layers.AdditiveAttention
SHAPES = ((4, 6), (5, 3), (5, 6))
LAYERS = [
    (Attention(), (4, 6)),
    (Attention(use_scale=True, dropout=0.3, use_causal_mask=True), (None, 5)),
    (Attention(score_mode="concat", seed=3, dropout=0.2), (3, 4)),
    (Attention(True, "concat", activity_regularizer="l2"), (5, 1)),
    (Additive(), (4, 6)),
    (Additive(use_scale=False, dropout=0.4, use_causal_mask=True), (1, 3)),
]
GIVING = [
    lambda: Attention(use_scale=True, dropout=0.3, return_attention_scores=True),
    lambda: Additive(use_causal_mask=True, return_attention_scores=True),
    lambda: layers.MultiHeadAttention(2, 3, value_dim=5, dropout=0.3, return_attention_scores=True),
    lambda: layers.GroupedQueryAttention(3, 4, 2, return_attention_scores=True),
]


@pytest.mark.parametrize("layer, shape", LAYERS, ids=str)
def test_contract(layer, shape):
    check_layer(layer, shape)


def arrays(rng, shapes, n=3):
    return tuple(rng.standard_normal((n, *shape)) for shape in shapes)


def check_gradients(layer, x, mask, rng):
    """Every gradient against central differences, of y and of the scores together."""
    step = layer.step

    def outputs():
        layer.step = step
        y = layer.forward(x, True, mask)
        return y if isinstance(y, tuple) else (y,)

    weights = [rng.standard_normal(y.shape) for y in outputs()]
    dx = layer.backward(tuple(w.copy() for w in weights) if len(weights) > 1 else weights[0].copy())

    def value():
        return np.concatenate([(y * w).ravel() for y, w in zip(outputs(), weights, strict=True)])

    tensors = [(f"x{i}", a, d) for i, (a, d) in enumerate(zip(x, dx, strict=True))]
    tensors += [(name, layer.params[name], layer.grads[name]) for name in layer.params]
    compare([Tensor(layer.name, name, a, np.array(g), value) for name, a, g in tensors]).raise_if_wrong()


@pytest.mark.parametrize("kind", ("plain", "masks", "pairs"))
@pytest.mark.parametrize("inputs", (2, 3))
def test_several_inputs(rng, inputs, kind):
    shapes = SHAPES if inputs == 3 else ((4, 6), (5, 6))
    x = arrays(rng, shapes)
    masks = {"masks": tuple(rng.random(a.shape[:2]) < 0.7 for a in x), "pairs": rng.random((3, 4, 5)) < 0.7}
    made = [one() for one in GIVING] + [Attention(True, "concat", 0.3), Additive(False)]
    for layer in made:
        layer.init(shapes, dtype="float64", seed=1)
        for array in layer.params.values():
            array += rng.uniform(0.1, 0.4, array.shape)
        check_gradients(layer, x, masks.get(kind), rng)


@pytest.mark.parametrize("make", GIVING)
def test_gradients_of_one_output_alone(rng, make):
    x = arrays(rng, SHAPES)
    layer = make().init(SHAPES, dtype="float64", seed=1)
    y, p = layer.forward(x, True)
    both = [np.array(g) for g in (*layer.backward((np.ones_like(y), p)), *layer.grads.values())]
    first = [np.array(g) for g in (*layer.backward((np.ones_like(y), None)), *layer.grads.values())]
    second = [np.array(g) for g in (*layer.backward((None, p)), *layer.grads.values())]
    for whole, one, other in zip(both, first, second, strict=True):
        np.testing.assert_allclose(one + other, whole, atol=1e-12)


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_the_formulas(rng, device):
    query, value, key = x = arrays(rng, SHAPES)
    sums = np.tanh(0.7 * (query[:, :, None] + key[:, None]))
    c = rng.standard_normal(6)
    for layer, weights, scores in (
        (Attention(), [], query @ key.swapaxes(1, 2)),
        (Attention(True), [0.7], 0.7 * query @ key.swapaxes(1, 2)),
        (Attention(True, "concat"), [0.7, -1.5], -1.5 * sums.sum(-1)),
        (Additive(), [c], np.tanh(query[:, :, None] + key[:, None]) @ c),
        (Additive(False), [], np.tanh(query[:, :, None] + key[:, None]).sum(-1)),
    ):
        layer.init(SHAPES, dtype="float64", seed=0, device=device)
        layer.set_weights(weights)
        p = softmax(scores)
        y, found = layer(x, return_attention_scores=True)
        np.testing.assert_allclose(y, p @ value, atol=1e-12)
        np.testing.assert_allclose(found, p, atol=1e-12)
        np.testing.assert_array_equal(layer.attention_scores(x), found)


def test_masks(rng):
    """Masked keys get no weight, masked queries have none, and so has a query that sees nothing."""
    x = arrays(rng, SHAPES)
    queries, values = np.ones((3, 4), bool), np.ones((3, 5), bool)
    queries[1, 2], values[0, 3], values[2] = False, False, False
    for layer in (Attention(), Additive(), Attention(use_causal_mask=True)):
        layer.init(SHAPES, dtype="float64", seed=0)
        y, p = layer(x, mask=(queries, values, None), return_attention_scores=True)
        assert not p[0, :, 3].any() and not p[2].any() and not y[2].any() and not y[1, 2].any()
        np.testing.assert_allclose(p[0].sum(-1), 1, rtol=1e-12)
        assert bool(p[0, 0, 1:].any()) != layer.use_causal_mask
        assert layer.compute_mask(x, (queries, values, None)) is queries
        assert layer.compute_mask(x) is layer.compute_mask(x, np.ones((3, 4, 5), bool)) is None
    pair = Attention(return_attention_scores=True).init(SHAPES)
    assert pair.compute_mask(x, (queries, values, None)) == (queries, None)


def test_padding_does_not_matter(rng):
    x = arrays(rng, ((7, 6),))[0]
    for layer in (Attention(), Additive(), Attention(score_mode="concat")):
        layer.init((None, 6), dtype="float64", seed=1)
        y = layer(x, mask=np.arange(7) < np.array([[4], [7], [1]]))
        for i, length in enumerate((4, 7, 1)):
            np.testing.assert_allclose(layer(x[i : i + 1, :length].copy())[0], y[i, :length], rtol=1e-12)


def test_scores_of_heads(rng, device):
    """One matrix a head; several axes of places keep theirs; a group of heads shares a key."""
    x = arrays(rng, ((4, 6),))[0]
    layer = layers.MultiHeadAttention(2, 3).init((4, 6), dtype="float64", seed=1, device=device)
    q, k = (
        np.einsum("ntd,dhe->nhte", x, layer.params[f"{name}/kernel"]) + layer.params[f"{name}/bias"][:, None]
        for name in ("query", "key")
    )
    np.testing.assert_allclose(layer.attention_scores(x), softmax(q @ k.swapaxes(2, 3) / 3**0.5), rtol=1e-12)
    grouped = layers.GroupedQueryAttention(3, 4, 2).init((4, 6), dtype="float64", seed=1, device=device)
    q, k = (np.einsum("ntd,dhe->nhte", x, grouped.params[f"{name}/kernel"]) for name in ("query", "key"))
    k = np.repeat(k, 2, axis=1)
    np.testing.assert_allclose(grouped.attention_scores(x), softmax(q @ k.swapaxes(2, 3) / 3**0.5), rtol=1e-12)
    areas = layers.MultiHeadAttention(2, 3, return_attention_scores=True).init((2, 3, 5), device=device)
    lines = layers.MultiHeadAttention(2, 3, attention_axes=2, return_attention_scores=True).init((2, 3, 5))
    assert areas.output_shape == ((2, 3, 5), (2, 2, 3, 2, 3)) and lines.output_shape == ((2, 3, 5), (2, 2, 3, 3))
    y, p = lines(arrays(rng, ((2, 3, 5),))[0].astype("float32"), training=True)
    assert p.shape == (3, 2, 2, 3, 3) and lines.backward((np.ones_like(y), np.ones_like(p))).shape == (3, 2, 3, 5)


def test_scores_and_dropout(rng):
    """Attention gives back what it weighs with, the others what was there before dropout: Keras' rules."""
    x = arrays(rng, SHAPES)
    for make, dropped in zip(GIVING, (True, False, False, False), strict=True):
        layer = make().init(SHAPES, dtype="float64", seed=1)
        step, (y, p) = layer.step, layer.forward(x, True)
        assert (p == 0).any() == (dropped or layer.use_causal_mask)
        inference = layer.attention_scores(x)
        assert np.array_equal(p, inference) != dropped and layer.step == step + bool(layer.dropout)
        layer.backward((y, p))  # what training has saved is still there


def test_scores_in_a_model(rng):
    """A pair of nodes; read out, trained, saved, and taken from a trained layer."""
    x = arrays(rng, ((4, 6),), 32)[0].astype("float32")
    inputs = layers.Input((4, 6))
    y, p = layers.MultiHeadAttention(2, 3, name="attend", return_attention_scores=True)(inputs)
    model = npdl.Model(inputs, layers.Dense(1)(layers.Flatten()(y)), seed=0)
    model.compile("adam", "mse")
    model.fit(x, x.sum((1, 2))[:, None], epochs=2, verbose=0)
    attend = model.get_layer("attend")
    both = npdl.Model(inputs, [y, p])
    scores = both.predict(x)[1]
    np.testing.assert_array_equal(scores, attend.attention_scores(x))
    np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-5)
    both.compile("sgd", {both.output_names[0]: "mse", both.output_names[1]: "mse"})
    before = attend.params["query/kernel"].copy()
    both.fit(x, [x, np.zeros_like(scores)], verbose=0)
    assert (attend.params["query/kernel"] != before).any()
    again = npdl.Model.from_config(both.get_config())
    again.set_weights(both.get_weights())
    np.testing.assert_array_equal(again.predict(x)[1], both.predict(x)[1])


def test_configurations_of_keras():
    dtype = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    base = {"name": "attend", "trainable": True, "dtype": dtype, "dropout": 0.1, "seed": None}
    layer = Attention.from_config({**base, "use_scale": True, "score_mode": "concat"}).init(((4, 6), (5, 6)))
    assert [(name, array.shape) for name, array in layer.params.items()] == [
        ("scale", ()),
        ("concat_score_weight", ()),
    ]
    assert all(array == 1 for array in layer.get_weights())
    layer = Additive.from_config({**base, "use_scale": True}).init(((4, 6), (5, 6)))
    assert layer.params["scale"].shape == (6,) and layer.name == "attend"
    for again in (layer, Attention(True, "concat", 0.2, 3, True, True)):
        assert type(again).from_config(again.get_config()).get_config() == again.get_config()


def test_flops():
    assert Attention().init(((4, 6), (5, 6))).flops() == 4 * 5 * (2 * 6 + 2 * 6)
    assert Additive().init(SHAPES).flops() == 4 * 5 * (4 * 6 + 2 * 3)


@pytest.mark.parametrize(
    "make, text",
    [
        (
            lambda: Attention(score_mode="sum"),
            'Attention knows score_mode="dot" or score_mode="concat", got score_mode',
        ),
        (lambda: Additive(dropout=1), r"AdditiveAttention needs dropout in \[0, 1\), got dropout=1; pass e\.g\. drop"),
        (
            lambda: Attention().init(((4, 6), (5, 3))),
            r"one number of features, got .*\(4, 6\) and \(5, 3\); put a Dense",
        ),
        (lambda: Attention().init((2, 4, 6)), r"compares queries and keys, \(places, features\)"),
        (lambda: Attention().init(((4, 6),) * 4), "takes up to three inputs, got 4"),
    ],
)
def test_arguments_that_do_not_fit(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_calls_that_do_not_fit(rng):
    node = layers.Input((4, 6))
    x = arrays(rng, ((4, 6),))[0]
    with pytest.raises(
        TypeError, match=r"make it MultiHeadAttention\(\.\.\., return_attention_scores=True\), or ask a"
    ):
        layers.MultiHeadAttention(2, 3)(node, return_attention_scores=True)
    with pytest.raises(
        TypeError, match=r"the layer is told, not the call; make it Attention\(\.\.\., use_causal_mask=T"
    ):
        Attention()(node, use_causal_mask=True)
    layer = Attention().init(SHAPES, dtype="float64")
    with pytest.raises(ValueError, match=r"was built for 3 inputs, got 1; pass one array, \(query, value\) or"):
        layer.attention_scores(x)
    with pytest.raises(TypeError, match=r"a mask is an array of bool"):
        Attention().init((4, 6), dtype="float64").attention_scores(x, np.ones((3, 4)))


@pytest.mark.parametrize("make", [*GIVING, lambda: Attention(score_mode="concat"), Additive])
def test_an_empty_batch(make):
    layer = make().init(SHAPES)
    x = tuple(np.zeros((0, *shape), "float32") for shape in SHAPES)
    y = layer.forward(x, training=True)
    parts = y if isinstance(y, tuple) else (y,)
    shapes = layer.output_shape if isinstance(y, tuple) else (layer.output_shape,)
    assert [part.shape for part in parts] == [(0, *shape) for shape in shapes]
    assert [dx.shape for dx in layer.backward(y)] == [part.shape for part in x]
    assert not any(grad.any() for grad in layer.grads.values())
