"""Regularizers: penalties that are added to the loss, each with its formula and its gradient.

    loss = L + Σ r(w) over the weights + Σ r(y) / N over the outputs of layers

A layer's `kernel_regularizer=`, `bias_regularizer=` ... take a name or an object for a weight, `activity_regularizer=`
one for its output; the latter is divided by the number of samples N. Your own is a subclass with `__call__` and
`gradient`; it runs in NumPy.

    layers.Dense(64, kernel_regularizer="l2", bias_constraint="non_neg")
    layers.Dense(64, kernel_regularizer=regularizers.L1L2(l1=1e-5, l2=1e-4))

`fit` adds them. By hand, `model.add_penalties()` does, after `model.backward`. Penalties of frozen weights are left
out. Names, arguments and defaults are Keras 3's.
"""

import numpy as np

from npdl import names


class Regularizer(names.Part):
    """r(x), a number; subclass it and write `__call__` and `gradient`.

    Every argument of `__init__` is kept under its own name.

    Attributes:
        code: the number under which the compiled kernels know it; None: they call this object instead.
    """

    code: int | None = None

    def __init_subclass__(cls, **kwargs):
        """A formula of your own is not what the compiled code of a built-in one computes."""
        super().__init_subclass__(**kwargs)
        if {"__call__", "gradient"} & vars(cls).keys() and "code" not in vars(cls):
            cls.code = None

    def __call__(self, x):
        """r(x)"""
        raise NotImplementedError(f"{type(self).__name__} needs __call__(self, x), the penalty, a number")

    def gradient(self, x):
        """dr/dx, of the shape of x"""
        raise NotImplementedError(f"{type(self).__name__} needs gradient(self, x), the formula of dr/dx")


def _number(owner, name, value):
    """A number of at least 0, as a float; None is 0.

    Raises:
        ValueError: it is something else.
    """
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value < np.inf:
        raise ValueError(
            f"{owner} needs {name} to be a number of at least 0, got {value!r}; pass e.g. {owner}({name}=0.01)"
        )
    return float(value)


class L1L2(Regularizer):
    """r = λ₁ Σ |x| + λ₂ Σ x²;  dr/dx = λ₁ sign(x) + 2 λ₂ x,  sign(0) = 0

    Args:
        l1, l2: λ₁ and λ₂.
    """

    code = 1

    def __init__(self, l1=0.0, l2=0.0):
        self.l1, self.l2 = _number("L1L2", "l1", l1), _number("L1L2", "l2", l2)

    def __call__(self, x):
        x = x.astype(np.float64)
        return self.l1 * np.abs(x).sum() + self.l2 * (x * x).sum()

    def gradient(self, x):
        return (self.l1 * np.sign(x) + 2 * self.l2 * x).astype(x.dtype)


class L1(L1L2):
    """r = λ Σ |x|;  dr/dx = λ sign(x), sign(0) = 0

    Args:
        l1: λ.
    """

    def __init__(self, l1=0.01):
        self.l1, self.l2 = _number("L1", "l1", 0.01 if l1 is None else l1), 0.0


class L2(L1L2):
    """r = λ Σ x²;  dr/dx = 2 λ x

    Args:
        l2: λ.
    """

    def __init__(self, l2=0.01):
        self.l1, self.l2 = 0.0, _number("L2", "l2", 0.01 if l2 is None else l2)


class OrthogonalRegularizer(Regularizer):
    """Rows (or columns) of a matrix are drawn towards right angles: the mean of |cosine| over the pairs of them.

        u = x / ‖x‖ of each row         P = u uᵀ        c = factor / (n (n − 1))
        r = c Σ |P[i, j]| over i ≠ j
        du = 2 c sign(P) u, the diagonal of sign(P) being 0
        dr/dx = (du − u Σ du u) / ‖x‖ of each row

    Args:
        factor: what the mean is multiplied by.
        mode: "rows" or "columns".

    Raises:
        ValueError: another mode; a weight that is no matrix, or one of a single row.

    Reference: Brock, Lim, Ritchie and Weston, Neural Photo Editing with Introspective Adversarial Networks, 2016.
    """

    code = 2

    def __init__(self, factor=0.01, mode="rows"):
        if mode not in ("rows", "columns"):
            raise ValueError(f'OrthogonalRegularizer knows mode="rows" and mode="columns", got mode={mode!r}')
        self.factor, self.mode = _number("OrthogonalRegularizer", "factor", factor), mode

    def share(self, shape):
        """c for a matrix of that shape."""
        n = shape[self.mode == "columns"] if len(shape) == 2 else 0
        if n < 2:
            raise ValueError(
                f"OrthogonalRegularizer needs a matrix of two {self.mode} at least, got a weight of shape {shape}; "
                'pass e.g. kernel_regularizer="l2" instead'
            )
        return self.factor / (n * (n - 1))

    def _cosines(self, x):
        rows = x if self.mode == "rows" else x.T
        norm = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
        u = rows / np.maximum(norm, 1e-12)
        return norm, u, (u @ u.T) * (1 - np.eye(len(u), dtype=x.dtype))

    def __call__(self, x):
        c = self.share(x.shape)
        return c * np.abs(self._cosines(x)[2]).sum()

    def gradient(self, x):
        c = self.share(x.shape)
        norm, u, p = self._cosines(x)
        du = 2 * c * np.sign(p) @ u
        dx = ((du - u * (du * u).sum(axis=1, keepdims=True)) / np.maximum(norm, 1e-12)).astype(x.dtype)
        return dx if self.mode == "rows" else dx.T


_classes = {kind.__name__: kind for kind in (L1, L2, L1L2, OrthogonalRegularizer)}
_by_name = {"l1": L1, "l2": L2, "l1_l2": L1L2, "orthogonal_regularizer": OrthogonalRegularizer}


def get(identifier):
    """The regularizer for a name, an object or its `{"class_name", "config"}`; None for None.

    Raises:
        ValueError: an unknown name; the nearest one is suggested.
        TypeError: something else.

    >>> get("l2"), get({"class_name": "L1", "config": {"l1": 0.5}})
    (L2(l2=0.01), L1(l1=0.5))
    """
    return names.part("regularizer", identifier, Regularizer, _by_name, _classes, 'kernel_regularizer="l2"')


def serialize(regularizer):
    """What `get` reads back."""
    return {"class_name": type(regularizer).__name__, "config": regularizer.get_config()}
