"""Layers: what a model is made of, one file a layer or a tight family."""

from npdl.layers.activation import ELU, GELU, Activation, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from npdl.layers.activity_regularization import ActivityRegularization
from npdl.layers.adaptive_average_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
)
from npdl.layers.adaptive_max_pooling import AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D
from npdl.layers.additive_attention import AdditiveAttention
from npdl.layers.alpha_dropout import AlphaDropout
from npdl.layers.attention import Attention
from npdl.layers.average_pooling import AveragePooling1D, AveragePooling2D, AveragePooling3D
from npdl.layers.base import Layer
from npdl.layers.batch_normalization import BatchNormalization
from npdl.layers.bidirectional import Bidirectional
from npdl.layers.bilinear import Bilinear
from npdl.layers.branch import Branch, Pipeline
from npdl.layers.category_encoding import CategoryEncoding
from npdl.layers.channel_shuffle import ChannelShuffle
from npdl.layers.circular_padding import CircularPadding1D, CircularPadding2D, CircularPadding3D
from npdl.layers.concatenate import Concatenate
from npdl.layers.conv1d import Conv1D
from npdl.layers.conv1d_transpose import Conv1DTranspose
from npdl.layers.conv2d import Conv2D
from npdl.layers.conv2d_transpose import Conv2DTranspose
from npdl.layers.conv3d import Conv3D, Conv3DTranspose
from npdl.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from npdl.layers.cropping import Cropping1D, Cropping2D, Cropping3D
from npdl.layers.dense import Dense
from npdl.layers.depthwise_conv import DepthwiseConv1D, DepthwiseConv2D
from npdl.layers.discretization import Discretization
from npdl.layers.distances import CosineSimilarity, PairwiseDistance
from npdl.layers.dot import Dot
from npdl.layers.dropout import Dropout
from npdl.layers.einsum_dense import EinsumDense
from npdl.layers.embedding import Embedding
from npdl.layers.flatten import Flatten
from npdl.layers.fractional_max_pooling import FractionalMaxPooling2D, FractionalMaxPooling3D
from npdl.layers.gaussian_noise import GaussianDropout, GaussianNoise
from npdl.layers.global_average_pooling import GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D
from npdl.layers.global_max_pooling import GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
from npdl.layers.glu import GLU, Maxout
from npdl.layers.group_normalization import GroupNormalization, InstanceNormalization
from npdl.layers.grouped_query_attention import GroupedQueryAttention
from npdl.layers.gru import GRU, GRUCell
from npdl.layers.hashing import HashedCrossing, Hashing
from npdl.layers.identity import Identity
from npdl.layers.input import Input
from npdl.layers.lambda_layer import Lambda
from npdl.layers.layer_normalization import LayerNormalization
from npdl.layers.local_response_normalization import LocalResponseNormalization
from npdl.layers.lp_pooling import LPPooling1D, LPPooling2D, LPPooling3D
from npdl.layers.lstm import LSTM, LSTMCell
from npdl.layers.masking import Masking
from npdl.layers.max_pooling import MaxPooling1D, MaxPooling2D, MaxPooling3D
from npdl.layers.merging import Add, Subtract
from npdl.layers.merging_products import Average, Maximum, Minimum, Multiply
from npdl.layers.more_activations import (
    CELU,
    SELU,
    HardShrink,
    HardSigmoid,
    HardSiLU,
    HardTanh,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU6,
    SiLU,
    SoftShrink,
    Softsign,
    Sparsemax,
    TanhShrink,
    Threshold,
)
from npdl.layers.multi_head_attention import MultiHeadAttention
from npdl.layers.normalization import Normalization
from npdl.layers.parallel import Parallel
from npdl.layers.permute import Permute
from npdl.layers.pixel_shuffle import PixelShuffle, PixelUnshuffle
from npdl.layers.position_embedding import PositionEmbedding, SinePositionEncoding
from npdl.layers.prelu import PReLU
from npdl.layers.projected_lstm import ProjectedLSTM
from npdl.layers.random_affine import RandomRotation, RandomTranslation, RandomZoom
from npdl.layers.random_blur import RandomGaussianBlur, RandomSharpness
from npdl.layers.random_color import RandomBrightness, RandomContrast
from npdl.layers.random_color_jitter import RandomColorJitter
from npdl.layers.random_erasing import RandomErasing
from npdl.layers.random_flip import RandomCrop, RandomFlip
from npdl.layers.random_hue import RandomColorDegeneration, RandomGrayscale, RandomHue, RandomSaturation
from npdl.layers.random_shear import RandomShear
from npdl.layers.reflection_padding import ReflectionPadding1D, ReflectionPadding2D, ReflectionPadding3D
from npdl.layers.repeat_vector import RepeatVector
from npdl.layers.replication_padding import ReplicationPadding1D, ReplicationPadding2D, ReplicationPadding3D
from npdl.layers.rescaling import Rescaling
from npdl.layers.reshape import Reshape
from npdl.layers.residual import Residual
from npdl.layers.resizing import CenterCrop, Resizing
from npdl.layers.rms_normalization import RMSNormalization
from npdl.layers.rnn import RNN
from npdl.layers.rotary_embedding import RotaryEmbedding
from npdl.layers.separable_conv import SeparableConv1D, SeparableConv2D
from npdl.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from npdl.layers.softplus import Softplus
from npdl.layers.solarization import RandomInvert, RandomPosterization, Solarization
from npdl.layers.spatial_dropout import SpatialDropout1D, SpatialDropout2D, SpatialDropout3D
from npdl.layers.spectral_normalization import SpectralNormalization
from npdl.layers.stacked_rnn_cells import StackedRNNCells
from npdl.layers.stochastic_depth import StochasticDepth
from npdl.layers.string_lookup import IntegerLookup, StringLookup
from npdl.layers.text_vectorization import TextVectorization
from npdl.layers.time_distributed import TimeDistributed
from npdl.layers.token_and_position_embedding import TokenAndPositionEmbedding
from npdl.layers.transformer_decoder import TransformerDecoder
from npdl.layers.transformer_encoder import TransformerEncoder
from npdl.layers.unfold import Fold, Unfold
from npdl.layers.unit_normalization import UnitNormalization
from npdl.layers.up_sampling import UpSampling1D, UpSampling2D, UpSampling3D
from npdl.layers.weight_normalization import WeightNormalization
from npdl.layers.zero_padding import ZeroPadding1D, ZeroPadding2D, ZeroPadding3D

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "GRU", "LSTM", "RNN", "SELU", "Activation", "ActivityRegularization",
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "BatchNormalization", "Bidirectional", "Bilinear",
    "Branch", "CategoryEncoding", "CenterCrop", "ChannelShuffle", "CircularPadding1D", "CircularPadding2D",
    "CircularPadding3D", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D",
    "Conv3DTranspose", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "CosineSimilarity", "Cropping1D", "Cropping2D",
    "Cropping3D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Discretization", "Dot", "Dropout", "EinsumDense",
    "Embedding", "Flatten", "Fold", "FractionalMaxPooling2D", "FractionalMaxPooling3D", "GRUCell", "GaussianDropout",
    "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D", "GroupNormalization", "GroupedQueryAttention", "HardShrink", "HardSiLU",
    "HardSigmoid", "HardTanh", "HashedCrossing", "Hashing", "Identity", "Input", "InstanceNormalization",
    "IntegerLookup", "LPPooling1D", "LPPooling2D", "LPPooling3D", "LSTMCell", "Lambda", "Layer", "LayerNormalization",
    "LeakyReLU", "LocalResponseNormalization", "LogSigmoid", "LogSoftmax", "Masking", "MaxPooling1D", "MaxPooling2D",
    "MaxPooling3D", "Maximum", "Maxout", "Minimum", "Mish", "MultiHeadAttention", "Multiply", "Normalization", "PReLU",
    "PairwiseDistance", "Parallel", "Permute", "Pipeline", "PixelShuffle", "PixelUnshuffle", "PositionEmbedding",
    "ProjectedLSTM", "RMSNormalization", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
    "RandomContrast", "RandomCrop", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear",
    "RandomTranslation", "RandomZoom", "ReLU", "ReLU6", "ReflectionPadding1D", "ReflectionPadding2D",
    "ReflectionPadding3D", "RepeatVector", "ReplicationPadding1D", "ReplicationPadding2D", "ReplicationPadding3D",
    "Rescaling", "Reshape", "Residual", "Resizing", "RotaryEmbedding", "SeparableConv1D", "SeparableConv2D", "SiLU",
    "Sigmoid", "SimpleRNN", "SimpleRNNCell", "SinePositionEncoding", "SoftShrink", "Softmax", "Softplus", "Softsign",
    "Solarization", "Sparsemax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "SpectralNormalization",
    "StackedRNNCells", "StochasticDepth", "StringLookup", "Subtract", "Tanh", "TanhShrink", "TextVectorization",
    "Threshold", "TimeDistributed", "TokenAndPositionEmbedding", "TransformerDecoder", "TransformerEncoder", "Unfold",
    "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D", "WeightNormalization", "ZeroPadding1D",
    "ZeroPadding2D", "ZeroPadding3D",
]  # fmt: skip
