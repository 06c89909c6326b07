"""TransformerEncoder and TransformerDecoder: the contract, names, masks, two inputs, errors."""

import copy

import numpy as np
import pytest

import npdl
from npdl import layers
from npdl.testing import check_layer
from npdl.testing.differences import Tensor, compare

Encoder, Decoder = layers.TransformerEncoder, layers.TransformerDecoder


@pytest.mark.parametrize(
    "layer, shape",
    [
        (Encoder(7, 2, activation="gelu", normalize_first=True), (4, 6)),
        (Encoder(5, 1, dropout=0.3), (None, 4)),
        (Encoder(5, 2), (3, 4)),
        (Decoder(7, 2, normalize_first=True, layer_norm_epsilon=1e-3), (5, 4)),
        (Decoder(6, 3, dropout=0.2, activation="tanh"), (3, 6)),
    ],
    ids=str,
)
def test_contract(layer, shape):
    check_layer(layer, shape)


@pytest.mark.parametrize("first", (True, False))
@pytest.mark.parametrize("masked, dropout", ((None, 0.2), (None, 0), ("places", 0), ("pairs", 0.2)))
def test_two_inputs(rng, first, masked, dropout):
    x, e = (rng.standard_normal((2, *shape)) for shape in ((4, 6), (5, 3)))
    layer = Decoder(7, 2, dropout=dropout, activation="gelu", normalize_first=first)
    layer.init(((4, 6), (5, 3)), dtype="float64", seed=1)
    mask = {
        "places": (np.arange(4) < [[3], [4]], np.arange(5) < [[5], [2]]), "pairs": (None, rng.random((2, 4, 5)) < 0.7),
    }.get(masked)  # fmt: skip

    def y():
        for part in layer.walk():
            part.step = 0
        return layer.forward((x, e), True, mask)

    r = rng.standard_normal((2, 4, 6))
    y()
    dx, de = layer.backward(r.copy())
    tensors = [("x", x, dx), ("e", e, de)]
    tensors += [(f"{p.name} {name}", p.params[name], p.grads[name]) for p in layer.walk() for name in p.params]
    checks = [Tensor(layer.name, name, a, np.array(g), lambda: y() * r) for name, a, g in tensors]
    compare(checks, entries=5).raise_if_wrong()


@pytest.mark.parametrize("first", (True, False))
@pytest.mark.parametrize("method", ("forward", "backward"))
@pytest.mark.parametrize("name", ("self_attention", "feedforward_output_dense", "feedforward_layer_norm"))
def test_a_layer_inside_with_a_method_of_its_own(rng, first, method, name):
    """It is called as it is, with nothing to add, and all comes to the same."""
    x, dy = rng.standard_normal((2, 2, 4, 6))
    results, calls = [], []
    for hooked in (False, True):
        block = Decoder(7, 2, activation="gelu", normalize_first=first).init((4, 6), dtype="float64", seed=1)
        part = block.parts[name]
        if hooked:
            own = getattr(part, method)
            setattr(part, method, lambda *args, own=own: (calls.append(args), own(*args))[1])
        results.append((block.forward(x, training=True), block.backward(dy.copy()), *block.store.grad[None]))
    assert len(calls) == 1
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("first", (True, False))
def test_a_class_with_another_method_for_a_while(rng, first, monkeypatch):
    """It gets what a layer's method gets, and nothing to add."""
    x, dy = rng.standard_normal((2, 2, 4, 6))
    block = Decoder(7, 2, activation="gelu", normalize_first=first).init((4, 6), dtype="float64", seed=1)
    expected = block.forward(x, training=True), block.backward(dy.copy()), *block.store.grad.copy()[None]
    forward, backward, calls = layers.Dense.forward, layers.Dense.backward, []
    monkeypatch.setattr(layers.Dense, "forward", lambda dense, x, training=False: forward(dense, x, training))
    monkeypatch.setattr(layers.Dense, "backward", lambda dense, dy: (calls.append(dy), backward(dense, dy))[1])
    got = block.forward(x, training=True), block.backward(dy.copy()), *block.store.grad[None]
    assert len(calls) == 2
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("first", (True, False))
@pytest.mark.parametrize("name", ("self_attention_layer", "feedforward_output_dense"))
def test_a_penalty_on_what_a_layer_inside_gives(rng, first, name):
    """It is that of the layer's own output, without what goes around it."""
    x, y = rng.standard_normal((2, 3, 4, 6))
    model = npdl.Sequential([layers.Dense(6), Encoder(7, 2, normalize_first=first)], seed=1, dtype="float64")
    model.compile("sgd", "mse")
    model.build((4, 6))
    before, seen = model.evaluate(x, y, verbose=0), []
    part = model.layers[1].parts[name]
    part.activity_regularizer = npdl.regularizers.L2(0.3)
    model.compile("sgd", "mse")
    model.gradient_check(x, y).raise_if_wrong()
    after, penalize = model.evaluate(x, y, verbose=0), part.penalize
    part.penalize = lambda y: (seen.append(y.copy()), penalize(y))[1]
    part.forward = part.forward  # called as it is, with nothing to add
    model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(after - before, 0.3 * np.sum(seen[0] ** 2) / 3, rtol=1e-9)


def test_a_call_takes_every_mask_that_forward_takes(rng):
    x, e = (rng.standard_normal((2, *shape)) for shape in ((4, 6), (5, 3)))
    places, pairs = np.arange(4) < [[3], [4]], rng.random((2, 4, 4)) < 0.7
    others = (np.arange(5) < [[5], [2]], rng.random((2, 4, 5)) < 0.7)
    one = [(Encoder(7, 2), mask) for mask in (places, pairs)] + [(layers.MultiHeadAttention(2, 3), pairs)]
    for layer, mask in one:
        layer.init((4, 6), "float64", seed=1)
        np.testing.assert_array_equal(layer(x, mask=mask), layer.forward(x, mask=mask))
    for layer, mask in [(Decoder(7, 2), (pairs, others[1])), (layers.MultiHeadAttention(2, 3), (None, others[0]))]:
        layer.init(((4, 6), (5, 3)), "float64", seed=1)
        np.testing.assert_array_equal(layer((x, e), mask=mask), layer.forward((x, e), mask=mask))
        with pytest.raises(TypeError, match="a mask is an array of bool, got float64"):
            layer((x, e), mask=(None, np.ones((2, 5))))
    with pytest.raises(ValueError, match=r"or of pairs of query and key \(2, 4, 4\), got \(2, 4, 5\)"):
        one[0][0](x, mask=others[1])


def names(layer):
    return [part.name.partition("/")[2] for part in layer.walk() if part.declared]


def test_the_layers_inside_are_those_of_keras():
    dense = ["feedforward_intermediate_dense", "feedforward_output_dense"]
    encoder = Encoder(7, 2).init((4, 6))
    assert names(encoder) == [
        "self_attention_layer", "self_attention_layer_norm", "feedforward_layer_norm", *dense,
    ]  # fmt: skip
    assert [a.shape for a in encoder.get_weights()[:2]] == [(6, 2, 3), (2, 3)]
    attention = ["self_attention", "self_attention_layer_norm"]
    cross = ["cross_attention", "cross_attention_layer_norm"]
    assert names(Decoder(7, 2).init((4, 6))) == [*attention, *dense, "feedforward_layer_norm"]
    assert names(Decoder(7, 2).init(((4, 6), (5, 3)))) == [*attention, *cross, *dense, "feedforward_layer_norm"]
    assert Decoder(7, 2, name="last").init((4, 6)).parts["self_attention"].name == "last/self_attention"


def test_a_configuration_of_kerashub():
    config = {
        "name": "block", "trainable": True, "dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}},
        "intermediate_dim": 64, "num_heads": 2, "dropout": 0.1, "activation": "gelu", "layer_norm_epsilon": 1e-5,
        "normalize_first": True,
        "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None},
                               "registered_name": None},
        "bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {},
                             "registered_name": None},
    }  # fmt: skip
    more = {"kernel_regularizer": None, "bias_regularizer": None, "activity_regularizer": None}
    encoder = Encoder.from_config({**config, **more})
    decoder = Decoder.from_config({**config, "decoder_sequence_shape": [None, 4, 6], "encoder_sequence_shape": None})
    for layer in (encoder, decoder):
        assert (layer.name, layer.activation.name, layer.normalize_first) == ("block", "gelu", True)
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_a_frozen_block_and_copies(rng, tmp_path):
    x = rng.standard_normal((2, 4, 6)).astype("float32")
    frozen = Encoder(7, 2, trainable=False).init((4, 6), seed=1)
    assert not any(part.trainable for part in frozen.walk())
    again = copy.deepcopy(frozen)
    np.testing.assert_array_equal(again(x), frozen(x))
    model = npdl.Sequential([Decoder(7, 2, dropout=0.1), Decoder(7, 2), layers.Dense(1)], seed=0)
    model.build((4, 6))
    model.save(tmp_path / "m.npdl")
    np.testing.assert_array_equal(
        npdl.load_model(tmp_path / "m.npdl").predict(x, verbose=0), model.predict(x, verbose=0)
    )


def test_the_future_and_padding_are_not_seen(rng):
    x = rng.standard_normal((1, 6, 4))
    other = x.copy()
    other[:, 4:] = 9
    decoder = Decoder(7, 2, normalize_first=True).init((6, 4), dtype="float64", seed=1)
    np.testing.assert_array_equal(decoder(x)[:, :4], decoder(other)[:, :4])
    encoder, mask = Encoder(7, 2).init((6, 4), dtype="float64", seed=1), np.arange(6)[None] < 4
    assert np.abs(encoder(x)[:, :4] - encoder(other)[:, :4]).max() > 0.01
    np.testing.assert_array_equal(encoder.forward(x, False, mask)[:, :4], encoder.forward(other, False, mask)[:, :4])
    reading = Decoder(7, 2).init(((6, 4), (6, 4)), dtype="float64", seed=1)
    assert np.abs(reading((x, x))[:, 0] - reading((x, other))[:, 0]).max() > 0.01  # all of the other sequence is seen
    assert encoder.compute_mask(x, mask) is mask and decoder.compute_mask(x, mask) is mask


def test_learns_to_copy_from_the_encoder(rng):
    """A decoder that is to repeat the other sequence backwards learns where to look."""
    symbols = rng.integers(0, 5, (64, 4))
    e, target = np.eye(8)[symbols].astype("float32"), symbols[:, ::-1]
    x = np.tile(np.eye(4, 8, 4), (64, 1, 1)).astype("float32")  # which place it is
    e[..., 4:] += x[..., 4:]
    layer = Decoder(32, 2, normalize_first=True).init(((4, 8), (4, 8)), seed=3)
    first = None
    for _ in range(150):
        y = layer.forward((x, e), True)
        z = np.exp(y[..., :5] - y[..., :5].max(-1, keepdims=True))
        p = z / z.sum(-1, keepdims=True)
        loss = -np.log(np.take_along_axis(p, target[..., None], -1)).mean()
        first = first or loss
        dy = np.zeros_like(y)
        dy[..., :5] = (p - np.eye(5)[target]) / target.size
        layer.backward(dy)
        layer.store.data -= 1.0 * layer.store.grad
    assert loss < 0.5 * first


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: Encoder(0, 2), r"needs intermediate_dim to be .* at least 1, .*pass e\.g\. TransformerEncoder\("),
        (lambda: Decoder(4, 2.5), "TransformerDecoder needs num_heads to be a whole number"),
        (lambda: Encoder(4, 2, dropout=1.0), r"Dropout|dropout in \[0, 1\)"),
        (lambda: Encoder(4, 2, layer_norm_epsilon=-1), "needs epsilon of at least 0"),
        (lambda: Encoder(4, 4).init((5, 6)), "num_heads=4 heads share, got samples of shape .*make one a multiple of"),
        (lambda: Encoder(4, 2).init((3, 5, 6)), r"takes samples \(places, features\)"),
        (lambda: Decoder(4, 2).init((6,)), r"takes samples \(places, features\)"),
        (lambda: Decoder(4, 2).init(((4, 6),) * 3), r"takes one input or two, got 3; pass x or \(x, encoder_output\)"),
    ],
)
def test_arguments_that_do_not_fit(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_inputs_that_do_not_fit(rng):
    x = rng.standard_normal((2, 4, 6)).astype("float32")
    with pytest.raises(ValueError, match="was built for 2 inputs, got 1"):
        Decoder(4, 2).init(((4, 6), (4, 6)))(x)
    with pytest.raises(ValueError, match="was built for one input, got 2"):
        Decoder(4, 2).init((4, 6))((x, x))
