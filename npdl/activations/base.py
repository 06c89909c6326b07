"""Activation: what every activation function is."""


class Activation:
    """y = a(z), elementwise.

    Attributes:
        name: Keras' name.
        code: the number under which the compiled kernels know it; None: they call this object instead.
        constants: up to three numbers for the compiled kernels.
        needs: what the derivative is computed from, "y", "z" or, for a constant, None.
    """

    name = ""
    code: int | None = None
    constants: tuple[float, ...] = ()
    needs: str | None = "y"

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
                cls.needs = cls.needs or "y"
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
        """The arguments that make an equal object."""
        return {}

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), *map(str, self.get_config().items())))


class Linear(Activation):
    """y = z"""

    name, code, needs = "linear", 0, None

    def __call__(self, z):
        return z

    def gradient(self, dy, saved):
        return dy


linear = Linear()
