"""Files of tensors: safetensors layout, and `.npdl`, a zip of one JSON header and such files.

    weights.safetensors   8 bytes: length of the JSON, little-endian · JSON: name -> dtype, shape, data_offsets · data
    model.npdl            a zip, stored without compression: model.json, weights.safetensors, optimizer.safetensors ...

A file is written beside its place under another name and moved there when it is complete, so that a crash, a full disk
or a missing permission leaves the old one as it was. It is checked whole before anything of it is returned. There is no
pickle in it: reading runs no code. The same content gives the same bytes.

Reference: https://github.com/huggingface/safetensors#format
"""

import contextlib
import io
import json
import math
import os
import struct
import zlib

import numpy as np

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
"""safetensors' names of the dtypes that NumPy has, and NumPy's: little-endian."""

HEADER = "model.json"
SUFFIX = ".safetensors"
VERSION = 1
CHECKSUM = "crc32"  # key in __metadata__: of the data, as 8 hexadecimal digits
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time that every member of the zip carries


def write(path, header, tensors):
    """Write a `.npdl` file.

    Args:
        path: of the file; what is there is replaced when the new one is complete.
        header: dict of plain values (numbers, strings, lists, dicts); tuples come back as lists.
        tensors: group name -> {tensor name -> array}; each group is one member of the zip.

    Raises:
        TypeError: the header holds something that is not a plain value, or an array has a dtype of another kind.
        OSError: the file cannot be written; the old one is as it was.
    """
    import zipfile  # half as long to import as all of npdl's models

    content = {"npdl": VERSION, "groups": list(tensors), "header": header}
    text = json.dumps(content, indent=1, default=_plain).encode()
    members = {HEADER: [text], **{name + SUFFIX: _encode(group) for name, group in tensors.items()}}
    with _replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, chunks in members.items():
            with archive.open(zipfile.ZipInfo(name, EPOCH), "w", force_zip64=True) as member:
                for chunk in chunks:
                    member.write(chunk)


def read(path):
    """(header, tensors) of a `.npdl` file, as `write` took them.

    Raises:
        ValueError: not such a file, or truncated or damaged; the text says what is wrong.
        OSError: the file cannot be read.
    """
    import zipfile

    with open(path, "rb") as file:
        data = file.read()
    if data[:4] != b"PK\x03\x04":
        raise ValueError(f"{path} is not a model file of npdl{_kind(data)}; pass a file that model.save wrote")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}  # compares every CRC
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, ValueError) as e:
        raise ValueError(f"{path} is truncated or damaged ({e}); nothing was loaded: restore it from a copy") from None
    if HEADER not in members:
        raise ValueError(
            f"{path} is a zip file without {HEADER}, not a model file of npdl; pass one that model.save wrote"
        )
    try:
        content = json.loads(members.pop(HEADER))
        version, groups, header = content["npdl"], content["groups"], content["header"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(f"{path}: {HEADER} is not npdl's; pass a file that model.save wrote") from None
    if version != VERSION:
        raise ValueError(f"{path} has file version {version!r}, this npdl reads {VERSION}; update npdl")
    if sorted(members) != sorted(name + SUFFIX for name in groups):
        raise ValueError(
            f"{path} should hold the tensors {groups}, and holds {sorted(members)}; restore it from a copy"
        )
    return header, {name: _decode(members[name + SUFFIX], f"{path}, {name}{SUFFIX}") for name in groups}


def save_safetensors(path, tensors, metadata=None):
    """Write arrays in safetensors layout; the `safetensors` package reads them too.

    Args:
        path: of the file; what is there is replaced when the new one is complete.
        tensors: name -> array.
        metadata: strings by name, kept in the file.

    Raises:
        TypeError: an array's dtype has no place in the format.
        OSError: the file cannot be written; the old one is as it was.
    """
    chunks = _encode(tensors, metadata)
    with _replacing(path) as file:
        for chunk in chunks:
            file.write(chunk)


def load_safetensors(path):
    """Name -> array, from a file in safetensors layout, npdl's or any other.

    Raises:
        ValueError: not such a file, or truncated or damaged; the text says what is wrong.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    return _decode(data, path)


@contextlib.contextmanager
def _replacing(path):
    """A new file that takes the place of `path` when the `with` ends without an error."""
    path = os.path.realpath(path)  # a link stays, what it points to is replaced
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"cannot write {path}: there is no folder {folder}; make it by os.makedirs({folder!r})")
    if os.path.isdir(path):
        raise IsADirectoryError(f"cannot write {path}: it is a folder; add a file name, e.g. model.npdl")
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            os.unlink(temporary)
        raise


def _plain(value):
    """What JSON holds for a NumPy number or array."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    hint = "; make a function a class with get_config, a Lambda a layer class with forward and backward"
    hint = hint if callable(value) else ""
    raise TypeError(f"a model file holds numbers, strings, lists and dicts, not {value!r}{hint}")


def _kind(data):
    """What a file that is no zip may be, to be said in an error."""
    if not data:
        return ": it is empty"
    if data[:8] == b"\x89HDF\r\n\x1a\n":
        return ": it is an HDF5 file, as old Keras versions write"
    if data[8:9] == b"{":
        return ": it holds weights alone (model.load_weights reads them)"
    return ""


def _encode(tensors, metadata=None):
    """The chunks of a file in safetensors layout; the data lies by falling item size, so that all of it is aligned."""
    kinds = {np.dtype(code): name for name, code in DTYPES.items()}
    arrays = {}
    for name, array in tensors.items():
        array = np.asarray(array)
        little = array.dtype.newbyteorder("<")
        if little not in kinds:
            raise TypeError(f"tensor {name!r} has dtype {array.dtype}; a file holds {', '.join(map(str, kinds))}")
        if not isinstance(name, str) or name == "__metadata__":
            raise TypeError(f"a tensor's name is a string other than '__metadata__', got {name!r}")
        arrays[name] = np.ascontiguousarray(array, little).reshape(array.shape)
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    chunks = [arrays[name].reshape(-1).view(np.uint8).data for name in order]
    offsets, crc, end = {}, 0, 0
    for name, chunk in zip(order, chunks):
        offsets[name] = [end, end + len(chunk)]
        crc, end = zlib.crc32(chunk, crc), end + len(chunk)
    header = {"__metadata__": {**(metadata or {}), CHECKSUM: f"{crc:08x}"}}
    for name, array in arrays.items():
        header[name] = {"dtype": kinds[array.dtype], "shape": list(array.shape), "data_offsets": offsets[name]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [struct.pack("<Q", len(text)), text, *chunks]


def _decode(data, where):
    """Name -> array of a file in safetensors layout, after every check; `where` names it in errors."""

    def wrong(what):
        return ValueError(f"{where}: {what}; nothing was loaded: it is truncated, damaged or no safetensors file")

    if len(data) < 8:
        raise wrong(f"{len(data)} bytes, too few for a header")
    start = 8 + struct.unpack_from("<Q", data)[0]
    if start > len(data):
        raise wrong(f"its header should end at byte {start}, the file has {len(data)}")
    try:
        header = json.loads(data[8:start], object_pairs_hook=_unique)
        metadata = header.pop("__metadata__", {})
        entries = [(name, *_entry(name, entry)) for name, entry in header.items()]
    except (ValueError, TypeError, AttributeError, RecursionError) as e:
        raise wrong(f"its header cannot be read ({e})") from None
    end = start
    for name, _, _, first, last in sorted(entries, key=lambda entry: entry[3:]):
        if start + first != end:
            raise wrong(f"{name} begins at byte {first} of the data, not at {end - start}")
        end = start + last
    if end != len(data):
        raise wrong(f"its data should end at byte {end}, the file has {len(data)}")
    checksum = metadata.get(CHECKSUM) if isinstance(metadata, dict) else None
    if checksum is not None and checksum != f"{zlib.crc32(memoryview(data)[start:]):08x}":
        raise wrong("its data is not what was written (checksum)")
    return {
        name: np.frombuffer(data, dtype, math.prod(shape), start + first).reshape(shape).astype(dtype.newbyteorder("="))
        for name, dtype, shape, first, _ in entries
    }


def _unique(pairs):
    """JSON's object as a dict; no name twice."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name twice")
    return result


def _entry(name, entry):
    """(dtype, shape, first byte, last byte) of a tensor's entry in the header."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} is not described by dtype, shape and data_offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in DTYPES:
        raise ValueError(f"{name} has dtype {kind!r}, known are {', '.join(DTYPES)}")
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError(f"{name} has shape {shape} and data_offsets {offsets}")
    size = math.prod(shape) * np.dtype(DTYPES[kind]).itemsize
    if len(offsets) != 2 or offsets[1] - offsets[0] != size:
        raise ValueError(f"{name} of dtype {kind} and shape {shape} has {size} bytes, not those at {offsets}")
    return np.dtype(DTYPES[kind]), tuple(shape), *offsets
