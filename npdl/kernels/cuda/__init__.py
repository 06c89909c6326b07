"""The kernels in numba.cuda (kernel.py says how one is written), float32.

So far activations, products' epilogues, sums over rows, merging, the usual losses and the optimizers' updates. Without
a GPU they run on the device `stand-in` (npdl/devices/cuda/stand_in.py); the driver of a real one is not there yet.
"""
