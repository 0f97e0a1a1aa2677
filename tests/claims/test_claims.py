"""A verdict says what the numbers say and no more: made-up data whose verdict is known."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ebmrepro.claims import (
    claims_file,
    form,
    judgements,
    laws,
    measurements,
    price,
    statistics,
    verdict,
    wording,
)
from ebmrepro.claims.form import Claim
from ebmrepro.config import params
from ebmrepro.config.documents import ParamsError
from ebmrepro.config.params import Params
from ebmrepro.metrics.interval import interval
from ebmrepro.report import lecture
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[2]
SETTINGS = params.load(ROOT / "params.yaml")
SHIPPED = ROOT / "reports" / "claims.yaml"
TEXT = SHIPPED.read_text(encoding="utf-8")

SCORE = {"kind": "measure", "of": "began", "measure": "is_dbn"}
LOW = {"kind": "measure", "of": "began__gamma_05", "measure": "is_dbn"}
MORE = {"kind": "difference", "a": SCORE, "b": LOW}
ABOVE = {"kind": "above", "threshold": 0.0}
NEAR = {"kind": "near", "value": 1.0, "tolerance": 0.1}


def claim(*tests: Mapping[str, Any], seeds: int = 3, suites: Sequence[str] = ("digits",)) -> Claim:
    told_claim = {
        "id": "made-up",
        "claim": "It is so.",
        "paper": "began",
        "source": "Table 9",
        "certainty": "ours",
        "published": "shape only",
        "suites": list(suites),
        "seeds": dict.fromkeys(suites, max(seeds, 2)),
        "check": True,
        "shown": "quality",
        "tests": list(tests),
    }
    return Claim.model_validate(told_claim)


def test_of(statistic: Mapping[str, Any], rule: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"statistic": statistic, "rule": rule, **more}


test_of.__test__ = False  # type: ignore[attr-defined]


@cache
def _settings(seeds: tuple[int, ...]) -> Params:
    return made_up.params(seeds=seeds)


def settings(seeds: Sequence[int] = (0, 1, 2)) -> Params:
    return _settings(tuple(seeds))


def measure(root: Path, name: str, values: Sequence[float | None], key: str = "is_dbn") -> None:
    """metrics.json of one seed each; None leaves the file away."""
    for seed, value in enumerate(values):
        if value is not None:
            folder = root / "results" / "digits" / name / str(seed)
            folder.mkdir(parents=True, exist_ok=True)
            whose = {"suite": "digits", "method": name, "seed": seed, "fingerprint": "f", "step": 1}
            text = json.dumps({**whose, "values": {key: value}, "reasons": {}})
            (folder / "metrics.json").write_text(text)


def judged(
    root: Path, asked: Claim, seeds: Sequence[int] = (0, 1, 2), suite: str = "digits"
) -> judgements.Judgement:
    return next(
        found
        for found in judgements.judge([asked], settings(seeds), root)[asked.id]
        if found.suite == suite
    )


def of_values(root: Path, values: Sequence[float | None], rule: Mapping[str, Any]) -> str:
    measure(root, "began", values)
    return judged(root, claim(test_of(SCORE, rule)), range(len(values))).verdict


# Verdicts that are known --------------------------------------------------------------------------


def test_an_interval_on_the_rules_side_holds_and_on_the_other_fails(tmp_path: Path):
    assert of_values(tmp_path / "a", [0.5, 0.51, 0.49], {**ABOVE, "threshold": 0.4}) == "holds"
    assert of_values(tmp_path / "b", [0.5, 0.51, 0.49], {**ABOVE, "threshold": 0.6}) == "fails"
    below = {"kind": "below", "threshold": 0.4}
    assert of_values(tmp_path / "c", [0.5, 0.51, 0.49], below) == "fails"


def test_a_straddling_interval_is_undecided_though_its_mean_and_every_seed_agree(tmp_path: Path):
    assert of_values(tmp_path, [0.01, 0.5, 0.02], ABOVE) == "undecided"


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
    measure(tmp_path / "c", "began", [0.5, 0.5, 0.5])
    (part,) = judged(tmp_path / "c", claim(test_of(SCORE, ABOVE))).parts
    assert (part.low, part.high, part.effect) == (0.5, 0.5, None)


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


def trained(root: Path, name: str, fraction: float, steps: int, seeds: int = 3) -> None:
    """Say of measured seeds how long they were trained."""
    for seed in range(seeds):
        path = root / "results" / "digits" / name / str(seed) / "metrics.json"
        told = json.loads(path.read_text())
        told |= {"budget": {"epoch_fraction": fraction}, "step": steps}
        path.write_text(json.dumps(told))


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


def test_distances_in_features_of_different_networks_are_not_compared(tmp_path: Path):
    distance = {"kind": "measure", "of": "began", "measure": "fd_dbn"}
    ratio = {"kind": "ratio", "a": distance, "b": {**distance, "of": "ebgan"}}
    for name, network in (("began", "a"), ("ebgan", "b")):
        measure(tmp_path, name, [1.0, 1.1, 1.2], "fd_dbn")
        for path in (tmp_path / "results/digits" / name).glob("*/metrics.json"):
            told = json.loads(path.read_text()) | {"protocol": {"extractor_sha256": network}}
            path.write_text(json.dumps(told))
    found = judged(tmp_path, claim(test_of(ratio, ABOVE)))
    assert found.verdict == "not run here"
    assert found.reason == "fd_dbn of began and of ebgan is in features of different networks"


def test_seeds_seen_before_a_rule_changed_no_longer_decide(tmp_path: Path):
    measure(tmp_path, "began", [9.0, 9.1, 9.2, 1.0, 1.1, 1.2])
    changed = form.Changed(on="2026-11-28", why="w", before="b", seen={"digits": [0, 1, 2]})
    asked = claim(test_of(SCORE, {**ABOVE, "threshold": 5.0}))
    assert judged(tmp_path, asked, range(6)).verdict == "undecided"
    fresh = judged(tmp_path, asked.model_copy(update={"changed": changed}), range(6))
    assert (fresh.verdict, list(fresh.parts[0].values)) == ("fails", ["3", "4", "5"])


def test_the_price_is_seeds_and_hours_of_what_is_missing(tmp_path: Path):
    """Mean 1, spread 1: 10 seeds by the power of a t test, 7 more than there are. An hour each at
    half of the budget; where the claim asks for all of it, three seeds at twice that."""
    measure(tmp_path, "began", [0.0, 1.0, 2.0])
    trained(tmp_path, "began", 0.5, 300)
    entry = {"fingerprint": "f", "seconds_in_all": 3600.0, "seconds": 3600.0, "resumed": False}
    entry |= {"commit": "c", "versions": {}, "images_per_second": 1, "hardware": "h", "note": ""}
    told = {"suite": "digits", "trainings": {"began": {str(seed): entry for seed in range(3)}}}
    (tmp_path / "results" / "digits" / "provenance.json").write_text(json.dumps(told))
    asked = claim(test_of(SCORE, ABOVE))
    found = judged(tmp_path, asked)
    assert found.price == price.Price(10, 7, 7.0)
    whole = asked.model_copy(update={"least": form.Least(fraction=1.0)})
    assert judged(tmp_path, whole).price == price.Price(3, 3, 6.0)
    measure(tmp_path, "began", [1.0, 1.01, 0.99])
    trained(tmp_path, "began", 0.5, 300)
    five = claim(test_of(SCORE, ABOVE), seeds=5)
    assert judged(tmp_path, five).price == price.Price(5, 2, 2.0), "as many as are declared"


def test_checks_are_counted_apart_and_corrections_never_add_a_finding(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.01, 0.99])
    check = claim(test_of(SCORE, ABOVE))
    finding = check.model_copy(update={"check": False, "id": "found"})
    count = judgements.document([check, finding], settings(), tmp_path)["count"]
    assert (count["claims"], count["judgements"], count["tested"]) == (2, 2, 1)
    assert count["findings"] == count["checks"] == {"holds": 1}
    assert count["holm"] <= count["benjamini_hochberg"] <= count["alone"] == 1


def test_a_broken_result_file_is_named(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.0, 1.0])
    (tmp_path / "results/digits/began/1/metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"results/digits/began/1/metrics\.json"):
        judged(tmp_path, claim(test_of(SCORE, ABOVE)))


# Units, curves and laws ---------------------------------------------------------------------------


def test_a_norm_is_squared_image_by_image_to_be_a_sum_of_squares(tmp_path: Path):
    for seed in range(3):
        folder = tmp_path / "results" / "digits" / "ebgan" / str(seed)
        folder.mkdir(parents=True)
        np.savez(folder / "energies.npz", allow_pickle=False, test=np.array([1.0, 3.0]))
    statistic = {"kind": "energies", "of": "ebgan", "images": "test", "power": 2}
    found = judged(
        tmp_path, claim(test_of(statistic, {"kind": "near", "value": 5, "tolerance": 0.1}))
    )
    assert (found.verdict, found.parts[0].mean) == ("holds", 5.0)


def curves(root: Path, name: str, columns: Mapping[str, Sequence[float]], seeds: int = 3) -> None:
    for seed in range(seeds):
        folder = root / "results" / "digits" / name / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            "" if math.isnan(x) else f"{x:.7g}"
            for row in zip(*columns.values(), strict=True)
            for x in row
        ]
        width = len(columns)
        lines = [",".join(rows[i : i + width]) for i in range(0, len(rows), width)]
        (folder / "curves.csv").write_text("\n".join([",".join(columns), *lines]) + "\n")


def magan(margin: Sequence[float]) -> dict[str, Sequence[float]]:
    """A pass that measures m_0, then fakes that fall, rise and fall again."""
    return {
        "energy/real": [3.0, 2.0, 1.5, 1.4],
        "energy/fake": [math.nan, 4.0, 5.0, 4.5],
        "magan/margin": margin,
    }


MARGIN = {
    "kind": "every epoch",
    "of": "magan",
    "law": {
        "law": "changes only when",
        "column": "magan/margin",
        "once": "energy/fake",
        "conditions": [
            {
                "left": {"column": "energy/fake", "epochs_before": 1},
                "relation": "<=",
                "right": {"column": "energy/fake", "epochs_before": 0},
            },
            {
                "left": {"column": "energy/real", "epochs_before": 0},
                "relation": "<",
                "right": {"column": "magan/margin", "epochs_before": 1},
            },
        ],
    },
}
ALWAYS = {"kind": "always"}


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        ([3.0, 3.0, 1.5, 1.5], "holds"),
        ([3.0, 3.0, 3.0, 3.0], "holds"),  # it need not move
        ([3.0, 2.0, 1.5, 1.5], "fails"),  # in the first epoch there are no fakes to compare with
        ([3.0, 3.0, 1.5, 1.4], "fails"),  # while the fakes fall
    ],
)
def test_the_margin_moves_only_under_its_conditions(
    tmp_path: Path, margin: list[float], expected: str
):
    curves(tmp_path, "magan", magan(margin))
    assert judged(tmp_path, claim(test_of(MARGIN, ALWAYS))).verdict == expected


def test_one_epoch_refutes_a_law_and_one_run_does_not_prove_it(tmp_path: Path):
    curves(tmp_path, "magan", magan([3.0, 3.0, 1.5, 1.5]), seeds=1)
    assert judged(tmp_path, claim(test_of(MARGIN, ALWAYS)), [0]).verdict == "undecided"
    curves(tmp_path, "magan", magan([3.0, 2.0, 1.5, 1.5]), seeds=1)
    assert judged(tmp_path, claim(test_of(MARGIN, ALWAYS)), [0, 1, 2]).verdict == "fails"


def controller(
    k: Sequence[float], held: Sequence[float] | None = None, start: float = 0.0
) -> laws.Judged:
    """gain 0.1, target 0.5, one step an epoch, real 2: k rises by 0.1 * (0.5 * 2 - 0.4) = 0.06."""
    law = form.Controller(
        law="integral control", column="k", gain="gain", target="target", real="real",
        fake="fake", held="held", start=start, tolerance=1e-6,
    )  # fmt: skip
    n = len(k)
    columns = {
        "k": np.array(k),
        "step": np.arange(1, n + 1),
        "real": np.full(n, 2.0),
        "fake": np.full(n, 0.4),
        "held": np.array(held or [0.0] * n),
    }
    return laws.judge(law, columns, {"gain": 0.1, "target": 0.5}.__getitem__)


def test_a_controllers_law_is_exact_where_no_step_was_held():
    assert controller([0.06, 0.12, 0.18, 0.24]) == (0, 4)
    assert controller([0.06, 0.12, 0.20, 0.26]) == (1, 4)
    assert controller([0.06, 0.12, 0.06, 0.12]) == (1, 4)  # it fell where it should rise
    assert controller([0.06, 0.02, 0.0, 0.06], [0, 1, 1, 0]) == (0, 2)


def test_an_epoch_that_reached_a_bound_and_left_it_again_breaks_no_law():
    """By hand, two steps an epoch with gain 0.1, target 0.5: 0.3 of pull down to 0, where 0.2 are
    lost, then 0.25 up again. From its ends alone the epoch went up by 0.15 instead of down by 0.05.
    """
    law = form.Controller(
        law="integral control", column="k", gain="gain", target="target", real="real",
        fake="fake", held="held", start=0.0, tolerance=1e-6,
    )  # fmt: skip
    real = [[4.0, 2.0], [2.0, 9.0], [4.0, 2.0]]
    fake = [[1.0, 1.0], [4.0, 2.0], [3.0, 2.0]]
    k, rows, shares = 0.0, [], []
    for x, y in zip(real, fake, strict=True):
        moved = []
        for one, other in zip(x, y, strict=True):
            free = k + 0.1 * (0.5 * one - other)
            k = min(max(free, 0.0), 1.0)
            moved.append(k != free)
        rows.append(k)
        shares.append(sum(moved) / 2)
    assert rows == pytest.approx([0.1, 0.25, 0.05]) and shares == [0.0, 0.5, 0.0]
    columns = {"k": np.array(rows), "step": np.array([2, 4, 6]), "held": np.array(shares)}
    columns |= {"real": np.mean(real, axis=1), "fake": np.mean(fake, axis=1)}
    number = {"gain": 0.1, "target": 0.5}.__getitem__
    assert laws.judge(law, columns, number) == (0, 2)
    assert laws.judge(law, {**columns, "held": np.zeros(3)}, number) == (1, 3)


def test_a_controller_that_did_not_start_where_it_should_is_found_out():
    assert controller([0.5, 0.56]) == (1, 2)
    assert controller([0.5, 0.56], start=0.44) == (0, 2)


def test_a_law_that_no_epoch_tells_of_is_not_said_to_hold(tmp_path: Path):
    curves(
        tmp_path,
        "began",
        {
            **{"step": [1, 2], "energy/real": [1, 1], "energy/fake": [2, 2]},
            **{"began/k": [0, 0], "began/held": [1, 1]},
        },
    )
    law = {
        "law": "integral control", "column": "began/k", "gain": "batch_size", "target": "grids",
        "real": "energy/real", "fake": "energy/fake", "held": "began/held", "start": 0.0,
        "tolerance": 1e-4,
    }  # fmt: skip
    asked = claim(test_of({"kind": "every epoch", "of": "began", "law": law}, ALWAYS))
    found = judged(tmp_path, asked)
    assert found.verdict == "not run here" and found.reason.startswith("no epoch of began tells")
    old = {"step": [1], "energy/real": [1], "energy/fake": [2], "began/k": [0]}
    curves(tmp_path, "began", old)
    found = judged(tmp_path, asked)
    assert found.verdict == "not run here" and "holds no column began/held" in found.reason


def test_a_rank_correlation_over_epochs_sees_order_alone(tmp_path: Path):
    curves(tmp_path, "began", {"epoch": [1, 2, 3, 4], "began/M_global": [9, 3, 2.9, 0.1]})
    statistic = {
        "kind": "correlation",
        "of": "began",
        "x": "epoch",
        "y": "began/M_global",
        "over": "all",
    }
    found = judged(tmp_path, claim(test_of(statistic, {"kind": "below", "threshold": 0.0})))
    assert (found.verdict, found.parts[0].mean) == ("holds", pytest.approx(-1))


def test_a_perfect_correlation_over_few_trainings_keeps_an_honest_interval():
    low, high = statistics.fisher(1.0, 4)
    assert low < 0 < high < 1
    assert statistics.fisher(1.0, 20)[0] > 0.8


def test_ties_share_their_rank():
    """Ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4: covariance 4.5, variances 4.5 and 5."""
    x, y = np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0])
    assert measurements.spearman(x, y) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


# Documents ----------------------------------------------------------------------------------------


def document(root: Path, values: Mapping[str, Mapping[str, float | None]]) -> None:
    folder = root / "results" / "fundamentals"
    folder.mkdir(parents=True)
    text = json.dumps({"schema": 1, "values": values, "reasons": {}, "protocol": {"kl": "by grid"}})
    (folder / "metrics.json").write_text(text)


def on_the_plane(value: str, rule: Mapping[str, Any], **more: Any) -> Claim:
    statistic = {"kind": "document", "stage": "fundamentals", "value": value}
    return claim(test_of(statistic, rule, **more), seeds=1 if more else 3, suites=["fundamentals"])


def test_a_document_brings_its_own_seeds_and_protocol(tmp_path: Path):
    document(tmp_path, {"kl": {"7": 0.1, "8": 0.11, "9": 0.12}, "z": {"7": 1.0}})
    found = judged(tmp_path, on_the_plane("kl", ABOVE), suite="fundamentals")
    assert found.verdict == "holds"
    assert "by grid" in found.parts[0].protocol
    exact = judged(tmp_path, on_the_plane("z", NEAR, deterministic=True), suite="fundamentals")
    assert exact.verdict == "holds"


def test_a_value_that_a_document_lacks_is_told_with_the_nearest(tmp_path: Path):
    document(tmp_path, {"kl_ring@ml": {"0": 0.1}})
    found = judged(tmp_path, on_the_plane("kl_rng@ml", ABOVE), suite="fundamentals")
    assert found.verdict == "not run here"
    assert found.reason.endswith("did you mean 'kl_ring@ml'?")


# Laws of verdicts ---------------------------------------------------------------------------------

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


def verdict_on(values: Sequence[float], rule: form.Rule, seeds: int = 2) -> str:
    asked = claim(test_of(SCORE, rule.model_dump()), seeds=seeds)
    (part,) = verdict.judge(asked, InMemory(values))
    return part.verdict


@given(st.lists(numbers, min_size=2, max_size=6), rules, st.randoms())
def test_the_order_of_seeds_does_not_matter(values: list[float], rule: form.Rule, random: Any):
    other = list(values)
    random.shuffle(other)
    one, two = (interval(v, "logit") for v in (values, other))
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


@given(numbers, st.floats(-1e3, 1e3), rules)
def test_no_noise_makes_one_seed_decide(value: float, noise: float, rule: form.Rule):
    assert verdict_on([value + noise], rule) == "undecided"


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


# The file -----------------------------------------------------------------------------------------


def test_the_shipped_claims_are_right_and_cover_every_paper_and_every_part_of_the_lecture():
    stated = claims_file.load(SETTINGS, SHIPPED)
    assert {one.paper for one in stated} == set(form.PAPERS)
    assert {one.topic for one in stated} - {None} == set(form.TOPICS)
    assert [part["topic"] for part in lecture.WORDS["parts"]] == list(form.TOPICS)


def test_every_statistic_and_rule_of_the_shipped_claims_has_its_words():
    for one in claims_file.load(SETTINGS, SHIPPED):
        for test in one.tests:
            assert wording.statistic(test.statistic)
            assert wording.rule(test.rule)


def test_the_report_knows_every_verdict():
    assert tuple(form.MARKS) == verdict.VERDICTS


def refusal(tmp_path: Path, before: str, after: str) -> str:
    assert before in TEXT
    path = tmp_path / "claims.yaml"
    path.write_text(TEXT.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ParamsError) as refused:
        claims_file.load(SETTINGS, path)
    message = str(refused.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("  shown: dbn", "  show: dbn", "dbn-updown-error.show: unknown key; allowed are id, "),
        ("  least: {fraction: 1}\n", "", "dbn-updown-error.least: this key is missing; a claim "),
        ("{fraction: 1}", "{fraction: 2}", "least.fraction: found 2; it should be less than"),
        ("{digits: 5, ", "{", "seeds: found none for digits, which dbn-updown-helps names"),
        ("paper: ebgan\n", "paper: ebgn\n", "ebgan-grid.paper: found 'ebgn'; it should be "),
        (
            "suites: [mnist]",
            "suites: [mnst]",
            "dbn-updown-error.suites: no suite 'mnst'; there are ",
        ),
        (
            "measure: error_updown}",
            "measure: eror_updown}",
            "tests.0.statistic.measure: no measure ",
        ),
        ("of: dbn_updown,", "of: dbn_updwn,", "tests.0.statistic.of: no system 'dbn_updwn'; "),
        ("@dbn_updown}", "@dbn_updwn}", "tests.0.statistic.value: no system 'dbn_updwn'; "),
        (
            "column: loss/classifier",
            "column: los/classifier",
            "tests.0.statistic.a.column: no column",
        ),
        ("key: hparams.margin", "key: hparams.margn", "statistic.b.key: no number of digits.ebgan"),
        (
            "threshold: 0.0155",
            "threshold: .nan",
            "rule.threshold: found nan; it should be a finite",
        ),
        ("kind: below", "kind: belw", "rule.kind: found 'belw'; allowed are above, below"),
        ("{kind: curve, of", "{kind: curv, of", "a.kind: found 'curv'; allowed are measure, curve"),
        ("id: dbn-greedy-error", "id: dbn-updown-error", "dbn-updown-error.id: found 2 claims"),
        ("id: dbn-greedy-error", "id: DBN", "DBN.id: found 'DBN'; it String should match"),
        ("  source: Table 1 and section 6.1\n", "", "dbn-updown-error.source: this key is missing"),
        ("{kind: below, threshold: 0.0155}", "{kind: rising}", "tests.0.rule: found 'rising'; a "),
        ("{digits: 5, ", "{digits: 1, ", "seeds.digits: found 1; it should be greater than or"),
        (
            "{kind: within, low: -0.002, high: 0.002}",
            "{kind: within, low: -0.002, high: 0.002}\n      smallest: 0.1",
            "smallest: found beside a rule 'within'; it belongs to above and below",
        ),
        (
            "{kind: below, threshold: 0.0155}",
            "{kind: below, threshold: 0.0155}\n      ceiling: 1",
            "ceiling: found for one number; it compares two, a and b",
        ),
        (
            "tolerance: 0.005}",
            "tolerance: 0}",
            "rule.tolerance: found 0; it should be greater than",
        ),
        ("low: -0.002", "low: 0.003", "tests.0.rule: found low 0.003 above high 0.002"),
        ("[fundamentals]", "[digits]", "suites: found ['digits']; values of the stage"),
        ("certainty: V-2nd", "certainty: sure", "dbn-updown-error.certainty: found 'sure'; it"),
        ("\nclaims:\n", "\nclaim:\n", "found seeds, claim; `seeds` and a list `claims` are all"),
        ("of: ebgan__no_hinge\n", "of: ebgan__no_hing\n", "no variant 'ebgan__no_hing'; there are"),
    ],
)
def test_a_wrong_claim_is_named(tmp_path: Path, before: str, after: str, message: str):
    assert message in refusal(tmp_path, before, after)


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ("  shown: dbn", "  show: dbn", "shown"),
        ("measure: error_updown}", "measure: eror_updown}", "error_updown"),
        ("of: dbn_updown,", "of: dbn_updwn,", "dbn_updown"),
        ("kind: below", "kind: belw", "below"),
        ("paper: ebgan\n", "paper: ebgn\n", "ebgan"),
    ],
)
def test_the_nearest_name_is_suggested(tmp_path: Path, before: str, after: str, name: str):
    assert refusal(tmp_path, before, after).endswith(f"did you mean {name!r}?")


# What is written and said -------------------------------------------------------------------------


def test_the_same_files_give_the_same_bytes(tmp_path: Path):
    claims = claims_file.load(SETTINGS, SHIPPED)
    for name in ("one", "two"):
        made_up.results(tmp_path / name, settings())
        judgements.write(claims, settings(), tmp_path / name, tmp_path / f"{name}.json")
    text = (tmp_path / "one.json").read_text()
    assert text == (tmp_path / "two.json").read_text()
    assert str(tmp_path) not in text
    found = {c["id"]: {j["suite"]: j for j in c["judgements"]} for c in json.loads(text)["claims"]}
    assert set(found) == {one.id for one in claims_file.load(SETTINGS, SHIPPED)}
    assert found["began-inception-score"]["cifar10"]["verdict"] == "not run here"
    digits = found["energy-detects"]["digits"]
    assert digits["files"] == [f"results/digits/ebgan/{seed}/metrics.json" for seed in (0, 1, 2)]
    assert digits["command"] == "dvc repro evaluate@digits-ebgan"
    assert digits["runs"] == ["ebgan-0", "ebgan-1", "ebgan-2"]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "ebmrepro", "claims", *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_line_shows_one_claim_whole():
    done = command("began-ratio-is-gamma")
    assert done.returncode == 0, done.stderr
    for word in ("Rule", "1 ± 0.05", "cifar10", "not run here", "Berthelot"):
        assert word in done.stdout


def test_the_command_line_refuses_an_unknown_name_in_one_line():
    done = command("began-ratio-is-gama")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "did you mean began-ratio-is-gamma, " in done.stderr and len(done.stderr) < 200
