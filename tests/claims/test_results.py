"""The committed results of the digits suite are complete and keep what they promise."""

import json
from pathlib import Path
from statistics import mean

import pytest

from ebmrepro.config import params, training
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.interval import interval

ROOT = Path(__file__).parents[2]
SETTINGS = params.load(ROOT / "params.yaml")
RUN = SETTINGS.run


def values(name: str, measure: str) -> list[float]:
    """One value per seed, from the files that belong to the present parameters."""
    found = []
    for seed in RUN.seeds:
        path = ROOT / f"results/digits/{name}/{seed}/metrics.json"
        metrics = json.loads(path.read_text(encoding="utf-8"))
        found.append(metrics["values"][measure])
    return found


@pytest.mark.parametrize("name", ["dcgan", "ebgan", "ebgan_pt", "magan"])
def test_a_gan_covers_at_least_nine_of_ten_digits(name: str):
    assert mean(values(name, "classes_covered")) >= 9


def test_began_covers_at_least_eight_at_the_best_of_its_gammas():
    gammas = [name for name in RUN.names if training.base(name) == "began"]
    assert max(mean(values(name, "classes_covered")) for name in gammas) >= 8


# Variants that take a part of EBGAN away are there to fail; BEGAN's gammas are BEGAN.
WHOLE = [name for name in RUN.names if "__" not in name or training.base(name) == "began"]


@pytest.mark.parametrize("name", WHOLE)
def test_training_brings_the_distance_to_a_quarter_of_an_untrained_generators(name: str):
    pairs = zip(values(name, "fd_dbn"), values(name, "fd_dbn_untrained"), strict=True)
    assert all(trained <= untrained / 4 for trained, untrained in pairs)


def test_the_fine_tuned_classifier_is_right_on_96_percent_of_the_test_split():
    assert mean(values("dbn", "error_pretrained")) <= 0.04


def test_the_summary_holds_the_means_of_every_system_of_the_run():
    summary = json.loads((ROOT / "reports/summary.json").read_text(encoding="utf-8"))["digits"]
    assert set(summary) == set(RUN.names)
    for name, means in summary.items():
        known = {m: interval(values(name, m), catalogue.scale(m)).mean for m in means}
        assert means == pytest.approx(known, rel=1e-5, abs=1e-6)
