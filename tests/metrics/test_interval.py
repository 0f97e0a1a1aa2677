"""Intervals over seeds: SciPy's values, one seed, refusals."""

import math

import numpy as np
import pytest

from ebmrepro.metrics.interval import Interval, Scale, interval


def test_three_seeds_match_the_table_of_students_t():
    # t_{2, 0.975} = 4.3027, s = 1, n = 3.
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.n == 3
    assert found.high == pytest.approx(2 + 4.302653 / np.sqrt(3), rel=1e-6)
    assert found.low == pytest.approx(2 - 4.302653 / np.sqrt(3), rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 15, 200])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_it_agrees_with_scipy_stats(n, level):
    from scipy import stats

    x = np.random.default_rng(n).normal(5, 2, n)
    low, high = stats.t.interval(level, n - 1, loc=x.mean(), scale=stats.sem(x))
    found = interval(x.tolist(), level=level)
    assert (found.low, found.high) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))


def test_one_seed_has_a_mean_and_no_bounds():
    assert interval([3.5]) == Interval(3.5, None, None, 1)


def test_equal_values_have_an_interval_of_no_width():
    assert interval([2.0, 2.0, 2.0]) == Interval(2, 2, 2, 3, by="range")


@pytest.mark.parametrize(
    ("scale", "least", "most"), [("log", 0, math.inf), ("logit", 0, 1), ("atanh", -1, 1)]
)
def test_at_the_ends_of_a_scale_numbers_are_taken_as_they_are_and_bounds_are_cut_there(
    scale: Scale, least: float, most: float
):
    """There a transformation is infinite: at the end itself, and for others beside it."""
    low = interval([least, 0.5, 0.25], scale)
    assert low.scale == "linear" and low.mean == pytest.approx((least + 0.75) / 3)
    assert low.low == least
    if most < math.inf:
        high = interval([most, 0.5, 0.75], scale)
        assert high.scale == "linear" and high.high == most


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf")])
def test_a_missing_value_is_refused_not_dropped(bad):
    with pytest.raises(
        ValueError, match="1 of 3 values are missing or not finite, first at index 1"
    ):
        interval([1.0, bad, 2.0])


def test_no_values_and_impossible_levels_are_refused():
    with pytest.raises(ValueError, match="no values"):
        interval([])
    with pytest.raises(ValueError, match="level: 95"):
        interval([1.0, 2.0], level=95)


def test_scipy_stats_is_not_imported():
    import subprocess
    import sys

    code = (
        "import sys; from ebmrepro.metrics.interval import interval; interval([1.0, 2.0]);"
        "sys.exit('scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_distinct_values_give_their_range():
    assert interval([10.0, 10.0, 9.0]) == Interval(29 / 3, 9, 10, 3, by="range")
