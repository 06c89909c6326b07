"""The table as Markdown and JSON."""

import dataclasses
import itertools

from benchmarks.goals import GOALS, judge
from benchmarks.rows import OF_DEVICE, Row, cuda
from benchmarks.summary import Result, Summary, geometric_mean

TITLES = {
    "train": "Training step: forward, loss, backward, Adam",
    "infer": "Inference",
    "sequence-train": "Training step on sequences of 64: a GPT of 4 blocks, an LSTM of 256 units",
    "sequence-infer": "Inference on sequences",
    "compiled-train": "Training step, against torch.compile",
    "compiled-infer": "Inference, against torch.compile",
    "matmul": "Matrix products",
    "conv3": "3x3 convolutions",
    "depthwise3": "Depthwise 3x3 convolution",
    "conv5": "5x5 convolutions of the MNIST net",
    "pool": "Max-pooling 2x2",
    "norm-relu": "Batch normalization and ReLU, training",
    "cross-entropy": "Softmax cross-entropy: loss and gradient",
    "activation": "Activations on 2^20 numbers",
    "elementary": "Elementary functions on 2^20 numbers",
    "optimizer": "One update of all weights, in eight tensors",
    "epoch": "An epoch with its data pipeline: 60,000 x 784, batch 64",
    "accuracy": "Seconds of training to 98 % test accuracy",
    "start": "Start",
    "memory": "Memory",
    "neighbours": "How many times as long a step takes beside busy processes, or in turn with NumPy's products",
    "size": "Installed size",
    **cuda.TITLES,
}
FILES = {"cpu": ("RESULTS.md", "results.json"), "cuda": ("RESULTS_CUDA.md", "results_cuda.json")}
"""Device -> what a full run writes."""
COMMANDS = {"cpu": "python -m benchmarks", "cuda": "python -m benchmarks --device cuda"}
OPPONENTS = {"torch": "PyTorch", "sklearn": "scikit-learn", None: "-"}
PICTURES = ("models.png", "convolutions.png", "operations.png")

_SCALES = {"s": ((1, "s"), (1e-3, "ms"), (1e-6, "us")), "B": ((2**20, "MiB"), (2**10, "KiB"), (1, "B"))}


def quantity(value, unit):
    """A number with the unit that fits: 0.00123 s is "1.23 ms"."""
    if unit == "x":
        return f"{value:.2f}x"
    scale, name = next((s for s in _SCALES[unit] if value >= s[0]), _SCALES[unit][-1])
    return f"{value / scale:.3g} {name}" if value < 1000 * scale else f"{value / scale:,.0f} {name}"


def spread(summary, unit):
    """median (lower quartile, upper quartile)"""
    if summary is None:
        return "-"
    if summary.count == 1:
        return quantity(summary.median, unit)
    return f"{quantity(summary.median, unit)} ({quantity(summary.low, unit)}, {quantity(summary.high, unit)})"


def times(ratio):
    return "-" if ratio is None else f"{ratio:.2f}"


def verdict(met):
    return {None: "-", True: "met", False: "**not met**"}[met]


def table(head, rows):
    """Lines of a Markdown table; the first column is text, the others numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(map(str, cells)) + " |" for cells in (head, rule, *rows)]


def share(result, summary, peaks):
    """How much of the machine's peak a side reaches, e.g. "88 % FLOP"."""
    if summary is None or not peaks:
        return "-"
    row = result.row
    flops = peaks["tf32" if row.options.get("tf32") else "flops"]
    for amount, peak, word in ((row.flops, flops, "FLOP"), (row.bytes, peaks["bytes"], "bytes")):
        if amount and _bound(row, flops, peaks["bytes"]) == word:
            return f"{100 * amount / summary.median / peak[0]:.0f} % {word}"
    return "-"


def _bound(row, flops, moved):
    """What takes this row longer at peak: its operations or its bytes."""
    return "FLOP" if (row.flops or 0) / flops[0] >= (row.bytes or 0) / moved[0] else "bytes"


def disturbance(busy):
    """What the share of the processors that other programs used before the run means."""
    if busy is None:
        return "whether other programs ran is not known"
    if busy < 0.1:
        return f"other programs used {busy:.0%} of the processors before"
    return f"**other programs used {busy:.0%} of the processors before: the ratios do not hold**"


def goals_table(results, peaks):
    """Lines: every goal of which a row was asked for."""
    rows = []
    for goal in GOALS:
        outcome = judge(goal, results, peaks)
        if outcome is None:
            continue
        wanted = f"{'below' if goal.figure == 'value' else 'at least'} {quantity(goal.target, goal.unit)}"
        found = "not measured" if outcome.value is None else quantity(outcome.value, goal.unit)
        if outcome.where:
            found += f" ({outcome.where})"
        if outcome.missing and outcome.value is not None:
            found += f"; {outcome.missing} more rows not measured"
        rows.append((goal.title, wanted, found, verdict(outcome.met)))
    return table(("goal", "wanted", "measured", ""), rows)


def group_table(results, peaks):
    """Lines: one row of results each."""
    rows = []
    for r in results:
        name = r.row.name.split("/", 1)[1]
        if r.ours is None:
            rows.append((name, r.note, *[""] * 8))
            continue
        ratio = times(r.ratio) if r.ratio is None or r.ratio >= 1 else f"**{times(r.ratio)}**"
        goal = "" if r.row.goal is None else f"{r.row.goal:g}: {verdict(r.met)}"
        how = "; ".join(filter(None, (r.ours_how and f"npdl {r.ours_how}", r.theirs_how)))
        rows.append((
            name, spread(r.ours, r.row.unit), spread(r.theirs, r.row.unit), ratio, times(r.ratio_of_minima),
            times(r.ratio_alone), goal, share(r, r.ours, peaks), share(r, r.theirs, peaks), how,
        ))  # fmt: skip
    opponents = dict.fromkeys(OPPONENTS[r.row.opponent] for r in results if r.row.opponent)
    opponent = " / ".join(opponents) or "-"
    head = (
        "", "npdl", opponent, "ratio", "of minima", "alone", "goal", "npdl's share of peak", f"{opponent}'s",
        "configuration",
    )  # fmt: skip
    return table(head, rows)


def losses(results):
    """Lines: every row in which npdl is behind by one of the three ratios, the worst first."""
    behind = sorted((r for r in results if r.ratios and min(r.ratios) < 1), key=lambda r: min(r.ratios))
    if not behind:
        return ["None."]
    rows = (
        (r.row.name, times(r.ratio), times(r.ratio_of_minima), times(r.ratio_alone), OPPONENTS[r.row.opponent])
        for r in behind
    )
    return table(("row", "ratio", "of minima", "alone", "opponent"), rows)


def overview(results):
    """Lines: wins and losses of every group."""
    rows = []
    for group, members in groups(results):
        ratios = [r.ratio for r in members if r.ratio is not None]
        if ratios:
            ahead = sum(ratio >= 1 for ratio in ratios)
            rows.append((
                TITLES[group], times(geometric_mean(ratios)), times(min(ratios)), times(max(ratios)), ahead,
                len(ratios) - ahead, len(members) - len(ratios),
            ))  # fmt: skip
    return table(("", "geometric mean", "least", "most", "rows ahead", "rows behind", "without a ratio"), rows)


def groups(results):
    """(group, its results), in the order of the rows."""
    return [(name, list(members)) for name, members in itertools.groupby(results, key=lambda r: r.row.group)]


def not_measured(device="cuda"):
    """Lines of a section: what is to be measured on a GPU."""
    lines = [
        "## GPU: not measured",
        "",
        f"No GPU was at hand. On a machine with one `{COMMANDS[device]}` writes "
        f"`{FILES[device][0]}` beside this file; it remains to be measured:",
        "",
    ]
    for group, members in groups([Result(row) for row in OF_DEVICE[device]]):
        names = ", ".join(r.row.name.split("/", 1)[1] for r in members[:3])
        more = f" and {len(members) - 3} more" if len(members) > 3 else ""
        lines.append(f"- {TITLES[group]}: {names}{more}")
    return lines


def markdown(results, about, pictures=PICTURES, gpu_measured=False):
    """The whole report.

    Args:
        results: list of `Result`.
        about: what `command.py` collects: machine, peaks, engines, settings, seconds.
        pictures: file names beside the report.
        gpu_measured: whether there is a report of a GPU's beside it.
    """
    machine, peaks, settings = about["machine"], about["peaks"], about["settings"]
    device = settings.get("device", "cpu")
    rows = OF_DEVICE[device]
    versions = ", ".join(f"{engine['name']} {engine['version']}" for engine in about["engines"].values())
    lines = [
        f"# npdl beside PyTorch, on {'the CPU' if device == 'cpu' else 'a GPU'}",
        "",
        f"Written by `{COMMANDS[device]}`; [README.md](README.md) tells how it measures.",
        "",
        f"- {machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}",
        f"- {versions}; {settings['threads']} threads each, float32; {machine['date']}; "
        f"{about['seconds'] / 60:.1f} minutes; {disturbance(machine['busy'])}",
        *(f"- {engine['name']}: {engine['gpu']}" for engine in about["engines"].values() if "gpu" in engine),
        f"- {len(results)} of {len(rows)} rows" + ("" if len(results) == len(rows) else ": **a part of the table**"),
        f"- peak: {peaks['flops'][0] / 1e9:.0f} GFLOP/s ({peaks['flops'][1]}), "
        + (f"{peaks['tf32'][0] / 1e9:.0f} by TF32 ({peaks['tf32'][1]}), " if "tf32" in peaks else "")
        + f"{peaks['bytes'][0] / 1e9:.1f} GB/s read and written by a copy ({peaks['bytes'][1]})",
        *(
            ["- [GPU](RESULTS_CUDA.md)" if gpu_measured else "- GPU: not measured; see the end"]
            if device == "cpu"
            else []
        ),
        "",
        "A ratio is the opponent's median time by npdl's, the two taking turns: above 1, npdl is faster; **below 1**, "
        "it is slower. *Of minima* is the ratio of the best times, *alone* that of the medians without turns. In "
        "brackets: quartiles.",
        "",
        "## Goals",
        "",
        *goals_table(results, peaks),
        "",
        "## Overview",
        "",
        *overview(results),
        "",
        *(f"![{picture.split('.')[0]}]({picture})" for picture in pictures),
        "",
        "## Where npdl is behind",
        "",
        *losses(results),
    ]
    for group, members in groups(results):
        lines += ["", f"## {TITLES[group]}", "", *group_table(members, peaks)]
    if device == "cpu" and not gpu_measured:
        lines += ["", *not_measured()]
    lines += ["", "## Configuration", ""]
    for engine in about["engines"].values():
        if engine["config"]:
            lines += [engine["name"], "", "```", *engine["config"].strip().splitlines(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def as_json(results, about):
    """The same as plain dictionaries and lists."""
    rows = []
    for r in results:
        ratios = {"ratio": r.ratio, "ratio_of_minima": r.ratio_of_minima, "ratio_alone": r.ratio_alone, "met": r.met}
        rows.append({**dataclasses.asdict(r), **ratios})
    outcomes = (judge(goal, results, about["peaks"]) for goal in GOALS)
    goals = [dataclasses.asdict(outcome) | {"met": outcome.met} for outcome in outcomes if outcome]
    return {**about, "goals": goals, "rows": rows}


def from_json(found):
    """(results, about) of what `as_json` gave."""
    sides = "ours", "theirs", "ours_alone", "theirs_alone"
    results = [
        Result(
            Row(**row["row"]),
            *(row[side] and Summary(**row[side]) for side in sides),
            *(row[name] for name in ("ours_how", "theirs_how", "note")),
        )
        for row in found["rows"]
    ]
    return results, {name: value for name, value in found.items() if name not in ("rows", "goals")}
