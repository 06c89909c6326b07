"""Convolutions, forward and both gradients."""

from benchmarks.rows.row import Row

VGG = (
    (32, 3, 64),
    (32, 64, 64),
    (16, 64, 128),
    (16, 128, 128),
    (8, 128, 256),
    (8, 256, 256),
)  # size, channels, filters
DIRECTIONS = ("forward", "dx", "dw")


def _rows(group, batch, size, channels, filters, kernel=3, padding="same", groups=1, goals=(None,) * 3, quick=False):
    out = size if padding == "same" else size - kernel + 1
    taps = kernel * kernel * channels // groups * filters
    moved = 4 * (batch * size * size * channels + taps + batch * out * out * filters)
    for direction, goal in zip(DIRECTIONS, goals, strict=True):
        yield Row(
            f"{group}/{batch}x{size}x{size}x{channels}-{filters}/{direction}",
            "conv",
            {
                "direction": direction, "batch": batch, "size": size, "channels": channels, "filters": filters,
                "kernel": kernel, "padding": padding, "groups": groups,
            },
            flops=2 * batch * out * out * taps,
            bytes=moved,
            goal=goal,
            quick=quick,
        )  # fmt: skip


def _goals(channels, values):
    return values if channels >= 64 else (None,) * 3  # the goals are for 64 channels and more


ROWS = [
    *(
        row
        for size, channels, filters in VGG
        for row in _rows(
            "conv3", 64, size, channels, filters, goals=_goals(channels, (2.4, 2.2, 2.2)), quick=channels == filters
        )
    ),
    *(
        row
        for size, channels, filters in VGG
        for row in _rows("conv3", 8, size, channels, filters, goals=_goals(channels, (1.3, 1.2, 1.4)))
    ),
    *_rows("conv3", 64, 14, 64, 64, goals=(1.8, 1.8, 1.8)),
    *_rows("conv3", 64, 16, 32, 32, goals=(1.7, 1.7, 1.0)),
    *_rows("depthwise3", 64, 16, 128, 128, groups=128),
    *_rows("conv5", 64, 28, 1, 10, kernel=5, padding="valid"),
    *_rows("conv5", 64, 12, 10, 20, kernel=5, padding="valid"),
]
