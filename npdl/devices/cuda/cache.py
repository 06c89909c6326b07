"""Compiled kernels on disk: compiling one takes tenths of a second, and a net has dozens.

A file's name is a hash of all that the code depends on: the kernel's source and types, those of the device functions
that it calls, the values that it closes over, the GPU's capability, and the versions of what compiles. Nothing is ever
overwritten with other content; the folder may be deleted at any time. Where it cannot be written, nothing is kept.
"""

import contextlib
import hashlib
import inspect
import os
import tempfile
from pathlib import Path

from npdl.devices.cuda import compiler, find, intrinsics
from npdl.kernels.cuda.kernel import Builtin, DeviceFunction, Guarded, outside_names

_compiled: dict = {}


def cubin(kernel, capability):
    """(the GPU's own code, the name of the kernel in it)"""
    key = kernel, capability
    if key not in _compiled:
        file = folder() / _name(kernel, capability)
        try:
            content = file.read_bytes()
        except OSError:
            entry = compiler.entry(compiler.ptx(kernel))
            code, _ = compiler.cubin(kernel, capability)
            content = entry.encode() + b"\n" + code
            with contextlib.suppress(OSError):
                write(file, content)
        entry, code = content.split(b"\n", 1)
        _compiled[key] = code, entry.decode()
    return _compiled[key]


def folder():
    """$NPDL_CUDA_CACHE, or npdl/cuda in the user's folder for caches."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "npdl", "cuda")
    return Path(os.environ.get("NPDL_CUDA_CACHE") or usual)


def _name(kernel, capability):
    said = [described(kernel.function), repr(kernel.kinds), repr(capability), repr(find.versions())]
    said.append(repr((compiler.LEAST, compiler.REGISTERS, isinstance(kernel, Guarded))))
    return f"{kernel.name}-{hashlib.sha256(chr(0).join(said).encode()).hexdigest()[:32]}.cubin"


def described(function):
    """The source of a function and of all that it uses from outside."""
    used = []
    for name, value in sorted(outside_names(function).items()):
        if inspect.ismodule(value):
            continue
        own = isinstance(value, DeviceFunction)
        used.append(f"{name} = {described(value.function) if own else value!r}")
        if isinstance(value, Builtin):
            used.append(inspect.getsource(intrinsics))
    return "\n".join([inspect.getsource(function), *used])


def write(file, content):
    """All or nothing, also where several processes compile the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=file.parent)
    try:
        with open(handle, "wb") as opened:
            opened.write(content)
        os.replace(part, file)
    except BaseException:
        os.unlink(part)
        raise
