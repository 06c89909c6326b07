"""The report, from numbers made up."""

import json

import pytest

from benchmarks import command, report
from benchmarks.goals import Goal, judge
from benchmarks.rows import OF_DEVICE
from benchmarks.summary import Result, summarize

BY_NAME = {row.name: row for rows in OF_DEVICE.values() for row in rows}
PEAKS = {"flops": (100e9, "npdl, 512³"), "bytes": (10e9, "torch")}
ABOUT = {
    "machine": {"processor": "P", "cores": 2, "system": "Linux", "python": "3.11", "date": "today", "busy": 0.02},
    "peaks": PEAKS,
    "engines": {"npdl": {"name": "npdl", "version": "1", "config": "build v4"}},
    "settings": {"threads": 2, "device": "cpu"},
    "seconds": 90.0,
}


def result(name, ours, theirs):
    return Result(BY_NAME[name], summarize([ours]), summarize([theirs]))


def training(ratio):
    return [result(name, 1e-3, ratio * 1e-3) for name in BY_NAME if name.startswith("train/")]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234, "s", "1.23 s"), (0.01234, "s", "12.3 ms"), (45.6e-6, "s", "45.6 us"), (2e-7, "s", "0.2 us"),
        (754 * 2**20, "B", "754 MiB"), (2000 * 2**20, "B", "2,000 MiB"), (2048, "B", "2 KiB"), (2.5, "x", "2.50x"),
    ],
)  # fmt: skip
def test_quantity(value, unit, text):
    assert report.quantity(value, unit) == text


def test_goal_of_a_geometric_mean_needs_every_row():
    goal = Goal("mean", ("train/*",), 2.5, "mean")
    results = training(4.0)
    assert judge(goal, results).met is True
    assert judge(goal, results).value == pytest.approx(4.0)
    assert judge(goal, results[1:]).met is None
    assert judge(goal, training(2.0)).met is False
    assert judge(goal, []) is None


def test_goal_of_the_slowest_row_names_it():
    results = [*training(4.0)[:-1], result("train/resnet20/64", 1e-3, 1.1e-3)]
    outcome = judge(Goal("least", ("train/*",), 1.2), results)
    assert (outcome.value, outcome.where, outcome.met) == (pytest.approx(1.1), "train/resnet20/64", False)


def test_a_row_too_slow_is_known_even_where_others_are_missing():
    assert judge(Goal("least", ("train/*",), 1.2), [result("train/mlp/1", 2e-3, 1e-3)]).met is False


def test_goal_of_a_value_is_to_stay_below():
    goal = Goal("import", ("start/import",), 0.1, "value", "s")
    assert judge(goal, [result("start/import", 0.09, 1.0)]).met is True
    assert judge(goal, [result("start/import", 0.2, 1.0)]).met is False


def test_share_of_peak_is_of_what_bounds_the_row():
    flops = BY_NAME["matmul/512x512x512/AB"].flops
    product = result("matmul/512x512x512/AB", flops / 80e9, flops / 50e9)
    assert report.share(product, product.ours, PEAKS) == "80 % FLOP"
    assert report.share(product, product.theirs, PEAKS) == "50 % FLOP"
    moved = BY_NAME["activation/relu/forward"].bytes
    relu = result("activation/relu/forward", moved / 5e9, moved / 5e9)
    assert report.share(relu, relu.ours, PEAKS) == "50 % bytes"


def test_losses_are_listed_the_worst_first():
    lines = report.losses(
        [result("infer/mlp/1", 1.0, 0.9), result("infer/mlp/64", 1.0, 0.5), result("train/mlp/1", 1, 2)]
    )
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| infer/mlp/64", "| infer/mlp/1"]


def test_markdown_shows_wins_losses_and_what_was_not_measured():
    resnet = Result(BY_NAME["train/resnet20/64"], note="not measured: no Residual")
    results = [result("train/mlp/1", 1e-3, 7e-3), result("train/mlp/64", 2e-3, 1e-3), resnet]
    text = report.markdown(results, ABOUT, ["models.png"])
    assert "| mlp/1 | 1 ms | 7 ms | 7.00 |" in text and "6: met" in text
    assert "| mlp/64 | 2 ms | 1 ms | **0.50** |" in text and "1.2: **not met**" in text
    assert "| resnet20/64 | not measured: no Residual |" in text
    assert "| training step, MLP, batch 1 | at least 6.00x | 7.00x | met |" in text
    assert (
        "| training step, geometric mean of the nine nets | at least 2.50x | 1.87x; 7 more rows not measured |" in text
    )
    assert "other programs used 2% of the processors before" in text and "![models](models.png)" in text


def test_a_busy_machine_is_shown():
    assert "the ratios do not hold" in report.disturbance(0.5)
    assert report.disturbance(None) == "whether other programs ran is not known"


def test_json_holds_rows_and_goals():
    data = json.loads(json.dumps(report.as_json([result("train/mlp/1", 1e-3, 7e-3)], ABOUT)))
    (row,) = data["rows"]
    assert (row["row"]["name"], row["ratio"], row["met"]) == ("train/mlp/1", pytest.approx(7.0), True)
    assert {goal["met"] for goal in data["goals"]} == {True, False, None} - {False}


def test_shares_of_tf32_are_of_its_own_peak():
    peaks = {**PEAKS, "tf32": (400e9, "npdl, 4096³")}
    flops = BY_NAME["tf32-matmul/1024x1024x1024/AB"].flops
    product = result("tf32-matmul/1024x1024x1024/AB", flops / 200e9, flops / 100e9)
    assert report.share(product, product.ours, peaks) == "50 % FLOP"


def test_goal_of_a_share_of_a_copys_speed():
    goal = Goal("Adam", ("gpu-optimizer/adam/1e7",), 0.9, "share")
    fast = result("gpu-optimizer/adam/1e7", 28e7 / 9.5e9, 1.0)
    assert judge(goal, [fast], PEAKS).value == pytest.approx(0.95) and judge(goal, [fast], PEAKS).met is True
    assert judge(goal, [result("gpu-optimizer/adam/1e7", 28e7 / 8e9, 1.0)], PEAKS).met is False


def test_what_is_left_to_measure_on_a_gpu():
    text = report.markdown([result("train/mlp/1", 1e-3, 7e-3)], ABOUT, [])
    assert "## GPU: not measured" in text and "`python -m benchmarks --device cuda` writes" in text
    assert "- One update of all weights, in eight tensors; the bytes' share is of a copy on the GPU: sgd/1e3" in text
    assert (
        "not measured" not in report.markdown([result("train/mlp/1", 1e-3, 7e-3)], ABOUT, [], True).split("## Goals")[0]
    )


def test_the_report_of_a_gpu_names_it():
    gpu = {"name": "npdl", "version": "1", "config": "", "gpu": "NVIDIA H100, driver for CUDA 13.0"}
    about = {**ABOUT, "settings": {"threads": 2, "device": "cuda"}, "engines": {"npdl": gpu}}
    about["peaks"] = {**PEAKS, "tf32": (400e9, "npdl, 4096³")}
    text = report.markdown([result("f32-train-graph/mlp/64", 1e-4, 2e-4)], about, [])
    assert "on a GPU" in text and "- npdl: NVIDIA H100, driver for CUDA 13.0" in text and "400 by TF32" in text
    assert "## float32, training step" in text and "GPU: not measured" not in text


def test_a_report_is_written_again_from_its_figures(tmp_path):
    results = [result("train/mlp/1", 1e-3, 7e-3), Result(BY_NAME["train/mlp/64"], note="not measured: no")]
    (tmp_path / "results.json").write_text(json.dumps(report.as_json(results, ABOUT)))
    assert command.main(["--rewrite", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "RESULTS.md").read_text() == report.markdown(results, ABOUT, [])
    assert "measure first" in command.main(["--rewrite", "--output", str(tmp_path), "--device", "cuda"])


def test_without_a_gpu_one_sentence_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(command, "NEEDED", {})
    monkeypatch.setattr(command, "gpu_missing", lambda: ["npdl: it needs an NVIDIA GPU", "PyTorch 2: no CUDA"])
    said = command.main(["--device", "cuda", "--rows", "gpu-launch"])
    assert said == "the GPU rows cannot be measured here: npdl: it needs an NVIDIA GPU; PyTorch 2: no CUDA"
