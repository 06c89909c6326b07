"""Losses that are a mean over elements as numba.cuda kernels: a thread an element, then a block for a sample's mean."""

from numba import cuda, float32

from npdl.kernels.cuda.element_formulas import FORMULAS
from npdl.kernels.cuda.kernel import Float, Floats, Int, Long, expect, kernel, launch, launch_each, variants
from npdl.kernels.cuda.reduction import fold_sum, threads_for


@kernel
def sample_means(terms: Floats, out: Floats, samples: Int, positions: Int):
    """out[n] = mean of a sample's terms, a block a sample."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    n = cuda.blockIdx.x
    total = float32(0)
    i = t
    while i < positions:
        total += terms[n * positions + i]
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        out[n] = s[0] / float32(positions)


@variants(*zip(FORMULAS))
def _elements(formula):
    value, slope = FORMULAS[formula]

    @kernel
    def elements(
        t: Floats, y: Floats, scale: Floats, out: Floats, count: Long, width: Int, wants_slopes: Int,
        a: Float, b: Float, c: Float, d: Float,
    ):  # fmt: skip
        """The values; or the derivatives times s[n] / width, 0 where s[n] is."""
        i = cuda.grid(1)
        while i < count:
            if wants_slopes:
                factor = scale[i // width] / float32(width)
                out[i] = float32(0) if factor == float32(0) else factor * slope(t[i], y[i], a, b, c, d)
            else:
                out[i] = value(t[i], y[i], a, b, c, d)
            i += cuda.gridsize(1)

    return elements


def room_for_terms(out, positions):
    """Room for a sample's terms: `out` itself where it has one."""
    return out if positions == 1 else out.memory.driver.scratch(len(out) * positions)


def mean_of_terms(terms, out, positions):
    """out[n] = mean of sample n's terms."""
    if positions != 1 and len(out):
        launch(sample_means, len(out), threads_for(positions), terms, out, len(out), positions)


def mean_over_elements(kernel, formula, constants, y_true, y_pred, out, scale=None):
    """A loss that is a mean over each sample's elements, or its gradient."""
    shape = y_pred.shape
    expect(kernel, "y_true", y_true, shape)
    expect(kernel, "out", out, shape[:1] if scale is None else shape)
    expect(kernel, "scale", scale, shape[:1])
    if not shape or (not y_pred.size and shape[0]):
        raise ValueError(f"{kernel}: y_pred must be (N, ...) with at least one element a sample, got shape {shape}")
    if not shape[0]:
        return
    count, width, four = y_pred.size, y_pred.size // shape[0], (*constants, 0.0, 0.0, 0.0, 0.0)[:4]
    terms = room_for_terms(out, width) if scale is None else out
    launch_each(_elements(formula), count, y_true, y_pred, scale, terms, count, width, int(scale is not None), *four)
    if scale is None:
        mean_of_terms(terms, out, width)


def element_loss(formula, y_true, y_pred, constants, *, out):
    """out[n] = mean f(t, p)"""
    mean_over_elements("element_loss", formula, constants, y_true, y_pred, out)


def element_loss_grad(formula, y_true, y_pred, constants, scale, *, out):
    """out = s · f'(t, p) / D"""
    mean_over_elements("element_loss_grad", formula, constants, y_true, y_pred, out, scale)
