"""The order in which an epoch takes its rows."""

from npdl import random


def order(n, seed, epoch):
    """The rows 0 ... n-1, shuffled: a permutation made from (seed, epoch) alone.

    Args:
        n: number of rows.
        seed: of the model.
        epoch: counted from 0.
    """
    if seed is None:
        raise ValueError("shuffling needs a seed, got seed=None; pass e.g. seed=0, or shuffle=False")
    return random.permutation(random.key(seed, "shuffle", epoch), n)
