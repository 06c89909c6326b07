"""The table of rows, and the arithmetic that it counts."""

import pytest

from benchmarks import nets, report
from benchmarks.goals import GOALS, judge
from benchmarks.rows import OF_DEVICE, ROWS, cuda, select
from benchmarks.summary import Result


def test_names_are_unique_and_every_group_has_a_title():
    everything = [row for rows in OF_DEVICE.values() for row in rows]
    names = [row.name for row in everything]
    assert len(set(names)) == len(names)
    assert {row.group for row in everything} == set(report.TITLES)


def test_rows_of_a_group_stand_together():
    for rows in OF_DEVICE.values():
        groups = [name for name, _ in report.groups([Result(row) for row in rows])]
        assert len(set(groups)) == len(groups)


def test_every_goal_has_rows():
    everything = [Result(row, note="not measured") for rows in OF_DEVICE.values() for row in rows]
    for goal in GOALS:
        outcome = judge(goal, everything)
        assert outcome.missing > 0 and outcome.value is None and outcome.met is None


def test_nine_training_rows():
    assert len(select(["train/*"])) == 9


def test_a_gpus_rows_keep_precisions_apart():
    for row in cuda.ROWS:
        mode = row.group.split("-")[0]
        if "tf32" in row.options:
            assert row.options["tf32"] == (mode == "tf32") and mode in cuda.MODES
        else:
            assert mode == "gpu"


def test_a_gpus_nets_meet_three_opponents_each():
    for what in ("train", "infer"):
        against = {row.against for row in select([f"f32-{what}-*/mlp/64"], device="cuda")}
        assert against == {what, f"{what}_graph", f"{what}_compiled"}
    nets_there = {row.options["net"] for row in select(["tf32-train-graph/*"], device="cuda")}
    assert nets_there == set(nets.NETS)


def test_adam_on_a_gpu_from_a_thousand_to_twenty_million():
    sizes = {row.options["size"]: row.bytes for row in select(["gpu-optimizer/adam/*"], device="cuda")}
    assert sizes == {n: 28 * n for n in (1_000, 100_000, 2_200_000, 10_000_000, 20_000_000)}


def test_select_by_pattern_beginning_and_quick():
    assert [row.name for row in select(["train/mlp/1"])] == ["train/mlp/1"]
    assert {row.group for row in select(["conv3/*/dw", "pool/"])} == {"conv3", "pool"}
    assert 0 < len(select(quick=True)) < len(ROWS)
    assert select(["no such row"]) == []


@pytest.mark.parametrize(
    ("name", "forward"),
    [
        ("mlp", 2 * (784 * 128 + 128 * 10)),
        ("mnist", 2 * (24 * 24 * 25 * 10 + 8 * 8 * 250 * 20 + 320 * 50 + 50 * 10)),
        ("cifar", 2 * (1024 * 27 * 64 + 256 * 576 * 128 + 8192 * 256 + 2560)),
        ("gpt", 2 * (4 * (64 * 128 * 128 * 12 + 64 * 65 * 128) + 64 * 128 * 65)),
    ],
)
def test_flops_are_those_counted_by_hand(name, forward):
    assert nets.flops(name, 1, training=False) == forward
    first = nets.products(*nets.NETS[name])[0][0]
    assert nets.flops(name, 64, training=True) == 64 * (3 * forward - first)


def test_flops_of_a_recurrent_net():
    forward = 2 * 64 * ((64 + 256) * 1024 + 256 * 65)
    assert nets.flops("lstm", 1, training=False) == forward
    assert nets.flops("lstm", 32, training=True) == 32 * 3 * forward  # the embedding learns, so nothing is left out


def test_resnet20_has_the_arithmetic_of_its_paper():
    # He et al. 2015, 41 million multiplications and additions; the two 1x1 shortcuts add a quarter of a million
    assert nets.flops("resnet20", 1, training=False) / 2 == pytest.approx(41e6, rel=0.02)
