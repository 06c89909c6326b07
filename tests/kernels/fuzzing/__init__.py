"""Random calls of kernels, a file a family: what tests/kernels/test_fuzz.py runs."""
