"""Semi-hard triplets, found in the batch: anchors, others of their label, and one of another label for each pair."""

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
