"""Models of other libraries as models of npdl; imported when asked for, and no other library with it."""

from npdl.interop.keras import from_keras

__all__ = ["from_keras"]
