# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
# The kernels, compiled for one instruction set by setup.py.
include "engine.pxi"
