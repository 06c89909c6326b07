"""Medians, quartiles and ratios."""

import math

import pytest

from benchmarks.rows import Row
from benchmarks.summary import Result, geometric_mean, summarize

ROW = Row("group/row", "operation", goal=2.0)


def test_summary_of_odd_and_even_numbers_of_samples():
    summary = summarize([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (summary.low, summary.median, summary.high, summary.least, summary.count) == (2, 3, 4, 1, 5)
    assert summarize([1.0, 2.0, 3.0, 4.0]).median == 2.5


def test_summary_of_one_sample_is_that_sample():
    summary = summarize([7.0])
    assert (summary.low, summary.median, summary.high, summary.least, summary.count) == (7, 7, 7, 7, 1)


def test_ratio_is_the_opponents_median_by_ours():
    result = Result(ROW, summarize([1.0, 2.0, 9.0]), summarize([6.0, 5.0, 3.0]))
    assert result.ratio == 2.5
    assert result.ratio_of_minima == 3.0
    assert result.ratio_alone is None
    assert result.met


def test_a_goal_counts_as_met_from_its_number_on():
    assert Result(ROW, summarize([1.0]), summarize([2.0])).met is True
    assert Result(ROW, summarize([1.0]), summarize([1.99])).met is False
    assert Result(ROW, note="not measured").met is None
    assert Result(Row("group/row", "operation"), summarize([1.0]), summarize([2.0])).met is None


def test_nothing_of_ours_is_infinitely_better():
    assert Result(ROW, summarize([0.0]), summarize([2.0])).ratio == math.inf


def test_geometric_mean():
    assert geometric_mean([1.0, 4.0]) == pytest.approx(2.0)
    assert geometric_mean(x for x in (2.0, 4.0, 8.0)) == pytest.approx(4.0)
