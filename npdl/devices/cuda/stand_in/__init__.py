"""The device `stand-in`: CUDA kernels' Python source, run on the CPU. For tests and for learning, without a GPU.

- driver.py: the driver, whose memory is the host's; `StandIn(watch=True)` looks for races
- source.py: a kernel's source as a tree, rewritten
- replay.py: kernels as functions that Numba compiles for the CPU; barriers.py: those with barriers, uniform.py: what
  they compute once a block
- program.py, indexing.py, generator.py, shelf.py: how Numba compiles them quickly, and where that is kept
- races.py: every thread a Python generator, every access watched
"""

from npdl.devices.cuda.stand_in.driver import StandIn

__all__ = ["StandIn"]
