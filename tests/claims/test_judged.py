"""Statistics, prices and words of claims: numbers worked out by hand."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_claims import (
    ABOVE,
    LOW,
    MORE,
    SCORE,
    claim,
    curves,
    judged,
    measure,
    settings,
    test_of,
    trained,
)

from ebmrepro.claims import form, judgements, price, statistics, wording
from ebmrepro.claims.judgements import Judgement
from ebmrepro.claims.verdict import Part
from ebmrepro.system import atomic

POOLED = {"kind": "pooled share", "of": "began", "share": "ais_within", "trials": "ais_trials"}


def several(root: Path, name: str, columns: dict[str, list[float]]) -> None:
    """metrics.json of one seed each, of several measures."""
    for seed, row in enumerate(zip(*columns.values(), strict=True)):
        folder = root / "results" / "digits" / name / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        whose = {"suite": "digits", "method": name, "seed": seed, "fingerprint": "f", "step": 1}
        values = dict(zip(columns, row, strict=True))
        (folder / "metrics.json").write_text(json.dumps({**whose, "values": values, "reasons": {}}))


def one(root: Path, statistic: dict[str, Any], rule: dict[str, Any] = ABOVE) -> Part:
    return judged(root, claim(test_of(statistic, rule))).parts[0]


def test_trials_of_all_seeds_are_one_binomial(tmp_path: Path):
    """19, 20 and 18 of 20: 57 of 60, whose exact interval is [0.8608, 0.9896]."""
    shares = {"ais_within": [0.95, 1.0, 0.9], "ais_trials": [20.0, 20.0, 20.0]}
    several(tmp_path, "began", shares)
    found = one(tmp_path, POOLED, {"kind": "above", "threshold": 0.86})
    assert (found.verdict, found.mean, found.n) == ("holds", 57 / 60, 3)
    assert (found.low, found.high) == pytest.approx((0.8608, 0.9896), abs=1e-4)
    assert "57 of 60 trials; the interval is of their binomial." in found.protocol
    assert dict(found.values) == {"0": 0.95, "1": 1.0, "2": 0.9}
    assert one(tmp_path, POOLED, {"kind": "above", "threshold": 0.87}).verdict == "undecided"
    assert one(tmp_path / "nowhere", POOLED).verdict == "not run here"
    (tmp_path / "results/digits/began/1/metrics.json").unlink()
    found = one(tmp_path, POOLED, {"kind": "above", "threshold": 0.5})
    assert (found.verdict, found.reason[:7]) == ("undecided", "seed 1:")


ACROSS = {"kind": "correlation across runs", "of": ["began", "ebgan"], "x": "fd_dbn", "y": "is_dbn"}


def test_a_rank_correlation_is_over_all_trainings_of_its_systems(tmp_path: Path):
    """Ranks 1..6 in the same order: 1, half a swap short of it r = 1 - 6 / 210; with standard error
    sqrt((1 + r^2 / 2) / 3) atanh is 2.1171 -+ 1.3729, so [0.6316, 0.9981]."""
    several(tmp_path, "began", {"fd_dbn": [1.0, 2.0, 3.0], "is_dbn": [10.0, 20.0, 30.0]})
    several(tmp_path, "ebgan", {"fd_dbn": [4.0, 5.0, 6.0], "is_dbn": [40.0, 50.0, 60.0]})
    found = one(tmp_path, ACROSS)
    assert (found.verdict, found.n, found.mean) == ("holds", 6, pytest.approx(1))
    assert (found.low, found.high) == pytest.approx((0.6316, 0.9981), abs=1e-4)
    assert (found.effect, found.effect_is, found.scale) == (pytest.approx(1), "ρ", "atanh")
    assert set(found.values) == {f"{n}-{s}" for n in ("began", "ebgan") for s in range(3)}
    alone = {**ACROSS, "of": ["began"]}
    assert one(tmp_path, alone).reason == "3 trainings, 4 are needed"
    asked = claim(test_of({**ACROSS, "of": ["dcgan"]}, ABOVE), seeds=4)
    several(tmp_path, "dcgan", {"fd_dbn": [1.0, 2.0, 3.0, 4.0], "is_dbn": [1.0, 2.0, 3.0, 4.0]})
    four = judged(tmp_path, asked, (0, 1, 2, 3)).parts[0]
    assert (four.low, four.high) == pytest.approx(statistics.rank_interval(1.0, 4))
    several(tmp_path, "ebgan", {"fd_dbn": [4.0, 4.0, 4.0], "is_dbn": [1.0, 2.0, 3.0]})
    constant = one(tmp_path, {**ACROSS, "of": ["ebgan"]})
    assert constant.verdict == "undecided" and "constant" in constant.reason
    assert one(tmp_path / "nowhere", ACROSS).verdict == "not run here"


def test_trainings_are_ranked_in_the_features_of_one_network(tmp_path: Path):
    """Two of six were measured by another: of the four, whose order is perfect, is told."""
    values = [1.0, 2.0, 3.0, 4.0, 9.0, 8.0]
    several(tmp_path, "began", {"fd_dbn": values, "is_dbn": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
    for seed in range(6):
        path = tmp_path / f"results/digits/began/{seed}/metrics.json"
        tree = json.loads(path.read_text())
        tree["protocol"] = {"extractor_sha256": "a" if seed < 4 else "b"}
        path.write_text(json.dumps(tree))
    asked = claim(test_of({**ACROSS, "of": ["began"]}, ABOVE), seeds=4)
    (found,) = judged(tmp_path, asked, range(6)).parts
    assert (found.n, found.mean) == (4, pytest.approx(1))
    assert "4 of 6 trainings: those measured in features of one network." in found.protocol
    pixels = {"of": ["began"], "x": "M_global", "y": "ratio"}
    several(tmp_path, "began", {"ratio": values, "M_global": values})
    (every,) = judged(tmp_path, claim(test_of({**ACROSS, **pixels}, ABOVE)), range(6)).parts
    assert every.n == 6


def test_the_interval_of_a_rank_correlation_by_hand():
    """rho 0.5 of 13: atanh 0.5493 -+ 1.95996 sqrt(1.125 / 10) = 0.6574. A perfect order of 5 is
    taken for 1 - 6 / 120 = 0.95: atanh 1.8318 -+ 1.95996 sqrt(1.45125 / 2) = 1.6696."""
    assert statistics.rank_interval(0.5, 13) == pytest.approx((-0.1077, 0.8357), abs=1e-4)
    for rho in (1.0, 0.97):
        assert statistics.rank_interval(rho, 5) == pytest.approx((0.1608, 0.9982), abs=1e-4)
    low, high = statistics.rank_interval(-1.0, 5)
    assert (low, high) == pytest.approx((-0.9982, -0.1608), abs=1e-4)


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_of_independent_ranks_at_most_one_in_twenty_is_taken_for_a_relation(n: int):
    """All orders of n pairs are as likely as each other: counted, not drawn."""
    orders = [*itertools.permutations(range(n))]
    rhos = [np.corrcoef(range(n), order)[0, 1] for order in orders]
    lows, highs = zip(*(statistics.rank_interval(rho, n) for rho in rhos), strict=True)
    wrong = sum(low > 0 or high < 0 for low, high in zip(lows, highs, strict=True))
    assert wrong <= 0.05 * len(orders)
    # The p of one side agrees with the interval.
    for rho, low in zip(rhos, lows, strict=True):
        assert (statistics.rank_p(rho, n, 0.0) < 0.025 and rho > 0) == (low > 0)


def test_a_spread_is_largest_over_smallest_and_a_distance_is_a_log(tmp_path: Path):
    measure(tmp_path, "began", [2.0, 4.0, 1.0])
    measure(tmp_path, "began__gamma_05", [1.0, 1.0, 4.0])
    spread = one(tmp_path, {"kind": "spread", "among": [SCORE, LOW]})
    assert dict(spread.values) == {"0": 2.0, "1": 4.0, "2": 4.0}
    ratio = {"kind": "ratio", "a": SCORE, "b": LOW}
    far = one(tmp_path, {"kind": "distance from 1", "of_ratio": ratio})
    assert [*far.values.values()] == pytest.approx([math.log(2), math.log(4), math.log(4)])
    measure(tmp_path, "began__gamma_05", [0.0, 0.0, 0.0])
    for kind, told in (
        ({"kind": "spread", "among": [SCORE, LOW]}, "a spread needs positive numbers, found 0"),
        (ratio, "a ratio divides by 0"),
        ({"kind": "distance from 1", "of_ratio": LOW}, "needs a positive number, found 0"),
    ):
        assert told in one(tmp_path, kind).reason
    measure(tmp_path, "began__gamma_05", [1e-300] * 3)
    measure(tmp_path, "began", [1e300] * 3)
    assert "a ratio is not a finite number" in one(tmp_path, ratio).reason


def test_a_part_of_a_curve_is_its_end(tmp_path: Path):
    columns = {"epoch": [1, 2, 3, 4, 5, 6, 7, 8], "loss": [9, 8, 7, math.nan, 5, 4, 3, 1]}
    curves(tmp_path, "began", columns)

    def mean(over: str, take: str = "mean") -> float | None:
        return one(tmp_path, {**CURVE, "over": over, "take": take}).mean

    assert mean("all") == pytest.approx(37 / 7)  # a blank epoch is none
    assert mean("second half") == pytest.approx(13 / 4)
    assert mean("last quarter") == 2


CURVE = {"kind": "curve", "of": "began", "column": "loss"}


def test_a_curve_without_a_number_there_is_missing(tmp_path: Path):
    curves(tmp_path, "began", {"epoch": [1, 2, 3, 4], "loss": [9, 8, math.nan, math.nan]})
    asked = {**CURVE, "over": "second half", "take": "mean"}
    assert "loss has no value there" in one(tmp_path, asked).reason
    curves(tmp_path, "began", {"epoch": [1, 2, 3, 4], "loss": [9, math.inf, 1, 1]})
    assert "loss is not finite" in one(tmp_path, {**asked, "over": "all"}).reason


def test_of_too_few_distinct_values_the_range_is_told(tmp_path: Path):
    told = "Too few distinct values for an interval: their range."
    measure(tmp_path, "began", [0.5, 0.5, 0.6])
    found = one(tmp_path, SCORE)
    assert told in found.protocol and (found.low, found.high) == (0.5, 0.6)
    measure(tmp_path, "began", [0.4, 0.5, 0.6])
    assert told not in one(tmp_path, SCORE).protocol


def test_an_effect_is_hedges_g_or_a_part_of_the_tolerance(tmp_path: Path):
    """Mean 1, spread 1, 2 above the threshold, three seeds: 2 (1 - 3 / 7). 0.05 of 0.1: a half."""
    measure(tmp_path, "began", [0.0, 1.0, 2.0])
    found = one(tmp_path, SCORE, {"kind": "above", "threshold": -1.0})
    assert (found.effect, found.effect_is) == (pytest.approx(8 / 7), "g")
    measure(tmp_path, "began", [1.04, 1.05, 1.06])
    found = one(tmp_path, SCORE, {"kind": "near", "value": 1.0, "tolerance": 0.1})
    assert (found.effect, found.effect_is) == (pytest.approx(0.5), "of tolerance")
    # Of ratios 1, 10 and 100 over 1, on the logarithms: mean and spread are both log 10.
    measure(tmp_path, "began", [1.0, 10.0, 100.0])
    measure(tmp_path, "began__gamma_05", [1.0, 1.0, 1.0])
    ratio = {**MORE, "kind": "ratio"}
    found = one(tmp_path, ratio, {"kind": "above", "threshold": 1.0})
    assert (found.effect, found.effect_is) == (pytest.approx(4 / 7), "g")


def test_only_a_share_of_errors_has_the_error_of_a_draw_of_test_images(tmp_path: Path):
    """A tenth of 80 test images wrong: sqrt(0.1 0.9 / 80)."""
    error = {**SCORE, "measure": "error_small"}
    measure(tmp_path, "began", [0.1, 0.1, 0.1], "error_small")
    assert settings().suites["digits"].data.test == 80
    assert one(tmp_path, error).images == pytest.approx(math.sqrt(0.09 / 80))
    measure(tmp_path, "began__gamma_05", [0.3, 0.3, 0.3], "error_small")
    pair = {"kind": "difference", "a": error, "b": {**error, "of": "began__gamma_05"}}
    # A tenth and three tenths wrong, no image by both: variance 0.4 - 0.2^2.
    assert one(tmp_path, pair).images == pytest.approx(math.sqrt(0.36 / 80))
    measure(tmp_path, "began", [0.1, 0.1, 0.1], "precision_dbn")
    assert one(tmp_path, {**SCORE, "measure": "precision_dbn"}).images is None


# Prices -------------------------------------------------------------------------------------------


def recorded(root: Path, trainings: dict[str, list[float | None]]) -> None:
    """Seconds that trainings took; None records nothing."""
    entry = {"fingerprint": "f", "seconds": 1.0, "resumed": False, "commit": "c", "versions": {}}
    entry |= {"images_per_second": 1, "hardware": "h", "note": ""}
    told = {
        name: {
            str(seed): {**entry, "seconds_in_all": seconds}
            for seed, seconds in enumerate(own)
            if seconds is not None
        }
        for name, own in trainings.items()
    }
    path = root / "results" / "digits" / "provenance.json"
    path.write_text(json.dumps({"suite": "digits", "trainings": told}))


def test_a_price_is_the_mean_of_the_seeds_that_say_what_they_took(tmp_path: Path):
    """1/2 and 3 hours of two seeds, nothing of the first: 7/4 hours a training, 7 are needed."""
    measure(tmp_path, "began", [0.0, 1.0, 2.0])
    trained(tmp_path, "began", 0.5, 300)
    recorded(tmp_path, {"began": [None, 1800.0, 3 * 3600.0]})
    assert judged(tmp_path, claim(test_of(SCORE, ABOVE))).price == price.Price(10, 7, 12.25)
    (tmp_path / "results/digits/began/0/metrics.json").unlink()
    found = judged(tmp_path, claim(test_of(SCORE, ABOVE))).price
    assert found and found.hours == pytest.approx(1.75 * (found.more or 0))


def test_longer_trainings_cost_as_many_times_more_and_none_costs_less(tmp_path: Path):
    """Began needs 4 times its 300 steps, the other has twice the 1,200 asked for: 4 and 1 hours,
    three seeds of each."""
    measure(tmp_path, "began", [1.0, 1.1, 1.2])
    measure(tmp_path, "began__gamma_05", [0.0, 0.1, 0.3])
    trained(tmp_path, "began", 0.25, 300)
    trained(tmp_path, "began__gamma_05", 2.0, 2400)
    recorded(tmp_path, dict.fromkeys(("began", "began__gamma_05"), [3600.0] * 3))
    more = {"kind": "difference", "a": SCORE, "b": LOW}
    for least in (form.Least(steps=1200), form.Least(fraction=1.0)):
        asked = claim(test_of(more, ABOVE)).model_copy(update={"least": least})
        found = judged(tmp_path, asked)
        assert (found.verdict, found.price) == ("not yet", price.Price(3, 3, 15.0))


def test_a_price_in_words():
    assert price.in_words(None) == ""
    assert price.in_words(price.Price(None, None, None)) == "no number of seeds would tell"
    assert price.in_words(price.Price(4, 1, None)) == "1 more seed, 4 in all"
    assert price.in_words(price.Price(10, 7, 3.456)) == "7 more seeds, 3.5 core-hours, 10 in all"


# Counts and words ---------------------------------------------------------------------------------


def test_a_finding_is_decided_for_itself_under_a_fortieth():
    """Of four p three are under 2.5 %, one side's level. Benjamini and Hochberg pass the second, at
    2/4 of that, and not the third, at 3/4; Holm the first alone, for the second has 1/3 of it. A
    check is not counted."""
    found = claim(test_of(SCORE, ABOVE)).model_copy(update={"check": False})
    claims = [found.model_copy(update={"id": f"c{n}"}) for n in range(4)]
    check = claim(test_of(SCORE, ABOVE)).model_copy(update={"id": "check"})

    def of(p: float) -> list[Judgement]:
        part = Part("s", "r", "undecided", "", p=p)
        return [Judgement("digits", "undecided", "", [part])]

    told = {each.id: of(p) for each, p in zip(claims, (0.001, 0.012, 0.02, 0.2), strict=True)}
    count = judgements.count([*claims, check], {**told, "check": of(0.0)})
    assert (count["tested"], count["alone"]) == (4, 3)
    assert (count["benjamini_hochberg"], count["holm"]) == (2, 1)
    assert count["findings"] == {"undecided": 4} and count["checks"] == {"undecided": 1}
    both = [
        Judgement("digits", v, "", [Part("s", "r", v, "", p=p) for p in (0.001, 0.5)])
        for v in ("holds", "fails")
    ]
    # As sure as the least sure part, where one fails as the surest, twice over for two.
    assert judgements.count(claims[:1], {"c0": both[:1]})["alone"] == 0
    assert judgements.count(claims[:1], {"c0": both[1:]})["alone"] == 1
    parts = [Part("s", "r", "holds", "", p=1e-9), Part("s", "r", "fails", "", p=0.02)]
    mixed = [Judgement("digits", "fails", "", parts)]
    assert judgements.count(claims[:1], {"c0": mixed})["alone"] == 0
    small = [Judgement("digits", "no material effect", "", [Part("s", "r", "holds", "", p=0.0)])]
    assert judgements.count(claims[:1], {"c0": small})["tested"] == 0


def test_numbers_in_claims_json_have_six_digits_wherever_they_are():
    tree = {"a": [1 / 3, {"b": 2 / 3}], "c": "0.123456789", "d": None, "e": 7}
    plain = {"a": [0.333333, {"b": 0.666667}], "c": "0.123456789", "d": None, "e": 7}
    assert atomic.rounded(tree, judgements.DIGITS) == plain


@pytest.mark.parametrize(
    ("mean", "low", "high", "values", "told"),
    [
        (None, None, None, [], ""),
        (0.0123, 0.0110, 0.0136, [0.01] * 5, "0.0123 [0.0110, 0.0136], n = 5"),
        (0.01229, 0.0110, 0.0136, [0.011, 0.0121, 0.0137],
         "0.0123 (0.0110, 0.0121, 0.0137), n = 3"),
        (12.345, None, None, [12.345], "12.3, n = 1"),
        (12.345, 2.0, 22.0, [1.0] * 5, "12 [2, 22], n = 5"),
        (-5.0, None, math.inf, [-5.0] * 6, "−5.00, n = 6"),
        (5.0, -math.inf, math.inf, [5.0] * 6, "5.00 [−inf, inf], n = 6"),
        (0.0, 0.0, 0.0, [0.0] * 5, "0 [0, 0], n = 5"),
        (1.0, -math.inf, 3.0, [1.0] * 6, "1.00 [−inf, 3.00], n = 6"),
        (0.0, -0.3, 0.3, [-0.3, 0.3] * 3, "0.00 [−0.30, 0.30], n = 6"),
    ],
)  # fmt: skip
def test_an_estimate_has_as_many_digits_as_it_bears(
    mean: float | None, low: float | None, high: float | None, values: list[float], told: str
):
    by_seed = {**{str(seed): value for seed, value in enumerate(values)}, "lost": None}
    assert wording.estimate(mean, low, high, by_seed) == told


def test_seeds_stand_for_a_number_only_where_it_is_their_mean():
    assert wording.estimate(1.0, None, None, {"a-0": 3.0, "b-0": 4.0}, each=False) == "1.00, n = 2"


@pytest.mark.parametrize(
    ("found", "told"), [(0.347, "0.35"), (4.3, "4.3"), (31_700.0, "32,000"), (2e-5, "0.000020")]
)
def test_hours_have_two_figures_and_no_power_of_ten(found: float, told: str):
    assert wording.hours(found) == told
    assert f", {told} core-hours" in price.in_words(price.Price(5, 2, found))


def test_a_number_prints_a_real_minus_and_none_before_a_zero():
    assert wording.number(-1234.5, 1) == "−1,234.5"
    assert wording.number(-0.001, 2) == "0.00"
    sizes = {0.0: 0, 0.0123: 3, 1.5: 1, 150.0: 0, 1e-12: 8}
    assert {size: wording.decimals(size, 2) for size in sizes} == sizes


def test_effects_in_words():
    assert wording.effect(0.257, "of tolerance") == "26 % of tolerance"
    assert wording.effect(1.234, "g") == "g = 1.2" and wording.effect(0.5, "ρ") == "ρ = 0.50"
    assert wording.effect(None, "g") == wording.effect(1.0, "") == ""
    assert wording.images(0.0084).endswith("test images alone at most 0.84 points")
    assert wording.images(None) == ""


def test_a_training_that_is_long_enough_decides_however_much_longer_it_was(tmp_path: Path):
    measure(tmp_path, "began", [1.0, 1.01, 0.99])
    for steps, expected in ((1999, "not yet"), (2000, "holds"), (2001, "holds")):
        trained(tmp_path, "began", 1.0, steps)
        asked = claim(test_of(SCORE, ABOVE)).model_copy(update={"least": form.Least(steps=2000)})
        assert judged(tmp_path, asked).verdict == expected


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


def test_a_number_of_a_stages_document_is_said_with_whose_it_is_where_it_is_somebodys():
    told = {
        value: wording.statistic(form.Document(kind="document", stage="tour", value=value))
        for value in ("found_share@began", "found_share")
    }
    where = wording.WORDS["documents"]["tour"]
    assert told["found_share@began"] == f"found share (BEGAN, {where})"
    assert told["found_share"] == f"found share ({where})"


def test_the_protocol_of_a_curve_says_what_its_numbers_are():
    curve = {"kind": "curve", "of": "magan", "column": "loss/D", "take": "last", "over": "all"}
    found = wording.protocols(form.Curve.model_validate(curve))
    assert found == ["Curves are means over an epoch of training."]
