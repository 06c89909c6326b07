"""The table of `model.summary()`."""

import math

from npdl.layers.node import shapes_of


def _shape(shape):
    return "(" + ", ".join(["N", *("any" if size is None else str(size) for size in shape)]) + ")"


def _bytes(count):
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def _shapes(layer):
    """The shapes of one sample of each output."""
    return getattr(layer, "output_shapes", None) or shapes_of(layer.output_shape)


def _fixed(model, layer):
    """A remark where a layer is called with training=False."""
    calls = [call.fixed for call in getattr(model, "steps", ()) if call.layer is layer]
    few = "" if all(calls) else f" in {sum(calls)} of {len(calls)} calls"
    return f" training=False{few}" if any(calls) else ""


def table(model):
    """One line a layer: output shape, parameters, FLOPs of one sample's forward, bytes of one sample's output.

    Of a graph, the layers that each reads too.
    """
    size = model.dtype.itemsize
    rows = [["layer", "output shape", "parameters", "FLOPs", "output bytes"]]
    for layer in model.layers:
        shapes = _shapes(layer)
        free = any(axis is None for shape in shapes for axis in shape)
        rows.append(
            [
                f"{layer.name} ({type(layer).__name__}){'' if layer.trainable else ' frozen'}{_fixed(model, layer)}",
                ", ".join(map(_shape, shapes)),
                f"{layer.count_params():,}",
                "?" if free else f"{layer.flops():,}",
                "?" if free else _bytes(sum(map(math.prod, shapes)) * size),
            ]
        )
    calls = getattr(model, "steps", ())
    if calls:
        reads = [
            ", ".join(dict.fromkeys(one.name for call in calls if call.layer is layer for one in call.inputs))
            for layer in model.layers
        ]
        for row, text in zip(rows, ["reads", *reads], strict=True):
            row.append(text)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = "─" * (sum(widths) + 2 * len(widths) - 2)
    lines = [
        "  ".join(f"{cell:{'>' if 2 <= i <= 4 else '<'}{widths[i]}}" for i, cell in enumerate(row)).rstrip()
        for row in rows
    ]
    named = zip(getattr(model, "input_names", ("",)), model.input_shapes, strict=True)
    inputs = ", ".join(f"{name} {_shape(shape)}".strip() for name, shape in named)
    trainable, frozen = model.count()
    return "\n".join(
        [
            f"{model.name}: input {inputs}, {model.precision or model.dtype.name}, on {model.device.name}",
            rule,
            lines[0],
            rule,
            *lines[1:],
            rule,
            f"parameters: {trainable + frozen:,} ({_bytes((trainable + frozen) * size)}), "
            f"trainable {trainable:,}, not trainable {frozen:,}",
        ]
    )
