"""The table of rows, and the arithmetic that it counts."""

import pytest

from benchmarks import nets, report
from benchmarks.goals import GOALS, judge
from benchmarks.rows import ROWS, select
from benchmarks.summary import Result


def test_names_are_unique_and_every_group_has_a_title():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert {row.group for row in ROWS} == set(report.TITLES)


def test_rows_of_a_group_stand_together():
    groups = [name for name, _ in report.groups([Result(row) for row in ROWS])]
    assert len(set(groups)) == len(groups)


def test_every_goal_has_rows():
    everything = [Result(row, note="not measured") for row in ROWS]
    for goal in GOALS:
        outcome = judge(goal, everything)
        assert outcome.missing > 0 and outcome.value is None and outcome.met is None


def test_nine_training_rows():
    assert len(select(["train/*"])) == 9


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
