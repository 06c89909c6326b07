"""What kernels keep on a device from call to call: tables that depend on shapes alone."""

MOST = 512
"""Tables that are kept; of more the one that was not asked for the longest goes."""
MOST_BYTES = 128 << 20
"""Bytes that they have at most."""


class Kept:
    """Tables by key, the latest ones. What a graph is made with stays as long as the graph.

    Args:
        driver: whose memory it is.
        lock: of the driver: what makes a table may wait for that.
    """

    def __init__(self, driver, lock):
        self._driver, self._tables, self._lock = driver, {}, lock
        self.nbytes = 0

    def __len__(self):
        return len(self._tables)

    def get(self, key, make):
        """The table of that key; `make()` makes it: an array, or a tuple or list of arrays and others."""
        with self._lock:
            found = self._tables.pop(key, None)
            if found is None:
                table = make()
                found = table, sum(getattr(part, "nbytes", 0) for part in _parts(table))
                self.nbytes += found[1]
                while self._tables and (len(self._tables) >= MOST or self.nbytes > MOST_BYTES):
                    self.nbytes -= self._tables.pop(next(iter(self._tables)))[1]
            self._tables[key] = found  # the last asked for stands last
        self._driver.hold(found[0])
        return found[0]


def _parts(table):
    return table if isinstance(table, (tuple, list)) else (table,)
