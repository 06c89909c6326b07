"""Random images, indices and masks."""

import numpy as np

from fuzzing.case import reference_of, wide
from fuzzing.pool import ties_and_nans
from npdl.kernels.cpu import color, embed, image, mask
from npdl.kernels.reference import color as ref_color
from npdl.kernels.reference import embed as ref_embed
from npdl.kernels.reference import image as ref_image
from npdl.kernels.reference import mask as ref_mask


def images(case):
    """(x, maps, height and width of the result, how to sample)"""
    shape = [case.whole(0, 3), *(case.size(40) for _ in range(3))]
    maps = case.place(case.rng.normal([1, 0, 0, 0, 1, 0], [1, 1, shape[2], 1, 1, shape[1]], size=(shape[0], 6)))
    how = {"interpolation": case.pick(*ref_image.INTERPOLATIONS), "fill_mode": case.pick(*ref_image.FILL_MODES)}
    made = case.size(40), case.size(40)
    case.note(shape=shape, made=made, **how)
    return shape, maps, (shape[0], *made, shape[3]), how


def fuzz_affine_sample(case):
    shape, maps, made, how = images(case)
    x, out, value = case.numbers(*shape), case.out(*made), case.pick(0.0, 2.5)
    case.run(image.affine_sample, x, maps, out=out, fill_value=value, **how)
    right = np.empty_like(out)  # in the same type: a weight is the rounded distance of two numbers of float64
    ref_image.affine_sample(x, maps, out=right, fill_value=value, **how)
    case.close("out", out, right, 4, 1 + abs(x).max(initial=0))


def fuzz_affine_sample_grad(case):
    shape, maps, made, how = images(case)
    dy, out = case.numbers(*made), case.out(*shape)
    case.run(image.affine_sample_grad, dy, maps, out=out, **how)
    right, scale = np.empty_like(out), np.empty_like(out)
    ref_image.affine_sample_grad(dy, maps, out=right, **how)
    ref_image.affine_sample_grad(abs(dy), maps, out=scale, **how)
    case.close("out", out, right, 4 * made[1] * made[2], scale)


def broadcast(case):
    """(x, parameters that broadcast against it)"""
    shape = [case.whole(0, 3), *(case.size(60) for _ in range(case.whole(0, 3)))]
    small = [case.pick(1, n) for n in shape][case.whole(0, len(shape)) :]
    case.note(shape=shape, parameters=small)
    return case.numbers(*shape), [case.numbers(*small) for _ in range(3)]


def fuzz_rescale(case):
    x, (scale, offset, center) = broadcast(case)
    low, high = case.pick((-np.inf, np.inf), (-0.5, 1.0))
    out = case.out(*x.shape)
    case.run(image.rescale, x, scale, offset, out=out, center=center, low=low, high=high)
    some = wide(x, scale, offset)
    right = reference_of(ref_image.rescale, {"out": x.shape}, *some, center=center, low=low, high=high)["out"]
    case.close("out", out, right, 3, (abs(x) + abs(center)) * abs(scale) + abs(offset))


def fuzz_standardize(case):
    x, (mean, variance, _) = broadcast(case)
    x, invert, out = case.numbers(*x.shape), bool(case.whole(0, 1)), case.out(*x.shape)
    variance[...] = variance * variance
    case.run(image.standardize, x, mean, variance, 0.1, out=out, invert=invert)
    right = reference_of(ref_image.standardize, {"out": x.shape}, *wide(x, mean, variance), 0.1, invert=invert)["out"]
    case.close("out", out, right, 4, (abs(x) + abs(mean)) * 10)


def fuzz_standardize_grad(case):
    dy, (variance, *_) = broadcast(case)
    invert, out = bool(case.whole(0, 1)), case.out(*dy.shape)
    variance[...] = variance * variance
    case.run(image.standardize_grad, dy, variance, 0.1, out=out, invert=invert)
    right = reference_of(ref_image.standardize_grad, {"out": dy.shape}, *wide(dy, variance), 0.1, invert=invert)["out"]
    case.close("out", out, right, 4, abs(dy) * 10)


def fuzz_clip_grad(case):
    shape = case.note(shape=[case.size() for _ in range(case.whole(1, 3))])
    dy, y, out = case.numbers(*shape), case.numbers(*shape), case.out(*shape)
    case.run(image.clip_grad, dy, y, -0.5, 1.0, out=out)
    case.equal("out", out, np.where((y > -0.5) & (y < 1), dy, 0).astype(case.dtype))


def fuzz_erase(case):
    n, h, w, c = case.note(shape=[case.whole(0, 4), *(case.size(20) for _ in range(3))])
    rows, columns = (np.sort(case.rng.integers(0, size + 1, (n, 2)), axis=1) for size in (h, w))
    x, out = case.numbers(n, h, w, c), case.out(n, h, w, c)
    fill = case.pick(0.5, list(range(c)), case.numbers(n, h, w, c))
    case.run(image.erase, x, np.concatenate([rows, columns], axis=1), fill, out=out)
    i, j = np.arange(h)[None, :, None, None], np.arange(w)[None, None, :, None]
    low, high, left, right = (part[:, None, None, None] for part in (*rows.T, *columns.T))
    case.equal("out", out, np.where((i >= low) & (i < high) & (j >= left) & (j < right), fill, x).astype(case.dtype))


def fuzz_recolor(case):
    way, last = case.pick(*ref_color.WAYS), 3
    if way in ("solarize", "posterize"):
        last = case.size(9)
    shape = case.note(way=way, shape=[case.whole(0, 4), *(case.size(60) for _ in range(case.whole(0, 2))), last])
    x, dy, y, dx = case.numbers(*shape), case.numbers(*shape), case.out(*shape), case.out(*shape)
    numbers = case.place(case.rng.uniform(0, 2, (shape[0], 2)))
    if way == "posterize":
        numbers[:, 0] = 2.0 ** case.rng.integers(0, 8, shape[0])
    given = way, numbers, *((-np.inf, np.inf) if way == "gray" else (-0.5, 1.0))
    case.run(color.recolor, x, *given, out=y)
    case.run(color.recolor_grad, dy, x, *given, out=dx)
    right = np.empty_like(y)  # in the same type: there are jumps
    ref_color.recolor(x, *given, out=right)
    case.close("y", y, right, 9, 9 * (1 + abs(x).max(initial=0)))
    ref_color.recolor_grad(dy, x, *given, out=right)
    case.close("dx", dx, right, 9, 9 * abs(dy).max(initial=0))


fuzz_recolor_grad = fuzz_recolor


def fuzz_count_ids(case):
    count, most = case.size(50), case.pick(None, 1)
    ids = case.place(case.rng.integers(0, count, (case.size(40), case.whole(0, 9))).astype(case.pick("int32", "int64")))
    case.note(shape=ids.shape, count=count, most=most)
    out = case.out(len(ids), count)
    case.run(embed.count_ids, ids, out=out, most=most)
    right = (ids[:, :, None] == np.arange(count)).sum(axis=1)
    case.equal("out", out, (np.minimum(right, most) if most else right).astype(case.dtype))
    weights, sums, dw = case.numbers(*ids.shape), case.out(len(ids), count), case.out(*ids.shape)
    case.run(embed.count_ids, ids, out=sums, weights=weights)
    right = ((ids[:, :, None] == np.arange(count)) * wide(weights)[0][:, :, None]).sum(axis=1)
    case.close("sums", sums, right, 9, 9 * abs(weights).max(initial=0))
    case.run(embed.count_ids_grad, sums, ids, out=dw)
    case.equal("dw", dw, sums[np.arange(len(ids))[:, None], ids])


fuzz_count_ids_grad = fuzz_count_ids


def indices(case):
    """(numbers, rows and columns of a table, ids of any number of axes)."""
    rows, width = case.size(), case.size()
    shape = [case.whole(0, 4) for _ in range(case.whole(1, 2))] + [case.size(200)]
    case.note(shape=shape, rows=rows, width=width)
    return rows, width, case.place(case.rng.integers(0, rows, shape).astype(case.pick("int32", "int64")))


def fuzz_embedding(case):
    rows, width, ids = indices(case)
    table, out = case.numbers(rows, width), case.out(*ids.shape, width)
    case.run(embed.embedding, ids, table, out=out)
    case.equal("out", out, table[ids])


def fuzz_embedding_grad(case):
    rows, width, ids = indices(case)
    dy, out = case.numbers(*ids.shape, width), case.out(rows, width)
    case.run(embed.embedding_grad, dy, ids, out=out)
    dy64 = dy.astype("float64")
    expected, scale = (
        reference_of(ref_embed.embedding_grad, {"out": (rows, width)}, one, ids)["out"] for one in (dy64, abs(dy64))
    )
    case.close("out", out, expected, ids.size, scale)


def fuzz_not_zero(case):
    _, _, ids = indices(case)
    out = case.out(*ids.shape, dtype="bool", fill=False)
    embed.not_zero(ids, out=out)
    case.equal("out", out, ids != 0)


def fuzz_mask(case, kernel):
    shape = case.note(shape=[case.whole(0, 3), *(case.size(20) for _ in range(case.whole(0, 2)))])
    a, b = (case.place(case.rng.random(shape) < 0.6) for _ in range(2))
    x = ties_and_nans(case, case.numbers(*shape, case.size()))
    y, wide_y = case.numbers(*x.shape), case.numbers(*shape, case.size())
    inputs = {
        "masking": (x, case.pick(0.0, 2.0)), "mask_rows": (x, a), "both": (a, b),
        "choose": (a, *case.pick((x, y), (None, y), (x, None))), "fill": (1.5,), "copy": (x,),
        "times": (x, case.pick(y, 0.5)), "join": (x, wide_y), "part": (np.concatenate([x, wide_y], axis=-1),),
    }[kernel]  # fmt: skip
    if kernel in ("masking", "both"):
        outs = {"out": case.out(*shape, dtype="bool", fill=False)}
        getattr(mask, kernel)(*inputs, **outs)
    else:
        width = x.shape[-1] + (wide_y.shape[-1] if kernel == "join" else 0)
        outs = {"out": case.out(*shape, width)}
        if kernel == "part":
            outs = {"a": case.out(*x.shape), "b": case.out(*wide_y.shape)}
        case.run(getattr(mask, kernel), *inputs, **outs)
    expected = {name: np.empty_like(out) for name, out in outs.items()}
    getattr(ref_mask, kernel)(*inputs, **expected)
    for name, out in outs.items():
        case.equal(name, out, expected[name])
