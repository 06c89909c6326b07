"""A step of gated recurrent units, and back: the reset gate after the product with R, or before it."""

from numba import cuda, float32

from npdl.kernels.cuda.cells.cell import PAIRS, arriving, formulas
from npdl.kernels.cuda.kernel import Bytes, Float, Floats, Int, kernel, variants


@variants(*PAIRS)
def gru_step(code, keeps_z, recurrent, keeps_gates):
    (a, _), (gate, _) = formulas(code), formulas(recurrent)

    @kernel
    def gru_step(
        z: Floats, product: Floats, bias: Floats, h: Floats, new: Floats, inner: Floats,
        mask: Bytes, keep: Floats, operand: Floats,
        n: Int, units: Int, has_bias: Int, has_mask: Int, has_keep: Int, has_operand: Int,
        p: Float, q: Float, r: Float, p2: Float, q2: Float, r2: Float,
    ):  # fmt: skip
        """The gates u, r and the candidate g of a unit lie `units` apart."""
        at = cuda.grid(1)
        while at < n:
            row = at // units
            unit = at - row * units
            first = at + row * 2 * units
            second, third = first + units, first + 2 * units
            s_u, s_r, s_g = product[first], product[second], product[third]
            if has_bias:
                s_u, s_r, s_g = s_u + bias[unit], s_r + bias[unit + units], s_g + bias[unit + 2 * units]
            z_u, z_r = z[first] + s_u, z[second] + s_r
            y_u, y_r = gate(z_u, p2, q2, r2), gate(z_r, p2, q2, r2)
            z_g = z[third] + y_r * s_g
            y_g = a(z_g, p, q, r)
            inner[at] = s_g
            z[first] = z_u if keeps_gates else y_u
            z[second] = z_r if keeps_gates else y_r
            z[third] = z_g if keeps_z else y_g
            y = y_u * h[at] + (float32(1) - y_u) * y_g
            if has_mask and not mask[row]:
                y = h[at]
            new[at] = y
            if has_operand:
                operand[at] = y * keep[at] if has_keep else y
            at += cuda.gridsize(1)

    return gru_step


@variants(*PAIRS)
def gru_back(code, keeps_z, recurrent, keeps_gates):
    (a, slope), (gate, gate_slope) = formulas(code), formulas(recurrent)

    @kernel
    def gru_back(
        dy: Floats, z: Floats, h: Floats, inner: Floats, mask: Bytes, keep: Floats, past: Floats,
        dz: Floats, dinner: Floats, gates: Floats, dh: Floats,
        n: Int, units: Int, has_dy: Int, has_mask: Int, has_keep: Int, has_past: Int,
        p: Float, q: Float, r: Float, p2: Float, q2: Float, r2: Float,
    ):  # fmt: skip
        """`gates` gets what is multiplied by Rᵀ: dz of u and r, and dinner."""
        at = cuda.grid(1)
        while at < n:
            row = at // units
            first = at + row * 2 * units
            second, third = first + units, first + 2 * units
            d = arriving(at, dh, past, past, keep, has_past, False, has_keep)
            if has_dy:
                d += dy[at]
            d_u, d_r, d_g, d_inner = float32(0), float32(0), float32(0), float32(0)
            if not has_mask or mask[row]:
                z_u, z_r, z_g = z[first], z[second], z[third]
                y_u = gate(z_u, p2, q2, r2) if keeps_gates else z_u
                y_r = gate(z_r, p2, q2, r2) if keeps_gates else z_r
                y_g = a(z_g, p, q, r) if keeps_z else z_g
                d_g = d * (float32(1) - y_u) * slope(z_g, p, q, r)
                d_u = d * (h[at] - y_g) * gate_slope(z_u, p2, q2, r2)
                d_r = d_g * inner[at] * gate_slope(z_r, p2, q2, r2)
                d_inner = d_g * y_r
                d = d * y_u
            dh[at], dinner[at] = d, d_inner
            dz[first], dz[second], dz[third] = d_u, d_r, d_g
            gates[first], gates[second], gates[third] = d_u, d_r, d_inner
            at += cuda.gridsize(1)

    return gru_back


# ---- GRU whose reset gate comes before the product: two products a step


@variants(*(pair[2:] for pair in PAIRS))
def reset_step(recurrent, keeps_gates):
    gate, _ = formulas(recurrent)

    @kernel
    def reset_step(
        z: Floats, product: Floats, s: Floats, inner: Floats, n: Int, units: Int, p2: Float, q2: Float, r2: Float
    ):
        """u and r of the product (N, 2 U), and inner = r s."""
        at = cuda.grid(1)
        while at < n:
            row = at // units
            first, mine = at + row * 2 * units, at + row * units
            z_u, z_r = z[first] + product[mine], z[first + units] + product[mine + units]
            y_u, y_r = gate(z_u, p2, q2, r2), gate(z_r, p2, q2, r2)
            z[first] = z_u if keeps_gates else y_u
            z[first + units] = z_r if keeps_gates else y_r
            inner[at] = y_r * s[at]
            at += cuda.gridsize(1)

    return reset_step


@variants(*PAIRS)
def candidate_step(code, keeps_z, recurrent, keeps_gates):
    (a, _), (gate, _) = formulas(code), formulas(recurrent)

    @kernel
    def candidate_step(
        z: Floats, product: Floats, h: Floats, new: Floats, mask: Bytes, keep: Floats, operand: Floats,
        n: Int, units: Int, has_mask: Int, has_keep: Int, has_operand: Int,
        p: Float, q: Float, r: Float, p2: Float, q2: Float, r2: Float,
    ):  # fmt: skip
        """g of the product inner R (N, U), and the new state."""
        at = cuda.grid(1)
        while at < n:
            row = at // units
            first = at + row * 2 * units
            y_u = gate(z[first], p2, q2, r2) if keeps_gates else z[first]
            z_g = z[first + 2 * units] + product[at]
            y_g = a(z_g, p, q, r)
            z[first + 2 * units] = z_g if keeps_z else y_g
            y = y_u * h[at] + (float32(1) - y_u) * y_g
            if has_mask and not mask[row]:
                y = h[at]
            new[at] = y
            if has_operand:
                operand[at] = y * keep[at] if has_keep else y
            at += cuda.gridsize(1)

    return candidate_step


@variants(*PAIRS)
def candidate_back(code, keeps_z, recurrent, keeps_gates):
    (a, slope), (gate, gate_slope) = formulas(code), formulas(recurrent)

    @kernel
    def candidate_back(
        dy: Floats, z: Floats, h: Floats, mask: Bytes, keep: Floats, past: Floats, extra: Floats,
        dz: Floats, dinner: Floats, gates: Floats, dh: Floats,
        n: Int, units: Int, has_dy: Int, has_mask: Int, has_keep: Int, has_past: Int,
        p: Float, q: Float, r: Float, p2: Float, q2: Float, r2: Float,
    ):  # fmt: skip
        """dz of u and g; dinner is that of g."""
        at = cuda.grid(1)
        while at < n:
            row = at // units
            first = at + row * 2 * units
            d = arriving(at, dh, past, extra, keep, has_past, True, has_keep)
            if has_dy:
                d += dy[at]
            d_u, d_g = float32(0), float32(0)
            if not has_mask or mask[row]:
                z_u, z_g = z[first], z[first + 2 * units]
                y_u = gate(z_u, p2, q2, r2) if keeps_gates else z_u
                y_g = a(z_g, p, q, r) if keeps_z else z_g
                d_g = d * (float32(1) - y_u) * slope(z_g, p, q, r)
                d_u = d * (h[at] - y_g) * gate_slope(z_u, p2, q2, r2)
                d = d * y_u
            dh[at], dinner[at] = d, d_g
            dz[first], dz[first + 2 * units] = d_u, d_g
            gates[at + row * units] = d_u
            at += cuda.gridsize(1)

    return candidate_back


@variants(*(pair[2:] for pair in PAIRS))
def reset_back(recurrent, keeps_gates):
    gate, gate_slope = formulas(recurrent)

    @kernel
    def reset_back(
        through: Floats, z: Floats, s: Floats, mask: Bytes, dz: Floats, gates: Floats, extra: Floats,
        n: Int, units: Int, has_mask: Int, p2: Float, q2: Float, r2: Float,
    ):  # fmt: skip
        """dz of r, of through = d(r s); and what reaches s by r s."""
        at = cuda.grid(1)
        while at < n:
            row = at // units
            second = at + row * 2 * units + units
            d_r, d_s = float32(0), float32(0)
            if not has_mask or mask[row]:
                z_r = z[second]
                y_r = gate(z_r, p2, q2, r2) if keeps_gates else z_r
                d_r = through[at] * s[at] * gate_slope(z_r, p2, q2, r2)
                d_s = through[at] * y_r
            dz[second], gates[at + row * units + units], extra[at] = d_r, d_r, d_s
            at += cuda.gridsize(1)

    return reset_back
