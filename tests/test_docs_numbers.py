"""Numbers that are typed into sentences of the documentation: those of the result files."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NATS, PERCENT = (1, 1), (100, 2)  # of what a file has: times this, to so many decimals


def by_seed(place: str, measure: str) -> list[float]:
    files = sorted((ROOT / "results" / place).glob("*/metrics.json"))
    return [json.loads(file.read_text())["values"][measure] for file in files]


@pytest.mark.parametrize(
    ("page", "place", "measure", "unit"),
    [
        ("docs/papers/rbm.md", "mnist/rbm__cd1", "log_likelihood", NATS),
        ("docs/papers/rbm.md", "mnist/rbm__cd3", "log_likelihood", NATS),
        ("docs/papers/rbm.md", "mnist/rbm", "log_likelihood", NATS),
        ("docs/papers/rbm.md", "mnist/rbm__exact", "log_likelihood_exact", NATS),
        ("docs/papers/rbm.md", "mnist/rbm__stack", "log_likelihood_bound", NATS),
        ("CHANGELOG.md", "mnist/rbm__stack", "log_likelihood_bound", NATS),
        ("docs/papers/rbm.md", "mnist/rbm__paper", "log_likelihood", NATS),
        ("CHANGELOG.md", "mnist/rbm__paper", "log_likelihood", NATS),
        ("docs/papers/dbn_updown.md", "mnist/classifiers", "error_backprop_two", PERCENT),
        ("docs/papers/dbn_updown.md", "mnist/classifiers", "error_backprop_one", PERCENT),
        ("CHANGELOG.md", "mnist/dbn", "error_pretrained", PERCENT),
        ("CHANGELOG.md", "mnist/dbn", "error_random", PERCENT),
        ("CHANGELOG.md", "mnist/rbm__exact", "log_likelihood_exact", NATS),
        ("CHANGELOG.md", "mnist/classifiers", "error_backprop_two", PERCENT),
    ],
)
def test_a_mean_and_the_seeds_in_brackets_are_those_of_the_results(
    page: str, place: str, measure: str, unit: tuple[float, int]
):
    times, digits = unit
    found = [times * value for value in by_seed(place, measure)]
    mean, *seeds = (f"{n:.{digits}f}".replace("-", "−") for n in (sum(found) / len(found), *found))
    text = " ".join((ROOT / page).read_text().split())
    between = r"( nats| nats on test images| %| % errors pretrained| % from random weights)?"
    assert re.search(rf"{mean}{between} \({', '.join(seeds)}[;)]", text)


def test_trials_of_ais_within_and_the_gap_of_log_z_are_those_of_the_results():
    text = " ".join((DOCS / "papers/rbm.md").read_text().split())
    shares, trials = (by_seed("mnist/rbm__exact", name) for name in ("ais_within", "ais_trials"))
    within = sum(share * count for share, count in zip(shares, trials, strict=True))
    assert f"in {within:.0f} of {sum(trials):.0f} trials" in text
    gaps = [
        gap for name in ("", "__cd1", "__cd3") for gap in by_seed(f"mnist/rbm{name}", "log_z_gap")
    ]
    assert len(gaps) == 9 and max(gaps) < 0.15
    mixed = sorted(by_seed("mnist/rbm", "r_hat"))
    assert f"(`r_hat` {mixed[0]:.2f} to {mixed[-1]:.2f})" in text


def test_what_is_left_of_training_curves_is_what_was_left_in_the_last_epoch():
    text = (DOCS / "papers/autoencoder.md").read_text()
    file = ROOT / "results/drawn_curves/autoencoder/0/curves.csv"
    last = [*csv.DictReader(file.read_text().splitlines())][-1]
    assert f"of which {float(last['sum_sq/pretrained']):.1f} are left in the last epoch" in text


def test_the_table_of_what_moved_cd1_is_what_was_measured():
    found = json.loads((DOCS / "papers/rbm_recipe.json").read_text())["values"]
    rows = dict(
        re.findall(r"^\| (\w[^|]*) \| (−\d+\.\d) \|$", (DOCS / "papers/rbm.md").read_text(), re.M)
    )
    ours = {"rate": "falling", "binarised": "each_step", "visible_bias": "log_odds"}
    theirs = {"rate": "constant", "binarised": "once", "visible_bias": "zero"}
    changed = {
        "nothing: our CD-1": [],
        "biases from 0": ["visible_bias"],
        "data binarised once": ["binarised"],
        "a constant rate": ["rate"],
        "binarised once, biases from 0": ["binarised", "visible_bias"],
        "a constant rate, biases from 0": ["rate", "visible_bias"],
        "a constant rate, binarised once": ["rate", "binarised"],
        "all three: the paper's recipe": [*theirs],
    }
    for row, keys in changed.items():
        chosen = {key: (theirs if key in keys else ours)[key] for key in ours}
        name = ", ".join(f"{key} {value}" for key, value in chosen.items())
        told = f"{found[f'{name}: log_likelihood']['0']:.1f}".replace("-", "−")
        assert rows[row] == told, row


def test_the_table_of_what_moved_the_stack_is_what_was_measured():
    found = json.loads((DOCS / "papers/stack_recipe.json").read_text())["values"]
    text = (DOCS / "papers/rbm.md").read_text()
    ours = {"lr": 0.05, "cd_steps": 3, "rate": "falling"}
    for row, way in {
        "ours: CD-3, a rate of 0.05 that falls to 0": {},
        "CD-10": {"cd_steps": 10},
        "a rate of 0.02": {"lr": 0.02},
        "a rate of 0.1": {"lr": 0.1},
        "a constant rate": {"rate": "constant"},
    }.items():
        name = ", ".join(f"{key} {value}" for key, value in (ours | way).items())
        bound, mixed = (found[f"{name}: {m}"]["0"] for m in ("log_likelihood_bound", "r_hat"))
        assert f"| {row} | −{-bound:.1f} | {mixed:.2f} |" in text, row


def test_what_is_said_of_began_on_faces_is_what_was_measured():
    text = " ".join((DOCS / "papers/began.md").read_text().split())
    for name, gamma in (("began__gamma_05", "0.5"), ("began", "0.7")):
        shares = [100 * share for share in by_seed(f"faces/{name}", "recall_dbn")]
        assert re.search(
            rf"at {gamma}( they reach)? {min(shares):.0f} to {max(shares):.0f} %", text
        )
    assert max(by_seed("faces/began__gamma_03", "recall_dbn")) == 0
    starved = zip(
        by_seed("faces/began__small_code", "fd_dbn"),
        by_seed("faces/began__small_z", "fd_dbn"),
        strict=True,
    )
    times = [math.log(a / b) for a, b in starved]
    assert f"are {math.exp(sum(times) / len(times)):.2f} times as far" in text
    by_heart = [
        sum(by_seed(f"faces/{name}", "energy_test")) / sum(by_seed(f"faces/{name}", "energy_train"))
        for name in ("began__small_code", "began", "began__small_z")
    ]
    small, middle, large = by_heart
    assert f"{small:.2f} times that on training images with a code of 16, {middle:.2f}" in text
    assert f"with 64, {large:.2f} with the 128" in text
