import copy

import numpy as np
import pytest

from npdl import Sequential, layers, load_model, testing

CASES = [  # equation, output_shape, bias_axes, samples, kernel, bias, output
    ("ab,bc->ac", 64, "c", (8,), (8, 64), (64,), (64,)),
    ("abc,cd->abd", (None, 6), "d", (4, 3), (3, 6), (6,), (4, 6)),
    ("abc,cd->abd", (None, 6), "bd", (4, 3), (3, 6), (4, 6), (4, 6)),
    ("...x,xy->...y", 5, "y", (3, 2, 4), (4, 5), (5,), (3, 2, 5)),
    ("...x,xy->...y", 5, None, (None, 4), (4, 5), None, (None, 5)),
    ("abc,cde->abde", (None, 2, 3), "de", (3, 4), (4, 2, 3), (2, 3), (3, 2, 3)),
    ("abcd,cde->abe", (None, 5), "e", (3, 2, 4), (2, 4, 5), (5,), (3, 5)),
    ("abc,bd->adc", (7, None), "d", (3, 5), (3, 7), (7, 1), (7, 5)),
    ("abc,bcd->abd", (3, 2), "d", (3, 5), (3, 5, 2), (2,), (3, 2)),
    ("abc,cbd->adb", (2, 3), "db", (3, 5), (5, 3, 2), (2, 3), (2, 3)),
    ("ab...,bc->ac...", 3, "c", (4, 2, 5), (4, 3), (3, 1, 1), (3, 2, 5)),
    ("ab,c->abc", (None, 3), None, (4,), (3,), None, (4, 3)),
]


@pytest.mark.parametrize(("equation", "output_shape", "bias_axes", "shape", "kernel", "bias", "output"), CASES)
def test_contract(equation, output_shape, bias_axes, shape, kernel, bias, output):
    for activation in (None, "gelu") if len(shape) > 1 else (None, "relu", "softmax"):
        layer = layers.EinsumDense(equation, output_shape, activation, bias_axes, bias_initializer="ones")
        testing.check_layer(layer, shape)
    built = copy.deepcopy(layer).init(shape)
    assert built.output_shape == output and built.params["kernel"].shape == kernel
    assert (built.params["bias"].shape if bias else built.params.get("bias")) == bias
    assert built.get_config()["output_shape"] == layer.get_config()["output_shape"]


@pytest.mark.parametrize(("equation", "output_shape", "bias_axes", "shape", "kernel", "bias", "output"), CASES)
def test_values(equation, output_shape, bias_axes, shape, kernel, bias, output, step, close, device, rng):
    layer = layers.EinsumDense(equation, output_shape, bias_axes=bias_axes)
    layer.init(shape, dtype="float64", device=device)
    got = step(layer, rng.normal(size=(3, *(n or 2 for n in shape))))
    x = rng.normal(size=(3, *(n or 2 for n in shape)))
    got = step(layer, x, randomize=False)
    expected = np.einsum(equation, x, layer.params["kernel"])
    close(got["y"], expected + layer.params["bias"] if bias else expected)


def test_flops():
    assert layers.EinsumDense("abc,cd->abd", (None, 6)).init((4, 3)).flops() == 2 * 4 * 3 * 6


def test_the_same_bits_as_dense(rng):
    x = rng.normal(size=(5, 4, 9)).astype("float32")
    dense = layers.Dense(7).init((4, 9), seed=1)
    einsum = layers.EinsumDense("...x,xy->...y", 7, bias_axes="y").init((4, 9), seed=1)
    einsum.set_weights(dense.get_weights())
    np.testing.assert_array_equal(einsum(x), dense(x))


def test_files(tmp_path, rng):
    model = Sequential([layers.EinsumDense("abc,cd->abd", (None, 4), "relu", "d"), layers.Flatten()], seed=0)
    model.build((3, 2))
    x = rng.normal(size=(4, 3, 2)).astype("float32")
    model.save(tmp_path / "m.npdl")
    np.testing.assert_array_equal(load_model(tmp_path / "m.npdl").predict(x), model.predict(x))
    assert eval(repr(model.layers[0]), vars(layers)).get_config()["output_shape"] == (None, 4)


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes", "text"),
    [
        ("ab,bc", 3, None, 'an equation is "x,w->y"'),
        ("...ab,bc->ac", 3, None, 'an equation is "x,w->y"'),
        ("ab,bc,cd->ad", 3, None, 'an equation is "x,w->y"'),
        ("abc,cd->ad", 3, None, r"each letter must be in two of its three parts, once in each: \['b'\]"),
        ("ab,bcd->ac", 3, None, r"once in each: \['d'\]"),
        ("aab,bc->ac", 3, None, "once in each; e.g."),
        ("ab,bc->ac", 3, "b", "bias_axes='b' must be letters of the output 'ac'"),
        ("ab,bc->ac", 0, None, "output_shape must be whole numbers of at least 1, or None"),
    ],
)
def test_wrong_arguments(equation, output_shape, bias_axes, text):
    with pytest.raises(ValueError, match=f"einsum_dense: EinsumDense got equation=.*{text}"):
        layers.EinsumDense(equation, output_shape, bias_axes=bias_axes)


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes", "shape", "text"),
    [
        ("ab,bc->ac", 3, None, (4, 5), r"it reads 2 axes with the batch, got samples of shape \(4, 5\)"),
        ("abc,cd->abd", 3, None, (4, 5), "then 2 axes that output_shape says"),
        ("abc,cd->abd", (7, 3), None, (4, 5), "axis 'b' of the input has 4 places, output_shape says 7"),
        ("abc,cd->abd", (None, None), None, (4, 5), "the size of 'd' is not known"),
        ("abc,cd->abd", (None, 3), "b", (None, 5), r"the size of 'b' is not known, for samples of shape \(None, 5\)"),
        ("ab,ac->bc", (3,), None, (4,), "the output has the batch first"),
    ],
)
def test_shapes_that_do_not_fit(equation, output_shape, bias_axes, shape, text):
    with pytest.raises(ValueError, match=text):
        layers.EinsumDense(equation, output_shape, bias_axes=bias_axes).init(shape)
