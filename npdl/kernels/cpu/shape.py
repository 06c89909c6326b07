"""Moving numbers; formulas: npdl/kernels/reference/shape.py."""

from npdl.kernels.reference.shape import crop, pad, permute, repeat, repeat_grad

__all__ = ["crop", "pad", "permute", "repeat", "repeat_grad"]
