"""Layers of two inputs: Bilinear, CosineSimilarity and PairwiseDistance."""

import numpy as np
import pytest

from npdl import layers, testing


class OfBranches(layers.Layer):
    """A layer of two inputs, fed by two Dense layers: what `check_layer` can check."""

    def __init__(self, kind, arguments, units=(4, 4), **base):
        super().__init__(**base)
        self.kind, self.arguments, self.units = kind, arguments, tuple(units)
        branches = [layers.Dense(width, name=name) for name, width in zip("ab", units)]
        self.parts = [*branches, getattr(layers, kind)(**arguments, name="both")]

    def build(self, input_shape):
        return self.parts[2].build_once(tuple(part.build_once(input_shape) for part in self.parts[:2]))

    def walk(self):
        yield self
        for part in self.parts:
            yield from part.walk()

    def forward(self, x, training=False):
        return self.parts[2].forward(tuple(part.forward(x, training) for part in self.parts[:2]), training)

    def backward(self, dy):
        da, db = self.parts[2].backward(dy)
        dx = self.buffer("dx", (*da.shape[:-1], self.input_shape[-1]))
        self.k.add(self.parts[0].backward(da), self.parts[1].backward(db), out=dx)
        return dx


@pytest.mark.parametrize(
    ("kind", "arguments", "units", "shape"),
    [
        ("Bilinear", {"units": 3}, (4, 2), (5,)),
        ("Bilinear", {"units": 1, "activation": "silu", "use_bias": False}, (1, 7), (2, 3)),
        ("CosineSimilarity", {}, (6, 6), (3, 4)),
        ("CosineSimilarity", {"keepdims": True}, (17, 17), (4,)),
        ("PairwiseDistance", {}, (6, 6), (3, 4)),
        ("PairwiseDistance", {"p": 1, "keepdims": True}, (5, 5), (4,)),
        ("PairwiseDistance", {"p": 3.5, "epsilon": 0.0}, (1, 1), (2, 4)),
    ],
)
def test_contract(kind, arguments, units, shape):
    testing.check_layer(OfBranches(kind, arguments, units), shape)


def test_bilinear_is_a_sum_of_products(rng, device):
    layer = layers.Bilinear(3, bias_initializer="ones").init(((2, 4), (2, 5)), dtype="float64", seed=0, device=device)
    a, b = rng.normal(size=(6, 2, 4)), rng.normal(size=(6, 2, 5))
    expected = np.einsum("nri,iju,nrj->nru", a, layer.params["kernel"], b) + 1
    np.testing.assert_allclose(layer((a, b)), expected, rtol=1e-12)
    assert layer.output_shape == (2, 3) and layer.flops() == 2 * 3 * (2 * 20 + 1) + 2 * 20


@pytest.mark.parametrize("keepdims", [False, True])
def test_distances(keepdims, rng, device):
    a, b = rng.normal(size=(2, 6, 3, 5))
    shape = (6, 3, 1) if keepdims else (6, 3)
    cosine = layers.CosineSimilarity(keepdims).init(((3, 5), (3, 5)), dtype="float64", device=device)
    expected = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    np.testing.assert_allclose(cosine((a, b)), expected.reshape(shape), rtol=1e-12)
    for p in (1, 2, 3, 0.5):
        distance = layers.PairwiseDistance(p, 1e-6, keepdims).init(((3, 5), (3, 5)), dtype="float64", device=device)
        expected = (np.abs(a - b + 1e-6) ** p).sum(-1) ** (1 / p)
        np.testing.assert_allclose(distance((a, b)), expected.reshape(shape), rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "width"), [(layers.CosineSimilarity(), 64), (layers.PairwiseDistance(), 64), (layers.Bilinear(3), 39)]
)
def test_a_sample_does_not_depend_on_its_batch(layer, width, rng):
    a, b = (rng.normal(size=(300, n)).astype("float32") for n in (64, width))
    layer.init(((64,), (width,)), seed=0)
    y = layer((a, b), training=True).copy()
    dy = rng.normal(size=y.shape).astype("float32")
    whole = [y, *(one.copy() for one in layer.backward(dy))]
    for i in range(300):
        one = [layer((a[i : i + 1], b[i : i + 1]), training=True), *layer.backward(dy[i : i + 1])]
        assert all(np.array_equal(single, of[i : i + 1]) for single, of in zip(one, whole, strict=True))


@pytest.mark.parametrize("make", [layers.CosineSimilarity, layers.PairwiseDistance, lambda: layers.Bilinear(3)])
def test_free_axes_that_differ(make):
    layer = make().init(((None, None, 5), (None, None, 5)), seed=0)
    with pytest.raises(ValueError, match=r"pairs the rows .* got shapes \(1, 2, 6, 5\) and \(1, 3, 4, 5\); cut or pad"):
        layer((np.ones((1, 2, 6, 5), "float32"), np.ones((1, 3, 4, 5), "float32")))


def test_rows_that_are_alike(device):
    """A distance of 0 has no slope."""
    layer = layers.PairwiseDistance(epsilon=0.0).init(((3,), (3,)), device=device)
    x = np.ones((2, 3), "float32")
    assert layer((x, x), training=True).tolist() == [[0.0], [0.0]]
    assert not any(one.any() for one in layer.backward(np.ones((2, 1), "float32")))


@pytest.mark.parametrize(
    ("make", "shape", "text"),
    [
        (lambda: layers.Bilinear(3), (4,), "Bilinear needs the shapes of two inputs"),
        (lambda: layers.Bilinear(3), ((4,), (2, 4)), "Bilinear takes inputs that differ in their last axis alone"),
        (lambda: layers.CosineSimilarity(), (4,), "CosineSimilarity needs the shapes of two inputs"),
        (lambda: layers.PairwiseDistance(), ((4,), (3,)), "PairwiseDistance takes inputs of one shape"),
    ],
)
def test_shapes_that_do_not_fit(make, shape, text):
    with pytest.raises(ValueError, match=text):
        make().init(shape)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"PairwiseDistance needs p to be a number above 0, got p=0"):
        layers.PairwiseDistance(0)
    with pytest.raises(ValueError, match="needs epsilon to be a number of at least 0, got epsilon=-1"):
        layers.PairwiseDistance(epsilon=-1)
    with pytest.raises(ValueError, match="Bilinear needs units to be a whole number of at least 1"):
        layers.Bilinear(0)
