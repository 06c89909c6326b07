"""The kernels of convolution; npdl/kernels/cuda/conv.py puts them together."""
