"""Numbers on their way to a GPU, from page-locked memory: neither the host nor the work before waits for them."""

import contextlib
import sys

import numpy as np

from npdl.devices.base import NotInGraph
from npdl.devices.cuda.array import Columns, CudaArray
from npdl.kernels.cuda import scaling

WORK, AHEAD, BACK = range(3)
"""Lanes: what is in order in each of them goes on beside the others, but where events hold it back."""
LANES = 3
SLOTS = 4
"""Copies that may be under way while the host writes the next numbers."""


class Ring:
    """Page-locked memory of the host in some slots, which take turns: none is written before its last copy is done.

    Args:
        driver: whose.
        nbytes: of a slot.
        slots: how many.
    """

    def __init__(self, driver, nbytes, slots=SLOTS):
        self._driver, self._turn = driver, 0
        self._slots = [(driver.pinned(nbytes), driver.event()) for _ in range(slots)]

    def send(self, array, host, early=False):
        """Copy a host array to the device, in the order of the work, or `early`, beside it; returns the event of it."""
        page, done = self._slots[self._turn]
        self._turn = (self._turn + 1) % len(self._slots)
        done.wait()
        page = page[: array.nbytes].view(array.dtype).reshape(array.shape)
        np.copyto(page, host)
        self._driver.send(array, page, early)
        done.record(AHEAD if early else WORK)
        return done


class Feed:
    """Host arrays of one shape on their way to the device, copied beside the work on what came before.

    Two arrays there take turns: one is filled while the other is read.

    Args:
        driver: whose.
        shape, dtype: of the arrays.
    """

    def __init__(self, driver, shape, dtype):
        self._driver, self._turn = driver, 0
        self._arrays = [(driver.array(shape, dtype), driver.event()) for _ in range(2)]
        self._ring = Ring(driver, self._arrays[0][0].nbytes, slots=2)
        for _, event in self._arrays:
            event.record()  # their memory may be in use by work before

    def put(self, host):
        """The array on the device, for work that is asked for before the next call."""
        self._arrays[self._turn][1].record()  # behind all work that reads the array before
        self._turn = 1 - self._turn
        array, read = self._arrays[self._turn]
        read.hold(AHEAD)
        self._ring.send(array, host, early=True).hold()
        return array


class Fetch:
    """Arrays of one shape on their way back to the host, copied beside the work on what comes after.

    Each is first copied on the device, for the next work may write over it; two arrays there take turns.

    Args:
        driver: whose.
        shape, dtype: of the arrays.
    """

    def __init__(self, driver, shape, dtype):
        self._driver, self._turn = driver, 0
        self._turns = []
        for _ in range(2):
            array = driver.array(shape, dtype)
            page = driver.pinned(array.nbytes)[: array.nbytes].view(dtype).reshape(shape)
            self._turns.append((array, page, driver.event(), driver.event()))

    def __del__(self, ending=sys.is_finalizing):
        for _, _, _, done in () if ending() else self._turns:
            done.hold()  # memory goes back in the order of the work: let that be behind the copies

    def take(self, array):
        """Ask for an array as the work before leaves it; returns a function that waits for it and gives a host array,
        which the next call but one writes over."""
        own, page, made, done = self._turns[self._turn]
        self._turn = 1 - self._turn
        done.hold()  # the copy back of the one before last
        self._driver.copy(array, own)
        made.record()
        made.hold(BACK)
        self._driver.receive(page, own)
        done.record(BACK)

        def given(_=own):  # which is not freed before it is copied
            done.wait()
            return page

        return given


class Numbers:
    """What a graph reads that is another at each start: one array on the device, filled by one copy from the host.

    While the graph is captured, its numbers get their places. Before each start the host makes them anew: the steps of
    layers (`npdl.kernels.counted`) are looked up, arrays that follow from them are drawn, and what asked for the others
    runs once more as a rehearsal: without launches, which only must be those of the graph.

    Args:
        driver: whose.
        room: bytes.

    Attributes:
        calls: launches and products of what is rehearsed, with their arguments.
        scratch: of the graph.
    """

    scratch = _chosen = None

    def __init__(self, driver, room):
        self._area, self._host = driver.array((room,), np.uint8), np.zeros(room, np.uint8)
        self._driver, self._ring, self._used = driver, None, 0
        self._counted, self._drawn, self._tables = [], [], []
        self.calls = []

    def choose(self, scale, nbytes):
        """Have the device choose the tables that are placed from now on, `nbytes` in all, by the number of steps that a
        `DeviceScale` counts, which need not be the one that the host supposes when it rehearses.

        Each start sends one step's tables and the number of that step. The graph first puts them into a ring of
        `places`, each where its number says, and then copies those of the device's own number to where the optimizer's
        kernels read them."""
        header, self._supposed = self._cut((4,), np.int32)
        _, self._tables_sent = self._cut((nbytes,), np.uint8)
        self._filled, self._chosen = 0, self._driver.array((nbytes,), np.uint8)
        ring = self._driver.array((scale.places * nbytes,), np.uint8)
        sent = CudaArray(self._area.memory, header.offset, (16 + nbytes,), np.uint8)
        scaling.choose(sent, ring, self._chosen, scale.counts, scale.places)

    def place(self, values):
        """An array on the device for a table that the rehearsal gives anew."""
        if self._chosen is None:
            array, host = self._cut(values.shape, values.dtype)
        else:
            start, self._filled = self._filled, self._filled + room_of(values)
            array = CudaArray(self._chosen.memory, start, values.shape, values.dtype)
            host = self._tables_sent[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
        host[...] = values
        self._tables.append((array, host))
        return array

    def counter(self, step):
        """An array on the device for the step of a layer, the lower 32 bits of it."""
        for known, array, _ in self._counted:
            if known.layer is step.layer and known.ahead == step.ahead:
                return array
        array, host = self._cut((1,), np.int32)
        self._counted.append((step, array, host))
        return array

    def drawn(self, values):
        """An array on the device for what a `Drawn` is."""
        array, host = self._cut(values.shape, values.dtype)
        self._drawn.append((values, host))
        return array

    def _cut(self, shape, dtype):
        probe = np.empty(shape, dtype)
        start = self._used
        if start + probe.nbytes > self._area.size:
            raise NotInGraph(f"a graph's numbers need more than the {self._area.size} bytes that there are for them")
        self._used = -(-(start + probe.nbytes) // 16) * 16
        array = CudaArray(self._area.memory, start, shape, dtype)
        return array, self._host[start : start + probe.nbytes].view(dtype).reshape(shape)

    def renew(self, rehearse, steps=0):
        """Make all numbers anew; whether the rehearsal asked for what the graph does.

        Args:
            rehearse: a function that asks for the launches that have tables.
            steps: that the optimizer has done, as the host supposes, where tables are chosen.
        """
        if self._chosen is not None:
            self._supposed[0] = steps
        for step, _, host in self._counted:
            host.view(np.uint32)[0] = step.now() & 0xFFFFFFFF
        for values, host in self._drawn:
            host[...] = values.now()
        with self._driver.rehearsal(self._tables, self.scratch) as rehearsed:
            rehearse()
        return rehearsed.fits and rehearsed.calls == self.calls

    def send(self):
        """Copy them to the device, behind the work before."""
        if self._used:
            self._ring = self._ring or Ring(self._driver, self._used)
            self._ring.send(self._area[0 : self._used], self._host[: self._used])


class Rehearsal:
    """What is asked for in `Driver.rehearsal`.

    Args:
        tables: (array on the device, host array) of each table, in order; None: there are none yet.

    Attributes:
        calls: launches and products, with their arguments.
        fits: whether the tables were those, in number and shape.
        nbytes: room that the tables need.
    """

    def __init__(self, tables):
        self.calls, self._tables, self._given, self._far = [], tables, 0, True
        self.nbytes = 0

    @property
    def fits(self):
        """Whether all tables were given, each in the shape that it had."""
        return self._far and (self._tables is None or self._given == len(self._tables))

    def take(self, values):
        """Keep the values of the next table; its array on the device, None where there is none."""
        self.nbytes += room_of(values)
        if self._tables is None:
            return None
        if self._given == len(self._tables):
            self._far = False
            return None
        array, host = self._tables[self._given]
        if (host.shape, host.dtype) != (values.shape, values.dtype):
            self._far = False
            return None
        host[...] = values
        self._given += 1
        return array


def room_of(values):
    """Bytes of an array, up to the next multiple of 16."""
    return -(-values.nbytes // 16) * 16


def described(arguments):
    """Arguments of a launch, to be compared: of arrays where they lie."""
    return tuple([(a.address, a.shape) if isinstance(a, CudaArray | Columns) else a for a in arguments])


@contextlib.contextmanager
def kept_apart(holder, name, value):
    """An attribute that has this value while it lasts."""
    before = getattr(holder, name, None)
    setattr(holder, name, value)
    try:
        yield value
    finally:
        setattr(holder, name, before)
