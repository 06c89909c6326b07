"""The kernels in NumPy: the specification, the tests' oracle and the text to read first."""
