"""Laws of verdicts, whatever the numbers are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_up_claims import SCORE, claim, settings, test_of

from ebmrepro.claims import form, measurements, verdict
from ebmrepro.claims.statistics import ALPHA
from ebmrepro.metrics.interval import interval

numbers = st.floats(-1e6, 1e6)
rules = st.one_of(
    st.builds(lambda t: form.Above(kind="above", threshold=t), numbers),
    st.builds(lambda t: form.Below(kind="below", threshold=t), numbers),
    st.builds(
        lambda v, t: form.Near(kind="near", value=v, tolerance=t), numbers, st.floats(1e-3, 1e6)
    ),
)


class InMemory(measurements.Files):
    """The numbers of one measure, by seed."""

    def __init__(self, values: Sequence[float]):
        super().__init__(Path(), "digits", settings(range(len(values))))
        self.values = values

    def measure(self, name: str, measure: str, seed: int) -> float:
        return measurements.finite(self.values[seed], measure)


def part_on(values: Sequence[float], rule: form.Rule) -> verdict.Part:
    asked = claim(test_of(SCORE, rule.model_dump()), seeds=2)
    (part,) = verdict.judge(asked, InMemory(values))
    return part


def verdict_on(values: Sequence[float], rule: form.Rule) -> str:
    return part_on(values, rule).verdict


@given(st.lists(numbers, min_size=2, max_size=6), rules, st.randoms())
def test_the_order_of_seeds_does_not_matter(values: list[float], rule: form.Rule, random: Any):
    other = list(values)
    random.shuffle(other)
    one, two = (interval(v, "linear") for v in (values, other))
    assert one.low == pytest.approx(two.low, rel=1e-9, abs=1e-6)
    edges = {"threshold": 0, "value": 0, **rule.model_dump()}
    near_an_edge = any(
        math.isclose(end or 0, float(edge), rel_tol=1e-6, abs_tol=1e-3)
        for end in (one.low, one.high)
        for edge in (
            edges["threshold"],
            edges["value"] - edges.get("tolerance", 0),
            edges["value"] + edges.get("tolerance", 0),
        )
    )
    if not near_an_edge:
        assert verdict_on(values, rule) == verdict_on(other, rule)


@given(st.lists(numbers, min_size=2, max_size=5), rules, st.sampled_from([math.nan, math.inf]))
def test_a_seed_without_a_number_never_helps(values: list[float], rule: form.Rule, bad: float):
    assert verdict_on([*values, bad], rule) in ("undecided", "not run here")


@given(st.lists(numbers, min_size=3, max_size=6), rules)
def test_more_spread_about_the_same_mean_never_turns_one_verdict_into_its_opposite(
    values: list[float], rule: form.Rule
):
    mean = sum(values) / len(values)
    edge = min(verdict.edges(rule), key=lambda edge: abs(edge - mean))
    assume(not math.isclose(mean, edge, rel_tol=1e-9, abs_tol=1e-9))  # rounding would decide
    wider = [mean + 3 * (value - mean) for value in values]
    assert {verdict_on(values, rule), verdict_on(wider, rule)} != {"holds", "fails"}


integers = st.integers(-30, 30).map(float)  # whole numbers, so that no rounding decides
sides = st.one_of(
    st.builds(lambda t: form.Above(kind="above", threshold=t), integers),
    st.builds(lambda t: form.Below(kind="below", threshold=t), integers),
    st.builds(
        lambda v, t: form.Near(kind="near", value=v, tolerance=abs(t) + 1), integers, integers
    ),
    st.builds(
        lambda v, t: form.Within(kind="within", low=v, high=v + abs(t) + 1), integers, integers
    ),
)


@given(st.lists(integers, min_size=3, max_size=6, unique=True), sides)
def test_a_rule_is_decided_where_p_is_under_its_level_and_nowhere_else(
    values: list[float], rule: form.Rule
):
    """Two ends of a tolerance are two tests, both of which must be passed, either way."""
    found = part_on(values, rule)
    assert found.p is not None
    assume(not math.isclose(found.p, ALPHA, rel_tol=1e-6))
    assert (found.verdict in ("holds", "fails")) == (found.p < ALPHA)


@pytest.mark.parametrize(
    ("rule", "below", "above"),
    [
        ({"rule": {"kind": "above", "threshold": 0}}, "fails", "undecided"),
        ({"rule": {"kind": "below", "threshold": 0}}, "undecided", "fails"),
        ({"rule": {"kind": "within", "low": 0, "high": 1}}, "undecided", "holds"),
        ({"rule": {"kind": "within", "low": -1, "high": 0}}, "holds", "undecided"),
        ({"rule": {"kind": "above", "threshold": 0}, "smallest": 1}, "fails", "undecided"),
    ],
)
def test_an_interval_that_ends_on_an_edge_is_not_past_it(
    rule: dict[str, Any], below: str, above: str
):
    """[-1, 0] and [0, 1]. A tolerance has its ends in it, what is too small to matter has not."""
    (asked,) = claim({"statistic": SCORE, **rule}).tests
    assert verdict.decide(asked, -1, 0) == below
    assert verdict.decide(asked, 0, 1) == above
