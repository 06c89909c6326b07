"""What was compiled for kernels on the CPU (replay.py), kept in files for other processes: $NPDL_STAND_IN_CACHE.

Without that variable nothing is kept. A file's name is a hash of all that its content depends on: the program, what it
calls and closes over, the types of its arguments, how programs are made of kernels, the versions of what compiles and
the processor. So the folder may live as long as one likes, or be deleted at any time.
"""

import functools
import hashlib
import importlib.metadata
import os
import pathlib
import platform

from llvmlite import binding
from numba.core import serialize

from npdl.devices.cuda.cache import write


def folder():
    """Where the files lie, or None."""
    return os.environ.get("NPDL_STAND_IN_CACHE") or None


def kept(described, make):
    """What `make()` returns, of this process or an earlier one; `described` says what it depends on."""
    if folder() is None or " at 0x" in described:  # an address says nothing of what lies there
        return make()
    file = pathlib.Path(folder(), digest(described))
    try:
        content = file.read_bytes()
    except OSError:
        made = make()
        write(file, serialize.dumps(made))
        return made
    return serialize.loads(content)


def digest(described):
    """A name that nothing else has."""
    return hashlib.sha256((_surroundings() + described).encode()).hexdigest()[:32]


@functools.cache
def _surroundings():
    own = [file.read_text() for file in sorted(pathlib.Path(__file__).parent.glob("*.py"))]
    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite", "numpy")]
    processor = binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
    return "\0".join([*own, *versions, *processor, platform.python_version(), ""])
