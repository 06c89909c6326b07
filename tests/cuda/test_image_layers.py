"""Layers of images on the stand-in against the float64 reference: forward, and every gradient."""

import numpy as np
import pytest

from npdl import layers as L

LAYERS = (
    (L.Conv1D(5, 3, padding="causal", dilation_rate=2, activation="gelu"), (9, 4)),
    (L.Conv2D(6, 3, strides=2, padding="same", activation="relu"), (7, 9, 3)),
    (L.Conv2D(4, 3, padding="same", padding_mode="reflect", groups=2), (6, 5, 4)),
    (L.Conv2D(8, 1, activation="silu"), (5, 6, 3)),
    (L.Conv3D(4, (2, 3, 3), padding="same", strides=(1, 2, 1)), (4, 6, 5, 3)),
    (L.Conv1DTranspose(3, 4, strides=3), (5, 4)),
    (L.Conv2DTranspose(4, 3, strides=2, padding="same", groups=2, activation="tanh"), (5, 4, 6)),
    (L.Conv3DTranspose(2, 2, strides=2), (2, 3, 2, 3)),
    (L.DepthwiseConv1D(3, depth_multiplier=2, padding="same"), (8, 5)),
    (L.DepthwiseConv2D(3, strides=2, padding="same", activation="relu"), (9, 8, 6)),
    (L.SeparableConv2D(7, 3, depth_multiplier=2, padding="same"), (6, 7, 3)),
    (L.MaxPooling1D(3, 2, padding="same"), (9, 4)),
    (L.MaxPooling2D(3, strides=2), (8, 9, 3)),
    (L.MaxPooling3D(2), (4, 6, 5, 3)),
    (L.AveragePooling2D(3, strides=1, padding="same"), (6, 5, 4)),
    (L.AveragePooling3D(2, padding="same"), (3, 4, 5, 2)),
    (L.GlobalMaxPooling2D(), (5, 4, 35)),
    (L.GlobalAveragePooling2D(keepdims=True), (5, 4, 35)),
    (L.GlobalAveragePooling3D(), (3, 5, 4, 2)),
    (L.Maxout(3), (6,)),
    (L.AdaptiveMaxPooling2D((3, 4)), (7, 9, 3)),
    (L.AdaptiveAveragePooling1D(4), (9, 3)),
    (L.Permute((2, 1)), (40, 17)),
    (L.PixelShuffle(2), (4, 3, 8)),
    (L.ChannelShuffle(3), (4, 6)),
    (L.ZeroPadding2D(((1, 0), (2, 1))), (4, 5, 3)),
    (L.Cropping1D((1, 2)), (7, 3)),
    (L.RepeatVector(4), (5,)),
    (L.UpSampling2D((2, 3)), (4, 3, 2)),
    (L.UpSampling2D(2, interpolation="bilinear"), (4, 3, 2)),
    (L.UpSampling3D(2), (2, 3, 2, 2)),
    (L.ReflectionPadding2D((2, 1)), (4, 5, 3)),
    (L.ReplicationPadding1D(3), (4, 2)),
    (L.CircularPadding2D(2), (4, 5, 3)),
    (L.Unfold(3, strides=2, padding="same"), (6, 7, 2)),
    (L.Fold((6, 7), 3, strides=2, padding="same"), (12, 18)),
    (L.Resizing(5, 9, "bicubic", pad_to_aspect_ratio=True, fill_value=0.3), (7, 6, 3)),
    (L.CenterCrop(3, 4), (6, 7, 2)),
    (L.Rescaling([1.0, 2.0, 0.5], offset=-1), (4, 5, 3)),
    (L.Normalization(mean=[1.0, 2.0], variance=[0.5, 4.0]), (4, 2)),
    (L.RandomFlip(seed=3), (6, 7, 3)),
    (L.RandomRotation(0.2, fill_mode="constant", seed=3), (8, 8, 2)),
    (L.RandomTranslation(0.3, 0.2, seed=3), (6, 7, 3)),
    (L.RandomCrop(4, 5, seed=3), (6, 7, 3)),
    (L.RandomBrightness(0.3, value_range=(-1, 1), seed=3), (6, 7, 3)),
    (L.RandomContrast(0.5, value_range=(-1, 1), seed=3), (6, 7, 3)),
    (L.RandomErasing(scale=0.5, fill_value=[1.0, 2.0, 3.0], seed=3), (6, 7, 3)),
)


def step(layer, input_shape, device, dtype, arrays):
    """(y, dx, gradients ...) of a training step, on the host, and the shape of y."""
    layer = type(layer).from_config(layer.get_config()).init(input_shape, dtype, seed=5, device=device)
    x = layer.device.from_host(arrays[0].astype(dtype))
    y = layer.forward(x, True)
    dy = arrays[1].reshape(-1)[: y.size].reshape(y.shape).astype(dtype)
    dx = layer.backward(layer.device.from_host(dy))
    grads = [grad for part in layer.walk() for grad in part.grads.values()]
    return [np.array(layer.device.to_host(array)) for array in (y, dx, *grads)]


@pytest.mark.parametrize("layer, input_shape", LAYERS, ids=lambda one: getattr(one, "name", None))
def test_step(layer, input_shape):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(size).astype("float32") for size in ((3, *input_shape), (20000,))]
    exact = step(layer, input_shape, "reference", "float64", arrays)
    for want, found in zip(exact, step(layer, input_shape, "stand-in", "float32", arrays), strict=True):
        assert found.shape == want.shape and found.dtype == np.float32
        assert np.linalg.norm(found - want) <= 1e-5 * np.linalg.norm(want)
