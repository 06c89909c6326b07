"""Linear interpolation: NumPy's products and sums of single numbers, which are the same bits everywhere."""

from npdl.kernels.reference.interpolate import interpolate, interpolate_grad

__all__ = ["interpolate", "interpolate_grad"]
