"""A GPU of software: NVIDIA's two libraries as small C files, behind which kernels run on the CPU."""
