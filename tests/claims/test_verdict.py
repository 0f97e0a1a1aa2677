"""A verdict says what the numbers say and no more: made-up data whose verdict is known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_up_claims import (
    ABOVE,
    LOW,
    MORE,
    NEAR,
    SCORE,
    claim,
    judged,
    measure,
    settings,
    test_of,
    trained,
)

from ebmrepro.claims import form, judgements
from ebmrepro.system.errors import UserError


def of_values(root: Path, values: Sequence[float | None], rule: Mapping[str, Any]) -> str:
    measure(root, "began", values)
    return judged(root, claim(test_of(SCORE, rule)), range(len(values))).verdict


def test_an_interval_on_the_rules_side_holds_and_on_the_other_fails(tmp_path: Path):
    assert of_values(tmp_path / "a", [0.5, 0.51, 0.49], {**ABOVE, "threshold": 0.4}) == "holds"
    assert of_values(tmp_path / "b", [0.5, 0.51, 0.49], {**ABOVE, "threshold": 0.6}) == "fails"
    below = {"kind": "below", "threshold": 0.4}
    assert of_values(tmp_path / "c", [0.5, 0.51, 0.49], below) == "fails"


def test_a_straddling_interval_is_undecided_though_its_mean_and_every_seed_agree(tmp_path: Path):
    said = {"undecided": "the interval straddles", "holds": ""}
    for folder, values in (("a", [0.01, 0.5, 0.02]), ("b", [0.50, 0.51, 0.49])):
        measure(tmp_path / folder, "began", values)
        (part,) = judged(tmp_path / folder, claim(test_of(SCORE, ABOVE))).parts
        assert part.reason == said.pop(part.verdict)


@pytest.mark.parametrize("value", [1e9, -1e9])
def test_one_seed_decides_nothing(tmp_path: Path, value: float):
    measure(tmp_path, "began", [value])
    found = judged(tmp_path, claim(test_of(SCORE, ABOVE), seeds=2), [0])
    assert found.verdict == "undecided"
    assert found.reason == "1 seed, 2 are needed"
    assert found.parts[0].low is None


def test_fewer_seeds_than_the_claim_asks_for_decide_nothing(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.001, 1.002])
    asked = claim(test_of(SCORE, ABOVE), seeds=5)
    assert judged(tmp_path, asked).verdict == "undecided"


def test_one_value_decides_a_deterministic_statistic(tmp_path: Path):
    asked = claim(test_of(SCORE, NEAR, deterministic=True), seeds=1)
    measure(tmp_path, "began", [1.05])
    assert judged(tmp_path, asked, [0]).verdict == "holds"
    measure(tmp_path, "began", [1.2])
    assert judged(tmp_path, asked, [0]).verdict == "fails"
    measure(tmp_path, "began", [1.05, 1.2])
    assert judged(tmp_path, asked, [0, 1]).verdict == "undecided"


def test_a_missing_seed_is_no_support(tmp_path: Path):
    measure(tmp_path, "began", [1.0, None, 1.001, 1.002])
    found = judged(tmp_path, claim(test_of(SCORE, ABOVE)), range(4))
    assert found.verdict == "undecided"
    assert "seed 1: results/digits/began/1/metrics.json: no such file" in found.reason


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_no_support(tmp_path: Path, value: float):
    measure(tmp_path, "began", [1.0, 1.001, 1.002, value])
    found = judged(tmp_path, claim(test_of(SCORE, ABOVE)), range(4))
    assert found.verdict == "undecided"
    assert found.parts[0].values["3"] is None


def test_a_null_measure_is_not_run_here_with_the_files_own_reason(tmp_path: Path):
    for seed in range(3):
        folder = tmp_path / "results" / "digits" / "began" / str(seed)
        folder.mkdir(parents=True)
        whose = {"suite": "digits", "method": "began", "seed": seed, "fingerprint": "f", "step": 1}
        told = {"values": {"fid": None}, "reasons": {"fid": "no Inception weights"}}
        text = json.dumps({**whose, **told})
        (folder / "metrics.json").write_text(text)
    asked = claim(test_of({**SCORE, "measure": "fid"}, ABOVE))
    found = judged(tmp_path, asked)
    assert found.verdict == "not run here"
    assert found.reason == "fid of began is null: no Inception weights"


def test_what_was_not_run_says_why(tmp_path: Path):
    asked = claim(test_of(SCORE, ABOVE), suites=["digits", "mnist"])
    assert judged(tmp_path, asked).reason.startswith("results/digits/began/0/metrics.json: no such")
    found = judged(tmp_path, asked, suite="mnist")
    assert found.verdict == "not run here"
    assert "mnist is not among run.suites" in found.reason
    absent = claim(test_of({**SCORE, "of": "ebgan__no_hinge"}, ABOVE))
    assert (
        "ebgan__no_hinge is not among run.methods and run.variants"
        in judged(tmp_path, absent).reason
    )


def test_results_of_a_system_that_left_the_run_are_not_used(tmp_path: Path):
    measure(tmp_path, "old", [1.0, 1.0, 1.0])
    assert judged(tmp_path, claim(test_of({**SCORE, "of": "old"}, ABOVE))).verdict == (
        "not run here"
    )


def test_equality_needs_the_whole_interval_within_the_tolerance(tmp_path: Path):
    assert of_values(tmp_path / "a", [1.0, 1.01, 0.99], NEAR) == "holds"
    assert of_values(tmp_path / "b", [1.0, 1.09, 0.92], NEAR) == "undecided"  # mean and seeds are
    assert of_values(tmp_path / "c", [1.5, 1.51, 1.49], NEAR) == "fails"


def test_a_tiny_effect_in_the_wrong_direction_fails_however_sure(tmp_path: Path):
    values = [-1e-6, -1.0001e-6, -0.9999e-6]
    assert of_values(tmp_path, values, ABOVE) == "fails"


def test_constant_values_have_an_interval_of_no_width(tmp_path: Path):
    assert of_values(tmp_path / "a", [0.5, 0.5, 0.5], ABOVE) == "holds"
    assert of_values(tmp_path / "b", [0.0, 0.0, 0.0], ABOVE) == "fails"  # not above
    for value in (0.5, 0.1):  # the mean of three times 0.1 is a rounding away from it
        measure(tmp_path / f"c{value}", "began", [value] * 3)
        (part,) = judged(tmp_path / f"c{value}", claim(test_of(SCORE, ABOVE))).parts
        assert (part.low, part.high) == pytest.approx((value, value)) and part.effect is None


def test_differences_are_paired_by_seed(tmp_path: Path):
    """Seeds differ by far more than the systems; unpaired intervals would overlap."""
    low = [0.1, 0.5, 0.9]
    measure(tmp_path, "began__gamma_05", low)
    measure(
        tmp_path, "began", [value + d for value, d in zip(low, (0.010, 0.011, 0.009), strict=True)]
    )
    assert judged(tmp_path, claim(test_of(MORE, ABOVE))).verdict == "holds"


def test_an_ordering_of_unpaired_seeds_is_undecided(tmp_path: Path):
    """The means are in order, but only one seed has both sides."""
    measure(tmp_path, "began__gamma_05", [0.1, 0.11, None])
    measure(tmp_path, "began", [None, 0.9, 0.91])
    ordering = {"kind": "ordering", "steps": [LOW, SCORE]}
    found = judged(tmp_path, claim(test_of(ordering, {"kind": "rising"}), seeds=2))
    assert found.verdict == "undecided"
    assert found.parts[0].n == 1


def test_an_ordering_is_judged_step_by_step(tmp_path: Path):
    middle = {"kind": "measure", "of": "began__gamma_07", "measure": "is_dbn"}
    ordering = {"kind": "ordering", "steps": [LOW, middle, SCORE]}
    measure(tmp_path, "began__gamma_05", [0.1, 0.11, 0.12])
    measure(tmp_path, "began__gamma_07", [0.5, 0.51, 0.521])
    measure(tmp_path, "began", [0.4, 0.41, 0.42])  # above the first, under the second
    found = judged(tmp_path, claim(test_of(ordering, {"kind": "rising"})))
    assert [part.verdict for part in found.parts] == ["holds", "fails"]
    assert found.verdict == "fails"


def test_a_step_of_an_ordering_is_judged_as_its_test_asks(tmp_path: Path):
    measure(tmp_path, "began__gamma_05", [0.1])
    measure(tmp_path, "began", [0.4])
    ordering = {"kind": "ordering", "steps": [LOW, SCORE]}
    asked = claim(test_of(ordering, {"kind": "rising"}, deterministic=True), seeds=1)
    assert judged(tmp_path, asked, [0]).verdict == "holds"


def test_a_claim_holds_only_if_all_its_tests_do(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.01, 0.99])
    good, bad = test_of(SCORE, ABOVE), test_of(SCORE, {"kind": "below", "threshold": 0.0})
    absent = test_of({**SCORE, "of": "ebgan"}, ABOVE)
    open_ = test_of(SCORE, {**ABOVE, "threshold": 1.0})
    assert judged(tmp_path, claim(good, good)).verdict == "holds"
    assert judged(tmp_path, claim(good, open_)).verdict == "undecided"
    assert judged(tmp_path, claim(good, absent)).verdict == "not run here"
    assert judged(tmp_path, claim(good, absent, bad)).verdict == "fails"


def test_a_difference_smaller_than_what_matters_has_no_material_effect(tmp_path: Path):
    """However sure its sign, and on whichever side; one that may be larger stays what it is."""
    for name, values, expected in (
        ("a", [0.010, 0.011, 0.009], "no material effect"),
        ("b", [-0.010, -0.011, -0.009], "no material effect"),
        ("c", [0.10, 0.11, 0.09], "holds"),
        ("d", [0.01, 0.2, -0.2], "undecided"),
    ):
        measure(tmp_path / name, "began", values)
        found = judged(tmp_path / name, claim(test_of(SCORE, ABOVE, smallest=0.05)))
        assert found.verdict == expected, name


def test_the_smallest_effect_on_a_ratio_is_a_part_of_the_threshold(tmp_path: Path):
    """1.02 and 1 / 1.02 are equally far from 1."""
    ratio = {"kind": "ratio", "a": SCORE, "b": LOW}
    rule = {"kind": "below", "threshold": 1.0}
    for name, factor in (("a", 1.02), ("b", 1 / 1.02)):
        measure(tmp_path / name, "began__gamma_05", [1.0, 2.0, 4.0])
        measure(tmp_path / name, "began", [factor, 2.001 * factor, 4.002 * factor])
        found = judged(tmp_path / name, claim(test_of(ratio, rule, smallest=0.05)))
        assert found.verdict == "no material effect"


def test_two_systems_that_are_as_good_as_can_be_are_at_ceiling(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 0.9999, 1.0])
    measure(tmp_path, "began__gamma_05", [1.0, 1.0, 1.0])
    asked = claim(test_of(MORE, ABOVE, ceiling=0.999))
    assert judged(tmp_path, asked).verdict == "at ceiling"
    assert judged(tmp_path, claim(test_of(MORE, ABOVE))).verdict != "at ceiling"
    measure(tmp_path, "began__gamma_05", [1.0, 0.9, 1.0])
    assert judged(tmp_path, asked).verdict == "undecided"


def test_a_training_shorter_than_the_claim_asks_for_decides_not_yet(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.01, 0.99])
    asked = claim(test_of(SCORE, ABOVE))
    for fraction, expected in ((0.03, "not yet"), (0.5, "holds"), (1.0, "holds")):
        trained(tmp_path, "began", fraction, 300)
        long = asked.model_copy(update={"least": form.Least(fraction=0.5)})
        assert judged(tmp_path, long).verdict == expected
    stepped = asked.model_copy(update={"least": form.Least(steps=2000)})
    found = judged(tmp_path, stepped)
    assert (found.verdict, found.reason) == ("not yet", "300 steps, 2,000 are needed")


def test_seeds_seen_before_a_rule_changed_no_longer_decide(tmp_path: Path):
    measure(tmp_path, "began", [9.0, 9.1, 9.2, 1.0, 1.1, 1.2])
    changed = form.Changed(on="2026-11-28", why="w", before="b", seen={"digits": [0, 1, 2]})
    asked = claim(test_of(SCORE, {**ABOVE, "threshold": 5.0}))
    assert judged(tmp_path, asked, range(6)).verdict == "undecided"
    fresh = judged(tmp_path, asked.model_copy(update={"changed": changed}), range(6))
    assert (fresh.verdict, list(fresh.parts[0].values)) == ("fails", ["3", "4", "5"])


def test_checks_are_counted_apart(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.01, 0.99])
    check = claim(test_of(SCORE, ABOVE))
    finding = check.model_copy(update={"check": False, "id": "found"})
    count = judgements.document([check, finding], settings(), tmp_path)["count"]
    assert (count["claims"], count["judgements"], count["tested"]) == (2, 2, 1)
    assert count["findings"] == count["checks"] == {"holds": 1}
    assert count["alone"] == 1


def test_a_broken_result_file_is_named(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.0, 1.0])
    (tmp_path / "results/digits/began/1/metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"results/digits/began/1/metrics\.json"):
        judged(tmp_path, claim(test_of(SCORE, ABOVE)))
