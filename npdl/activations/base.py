"""Activation: what every activation function is."""

from npdl import names


class Activation(names.Part):
    """y = a(z), elementwise.

    Attributes:
        name: Keras' name.
        code: the number under which the compiled kernels know it; None: they call this object instead.
        constants: up to three numbers for the compiled kernels.
        needs: what the derivative is computed from, "y", "z" or, for a constant, None.
        keeps_slope: whether the product of a Dense layer makes a'(z) beside a(z), nearly for nothing.
    """

    name = ""
    code: int | None = None
    constants: tuple[float, ...] = ()
    needs: str | None = "y"
    keeps_slope = False

    def __init_subclass__(cls, **kwargs):
        """What a built-in function's compiled code and shortcuts compute is no longer so for a formula of your own."""
        super().__init_subclass__(**kwargs)
        for kind in cls.__mro__[: cls.__mro__.index(Activation)]:  # the first that has any of them, a mixin too
            if "code" in vars(kind):
                break
            if {"__call__", "derivative", "gradient"} & vars(kind).keys():
                cls.code = None
                if "derivative" in vars(kind) and "gradient" not in vars(kind):
                    cls.gradient = Activation.gradient  # softmax and linear have another
                cls.needs, cls.keeps_slope = cls.needs or "y", False
                break

    def __call__(self, z):
        """a(z)"""
        raise NotImplementedError(f"{type(self).__name__} needs __call__(self, z), the formula of a(z)")

    def derivative(self, saved):
        """a'(z), from y or from z as `needs` says"""
        raise NotImplementedError(f"{type(self).__name__} needs derivative(self, saved), the formula of a'(z)")

    def gradient(self, dy, saved):
        """dz = dy · a'(z)"""
        return dy * self.derivative(saved)

    def kept(self, y, z=None):
        """What a layer keeps for the derivative: that one of the two that it `needs`, None for neither."""
        return {"y": y, "z": z}.get(self.needs)

    def get_config(self):
        """The arguments that make an equal object: those that it kept under their own names."""
        return {name: getattr(self, name) for name in names.arguments(type(self)) if hasattr(self, name)}


class Linear(Activation):
    """y = z"""

    name, code, needs = "linear", 0, None

    def __call__(self, z):
        return z

    def gradient(self, dy, saved):
        return dy


linear = Linear()
