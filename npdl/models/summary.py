"""The table of `model.summary()`."""

import math


def _shape(shape):
    return "(" + ", ".join(["N", *("any" if size is None else str(size) for size in shape)]) + ")"


def _bytes(count):
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def table(model):
    """One line a layer: output shape, parameters, FLOPs of one sample's forward, bytes of one sample's output."""
    size = model.dtype.itemsize
    rows = [("layer", "output shape", "parameters", "FLOPs", "output bytes")]
    for layer in model.layers:
        free = any(axis is None for axis in layer.output_shape)
        rows.append(
            (
                f"{layer.name} ({type(layer).__name__}){'' if layer.trainable else ' frozen'}",
                _shape(layer.output_shape),
                f"{layer.count_params():,}",
                "?" if free else f"{layer.flops():,}",
                "?" if free else _bytes(math.prod(layer.output_shape) * size),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    rule = "─" * (sum(widths) + 8)
    lines = [
        "  ".join([f"{row[0]:<{widths[0]}}", f"{row[1]:<{widths[1]}}", *(f"{row[i]:>{widths[i]}}" for i in (2, 3, 4))])
        for row in rows
    ]
    trainable, frozen = model.count()
    return "\n".join(
        [
            f"{model.name}: input {_shape(model.input_shape)}, {model.dtype.name}, on {model.device.name}",
            rule,
            lines[0],
            rule,
            *lines[1:],
            rule,
            f"parameters: {trainable + frozen:,} ({_bytes((trainable + frozen) * size)}), "
            f"trainable {trainable:,}, not trainable {frozen:,}",
        ]
    )
