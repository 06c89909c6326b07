"""Mixed precision: a device whose products see factors of 16 bits, and all else float32.

The rule, whole: **what a kernel of `FACTORS` multiplies is first rounded to 16 bits; its products are summed in
float32.** Everything else, weights, their updates, normalizations, softmax, losses, sums, stays float32. The product of
two rounded factors is exact in float32 (`npdl.kernels.reference.rounding`), so that float32 arithmetic on rounded
factors is what a GPU's 16-bit units compute, but for the order of the sum.

What stays inside one kernel is not rounded: the probabilities in `attention`, the state that a recurrent kernel hands
from step to step.

On the CPU that is an emulation, for learning and for looking at a run before it goes to a GPU: rounding costs time, and
nothing is faster for it. On a GPU cuBLAS multiplies 16-bit factors (`npdl.devices.cuda.factors`).
"""

import copy

from npdl.devices.base import Kernels
from npdl.devices.workspace import current_workspace

PRECISIONS = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
"""The type of the factors."""

FACTORS = {
    "matmul": (0, 1), "einsum": (0, 1), "conv2d": (0, 1), "conv2d_dx": (0, 1), "conv2d_dkernel": (0, 1),
    "conv2d_transpose": (0, 1), "conv2d_pooled": (0, 1), "conv2d_pooled_dkernel": (0, 1), "conv3d": (0, 1),
    "conv3d_dx": (0, 1), "conv3d_dkernel": (0, 1), "conv3d_transpose": (0, 1), "simple_rnn": (1,),
    "simple_rnn_grad": (1,), "lstm": (1,), "lstm_grad": (1,), "gru": (1,), "gru_grad": (1,),
    "gru_dkernel": (0, 1, 2, 3), "rnn_dkernels": (0, 1, 2), "attention": (0, 1, 2), "attention_grad": (0, 1, 2, 3),
}  # fmt: skip
"""Kernels that multiply: which of their arguments, by place, are factors of products."""

INSIDE = {"simple_rnn", "simple_rnn_grad", "lstm", "lstm_grad", "gru", "gru_grad", "attention", "attention_grad"}
"""Those that make other factors themselves, which stay float32 on every device."""


def check(precision, dtype):
    """None for float32, else the precision's name.

    Args:
        precision: as `compile` got it.
        dtype: of the model.

    Raises:
        ValueError: no such precision, or not one for float64.
    """
    if precision in (None, "float32"):
        return None
    if not isinstance(precision, str) or precision not in PRECISIONS:
        choices = ", ".join(map(repr, PRECISIONS))
        raise ValueError(f'precision must be None, "float32", or one of {choices}, got {precision!r}')
    if dtype != "float32":
        raise ValueError(
            f"precision={precision!r} keeps weights in float32, and this model works in {dtype}; make it with "
            'dtype="float32", or leave precision out'
        )
    return precision


class MixedKernels(Kernels):
    """A table that rounds the factors of products before it calls the kernels of another table.

    Args:
        full: the other table.
        kind: "bfloat16" or "float16".
        device: with `alloc`, for what is rounded by hand, outside of a workspace.
    """

    def __init__(self, full, kind, device):
        self.full, self._kind, self._device = full, kind, device

    def over(self, table):
        """The same on another table (of notes, see `npdl.models.replay`)."""
        return MixedKernels(table, self._kind, self._device)

    def __getattr__(self, name):
        if name.startswith("__") or "full" not in self.__dict__:
            raise AttributeError(name)
        kernel = getattr(self.full, name)
        if name in FACTORS:
            kernel = self._mixed(name, kernel)
        setattr(self, name, kernel)
        return kernel

    def _mixed(self, name, kernel):
        """The kernel on rounded factors."""
        places, driver = FACTORS[name], self._device.driver
        most = max(places)
        narrows = driver is not None and name not in INSIDE

        def call(*args, sums=None, **named):
            if len(args) <= most:
                raise TypeError(f"{name}: in mixed precision its first {most + 1} arguments come by place, not by name")
            if sums is not None:  # of b's rows: no product
                self.full.sum_rows(args[most], out=sums)
            if name == "lstm" and named.get("x") is not None:  # the products around the steps are products like others
                self.matmul(named.pop("x"), named.pop("W"), out=args[0], bias=named.pop("b", None))
                named.pop("keep_gates", None)
            if name == "lstm_grad" and named.get("dx") is not None:
                W, dx = named.pop("W"), named.pop("dx")
                call(*args, **named)
                self.matmul(named["dz"], W, out=dx, transpose_b=True)
                return
            if narrows:
                with driver.factors.narrowed(self._kind):
                    kernel(*args, **named)
                return
            args = list(args)
            for place in places:
                args[place] = self._rounded(args[place], place)
            kernel(*args, **named)

        return call

    def _rounded(self, factor, place):
        workspace = current_workspace()
        if workspace is None:
            out = self._device.alloc(factor.shape, factor.dtype)
        else:
            asker = "factor", place, factor.shape  # else a smaller one, where others have the larger, grows every time
            out = workspace.take(None, asker, factor.shape, factor.dtype)
        getattr(self.full, f"round_{self._kind}")(factor, out=out)
        return out


def mixed(device, precision):
    """A device like this one, in its memory, whose kernels are mixed."""
    other = copy.copy(device)
    other.precision, other.full = precision, device
    other.kernels = MixedKernels(device.kernels, PRECISIONS[precision], device)
    return other
