"""Bars of the ratios."""

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.ticker import FixedLocator, NullLocator

from benchmarks import report

matplotlib.use("Agg")

AHEAD, BEHIND, GOAL, TEXT, GRID = "#2f7ed8", "#d9534f", "#1b1b1b", "#333333", "#dddddd"
GROUPS = {
    "models.png": ("train", "infer", "compiled-train", "compiled-infer", "epoch"),
    "convolutions.png": ("conv3", "depthwise3", "conv5"),
    "operations.png": ("matmul", "pool", "norm-relu", "cross-entropy", "activation", "elementary", "optimizer"),
}
MARKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50)
BAR = 0.25  # inches of height


def draw(results, folder, versions):
    """Write the pictures of the groups that there are; returns the file names."""
    grouped = dict(report.groups(results))
    written = []
    for name, groups in GROUPS.items():
        shown = {}
        for group in groups:
            bars = [result for result in grouped.get(group, ()) if result.ratio is not None]
            if bars:
                shown[group] = bars
        if shown:
            _draw(shown, folder / name, versions)
            written.append(name)
    return written


def _draw(shown, path, versions):
    heights = [len(bars) + 1.6 for bars in shown.values()]
    figure, panels = plt.subplots(
        len(shown), 1, figsize=(9, BAR * sum(heights) + 0.7), squeeze=False, sharex=True,
        gridspec_kw={"height_ratios": heights}, layout="constrained",
    )  # fmt: skip
    ratios = [r.ratio for bars in shown.values() for r in bars]
    goals = [r.row.goal for bars in shown.values() for r in bars if r.row.goal]
    low, high = min(*ratios, 0.9) * 0.85, max(*ratios, *goals, 1.5) * 1.2
    for panel, (group, bars) in zip(panels[:, 0], shown.items(), strict=True):
        _panel(panel, report.TITLES[group], bars)
        panel.set_xlim(low, high)
    figure.supxlabel(f"times as fast as the opponent ({versions}); black mark: goal", fontsize=9, color=TEXT)
    figure.savefig(path, dpi=140)
    plt.close(figure)


def _panel(panel, title, bars):
    places, ratios = range(len(bars)), [r.ratio for r in bars]
    colours = [AHEAD if ratio >= 1 else BEHIND for ratio in ratios]
    panel.set_xscale("log")
    panel.barh(places, [ratio - 1 for ratio in ratios], left=1, color=colours, height=0.72, zorder=2)
    for place, result in zip(places, bars, strict=True):
        text = f"{result.ratio:.2f}" if result.ratio < 10 else f"{result.ratio:.1f}"
        side = "left" if result.ratio >= 1 else "right"
        panel.annotate(
            text, (result.ratio, place), xytext=(4 if side == "left" else -4, 0), textcoords="offset points",
            va="center", ha=side, fontsize=8, color=TEXT, zorder=4,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
        if result.row.goal is not None:
            panel.plot([result.row.goal] * 2, [place - 0.42, place + 0.42], color=GOAL, linewidth=1.8, zorder=3)
    panel.axvline(1, color=TEXT, linewidth=1, zorder=3)
    panel.set_yticks(places, [r.row.name.split("/", 1)[1] for r in bars], fontsize=8, color=TEXT)
    panel.set_ylim(len(bars) - 0.4, -0.6)
    panel.set_title(title, fontsize=10, loc="left", color=TEXT, fontweight="bold", pad=8)
    panel.xaxis.set_major_locator(FixedLocator(MARKS))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticks(MARKS, [f"{mark:g}" for mark in MARKS], fontsize=8, color=TEXT)
    panel.tick_params(length=0)
    panel.grid(axis="x", color=GRID, linewidth=0.8, zorder=0)
    for side in panel.spines.values():
        side.set_visible(False)
