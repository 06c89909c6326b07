"""Attention; formulas: npdl/kernels/reference/attention.py, code: kernels/attention.h."""

import math

import numpy as np

from npdl.kernels.checks import attention_sizes, key_words
from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.dropout import MASK_BITS

expect = lib.expect


def _masks(kernel, sizes, causal, query_mask, key_mask, value_mask, mask):
    """(of queries, of keys, of pairs, whether causal); the masks as bytes or None."""
    samples, queries, keys = sizes[:3]
    shapes = {"query_mask": (samples, queries), "key_mask": (samples, keys), "value_mask": (samples, keys)}
    masks = dict(zip((*shapes, "mask"), (query_mask, key_mask, value_mask, mask)))
    for name, array in masks.items():
        if array is not None:
            expect(kernel, name, array, shapes.get(name, (samples, queries, keys)))
            if array.dtype != bool:
                raise TypeError(f"{kernel}: {name} must be bool, got {array.dtype}; pass {name}.astype(bool)")
    if key_mask is None or value_mask is None:
        of_keys = value_mask if key_mask is None else key_mask
    else:
        of_keys = np.logical_and(key_mask, value_mask)
    found = [None if array is None else array.view("uint8") for array in (query_mask, of_keys, mask)]
    return *found, bool(causal)


def _dropout(kernel, rate, key, step):
    """(threshold, step, two words of the key, scale) as the compiled code takes them."""
    if not 0 <= rate < 1:
        raise ValueError(f"{kernel}: rate must be at least 0 and below 1, got {rate!r}")
    if rate == 0:
        return 0, 0, 0, 0, 1.0
    return math.ceil(rate * 2**MASK_BITS), step, *key_words(kernel, key), 1 / (1 - rate)


def attention(
    q, k, v, scale, *, out,
    causal=False, query_mask=None, key_mask=None, value_mask=None, mask=None, rate=0.0, key=None, step=0,
):  # fmt: skip
    """out = P m v,  P = softmax(scale q kᵀ)"""
    sizes = attention_sizes("attention", q, k, v, scale, expect)
    expect("attention", "out", out, (*q.shape[:3], v.shape[3]))
    masks = _masks("attention", sizes, causal, query_mask, key_mask, value_mask, mask)
    arrays = q, k, v, out, None, None, None, None
    lib.attention("attention", arrays, sizes, scale, masks, _dropout("attention", rate, key, step))


def attention_grad(
    dout, q, k, v, scale, *, dq, dk, dv,
    causal=False, query_mask=None, key_mask=None, value_mask=None, mask=None, rate=0.0, key=None, step=0,
):  # fmt: skip
    """dq, dk, dv of `attention`, from dout = dL/dout"""
    sizes = attention_sizes("attention_grad", q, k, v, scale, expect)
    shape = (*q.shape[:3], v.shape[3])
    for name, array, like in (("dout", dout, shape), ("dq", dq, q.shape), ("dk", dk, k.shape), ("dv", dv, v.shape)):
        expect("attention_grad", name, array, like)
    masks = _masks("attention_grad", sizes, causal, query_mask, key_mask, value_mask, mask)
    arrays = q, k, v, None, dout, dq, dk, dv
    lib.attention("attention_grad", arrays, sizes, scale, masks, _dropout("attention_grad", rate, key, step))
