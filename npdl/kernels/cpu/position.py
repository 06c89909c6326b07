"""Positions in a sequence: NumPy's element by element operations, whose bits nothing changes."""

from npdl.kernels.reference.position import add_positions, rotate, sine_positions

__all__ = ["add_positions", "rotate", "sine_positions"]
