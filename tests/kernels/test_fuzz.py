"""Random calls of every compiled kernel against the reference kernels in float64: the functions in fuzzing/.

    pytest tests/kernels/test_fuzz.py                           2,000 cases, the same ones every time
    NPDL_FUZZ=50000 pytest tests/kernels/test_fuzz.py            that many
    NPDL_FUZZ=50000 NPDL_FUZZ_SEED=70000 pytest ...              from that seed on: other cases

A failing case names its seed and its arguments; NPDL_FUZZ=1 with that seed runs it alone. Outputs lie between guard
numbers and start as NaN, inputs start at any multiple of their number's size, and the number of threads is drawn too.
The tolerance comes from the sum that an element is: see `close`.
"""

import functools
import os

import pytest

from npdl.devices.registry import FAMILIES
from npdl.kernels.cpu import compiled

if not compiled():
    pytest.skip("installed without compiled kernels", allow_module_level=True)

from fuzzing import activation, attention, conv, image, layerwise, loss, matmul, merge, norm, pool, rnn, shape, update
from fuzzing.case import FIRST_SEED, Case

FILES = (activation, attention, conv, image, layerwise, loss, matmul, merge, norm, pool, rnn, shape, update)
FOUND = {name: function for file in FILES for name, function in vars(file).items()}
FUZZ = {name: FOUND.get(f"fuzz_{name}") for family in FAMILIES for name in FAMILIES[family]}
for _name in FAMILIES["loss"]:
    if _name != "weighted_sum":
        FUZZ[_name] = loss.fuzz_cross_entropy if "categorical" in _name else loss.fuzz_elementwise_loss
for _name in FAMILIES["mask"]:
    FUZZ[_name] = functools.partial(image.fuzz_mask, kernel=_name)
for _name in ("simple_rnn", "lstm", "gru"):
    FUZZ[_name] = FUZZ[f"{_name}_grad"] = functools.partial(rnn.fuzz_rnn, kernel=_name)
for _name in ("to_steps", "from_steps"):
    FUZZ[_name] = functools.partial(rnn.fuzz_steps, kernel=_name)
for _name in FAMILIES["shape"]:
    FUZZ[_name] = functools.partial(shape.fuzz_shape, kernel=_name)
for _name in FAMILIES["layerwise"]:
    FUZZ[_name] = layerwise.fuzz_layerwise if _name in ("lamb", "adafactor") else layerwise.fuzz_reduction
FUZZ["clip_norm"] = layerwise.fuzz_clip_norm
for _name in FAMILIES["update"]:
    FUZZ[_name] = FUZZ[_name] or update.fuzz_update
for _name in ("subtract", "multiply", "maximum", "minimum"):
    FUZZ[_name] = functools.partial(merge.fuzz_two, kernel=_name)
for _name in FAMILIES["rounding"]:
    FUZZ[_name] = functools.partial(loss.fuzz_rounding, kernel=_name)
for _name in ("put_part", "take_part"):
    FUZZ[_name] = functools.partial(merge.fuzz_part, kernel=_name)

CASES = max(1, int(os.environ.get("NPDL_FUZZ", "2000")) // len(FUZZ))


def test_every_kernel_has_a_function_here():
    """So that a new kernel is not forgotten."""
    assert [name for name, function in FUZZ.items() if function is None] == []


@pytest.mark.parametrize("kernel", [name for name, function in FUZZ.items() if function])
def test_fuzz(kernel):
    for seed in range(FIRST_SEED, FIRST_SEED + CASES):
        FUZZ[kernel](Case(kernel, seed))
