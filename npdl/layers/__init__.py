"""Layers: what a model is made of, one file a layer or a tight family."""

from npdl.layers.activation import ELU, GELU, Activation, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from npdl.layers.alpha_dropout import AlphaDropout
from npdl.layers.base import Layer
from npdl.layers.batch_normalization import BatchNormalization
from npdl.layers.category_encoding import CategoryEncoding
from npdl.layers.conv2d import Conv2D
from npdl.layers.cropping import Cropping1D, Cropping2D, Cropping3D
from npdl.layers.dense import Dense
from npdl.layers.dropout import Dropout
from npdl.layers.einsum_dense import EinsumDense
from npdl.layers.embedding import Embedding
from npdl.layers.flatten import Flatten
from npdl.layers.gaussian_noise import GaussianDropout, GaussianNoise
from npdl.layers.global_pooling import GlobalAveragePooling2D, GlobalMaxPooling2D
from npdl.layers.group_normalization import GroupNormalization, InstanceNormalization
from npdl.layers.identity import Identity
from npdl.layers.input import Input
from npdl.layers.lambda_layer import Lambda
from npdl.layers.layer_normalization import LayerNormalization
from npdl.layers.merging import Add
from npdl.layers.normalization import Normalization
from npdl.layers.permute import Permute
from npdl.layers.pooling import AveragePooling2D, MaxPooling2D
from npdl.layers.random_affine import RandomRotation, RandomTranslation, RandomZoom
from npdl.layers.random_color import RandomBrightness, RandomContrast
from npdl.layers.random_erasing import RandomErasing
from npdl.layers.random_flip import RandomCrop, RandomFlip
from npdl.layers.repeat_vector import RepeatVector
from npdl.layers.rescaling import Rescaling
from npdl.layers.reshape import Reshape
from npdl.layers.residual import Residual
from npdl.layers.resizing import CenterCrop, Resizing
from npdl.layers.rms_normalization import RMSNormalization
from npdl.layers.spatial_dropout import SpatialDropout1D, SpatialDropout2D, SpatialDropout3D
from npdl.layers.stochastic_depth import StochasticDepth
from npdl.layers.unit_normalization import UnitNormalization
from npdl.layers.up_sampling import UpSampling1D, UpSampling2D, UpSampling3D
from npdl.layers.zero_padding import ZeroPadding1D, ZeroPadding2D, ZeroPadding3D

__all__ = [
    "ELU", "GELU", "Activation", "Add", "AlphaDropout", "AveragePooling2D", "BatchNormalization", "CategoryEncoding",
    "CenterCrop", "Conv2D", "Cropping1D", "Cropping2D", "Cropping3D", "Dense", "Dropout", "EinsumDense", "Embedding",
    "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "GroupNormalization",
    "Identity", "Input", "InstanceNormalization", "Lambda", "Layer", "LayerNormalization", "LeakyReLU", "MaxPooling2D",
    "Normalization", "Permute", "RMSNormalization", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomErasing",
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape",
    "Residual", "Resizing", "Sigmoid", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "StochasticDepth", "Tanh", "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D",
    "ZeroPadding2D", "ZeroPadding3D",
]  # fmt: skip
