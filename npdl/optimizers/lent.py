"""Lent: a number of an object that somebody else keeps for a while."""

from typing import Any


class Lent:
    """An attribute whose number a keeper may have meanwhile, as a GPU has what it counts itself.

    While the object's `keeper` is not None, whoever reads or writes the attribute has it settled first:
    `keeper.settle()` writes what the numbers are by now, and has the object have no keeper any more.
    """

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, one, owner=None) -> Any:
        if one is None:
            return self
        if one.keeper is not None:
            one.keeper.settle()
        return one.__dict__[self._name]

    def __set__(self, one, value):
        if one.keeper is not None:
            one.keeper.settle()
        one.__dict__[self._name] = value
