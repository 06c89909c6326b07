"""MixUp and CutMix: two samples of a batch, and their targets, made one.

They are functions of a batch for `npdl.data.Mapped` and not layers as in Keras: a layer sees x, and no targets.
"""

import numbers

import numpy as np

from npdl import random


class _Mixing:
    """What both share: who is mixed with whom, and the targets."""

    def __init__(self, seed):
        self.seed = None if seed is None else random.check_seed(seed)

    def key(self, place, *path):
        """Of the random numbers."""
        return random.key(place.seed if self.seed is None else self.seed, type(self).__name__, *path)

    def partner(self, x, place):
        """With which row each row is mixed: a permutation of the batch."""
        return random.permutation(self.key(place, "partner", place.epoch, place.first), rows(x))

    def mixed(self, y, share, partner):
        """share · y + (1 − share) · y of the partner; of several outputs each"""
        if isinstance(y, (dict, tuple)):
            return each(lambda one: self.mixed(one, share, partner), y)
        if y is None or y.dtype.kind != "f":
            name, came = type(self).__name__, "none" if y is None else f"{y.dtype} of shape {y.shape}"
            raise TypeError(
                f"{name} mixes targets, which must be numbers that can lie in between, got {came}; "
                "pass rows of shares: npdl.utils.to_categorical(y, classes)"
            )
        share = share.reshape(-1, *[1] * (y.ndim - 1)).astype(y.dtype)
        return share * y + (1 - share) * y[partner]


def each(function, value):
    """The function's result for an array, or in the same form for each of several in a dict or tuple."""
    if isinstance(value, dict):
        return {name: function(one) for name, one in value.items()}
    return tuple(map(function, value)) if isinstance(value, tuple) else function(value)


def rows(x):
    """The samples of a batch, of one input or several."""
    return len(next(iter(x.values())) if isinstance(x, dict) else x[0] if isinstance(x, tuple) else x)


def _between(x, share, partner):
    """share · x + (1 − share) · x of the partner"""
    if x.dtype.kind != "f":
        raise TypeError(
            f"MixUp mixes numbers that can lie in between, got indices, {x.dtype} of shape {x.shape}; mix what is made "
            "of them, or take another function"
        )
    share = share.reshape(-1, *[1] * (x.ndim - 1)).astype(x.dtype)
    return share * x + (1 - share) * x[partner]


class MixUp(_Mixing):
    """Each sample of a batch, and its target, becomes a mean of two.

        x'[n] = λ x[n] + (1 − λ) x[m]       y'[n] = λ y[n] + (1 − λ) y[m]       λ ~ Beta(α, α) for each sample

    m runs through a permutation of the batch. (Keras draws one λ a batch.) Several inputs and outputs, dicts or tuples,
    are mixed alike.

    Shapes: x (N, ...) · y (N, ...), floating: rows of shares where it says classes.

    Args:
        alpha: α above 0; near 0 one of the two is nearly all, 1 makes every λ equally likely.
        seed: of λ and m; None takes the model's.

    Raises:
        ValueError: alpha not above 0.
        TypeError: targets that are whole numbers.

    Reference: Zhang, Cisse, Dauphin and Lopez-Paz, mixup: Beyond Empirical Risk Minimization, 2017.
    """

    def __init__(self, alpha=0.2, seed=None):
        super().__init__(seed)
        if not isinstance(alpha, numbers.Real) or isinstance(alpha, bool) or not alpha > 0:
            raise ValueError(f"MixUp needs alpha above 0, got {alpha!r}; pass e.g. MixUp(0.2)")
        self.alpha = float(alpha)

    def __repr__(self):
        return f"MixUp(alpha={self.alpha}, seed={self.seed})"

    def __call__(self, x, y, place):
        """(x', y') of a batch."""
        share = random.beta(self.key(place, place.epoch), rows(x), self.alpha, self.alpha, place.first)
        partner = self.partner(x, place)
        return each(lambda one: _between(one, share, partner), x), self.mixed(y, share, partner)


class CutMix(_Mixing):
    """A box of each image of a batch comes from another one, and the same part of its target.

        x'[n] = x[m] inside the box, x[n] outside       y'[n] = λ y[n] + (1 − λ) y[m],  1 − λ = the box's part of all

    The box is √(1 − λ) of the height and of the width, λ ~ Beta(α, α) for each sample, α a random number of factor for
    each batch; λ is then what whole pixels made of it. m runs through a permutation of the batch.

    Shapes: x (N, H, W, C) · y (N, ...), floating: rows of shares where it says classes.

    Args:
        factor: (lower, upper) of α, or one number for 0 ... factor; up to 1.
        seed: of all this; None takes the model's.

    Raises:
        ValueError: factor outside 0 ... 1, x that are no images.
        TypeError: targets that are whole numbers.

    Reference: Yun, Han, Oh, Chun, Choe and Yoo, CutMix: Regularization Strategy to Train Strong Classifiers, 2019.
    """

    def __init__(self, factor=1.0, seed=None):
        super().__init__(seed)
        pair = tuple(factor) if isinstance(factor, (tuple, list)) else (0.0, factor)
        if len(pair) != 2 or not all(isinstance(n, numbers.Real) and 0 <= n <= 1 for n in pair):
            raise ValueError(
                f"CutMix needs factor to be a number or two, from 0 to 1, got {factor!r}; pass CutMix(1.0)"
            )
        self.factor = float(min(pair)), float(max(pair))

    def __repr__(self):
        return f"CutMix(factor={self.factor}, seed={self.seed})"

    def __call__(self, x, y, place):
        """(x', y') of a batch."""
        if isinstance(x, (dict, tuple)) or x.ndim != 4:
            came = f"{len(x)} inputs" if isinstance(x, (dict, tuple)) else f"shape {x.shape}"
            raise ValueError(f"CutMix cuts images (N, height, width, channels), got {came}; MixUp takes any")
        n, h, w, _ = x.shape
        low, high = self.factor
        chosen = random.uniform(self.key(place, "alpha", place.epoch, place.first), ())
        alpha = low + (high - low) * float(chosen) + 1e-6
        side = np.sqrt(1 - random.beta(self.key(place, place.epoch), n, alpha, alpha, place.first))
        down, right = random.per_sample(self.key(place, "box"), place.epoch, n, 2, place.first).T
        partner = self.partner(x, place)
        x, other = x.copy(), x[partner]
        sizes = [np.floor(side * size + 0.5).astype(int) for size in (h, w)]
        starts = [np.floor(u * (size - made + 1)).astype(int) for u, size, made in zip((down, right), (h, w), sizes)]
        for i, (tall, wide, top, left) in enumerate(zip(*sizes, *starts)):
            x[i, top : top + tall, left : left + wide] = other[i, top : top + tall, left : left + wide]
        return x, self.mixed(y, 1 - sizes[0] * sizes[1] / (h * w), partner)
