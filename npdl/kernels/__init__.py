"""The kernels: one file a family, under the same name for every device."""
