"""Intervals cover what they say, powers are those of tables, corrections those of textbooks."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ebmrepro.claims import statistics
from ebmrepro.metrics.interval import Interval, interval

REPEATS = 1000


def ends(found: Interval) -> tuple[float, float]:
    assert found.low is not None and found.high is not None
    return found.low, found.high


def coverage(draw: str, n: int) -> float:
    """How often the 95 % interval holds what it is an interval of."""
    rng = np.random.default_rng(n)
    held = 0
    for _ in range(REPEATS):
        match draw:
            case "normal":
                values, scale, truth = rng.normal(3, 1, n), "linear", 3.0
            case "lognormal, on the log scale":  # of ratios: there the median is their mean
                values, scale, truth = rng.lognormal(0.5, 1, n), "log", math.exp(0.5)
            case "lognormal, taken as it is":
                values, scale, truth = rng.lognormal(0.5, 1, n), "linear", math.exp(1.0)
            case "two values, equally likely, by their range":
                values, scale, truth = rng.integers(0, 2, n) + 1.0, "linear", 1.5
            case _:
                raise ValueError(f"no draw is called {draw!r}")
        found = interval(values.tolist(), scale)
        held += ends(found)[0] <= truth <= ends(found)[1]
    return held / REPEATS


# What docs/decisions/claims.md prints; two standard errors of a simulated share are 0.03.
ROW = r"^\| ((?:normal|lognormal|two)[^|]*) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$"
TOLD = re.findall(ROW, (Path(__file__).parents[2] / "docs/decisions/claims.md").read_text(), re.M)
COVERAGE = {row: dict(zip((3, 5, 10), map(float, shares), strict=True)) for row, *shares in TOLD}
assert len(COVERAGE) == 4  # not in a test: of no rows there would be none
ON_ITS_SCALE = ("normal", "lognormal, on the log scale")  # there t is right, whatever n is


@pytest.mark.parametrize("draw", COVERAGE)
def test_intervals_cover_what_they_say(draw: str):
    found = {n: coverage(draw, n) for n in (3, 5, 10)}
    print(draw, found)
    assert found == pytest.approx(COVERAGE[draw], abs=0.03)
    if draw in ON_ITS_SCALE:
        assert [*found.values()] == pytest.approx([0.95] * 3, abs=0.02)


def test_an_interval_never_leaves_what_a_number_can_be():
    low, high = ends(interval([0.9, 0.99, 0.999], "logit"))
    assert 0 < low < 0.9 and 0.999 < high < 1
    assert ends(interval([0.1, 3.0, 50.0], "log"))[0] > 0


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=6), st.floats(1e-3, 1e3))
def test_a_ratio_and_its_inverse_tell_the_same(values: list[float], unit: float):
    one = interval([value * unit for value in values], "log")
    other = interval([1 / (value * unit) for value in values], "log")
    assert one.mean == pytest.approx(1 / other.mean, rel=1e-6)


def test_needed_seeds_are_those_of_power_tables():
    """A paired t test of two sides at 5 %, power 0.8: 34 for d = 0.5, 15 for 0.8, 10 for 1."""
    for d, seeds in ((0.5, 34), (0.8, 15), (1.0, 10)):
        values = [d + x / math.sqrt(2) for x in (-1, 1)]  # mean d, standard deviation 1
        assert statistics.seeds_needed(values, [(0,)], "linear") == seeds
    assert statistics.seeds_needed([1.0, -1.0], [(0,)], "linear") is None
    # As far off as that, SciPy's power of some n is NaN: of 21, which the search looks at, here.
    assert statistics.seeds_needed([0.012, 0.0117, 0.0121], [(0.014,)], "logit") == 3
    assert statistics.seeds_needed([2.0, 2.0], [(0,)], "linear") == 2


@pytest.mark.parametrize("d", [0.4, 0.9, 1.7, 2.6, 4.0, 7.0, 11.0, 11.45, 12.0])
def test_seeds_needed_are_the_fewest_with_the_power_that_scipy_finds(d: float):
    """Up to where two would do: there the two numbers' one degree of freedom tells most."""

    def power(n: int) -> float:
        return float(stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, d * math.sqrt(n)))

    fewest = next(n for n in range(2, 100) if power(n) >= 0.8)
    values = [d + x / math.sqrt(2) for x in (-1, 1)]  # mean d, standard deviation 1
    assert statistics.seeds_needed(values, [(0,)], "linear") == fewest


def test_a_difference_that_does_not_matter_takes_the_seeds_to_show_that():
    """Mean 0.0005, deviation 0.02, what matters 0.01: no 10,000 seeds would clear 0, but intervals
    of some 40 lie inside (-0.01, 0.01) four times in five."""
    values = [0.0005 + 0.02 * x / math.sqrt(2) for x in (-1, 1)]
    assert statistics.seeds_needed(values, [(0,)], "linear") is None
    inside = statistics.seeds_needed(values, [(0,), (-0.01, 0.01)], "linear")
    assert inside is not None

    def power(n: int) -> float:
        draws = np.random.default_rng(n).normal(0.0005, 0.02, (20_000, n))
        half = stats.t.ppf(0.975, n - 1) * draws.std(1, ddof=1) / math.sqrt(n)
        return float((np.abs(draws.mean(1)) + half < 0.01).mean())

    assert power(inside) >= 0.79 and power(inside - 3) < 0.8
    assert statistics.seeds_needed([1.0, -1.0], [(0,), (-9.0, 9.0)], "linear") is not None
    # Between two edges alone, as near a published value, no way past the nearer one helps.
    assert statistics.seeds_needed(values, [(-0.01, 0.01)], "linear") == inside
    assert statistics.seeds_needed([0.02, 0.03], [(-0.01, 0.01)], "linear") is None


def test_seeds_of_trials_needed_are_those_of_the_binomial():
    """72 of 72 is the first whole share whose exact interval clears 0.95: 4 seeds of 20 trials."""
    assert statistics.clopper_pearson(71, 71)[0] < 0.95 < statistics.clopper_pearson(72, 72)[0]
    assert statistics.seeds_of_trials_needed(1.0, 20, 0.95) == 4
    found = statistics.seeds_of_trials_needed(0.4, 30, 0.6)
    assert found == statistics.seeds_of_trials_needed(0.6, 30, 0.4)

    def power(seeds: int) -> float:
        drawn = np.random.default_rng(0).binomial(30 * seeds, 0.4, 4_000)
        return float(np.mean([statistics.clopper_pearson(h, 30 * seeds)[1] < 0.6 for h in drawn]))

    assert found is not None and power(found) > 0.78 > power(found - 1)
    assert statistics.seeds_of_trials_needed(0.95, 20, 0.95) is None
    test = stats.binomtest(58, 60, 0.9, "greater")
    assert statistics.share_p(58, 60, 0.9) == pytest.approx(test.pvalue)
    test = stats.binomtest(50, 60, 0.9, "less")
    assert statistics.share_p(50, 60, 0.9) == pytest.approx(test.pvalue)


def test_pairs_needed_clear_the_edge_four_times_in_five():
    found = statistics.pairs_needed(0.6, 5, 0.0)
    assert found is not None and statistics.pairs_needed(-0.6, 5, 0.0) == found
    random = np.random.default_rng(0)

    def power(n: int) -> float:
        # Of normal pairs Spearman's rho is 6 / pi asin(r / 2).
        r = 2 * math.sin(math.pi * 0.6 / 6)
        x, e = random.standard_normal((2, 2_000, n))
        y = r * x + math.sqrt(1 - r * r) * e
        rhos = [
            np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1]
            for a, b in zip(x, y, strict=True)
        ]
        return float(np.mean([statistics.rank_interval(rho, n)[0] > 0 for rho in rhos]))

    assert power(found) == pytest.approx(0.8, abs=0.06)
    assert statistics.pairs_needed(0.0, 5, 0.0) is None


def test_p_values_are_those_of_a_t_test():
    values = [0.3, 0.5, 0.1, 0.6]
    _, told = stats.ttest_1samp(values, 0.2, alternative="greater")
    assert statistics.p_value(values, 0.2, "linear") == pytest.approx(told)
    _, logs = stats.ttest_1samp(np.log(values), math.log(0.2), alternative="greater")
    assert statistics.p_value(values, 0.2, "log") == pytest.approx(logs)


def test_one_number_tells_nothing_and_neither_do_numbers_around_the_edge():
    assert statistics.p_value([3.0], 0.0, "linear") == 1.0
    assert statistics.p_value([1.0, -1.0], 0.0, "linear") == 1.0
    assert statistics.seeds_needed([3.0], [(0.0,)], "linear") is None


def test_corrections_are_those_of_the_papers():
    """Benjamini and Hochberg (1995), section 3.2: of 15 p-values Bonferroni's and Holm's
    corrections reject 3, theirs 4."""
    p = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
    ]
    assert statistics.holm(p, 0.05) == 3
    assert statistics.benjamini_hochberg(p, 0.05) == 4
    assert statistics.holm([], 0.05) == statistics.benjamini_hochberg([], 0.05) == 0


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (19, 20), (60, 60), (100, 100)])
def test_the_interval_of_a_pooled_share_is_clopper_and_pearsons(hits: int, trials: int):
    exact = stats.binomtest(hits, trials).proportion_ci(0.95, "exact")
    assert statistics.clopper_pearson(hits, trials) == pytest.approx((exact.low, exact.high))


def test_the_error_of_a_share_of_few_images_is_large():
    """The digits' test set: 2.59 % of 360 images."""
    assert statistics.of_images(0.0259, 0, 360) == pytest.approx(0.0084, abs=1e-4)


def test_a_perfect_correlation_over_few_trainings_keeps_an_honest_interval():
    low, high = statistics.rank_interval(1.0, 4)
    assert low < 0 < high < 1
    assert statistics.rank_interval(1.0, 20)[0] > 0.8
