"""Images in other colours on the stand-in against the reference."""

import numpy as np
import pytest

from npdl.kernels.cuda import color
from npdl.kernels.reference.color import WAYS

RNG = np.random.default_rng(0)
X = RNG.normal(0.5, 1, (3, 4, 5, 3)).astype("float32")
NUMBERS = {
    "hsv": [[0.3, 1.0], [-0.45, 2.5], [1.1, 0.4]], "gray": [[1.0, 0], [0.0, 0], [0.4, 0]],
    "solarize": [[0.1, 0.4], [0.0, -1.0], [-0.3, 0.7]], "posterize": [[32.0, 0], [1.0, 0], [128.0, 0]],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_recolor(compare, way):
    span, near = (-np.inf, np.inf) if way == "gray" else (-0.7, 1.6), {"rtol": 1e-5, "atol": 1e-5}
    compare("color", "recolor", X, way, NUMBERS[way], *span, out={"out": X.shape}, **near)
    dy = RNG.standard_normal(X.shape).astype("float32")
    compare("color", "recolor_grad", dy, X, way, NUMBERS[way], *span, out={"out": X.shape}, **near)


@pytest.mark.parametrize(
    "message, call",
    (
        (r"recolor: way must be one of hsv, gray",
         lambda o: color.recolor(o(1, 3), "red", [[0, 0]], 0, 1, out=o(1, 3))),
        (r"recolor: x must have red, green and blue",
         lambda o: color.recolor(o(1, 2), "hsv", [[0, 0]], 0, 1, out=o(1))),
        (r"recolor: numbers must have shape \(1, 2\)",
         lambda o: color.recolor(o(1, 3), "gray", [[0, 0, 0]], 0, 1, out=o(1, 3))),
        (r"recolor_grad: dy must have shape \(1, 3\)",
         lambda o: color.recolor_grad(o(2, 3), o(1, 3), "gray", [[0, 0]], 0, 1, out=o(1, 3))),
    ),
)  # fmt: skip
def test_wrong_arguments(device, message, call):
    with pytest.raises(ValueError, match=message):
        call(lambda *sizes: device.from_host(np.ones(sizes, "float32")))
