"""Residual: a chain of layers and a way around it."""

from npdl import activations
from npdl.layers import masks
from npdl.layers.batch_normalization import BatchNormalization
from npdl.layers.container import Container
from npdl.layers.conv2d import Conv2D
from npdl.layers.dense import Dense


class Residual(Container):
    """Residual block: what a chain of layers F makes of x is added to x itself, or to what a shortcut S makes of it.

        forward     z = F(x) + S(x)         y = a(z)
        backward    dz = dy · a'(z)
                    dx = dF + dS            dF = ∂Fᵀ dz,  dS = ∂Sᵀ dz

    F and S are layers one after the other, as in a Sequential; without a shortcut S(x) = x and dS = dz.

    Shapes: x (N, ...) · F(x), S(x) and y (N, ...), all three alike; without a shortcut x too.
    Saves: y (or z, where a' is computed from z); the layers inside save their own.

    Args:
        layers: list of the layers of F.
        shortcut: list of the layers of S, None for x itself.
        activation: name or `npdl.activations` object; None is linear.

    Raises:
        TypeError: something else than a layer.
        ValueError: no layer in F; a layer that is somewhere else already; two of one name; F(x) and S(x) of different
            shapes.

    Reference: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2015.

    >>> block = Residual(
    ...     [Conv2D(8, 3, padding="same", strides=2), BatchNormalization()],
    ...     shortcut=[Conv2D(8, 1, strides=2)], activation="relu",
    ... )
    >>> block.init(input_shape=(6, 6, 4), seed=0).output_shape
    (3, 3, 8)
    """

    joins = False  # a model sets it where F ends in a BatchNormalization that can add S(x) in its own pass over memory

    def __init__(self, layers, shortcut=None, activation=None, **base):
        super().__init__({"layers": layers, "shortcut": shortcut or None}, **base)
        if not self.layers:
            raise ValueError("Residual needs at least one layer to go around; pass e.g. Residual([layers.Dense(10)])")
        self.activation = activations.get(activation)
        passed_on = _let_overwrite(self.layers, shared=True)
        _let_overwrite(self.shortcut or (), shared=passed_on)  # then dF is dz, and is yet to be added to dS

    def build(self, input_shape):
        ends = []
        for chain in (self.layers, self.shortcut or ()):
            shape = input_shape
            for layer in chain:
                shape = layer.build_once(shape)
            ends.append(shape)
        if ends[0] != ends[1]:
            taken = "its shortcut makes" if self.shortcut else "it adds x, which has"
            raise ValueError(
                f"{self.name}: the layers of this Residual make samples of shape {ends[0]}, {taken} {ends[1]}, and "
                f"only equal shapes can be added; pass shortcut=[{_projection(input_shape, ends[0])}]"
            )
        return ends[0]

    def forward(self, x, training=False, mask=None):
        return self.carry(x, training, mask)[0]

    def carry(self, x, training=False, mask=None):
        """(y, its mask): a place counts where it counts in F(x) and in S(x)."""
        inside, last = self._joined(self.layers)
        f, f_mask = masks.chain(inside, x, training, mask)  # F(x)
        s, s_mask = masks.chain(self.shortcut or (), x, training, mask)  # S(x)
        z = None
        if last:
            y, f_mask = last.joined(f, training, self.activation, s), last.compute_mask(f, f_mask)
        else:
            y = self.buffer("y", f.shape)
            z = self.buffer("z", y.shape) if training and self.activation.needs == "z" else None
            self.k.add(f, s, out=y, z=z, activation=self.activation)  # y = a(F(x) + S(x))
        if training:
            self.save(self.activation.kept(y, z))
        else:
            self.forget()
        return y, masks.both(self, f_mask, s_mask)

    def backward(self, dy):
        y = self.saved()
        dz = self.inplace("dz", dy)
        df = ds = dz
        chain, last = self._joined(self.trained(self.layers))
        if last and self.activation.code == activations.relu.code:
            df = last.backward(dy, y, dz)  # dz on the way
        else:
            chain = self.trained(self.layers)
            self.k.activation_grad(dy, y, self.activation, out=dz)  # dz = dy · a'(z)
        for layer in reversed(chain):
            df = layer.backward(df)  # dF
        for layer in reversed(self.trained(self.shortcut or ())):
            ds = layer.backward(ds)  # dS
        if not self.needs_dx or self.reads_integers:
            return None
        dx = self.buffer("dx", df.shape) if self.shortcut else dz
        self.k.add(df, ds, out=dx)  # dx = dF + dS
        return dx

    def _joined(self, chain):
        """(the chain without its last layer, that one) where it adds S(x) and applies a itself, else (chain, None)."""
        codes = activations.linear.code, activations.relu.code
        if not (self.joins and chain and chain[-1].activation.code == codes[0] and self.activation.code in codes):
            return chain, None
        return chain[:-1], chain[-1]


def _let_overwrite(chain, shared):
    """Say which layers may write over the dy that they get: not over dz while the other branch has yet to read it.

    Below a layer that makes a dx of its own, and does not pass on what it got or a view of it, dy is nobody else's.

    Returns:
        whether dz itself may come out at the end of the chain.
    """
    for layer in reversed(chain):
        layer.may_overwrite = not shared
        shared = shared and type(layer) not in (BatchNormalization, Conv2D, Dense)
    return shared


def _projection(x, y):
    """A layer that makes samples of shape y of samples of shape x, as code."""
    if len(x) == len(y) == 3 and None not in (*x, *y) and min(y) > 0:
        strides = (-(-x[0] // y[0]), -(-x[1] // y[1]))
        given = strides[0] if strides[0] == strides[1] else strides
        return f"layers.Conv2D({y[-1]}, 1{'' if given == 1 else f', strides={given}'})"
    return f"layers.Dense({y[-1]})" if len(x) == len(y) else f"..., layers that make {y} of {x}"
