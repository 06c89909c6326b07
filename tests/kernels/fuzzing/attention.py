"""Random attention, and positions."""

import numpy as np

from fuzzing.case import reference_of, wide
from npdl.kernels.cpu import attention, position
from npdl.kernels.reference import attention as ref_attention


def fuzz_attention(case):
    n, t, s, groups, each = case.whole(0, 3), case.size(90), case.size(90), case.whole(1, 3), case.whole(1, 3)
    d, e = case.size(70), case.size(70)
    shapes = {"q": (n, t, groups * each, d), "k": (n, s, groups, d), "v": (n, s, groups, e)}
    shapes["out"] = (*shapes["q"][:3], e)
    how = {"causal": bool(case.whole(0, 1)), "rate": case.pick(0.0, 0.0, 0.4), "key": (3, case.whole(0, 2**32 - 1))}
    for name, sizes in (("query_mask", (n, t)), ("key_mask", (n, s)), ("value_mask", (n, s)), ("mask", (n, t, s))):
        how[name] = case.place(case.rng.random(sizes) < 0.8) if case.whole(0, 2) == 0 else None
    case.note(
        shapes=shapes, how={name: value if np.isscalar(value) else value is not None for name, value in how.items()}
    )
    q, k, v, dout = (case.numbers(*shape) for shape in shapes.values())
    out, gradients = case.out(*shapes["out"]), {f"d{name}": case.out(*shapes[name]) for name in "qkv"}
    case.run(attention.attention, q, k, v, 1 / d, out=out, **how)
    case.run(attention.attention_grad, dout, q, k, v, 1 / d, **gradients, **how)
    right = reference_of(ref_attention.attention, {"out": out.shape}, *wide(q, k, v), 1 / d, **how)
    like = {f"d{name}": shapes[name] for name in "qkv"}
    right.update(reference_of(ref_attention.attention_grad, like, *wide(dout, q, k, v), 1 / d, **how))
    top = 1 + max(abs(a).max(initial=0) for a in (q, k, v, dout))
    for name, got in {"out": out, **gradients}.items():
        case.close(name, got, right[name], s + d + e + t * each, top**4)


fuzz_attention_grad = fuzz_attention


def fuzz_positions(case):
    n, t, d = case.whole(0, 3), case.size(90), 2 * case.size(40)
    case.note(shape=(n, t, d))
    x, positions, out = case.numbers(n, t, d), case.numbers(t, d), case.out(n, t, d)
    if case.kernel == "add_positions":
        case.run(position.add_positions, x, positions, out=out)
        case.equal("out", out, x + positions)
        return
    how, angles = (case.pick(1, 100, 10000),), np.arange(t)[:, None] * np.ones(d // 2)
    angles = angles * how[0] ** (-np.arange(d // 2) * 2.0 / d)
    if case.kernel == "sine_positions":
        case.run(position.sine_positions, *how, out=out)
        right = np.broadcast_to(np.stack([np.sin(angles), np.cos(angles)], -1).reshape(t, d), (n, t, d))
    else:
        case.run(position.rotate, x[:, :, None], *how, 1.0, out=out[:, :, None])
        turned = (x[..., : d // 2] + 1j * x[..., d // 2 :]) * np.exp(1j * angles)
        right = np.concatenate([turned.real, turned.imag], -1)
    case.close("out", out, right, 4, 1 + 2 * abs(x).max(initial=0))


fuzz_add_positions = fuzz_sine_positions = fuzz_rotate = fuzz_positions
