"""EinsumDense: a fully connected layer between axes named by letters."""

import numbers
import re

from npdl import activations, initializers
from npdl.layers.base import Layer

FORMS = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")
SPARE = "ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvutsrqponmlkjihgfedcba"  # letters for the axes that an ellipsis stands for


class EinsumDense(Layer):
    """Fully connected layer whose sum an equation says: "abc,cd->abd" multiplies the last axis of x by a matrix.

        forward     z = einsum(equation, x, W) + b          y = a(z)
        backward    dz = dy · a'(z)
                    dW = einsum("x,z->W", x, dz)            dx = einsum("z,W->x", dz, W)
                    db = Σ dz over the axes that b has not

    In the last two equations x, W and z stand for their letters: the gradient of a product sums over what is missing.
    The first letter of x is the batch. "..." on the left or the right of x and y stands for any axes that are kept.

    Shapes: x, kernel W and y as the equation says · bias b: the letters of y from the first of bias_axes on, 1 for
    those that are not among them.
    Saves: x for dW, and y (or z, where a' is computed from z).

    Args:
        equation: e.g. "ab,bc->ac", "...x,xy->...y"; each letter is in two of x, W and y.
        output_shape: one sample's shape but for axes of "...", a number or a tuple; None for an axis as long as that
            of x with the same letter.
        activation: name or `npdl.activations` object; None is linear.
        bias_axes: the letters of y that b has, None for no b.
        kernel_initializer, bias_initializer: name or `npdl.initializers` object.
        kernel_regularizer, bias_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        kernel_constraint, bias_constraint: name or `npdl.constraints` object.

    Raises:
        ValueError: an equation of another form, sizes that contradict each other or cannot be known.

    >>> EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d").init(input_shape=(32, 128)).output_shape
    (32, 64)
    """

    ruled = ("kernel", "bias", "activity")

    def __init__(
        self, equation, output_shape, activation=None, bias_axes=None,
        kernel_initializer="glorot_uniform", bias_initializer="zeros", **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.asked = tuple(output_shape) if isinstance(output_shape, (tuple, list)) else (output_shape,)
        self.equation, self.bias_axes = equation, bias_axes or None
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self._parts()

    def get_config(self):
        """The arguments; `output_shape` is what was asked for, not the shape that `build` made of it."""
        return {**super().get_config(), "output_shape": self.asked}

    def _parts(self):
        """The letters of x, W and y and on which side of them "..." stands, checked."""
        form = FORMS.fullmatch(str(self.equation).replace(" ", ""))
        left, x, right, w, y_left, y, y_right = form.groups() if form else (None,) * 7
        if not form or (left, right) != (y_left, y_right) or (left and right):
            self._refuse('an equation is "x,w->y", "...x,w->...y" or "x...,w->y..." of letters')
        once = all(len(set(part)) == len(part) for part in (x, w, y))
        stray = [one for one in dict.fromkeys(x + w + y) if (one in x) + (one in w) + (one in y) < 2]
        if not once or stray:
            self._refuse(
                f"each letter must be in two of its three parts, once in each{': ' * bool(stray)}{stray or ''}"
            )
        if any(one not in y for one in self.bias_axes or ""):
            self._refuse(f"bias_axes={self.bias_axes!r} must be letters of the output {y!r}")
        if any(n is not None and (not isinstance(n, numbers.Integral) or n < 1) for n in self.asked):
            self._refuse("output_shape must be whole numbers of at least 1, or None")
        return x, w, y, bool(left), bool(right)

    def _refuse(self, why):
        raise ValueError(
            f"{self.name}: EinsumDense got equation={self.equation!r}, output_shape={self.asked}: {why}; "
            'e.g. EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d")'
        )

    def build(self, input_shape):
        x, w, y, left, right = self._parts()
        axes = len(input_shape) + 1 - len(x)
        if axes < 0 or (axes and not (left or right)):
            self._refuse(f"it reads {len(x)} axes with the batch, got samples of shape {input_shape}")
        kept = "".join([one for one in SPARE if one not in x + w + y][:axes])
        full_x, full_y = (kept + x, kept + y) if left else (x + kept, y + kept)
        given = full_y[len(kept) or 1 :] if left else y[1:]
        sizes = dict(zip(full_x[1:], input_shape))
        if len(given) != len(self.asked) or full_x[0] != full_y[0]:
            self._refuse(f"the output has the batch first and then {len(given)} axes that output_shape says")
        for one, size in zip(given, self.asked):
            if sizes.get(one) is not None and size not in (None, sizes[one]):
                self._refuse(f"axis {one!r} of the input has {sizes[one]} places, output_shape says {size}")
            sizes[one] = sizes.get(one) or size
        unknown = [one for one in (*w, *(self.bias_axes or "")) if sizes.get(one) is None]
        if unknown:
            self._refuse(f"the size of {unknown[0]!r} is not known, for samples of shape {input_shape}")
        self.equations = f"{full_x},{w}->{full_y}", f"{full_x},{full_y}->{w}", f"{full_y},{w}->{full_x}"
        self.letters = full_x, w, full_y
        self.add_weight([sizes[one] for one in w], self.kernel_initializer, name="kernel")
        if self.bias_axes:
            first = min(map(y.index, self.bias_axes))
            shape = [sizes[one] if one in self.bias_axes else 1 for one in y[first:]]
            self.add_weight(shape + [1] * (axes if right else 0), self.bias_initializer, name="bias")
        self.sizes = sizes
        return tuple(sizes[one] for one in full_y[1:])

    def flops(self):
        total = 2
        for one in dict.fromkeys("".join(self.letters)):
            total *= self.sizes.get(one) or 1
        return total

    def forward(self, x, training=False):
        sizes = {**self.sizes, **dict(zip(self.letters[0], x.shape))}
        z = self.buffer("z", tuple(sizes[one] for one in self.letters[2]))
        self.k.einsum(x, self.params["kernel"], self.equations[0], out=z, bias=self.params.get("bias"))
        y = z if self.activation.name == "linear" else self.buffer("y", z.shape)
        if y is not z:
            self.k.activation(z, self.activation, out=y)  # y = a(z)
        output = self.penalize(y)
        if training:
            self.save(x, z if self.activation.needs == "z" else y, output)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x, y, output = self.saved()
        dy = self.with_penalty(dy, output)
        dz = self.inplace("dz", dy)
        self.k.activation_grad(dy, y, self.activation, out=dz)  # dz = dy · a'(z)
        self.k.einsum(x, dz, self.equations[1], out=self.grads["kernel"])  # dW = einsum("x,z->W", x, dz)
        if self.bias_axes:
            self.k.sum_to(dz, out=self.grads["bias"])  # db = Σ dz
        if not self.needs_dx:
            return None
        dx = self.buffer("dx", x.shape)
        self.k.einsum(dz, self.params["kernel"], self.equations[2], out=dx)  # dx = einsum("z,W->x", dz, W)
        return dx
