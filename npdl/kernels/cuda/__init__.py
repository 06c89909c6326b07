"""The kernels in numba.cuda.

So far the optimizers' updates, called on numba.cuda device arrays; no npdl device serves them yet.
"""
