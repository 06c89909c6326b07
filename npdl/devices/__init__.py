"""Devices: where arrays live, and the kernels that work on them."""

from npdl.devices.base import Device, Kernels, NotInGraph, no_room
from npdl.devices.config import fallbacks, get_num_threads, set_num_threads, show_config
from npdl.devices.registry import get, names
from npdl.devices.workspace import Workspace, current_workspace, debugging, poison, set_debug, use_workspace

__all__ = [
    "Device", "Kernels", "NotInGraph", "Workspace", "current_workspace", "debugging", "fallbacks", "get",
    "get_num_threads", "names", "no_room", "poison", "set_debug", "set_num_threads", "show_config", "use_workspace",
]  # fmt: skip
