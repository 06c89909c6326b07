"""Model files: whole, resumable, never half loaded."""

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers, losses


def trained(rng, **options):
    model = Sequential(
        [
            layers.Conv2D(3, 3, activation="gelu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(2),
        ],
        seed=5,
        **options,
    )
    x, y = rng.normal(size=(20, 5, 5, 1)), rng.integers(0, 2, 20)
    model.compile(npdl.optimizers.AdamW(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=2, verbose=0)
    return model, x, y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_model_goes_on_bit_for_bit(rng, tmp_path, dtype):
    model, x, y = trained(rng, dtype=dtype)
    model.layers[0].trainable = False
    model.save(tmp_path / "m.npdl")
    loaded = npdl.load_model(tmp_path / "m.npdl")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert repr(loaded) == repr(model) and loaded.seed == 5 and not loaded.layers[0].trainable
    for m in (model, loaded):
        m.fit(x, y, epochs=4, initial_epoch=2, verbose=0)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_a_model_without_compile_and_from_another_device(rng, tmp_path):
    model = Sequential([layers.Input((3,)), layers.Dense(2)], seed=0).to("strict")
    model.save(tmp_path / "m.npdl")
    loaded = npdl.load_model(tmp_path / "m.npdl")
    assert loaded.optimizer is None and loaded.device.name == "cpu"
    x = rng.normal(size=(2, 3))
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_weights_alone(rng, tmp_path):
    model, x, _ = trained(rng)
    model.save_weights(tmp_path / "w.safetensors")
    model.save(tmp_path / "m.npdl")
    for name in ("w.safetensors", "m.npdl"):
        other = npdl.clone_model(model)
        other.load_weights(tmp_path / name)
        np.testing.assert_array_equal(other.predict(x), model.predict(x))
    smaller = Sequential([layers.Input((3,)), layers.Dense(2)], seed=0)
    before = smaller.get_weights()
    with pytest.raises(ValueError, match=r"another model's: missing none, unknown .*conv2d/kernel.*nothing was loaded"):
        smaller.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(before[0], smaller.get_weights()[0])
    wider = Sequential(
        [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dropout(0.3), layers.Dense(2)]
    )
    wider.build((5, 5, 1))
    with pytest.raises(
        ValueError, match=r"conv2d/kernel has shape \(3, 3, 1, 4\), the file \(3, 3, 1, 3\); nothing was loaded"
    ):
        wider.load_weights(tmp_path / "w.safetensors")


class Double(layers.Layer):
    def forward(self, x, training=False):
        return x + x

    def backward(self, dy):
        return dy + dy


class Squared(losses.Loss):
    def forward(self, y_true, y_pred, sample_weight=None):
        self.d = y_pred - y_true
        return float((self.d**2).mean())

    def backward(self):
        return 2 * self.d / self.d.size


def test_custom_classes(rng, tmp_path):
    x = rng.normal(size=(6, 3)).astype("float32")
    model = Sequential([layers.Dense(2), Double()], seed=0)
    model.compile("adam", Squared())
    model.fit(x, rng.normal(size=(6, 2)), verbose=0)
    model.save(tmp_path / "m.npdl")
    with pytest.raises(
        ValueError, match=r"class 'Double' that is not npdl's; pass load_model\(filepath, custom_objects"
    ):
        npdl.load_model(tmp_path / "m.npdl")
    loaded = npdl.load_model(tmp_path / "m.npdl", custom_objects={"Double": Double, "Squared": Squared})
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    npdl.register(Double), npdl.register(Squared)
    np.testing.assert_array_equal(npdl.load_model(tmp_path / "m.npdl").predict(x), model.predict(x))


def test_bad_files(rng, tmp_path):
    model, *_ = trained(rng)
    path = tmp_path / "m.npdl"
    model.save(path)
    whole = path.read_bytes()
    for stop in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        path.write_bytes(whole[:stop])
        with pytest.raises(ValueError, match=r"m\.npdl"):
            npdl.load_model(path)
    with pytest.raises(FileNotFoundError):
        npdl.load_model(tmp_path / "none.npdl")
    path.write_text("hello")
    with pytest.raises(ValueError, match=r"m\.npdl"):
        npdl.load_model(path)
