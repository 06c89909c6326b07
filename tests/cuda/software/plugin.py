"""A plugin of pytest by which tests of a GPU run on that of software: see test_software_gpu.py."""

from gpu import SoftwareGpu

software = SoftwareGpu()
