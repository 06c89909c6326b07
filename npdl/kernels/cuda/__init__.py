"""The kernels in numba.cuda (kernel.py says how one is written), float32.

Without a GPU they run on the device `stand-in` (npdl/devices/cuda/stand_in/). Every family of the registry has a
file; the others hold what these are written with.
"""
