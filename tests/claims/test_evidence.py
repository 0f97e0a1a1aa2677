"""What a verdict may rest on: whose seeds, whose networks, which end of a curve."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from made_up_claims import ABOVE, MORE, SCORE, claim, curves, judged, measure, test_of, trained
from test_judged import ACROSS, CURVE, one, several
from test_laws import ALWAYS, MARGIN, magan

from ebmrepro.claims import form, laws, measurements, statistics


def test_a_curve_is_taken_where_the_claim_says(tmp_path: Path):
    curves(tmp_path, "began", {"epoch": [1, 2, 3, 4], "loss": [5, 9, 1, 3]})
    taken = {
        take: one(tmp_path, {**CURVE, "over": "all", "take": take}).mean
        for take in measurements.TAKE
    }
    assert taken == {"first": 5, "last": 3, "mean": 4.5, "lowest": 1, "highest": 9}


def test_seeds_that_are_asked_for_and_seeds_that_were_seen_are_those_of_the_suite(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.001, 1.002])
    both = claim(test_of(SCORE, ABOVE), suites=["digits", "mnist"])
    more = both.model_copy(update={"seeds": {"digits": 5, "mnist": 2}})
    assert judged(tmp_path, more).reason == "3 seeds, 5 are needed"
    seen = form.Changed(on="2026-11-28", why="w", before="b", seen={"mnist": [0, 1, 2]})
    assert judged(tmp_path, both.model_copy(update={"changed": seen})).verdict == "holds"


def test_an_answer_on_the_tour_of_a_training_that_was_too_short_decides_not_yet(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.0, 1.0])
    trained(tmp_path, "began", 0.03, 300)
    (tmp_path / "results/digits/tour").mkdir()
    values = {"found@began": {"0": 1.0, "1": 1.01, "2": 0.99}}
    told = {"schema": 1, "values": values, "reasons": {}, "protocol": {}}
    (tmp_path / "results/digits/tour/metrics.json").write_text(json.dumps(told))
    asked = claim(test_of({"kind": "document", "stage": "tour", "value": "found@began"}, ABOVE))
    assert judged(tmp_path, asked).verdict == "holds"
    long = asked.model_copy(update={"least": form.Least(fraction=0.5)})
    assert judged(tmp_path, long).verdict == "not yet"


def test_a_correlation_over_too_few_epochs_to_have_one_decides_not_yet(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.0, 1.0])
    trained(tmp_path, "began", 0.03, 300)
    curves(tmp_path, "began", {"epoch": [1, 2], "loss": [5, 9]})
    order = {"kind": "correlation", "of": "began", "x": "epoch", "y": "loss", "over": "all"}
    asked = claim(test_of(order, ABOVE))
    assert judged(tmp_path, asked).verdict == "not run here"
    long = asked.model_copy(update={"least": form.Least(fraction=0.5)})
    assert judged(tmp_path, long).verdict == "not yet"


def test_too_few_seeds_at_the_ceiling_decide_nothing(tmp_path: Path):
    for name in ("began", "began__gamma_05"):
        measure(tmp_path, name, [1.0, 1.0, 1.0])
    asked = test_of(MORE, ABOVE, ceiling=0.999)
    assert judged(tmp_path, claim(asked)).verdict == "at ceiling"
    assert judged(tmp_path, claim(asked, seeds=5)).verdict == "undecided"
    (tmp_path / "results/digits/began/1/metrics.json").unlink()
    assert judged(tmp_path, claim(asked)).verdict == "undecided"


@pytest.mark.parametrize("name", ["fd_dbn", "kd_dbn", "recall_dbn", "classes_covered"])
def test_measures_in_features_of_different_networks_are_not_compared(tmp_path: Path, name: str):
    ratio = {
        "kind": "ratio",
        "a": {**SCORE, "measure": name},
        "b": {**SCORE, "measure": name, "of": "ebgan"},
    }
    for system, network in (("began", "a"), ("ebgan", "b")):
        measure(tmp_path, system, [0.1, 0.2, 0.3], name)
        for path in (tmp_path / "results/digits" / system).glob("*/metrics.json"):
            told = json.loads(path.read_text()) | {"protocol": {"extractor_sha256": network}}
            path.write_text(json.dumps(told))
    found = judged(tmp_path, claim(test_of(ratio, ABOVE)))
    assert found.verdict == "not run here"
    assert found.reason == f"{name} of began and of ebgan is in features of different networks"


def test_a_number_stays_within_both_of_its_bounds():
    law = form.StaysWithin(law="stays within", column="k", low=0.0, high=1.0)
    told = {"k": np.array([-0.1, 0.0, 0.5, 1.0, 1.1, math.nan])}
    assert laws.judge(law, told, lambda _: math.nan) == laws.Judged(broken=2, epochs=5)


def test_a_margin_does_not_move_while_real_energies_are_as_large(tmp_path: Path):
    curves(tmp_path, "magan", magan([3.0, 3.0, 1.5, 1.5]) | {"energy/real": [3.0, 2.0, 3.0, 1.4]})
    assert judged(tmp_path, claim(test_of(MARGIN, ALWAYS))).verdict == "fails"


def test_a_run_that_lacks_leaves_a_law_and_a_correlation_open(tmp_path: Path):
    curves(tmp_path, "magan", magan([3.0, 3.0, 1.5, 1.5]), seeds=2)
    found = judged(tmp_path, claim(test_of(MARGIN, ALWAYS), seeds=2), [0, 1, 2])
    assert (found.verdict, found.reason[:7]) == ("undecided", "seed 2:")
    for name, start in (("began", 1.0), ("ebgan", 4.0)):
        several(tmp_path, name, {m: [start, start + 1, start + 2] for m in ("fd_dbn", "is_dbn")})
    (tmp_path / "results/digits/began/1/metrics.json").unlink()
    found = judged(tmp_path, claim(test_of(ACROSS, ABOVE), seeds=2))
    assert (found.verdict, found.reason[:13]) == ("undecided", "seed began-1:")


def test_needed_seeds_are_those_that_clear_the_nearest_edge(tmp_path: Path):
    near = {"kind": "near", "value": 1.0, "tolerance": 0.1}
    for values, goal in (([1.0, 1.08, 1.1], (0.9, 1.1)), ([1.0, 1.18, 1.2], (1.1,))):
        measure(tmp_path, "began", values)
        found = one(tmp_path, SCORE, near)
        assert found.needed == statistics.seeds_needed(values, [goal], "linear")
    small = {**test_of(SCORE, {"kind": "above", "threshold": 1.0}), "smallest": 0.2}
    (part,) = judged(tmp_path, claim(small)).parts
    goals = [(1.0,), (0.8, 1.2)]
    assert part.needed == statistics.seeds_needed(values, goals, "linear")


def test_differences_of_shares_have_an_interval_that_stays_within_one(tmp_path: Path):
    measure(tmp_path, "began", [0.99, 0.9, 0.95], "recall_dbn")
    measure(tmp_path, "began__gamma_05", [0.01, 0.2, 0.02], "recall_dbn")
    pair = {
        k: {**SCORE, "of": of, "measure": "recall_dbn"}
        for k, of in (("a", "began"), ("b", "began__gamma_05"))
    }
    found = one(tmp_path, {"kind": "difference", **pair})
    assert found.scale == "atanh" and found.high is not None and found.high < 1


def test_seeds_seen_before_a_rule_changed_decide_no_correlation_across_runs(tmp_path: Path):
    for name, start in (("began", 1.0), ("ebgan", 4.0)):
        several(tmp_path, name, {m: [start, start + 1, start + 2] for m in ("fd_dbn", "is_dbn")})
    changed = form.Changed(on="2026-11-28", why="w", before="b", seen={"digits": [0, 1, 2]})
    asked = claim(test_of(ACROSS, ABOVE)).model_copy(update={"changed": changed})
    assert judged(tmp_path, asked).verdict != "holds"
