"""Connectionist temporal classification (A. Graves et al., 2006)."""

import numpy as np

from npdl.kernels.reference.row_loss import log_softmax


def ctc(labels, y_pred, blank, *, out, scale=None, dy=None):
    """out[n] = −ln P(labels of sample n | logits): the probability of all alignments, one class a frame, that give them

    An alignment gives its classes without repetitions and then without blanks. The states of labels l₁ ... l_U are
    b l₁ b ... l_U b; with p = softmax(z) of each frame
        α_t(s) = p_t(s) (α_{t−1}(s) + α_{t−1}(s − 1) + α_{t−1}(s − 2) [the state is no blank and not that of s − 2])
        P      = α_T(last) + α_T(last − 1)
    all as logarithms.

    Args:
        labels: (N, U) int32; from the first blank on a row is padding.
        y_pred: logits z (N, T, C).
        blank: the class of no label.
        out: (N,), infinity where T frames are too few.
        scale, dy: both or neither: dy becomes what `ctc_grad` gives.
    """
    for n, z in enumerate(y_pred):
        states = states_of(labels[n], blank)
        alpha = forward_variables(log_softmax(z)[:, states], may_skip(states))
        out[n] = -np.logaddexp.reduce(alpha[-1, -2:])
    if dy is not None:
        ctc_grad(labels, y_pred, blank, scale, out=dy)


def ctc_grad(labels, y_pred, blank, scale, *, out):
    """out = s (p_t(c) − Σ over states of class c of α_t β_t / (p_t P)),  β as α from the end;  0 where P = 0

    Args:
        labels, y_pred, blank: as of `ctc`.
        scale: s (N,).
        out: like y_pred.
    """
    out[...] = 0
    for n in np.flatnonzero(scale):
        log_p, states = log_softmax(y_pred[n]), states_of(labels[n], blank)
        own, skip = log_p[:, states], may_skip(states)
        alpha = forward_variables(own, skip)
        total = np.logaddexp.reduce(alpha[-1, -2:])
        if total == -np.inf:
            continue
        beta = forward_variables(own[::-1, ::-1], may_skip(states[::-1]))[::-1, ::-1]
        share = np.exp(alpha + beta - own - total)
        out[n] = np.exp(log_p)
        for s, state in enumerate(states):
            out[n, :, state] -= share[:, s]
        out[n] *= scale[n]


def states_of(labels, blank):
    """b l₁ b l₂ ... b of the labels before the first blank"""
    end = np.append(labels, blank).tolist().index(blank)
    states = np.full(2 * end + 1, blank)
    states[1::2] = labels[:end]
    return states


def may_skip(states):
    """Whether a state can follow the one before the last one: a label that differs from the last label"""
    skip = np.zeros(len(states), bool)
    skip[3::2] = states[3::2] != states[1:-2:2]
    return skip


def forward_variables(own, skip):
    """ln α (T, S) of the states' ln p (T, S)"""
    alpha = np.full_like(own, -np.inf)
    alpha[0, :2] = own[0, :2]
    for t in range(1, len(own)):
        before = np.concatenate([[-np.inf, -np.inf], alpha[t - 1]]).astype(own.dtype)
        two = np.where(skip, before[:-2], -np.inf)
        alpha[t] = own[t] + np.logaddexp(np.logaddexp(before[2:], before[1:-1]), two)
    return alpha
