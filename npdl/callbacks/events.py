"""Event files as TensorBoard reads them: records of protocol buffers, written without either library.

    file      record, record ...; the first says which version
    record    8 bytes: length n · 4: checksum of these · n bytes: an Event · 4: checksum of these
    Event     1 wall_time, 2 step, 3 file_version, 4 graph_def, 5 summary
    Summary   1 value: 1 tag, 2 simple_value, 4 image, 5 histogram

The numbers are the fields' in tensorflow/core/util/event.proto and framework/summary.proto. The checksum is CRC-32C
(Castagnoli), rotated and shifted by a constant as in TFRecord files.
"""

import os
import platform
import struct
import time
import zlib
from pathlib import Path

import numpy as np

VERSION = b"brain.Event:2"
BUCKETS = 30
MASK = 0xA282EAD8


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


_CRC = _crc_table()


def masked_crc32c(data):
    """The checksum of a record's part.

    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


# ---- protocol buffers: a field is its number and kind, then its value


def _varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def whole(field, n):
    """A field of a whole number."""
    return _varint(field << 3) + _varint(n)


def double(field, x):
    """A field of a double."""
    return _varint(field << 3 | 1) + struct.pack("<d", x)


def single(field, x):
    """A field of a float."""
    return _varint(field << 3 | 5) + struct.pack("<f", x)


def text(field, data):
    """A field of bytes, of a string or of another message."""
    data = data.encode() if isinstance(data, str) else data
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def doubles(field, values):
    """A field of several doubles."""
    return text(field, np.asarray(values, "<f8").tobytes())


# ---- what a summary holds


def scalar(tag, value):
    """A value of a summary: a number."""
    return text(1, text(1, tag) + single(2, value))


def histogram(tag, values):
    """A value of a summary: how often numbers lie in each of some intervals of one width; NaN and infinity left out."""
    values = np.asarray(values, np.float64).ravel()
    values = values[np.isfinite(values)]
    counts, edges = np.histogram(values, BUCKETS) if values.size else (np.zeros(1), np.zeros(2))
    low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
    message = double(1, low) + double(2, high) + double(3, values.size)
    message += double(4, values.sum()) + double(5, (values * values).sum())
    return text(1, text(1, tag) + text(5, message + doubles(6, edges[1:]) + doubles(7, counts)))


def image(tag, pixels):
    """A value of a summary: a grey picture from numbers (height, width), the least black and the largest white."""
    pixels = np.asarray(pixels, np.float64)
    low, high = pixels.min(), pixels.max()
    grey = np.uint8(np.round(255 * (pixels - low) / (high - low if high > low else 1)))
    height, width = grey.shape
    message = whole(1, height) + whole(2, width) + whole(3, 1) + text(4, _png(grey))
    return text(1, text(1, tag) + text(4, message))


def _png(grey):
    """A PNG file of bytes (height, width)."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = grey.shape
    rows = np.pad(grey, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter: none
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def graph(nodes):
    """A graph from (name, kind, names of what it reads) of each node."""
    return b"".join(
        text(1, text(1, name) + text(2, kind) + b"".join(text(3, one) for one in reads)) for name, kind, reads in nodes
    )


class EventWriter:
    """Writes one event file in a folder, which is made; every event is on disk when the call returns.

    Args:
        folder: where TensorBoard looks for a run.
    """

    count = 0  # of the files of this process: two of one second differ in name

    def __init__(self, folder):
        folder = Path(os.fspath(folder))
        folder.mkdir(parents=True, exist_ok=True)
        EventWriter.count += 1
        name = f"events.out.tfevents.{int(time.time())}.{platform.node()}.{os.getpid()}.{EventWriter.count}.v2"
        self.file = (folder / name).open("wb")
        self._write(double(1, time.time()) + text(3, VERSION))

    def add(self, values, step):
        """Write values of a summary, at one step."""
        if values:
            self._write(double(1, time.time()) + whole(2, step) + text(5, b"".join(values)))

    def add_graph(self, nodes):
        """Write a graph: (name, kind, names of what it reads) of each node."""
        self._write(double(1, time.time()) + text(4, graph(nodes)))

    def _write(self, event):
        length = struct.pack("<Q", len(event))
        self.file.write(length + struct.pack("<I", masked_crc32c(length)))
        self.file.write(event + struct.pack("<I", masked_crc32c(event)))
        self.file.flush()

    def close(self):
        """No more events."""
        self.file.close()
