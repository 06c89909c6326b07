"""Layer, RMS and unit normalization; formulas: npdl/kernels/reference/layer_norm.py, code: kernels/layer_norm.h."""

from npdl.kernels.cpu.build import lib

expect = lib.expect


def _check(kernel, x, *, like_x=(), like_row=(), of_rows=(), optional=()):
    """(rows, features); the arrays are dictionaries of name -> array or, where the name is optional, None."""
    if not x.ndim or not x.shape[-1]:
        raise ValueError(f"{kernel}: x must be (..., D) with at least one feature, got shape {x.shape}")
    for arrays, shape in ((like_x, x.shape), (like_row, x.shape[-1:]), (of_rows, x.shape[:-1])):
        for name, array in dict(arrays).items():
            if array is not None or name not in optional:
                expect(kernel, name, array, shape)
    return x.size // x.shape[-1], x.shape[-1]


def layer_norm(x, gamma, beta, epsilon, *, out, mean=None, inverse=None):
    """out = γ (x − μ) / σ + β, with μ and σ of each row; out may be x."""
    sizes = _check(
        "layer_norm", x, like_x={"out": out}, like_row={"gamma": gamma, "beta": beta},
        of_rows={"mean": mean, "inverse": inverse}, optional=("gamma", "beta", "mean", "inverse"),
    )  # fmt: skip
    lib.row_norm("layer_norm", lib.LAYER_NORM, x, gamma, beta, epsilon, out, mean, inverse, *sizes)


def layer_norm_grad(dy, x, mean, inverse, gamma, *, dx=None, dgamma=None, dbeta=None, add=None):
    """dx = (g − Σ g / D − x̂ Σ g x̂ / D) / σ + add with g = γ dy; dγ = Σ dy x̂, dβ = Σ dy over the rows; dx may be dy."""
    sizes = _check(
        "layer_norm_grad", x, like_x={"dy": dy, "dx": dx, "add": add},
        like_row={"gamma": gamma, "dgamma": dgamma, "dbeta": dbeta}, of_rows={"mean": mean, "inverse": inverse},
        optional=("dx", "gamma", "dgamma", "dbeta", "add"),
    )  # fmt: skip
    lib.row_norm_grad("layer_norm_grad", lib.LAYER_NORM, dy, x, mean, inverse, gamma, add, dx, dgamma, dbeta, *sizes)


def rms_norm(x, gamma, epsilon, *, out, inverse=None):
    """out = γ x / ρ, with ρ of each row; out may be x."""
    sizes = _check(
        "rms_norm", x, like_x={"out": out}, like_row={"gamma": gamma}, of_rows={"inverse": inverse},
        optional=("gamma", "inverse"),
    )  # fmt: skip
    lib.row_norm("rms_norm", lib.RMS_NORM, x, gamma, None, epsilon, out, None, inverse, *sizes)


def rms_norm_grad(dy, x, inverse, gamma, *, dx=None, dgamma=None):
    """dx = (g − x̂ Σ g x̂ / D) / ρ with g = γ dy; dγ = Σ dy x̂ over the rows; dx may be dy."""
    sizes = _check(
        "rms_norm_grad", x, like_x={"dy": dy, "dx": dx}, like_row={"gamma": gamma, "dgamma": dgamma},
        of_rows={"inverse": inverse}, optional=("dx", "gamma", "dgamma"),
    )  # fmt: skip
    lib.row_norm_grad("rms_norm_grad", lib.RMS_NORM, dy, x, None, inverse, gamma, None, dx, dgamma, None, *sizes)


def unit_norm(x, *, out, inverse=None):
    """out = x / ‖x‖ of each row; out may be x."""
    sizes = _check("unit_norm", x, like_x={"out": out}, of_rows={"inverse": inverse}, optional=("inverse",))
    lib.row_norm("unit_norm", lib.UNIT_NORM, x, None, None, 0.0, out, None, inverse, *sizes)


def unit_norm_grad(dy, x, inverse, *, dx):
    """dx = (dy − y Σ dy y) / ‖x‖, y = x / ‖x‖; dx may be dy."""
    sizes = _check("unit_norm_grad", x, like_x={"dy": dy, "dx": dx}, of_rows={"inverse": inverse})
    lib.row_norm_grad("unit_norm_grad", lib.UNIT_NORM, dy, x, None, inverse, None, None, dx, None, None, *sizes)
