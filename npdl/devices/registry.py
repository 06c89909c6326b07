"""The devices by name, and the table of kernels of each."""

import functools
import importlib
import threading

from npdl.devices.base import Device, Kernels
from npdl.devices.cuda import find
from npdl.devices.precision import mixed
from npdl.devices.strict import StrictDevice, StrictKernels
from npdl.kernels import cpu as cpu_kernels

FAMILIES = {
    "matmul": ("matmul", "sum_rows"),
    "conv": (
        "im2col", "col2im", "conv2d", "conv2d_dx", "conv2d_dkernel", "conv2d_transpose",
        "conv3d", "conv3d_dx", "conv3d_dkernel", "conv3d_transpose",
    ),
    "pool": (
        "max_pool2d", "max_pool2d_grad", "average_pool2d", "average_pool2d_grad",
        "global_max_pool2d", "global_max_pool2d_grad", "global_average_pool2d", "global_average_pool2d_grad",
        "mean_of_counted",
    ),
    "pooled": ("unpool", "conv2d_pooled", "conv2d_pooled_dkernel", "batch_norm_pooled", "batch_norm_pooled_grad"),
    "adaptive_pool": (
        "adaptive_max_pool", "adaptive_max_pool_grad", "adaptive_average_pool", "adaptive_average_pool_grad",
    ),
    "einsum": ("einsum", "sum_to"),
    "mask": ("masking", "mask_rows", "both", "choose", "fill", "copy", "times", "join", "part"),
    "activation": ("activation", "activation_grad", "glu", "glu_grad", "prelu", "prelu_grad"),
    "merge": (
        "add", "subtract", "multiply", "maximum", "minimum", "scale", "match_grad", "put_part", "take_part",
    ),
    "power": ("power", "power_grad"),
    "rnn": (
        "simple_rnn", "simple_rnn_grad", "lstm", "lstm_grad", "gru", "gru_grad", "gru_dkernel",
        "rnn_dkernels", "to_steps", "from_steps", "seen",
    ),
    "shape": ("permute", "crop", "pad", "repeat", "repeat_grad"),
    "extend": ("extend", "extend_grad"),
    "interpolate": ("interpolate", "interpolate_grad"),
    "image": (
        "rescale", "clip_grad", "standardize", "standardize_grad", "affine_sample", "affine_sample_grad", "erase",
    ),
    "color": ("recolor", "recolor_grad"),
    "embed": ("embedding", "embedding_grad", "not_zero", "count_ids", "count_ids_grad"),
    "norm": ("batch_norm_statistics", "batch_norm", "batch_norm_grad", "batch_norm_frozen_grad", "moving_average"),
    "layer_norm": ("layer_norm", "layer_norm_grad", "rms_norm", "rms_norm_grad", "unit_norm", "unit_norm_grad"),
    "group_norm": ("group_norm", "group_norm_grad"),
    "dropout": ("dropout", "alpha_dropout", "alpha_dropout_grad", "gaussian_dropout", "gaussian_noise"),
    "attention": ("attention", "attention_grad"),
    "position": ("add_positions", "sine_positions", "rotate"),
    "loss": (
        "mean_squared_error", "mean_squared_error_grad", "mean_absolute_error", "mean_absolute_error_grad",
        "huber", "huber_grad", "binary_cross_entropy", "binary_cross_entropy_grad",
        "categorical_cross_entropy", "categorical_cross_entropy_grad",
        "sparse_categorical_cross_entropy", "sparse_categorical_cross_entropy_grad", "weighted_sum",
    ),
    "element_loss": ("element_loss", "element_loss_grad"),
    "row_loss": ("row_loss", "row_loss_grad"),
    "pair_loss": ("pair_loss", "pair_loss_grad", "triplet_margin", "triplet_margin_grad"),
    "triplets": ("semi_hard", "semi_hard_grad", "circle", "circle_grad"),
    "ctc": ("ctc", "ctc_grad"),
    "regularize": ("penalty", "penalty_grad", "constrain"),
    "rounding": ("round_bfloat16", "round_float16"),
    "update": (
        "sgd", "adam", "adamw", "rmsprop", "adamax", "nadam", "lion", "adagrad", "adadelta", "ftrl", "schedule_free",
        "rprop", "muon", "combine", "clip",
    ),
    "layerwise": ("dot", "sum_abs", "max_abs", "clip_norm", "lamb", "adafactor"),
}  # fmt: skip
"""Kernel families: the file's name in each of npdl/kernels/{reference,cpu,cuda}, and the kernels in it."""


_one_at_a_time = threading.RLock()


def _table(package, families):
    return {name: f"npdl.kernels.{package}.{family}:{name}" for family in families for name in FAMILIES[family]}


def kernel_table(name):
    """Kernel name -> "module:function" of one device.

    Raises:
        ValueError: no such device.
    """
    reference = _table("reference", FAMILIES)
    if name == "reference":
        return reference
    if name in ("cpu", "strict"):
        return {**reference, **_table("cpu", cpu_kernels.families())}
    if name == "stand-in" or gpu_number(name) is not None:
        return _table("cuda", FAMILIES)
    raise ValueError(f"no device {name!r}; there are {', '.join(names())}")


def gpu_number(name):
    """0 for "cuda", 1 for "cuda:1"; None: it is no GPU's name."""
    kind, colon, number = name.partition(":")
    if kind != "cuda" or (colon and not number.isdecimal()):
        return None
    return int(number or 0)


def names():
    """The devices there are."""
    return ("cpu", "cuda", "reference", "strict")


def get(name, precision=None):
    """The device of that name, one object a process; in mixed precision another one in the same memory.

    Raises:
        ValueError: there is no such name.
        TypeError: it is none.
        RuntimeError: a GPU cannot be used here; the message says what is missing.
    """
    if not isinstance(name, str):
        raise TypeError(f"a device is called by its name, {', '.join(map(repr, names()))}, got {name!r}")
    number = gpu_number(name)
    with _one_at_a_time:  # a GPU has one driver
        device = _made(name if number is None else f"cuda:{number}" if number else "cuda")
        return device if precision is None else _mixed(device, precision)


@functools.cache
def _mixed(device, precision):
    return mixed(device, precision)


@functools.cache
def _made(name):
    table = kernel_table(name)
    if name == "strict":
        return StrictDevice(name, StrictKernels(table))
    if name == "stand-in":
        driver = _late("npdl.devices.cuda.stand_in").StandIn()
    elif (number := gpu_number(name)) is None:
        return Device(name, Kernels(table))
    elif obstacle := find.obstacle(number):
        raise RuntimeError(f"the device {name!r} cannot be used: {obstacle}")
    else:
        driver = _late("npdl.devices.cuda.gpu").Gpu(number)
    return _late("npdl.devices.cuda.device").CudaDevice(name, Kernels(table), driver)


_late = importlib.import_module  # of what loads Numba, and CUDA
