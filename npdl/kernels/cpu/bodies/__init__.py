"""The loops of the updates: each function makes one of a number type, and of which arrays there are.

The formulas are the reference's, in the same order of operations and without fused multiply-adds, so that both give the
same bits. What such a function returns, `body`, is compiled for float32 and for float64, as a C function

    void body(void **context, int64 block, void *work)

over plain pointers, which the pool calls from its threads. context: blocks, pieces, segments, hyper, then the arrays
in the order of the call. Block b is the pieces blocks[b] ... blocks[b + 1] − 1. Each element is read and written once,
which also lets the loop vectorise. The lines before the loop are alike in all of them: of a function that calls another
one it was given, Numba finds the machine code again in no other process.

SGD, Adam and AdamW are in kernels/update.h, too; those of here serve where npdl was installed without compiled kernels.
"""

from npdl.kernels.cpu.bodies.adaptive import adadelta, adagrad, ftrl, rmsprop
from npdl.kernels.cpu.bodies.flat import clip, combine
from npdl.kernels.cpu.bodies.gradient import lion, muon, rprop, sgd
from npdl.kernels.cpu.bodies.moments import adam, adamax, nadam, schedule_free

BODIES = {
    "sgd": sgd, "adam": adam, "adamw": adam, "rmsprop": rmsprop, "adamax": adamax, "nadam": nadam, "lion": lion,
    "adagrad": adagrad, "adadelta": adadelta, "ftrl": ftrl, "schedule_free": schedule_free, "rprop": rprop,
    "muon": muon, "combine": combine, "clip": clip,
}  # fmt: skip
"""What makes the body of each kernel."""
