"""Losses of pairs and triplets that are found in the batch by the labels of its rows.

Semi-hard triplets: anchors, others of their label, and one of another label for each pair. Circle loss: all pairs.
"""

import numpy as np


def positive_pairs(labels):
    """P, how many pairs (a, p) of different rows of one label there are."""
    counts = np.unique(labels, return_counts=True)[1].astype(np.int64)
    return int(np.sum(counts * (counts - 1)))


def _slopes(labels, e, margin, root, factor):
    """(N/P · Σ_p hinge of each anchor a, its slopes dL_a/dd(a, b), the distances d, the differences of rows)"""
    n = len(e)
    apart = e[:, None] - e
    d = factor * np.sqrt((apart**2).sum(axis=2)) if root else factor * (apart**2).sum(axis=2)
    losses, slopes, share = np.zeros(n, e.dtype), np.zeros((n, n), e.dtype), n / max(positive_pairs(labels), 1)
    for a in range(n):
        others = np.flatnonzero(labels != labels[a])
        for p in np.flatnonzero(labels == labels[a]):
            if p == a or not len(others):
                continue
            beyond = others[d[a, others] > d[a, p]]
            away = others[np.argmax(d[a, others])]  # or the first that is not a number
            if len(beyond) and not np.isnan(d[a, away]):
                away = beyond[np.argmin(d[a, beyond])]
            loss = d[a, p] - d[a, away] + margin
            if not loss <= 0:
                losses[a] += share * loss
                slopes[a, p] += share
                slopes[a, away] -= share
    return losses, slopes, d, apart


def semi_hard(labels, e, margin, root, factor, *, out):
    """out[a] = N/P Σ_p max(d(a, p) − d(a, n) + m, 0),  over the rows p of a's label, P of such pairs in all

    n is of another label: the nearest one with d(a, n) > d(a, p), and where there is none the one farthest from a.
    d(a, b) = f ‖e_a − e_b‖ or f ‖e_a − e_b‖². A pair without a row of another label adds nothing.

    Args:
        labels: (N,) int32.
        e: (N, D).
        margin: m.
        root: True for the norm, False for its square.
        factor: f.
        out: (N,).
    """
    out[...] = _slopes(labels, e, margin, root, factor)[0]


def semi_hard_grad(labels, e, margin, root, factor, scale, *, out):
    """de = Σ_a s_a · dL_a/de

    Args:
        labels, e, margin, root, factor: as of `semi_hard`.
        scale: s (N,).
        out: like e.
    """
    _, slopes, d, apart = _slopes(labels, e, margin, root, factor)
    slopes = slopes * scale[:, None]
    slopes = slopes * factor**2 / np.where(d == 0, np.inf, d) if root else slopes * 2 * factor
    out[...] = ((slopes + slopes.T)[:, :, None] * apart).sum(axis=1)


def anchors_with_both(labels, diagonal):
    """V, how many rows have one of their own label, themselves alone only with `diagonal`, and one of another label."""
    counts = np.unique(labels, return_counts=True)[1].astype(np.int64)
    return int(np.sum(counts[(counts < len(labels)) & ((counts > 1) | bool(diagonal))]))


def _parts(labels, s, gamma, margin, diagonal):
    """(rows with both kinds of pairs, ln Σ e^p + ln Σ e^n of these, slopes of that by S)"""
    d, same = np.maximum(1 - s, 0), labels[:, None] == labels
    near = same if diagonal else same & ~np.eye(len(s), dtype=bool)
    live = near.any(axis=1) & ~same.all(axis=1)
    logs, slopes = 0, 0
    for kind, weight, gap, slope in (
        (near, d + margin, d - margin, 2 * d), (~same, 1 + margin - d, 1 - margin - d, -2 * (1 - d)),
    ):  # fmt: skip
        terms = np.where(kind, gamma * np.maximum(weight, 0) * gap, -np.inf)[live]
        top = terms.max(axis=1, initial=-np.inf, keepdims=True)
        total = np.exp(terms - top).sum(axis=1, keepdims=True)
        logs = logs + (top + np.log(total))[:, 0]
        own = np.where((weight > 0) & (s <= 1), -gamma * slope, 0)[live]  # d' = −1
        slopes = slopes + np.exp(terms - top) / total * own
    return live, logs, slopes


def circle(labels, s, gamma, margin, diagonal, *, out):
    """out[a] = N/V ln(1 + Σ_b e^p Σ_b e^n),      d = max(1 − S, 0)
    p = γ max(d + m, 0) (d − m),  b of a's label,      n = γ max(1 + m − d, 0) (1 − m − d),  b of another label

    V rows have pairs of both kinds; out is 0 for others.

    Args:
        labels: (N,) int32.
        s: S (N, N), the cosines of the rows' angles.
        gamma, margin: γ, m.
        diagonal: whether a row is a pair with itself.
        out: (N,).
    """
    live, logs, _ = _parts(labels, s, gamma, margin, diagonal)
    out[...] = 0
    out[live] = len(s) / max(anchors_with_both(labels, diagonal), 1) * np.logaddexp(0, logs)


def circle_grad(labels, s, gamma, margin, diagonal, scale, *, out):
    """dS[a, b] = scale[a] · dL_a/dS[a, b]

    Args:
        labels, s, gamma, margin, diagonal: as of `circle`.
        scale: (N,).
        out: like s.
    """
    live, logs, slopes = _parts(labels, s, gamma, margin, diagonal)
    share = len(s) / max(anchors_with_both(labels, diagonal), 1)
    out[...] = 0
    out[live] = (share * scale[live] / (1 + np.exp(-logs)))[:, None] * slopes
