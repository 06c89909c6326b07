"""How regularizers and constraints come to the weights of a layer, and a penalty to its output."""

import contextlib

import numpy as np

from npdl import activations, constraints, devices, regularizers

UNPENALIZED = "unpenalized"  # a key of the workspace's `saved`
SCALE = "loss scale"  # another
KINDS = {"regularizer": regularizers, "constraint": constraints}


def rule_names(cls):
    """The arguments that a layer class takes by its `ruled`."""
    names = [f"{stem}_{kind}" for kind in KINDS for stem in cls.ruled]
    return [name for name in names if name != "activity_constraint"]


class Ruled:
    """What a layer has of regularizers and constraints: a base of `Layer`.

    A layer class names the weights that may have them in one line, and gets Keras' arguments and attributes:

        ruled = ("kernel", "bias")      kernel_regularizer=, bias_regularizer=, kernel_constraint=, bias_constraint=

    "kernel" stands for the weights of that name, `query/kernel` too, "recurrent" for `recurrent_kernel`. `add_weight`
    finds the weight's own; the store's `constrain` and `add_penalties` apply them. "activity" stands for the layer's
    output: its forward calls `penalize(y)` and keeps what that returns, and its backward begins with
    `dy = self.with_penalty(dy, that)`.

        loss = L + Σ r(w) + Σ r(y) / N + Σ terms of layers' own         N samples

    A layer with a term of its own in the loss, such as a divergence of codes, says `adds_loss = True`; its forward
    calls `add_loss(value)`, and its backward returns `self.with_loss(dx, the term's gradient for x)`.
    """

    ruled: tuple[str, ...] = ()
    adds_loss = False
    activity_regularizer = None
    _activity_loss = 0.0

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in rule_names(cls) if "ruled" in vars(cls) else ():
            setattr(cls, name, None)

    def keep_rules(self, given):
        """Keep the arguments `..._regularizer` and `..._constraint` of an `__init__`.

        Raises:
            TypeError: an argument that this class does not take.
        """
        names = rule_names(type(self))
        for name, value in given.items():
            kind = name.rpartition("_")[2]
            if name not in names:
                hint = f"; it takes {', '.join(names)}" if kind in KINDS and names else ""
                if name == "activity_regularizer":
                    hint = "; put layers.ActivityRegularization(l2=0.01) behind it instead"
                raise TypeError(f"{type(self).__name__} got an unexpected keyword argument {name!r}{hint}")
            if value is not None:
                setattr(self, name, KINDS[kind].get(value))

    def rule_of(self, weight, kind):
        """The regularizer or constraint that this layer was given for a weight, or None."""
        name = weight.rpartition("/")[2]
        stem = name if name in self.ruled else name.removesuffix("_kernel")
        return getattr(self, f"{stem}_{kind}", None) if stem in self.ruled else None

    def rule_config(self):
        """Those that are set, by their arguments' names."""
        names = rule_names(type(self))
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    # ---- the penalty on the output, or a term of the layer's own

    @property
    def penalizes(self):
        """Whether a forward notes a part of the loss."""
        return self.adds_loss or self.activity_regularizer is not None

    def add_loss(self, value):
        """Note a term of the loss, a mean over the samples of the batch: once in each forward, in training and not.

        `fit` and `evaluate` add it to the loss that they show, as `add_penalties` returns it by hand. There is no tape:
        the term's gradient is what backward adds by `with_loss`.

        Raises:
            TypeError: the class does not say that it adds a loss.
        """
        if not self.adds_loss:
            kind = type(self).__name__
            raise TypeError(
                f"{self.name} adds a loss, and models look for such: write adds_loss = True in class {kind}"
            )
        self._note(float(value))

    def with_loss(self, dx, gradient):
        """dx + the gradient, for x, of what `add_loss` noted: arrays, or tuples of them for several inputs.

        None in dx is zero, None in the gradient is none. Inside `unpenalized` it is dx alone.
        """
        if isinstance(dx, tuple):
            return tuple(self._sum(*pair, f" {i}") for i, pair in enumerate(zip(dx, gradient, strict=True)))
        return self._sum(dx, gradient, "")

    def _sum(self, dx, gradient, which):
        if gradient is None or is_unpenalized():
            return dx
        whole = self.buffer(f"dx with loss{which}", gradient.shape)
        self.k.scale(gradient, loss_scale(), out=whole)
        if dx is not None:
            self.k.add(dx, whole, out=whole)
        return whole

    def penalize(self, y):
        """Note r(y) / N where there is an `activity_regularizer`; returns y then, which backward reads, else None.

        Of a tuple, outputs and states, the sum over all.
        """
        if self.activity_regularizer is None:
            return None
        parts = y if isinstance(y, tuple) else (y,)
        self._note(sum(_value(self, part, self.activity_regularizer) for part in parts) / max(len(parts[0]), 1))
        return y

    def _note(self, value):
        workspace = devices.current_workspace()
        if workspace is None:
            self._activity_loss = value
        else:
            key = id(self), "activity"
            workspace.saved[key] = workspace.saved.get(key, 0.0) + value  # a model may call a layer several times

    def with_penalty(self, dy, y):
        """dy + r'(y) / N; dy itself where y is None, or inside `unpenalized`. Of tuples each part; None in dy is 0."""
        if y is None or is_unpenalized():
            return dy
        if isinstance(y, tuple):
            return tuple(self._penalized(part, of, f" {i}") for i, (part, of) in enumerate(zip(dy, y, strict=True)))
        return self._penalized(dy, y, "")

    def _penalized(self, dy, y, which):
        if dy is None:
            whole = self.buffer(f"dy with penalty{which}", y.shape)
            self.k.fill(0.0, out=whole)
        else:
            whole = self.inplace(f"dy with penalty{which}", dy)
            self.k.activation(dy, activations.linear, out=whole)  # a copy
        self.k.penalty_grad(y, self.activity_regularizer, out=whole, scale=loss_scale() / max(len(y), 1))
        return whole


def is_unpenalized():
    """Whether backward leaves the penalties of outputs out."""
    workspace = devices.current_workspace()
    return workspace is not None and UNPENALIZED in workspace.saved


def loss_scale():
    """What all gradients are multiplied by, as far as they have come: 1 but for float16."""
    workspace = devices.current_workspace()
    return 1.0 if workspace is None else workspace.saved.get(SCALE, 1.0)


@contextlib.contextmanager
def unpenalized():
    """While it lasts, backward in this workspace leaves the penalties of outputs out: of a loss's gradient alone."""
    saved = devices.current_workspace().saved
    saved[UNPENALIZED] = True
    try:
        yield
    finally:
        del saved[UNPENALIZED]


def penalized(layers):
    """[(layer, name of its weight or None for its output, regularizer)] of these layers and those inside them."""
    found = []
    for part in {
        id(part): part for layer in layers for part in layer.walk()
    }.values():  # each once, called often or not
        found += [(part, one.name, one.regularizer) for one in part.declared if one.regularizer and one.trained]
        found += [(part, None, part.activity_regularizer)] if part.penalizes else []
    return found


def penalties(found, gradient=False, there=None):
    """The sum of the penalties that `penalized` found; those of frozen weights are left out.

    Args:
        found: from `penalized`.
        there: on a GPU, what takes the penalties of weights where they are, so that nobody waits; they are then no part
            of the sum.
        gradient: whether those of weights are added to `grads`; those of outputs are in backward's dx.
    """
    total, workspace = 0.0, devices.current_workspace()
    for layer, name, regularizer in found:
        if name is None:
            key = id(layer), "activity"
            total += layer._activity_loss if workspace is None else workspace.saved.pop(key, 0.0)
        elif layer.trainable:
            if there is None:
                total += _value(layer, layer.params[name], regularizer)
            else:
                there(_there(layer, layer.params[name], regularizer))
            if gradient:
                layer.k.penalty_grad(layer.params[name], regularizer, out=layer.grads[name])
    return total


def _there(layer, x, regularizer):
    """r(x), one float64 on the layer's device."""
    out = layer.scratch("penalty", (1,), np.dtype("float64"))
    layer.k.penalty(x, regularizer, out=out)
    return out


def _value(layer, x, regularizer):
    return float(layer.device.to_host(_there(layer, x, regularizer))[0])
