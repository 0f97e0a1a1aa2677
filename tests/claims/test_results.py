"""The committed results of the digits suite are complete and keep what they promise."""

import json
from pathlib import Path

import pytest
from params_file import shipped

from ebmrepro.claims import claims_file, judgements
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.interval import interval

ROOT = Path(__file__).parents[2]
SETTINGS = shipped()
RUN = SETTINGS.run


def values(name: str, measure: str) -> list[float]:
    """One value per seed."""
    found = []
    for seed in RUN.seeds:
        path = ROOT / f"results/digits/{name}/{seed}/metrics.json"
        metrics = json.loads(path.read_text(encoding="utf-8"))
        found.append(metrics["values"][measure])
    return found


def test_the_summary_holds_the_means_of_every_system_of_the_run():
    summary = json.loads((ROOT / "reports/summary.json").read_text(encoding="utf-8"))["digits"]
    assert set(summary) == set(RUN.names)
    for name, means in summary.items():
        assert "fd_dbn" in means or "error_pretrained" in means
        known = {m: interval(values(name, m), catalogue.scale(m)).mean for m in means}
        assert means == pytest.approx(known, rel=1e-5, abs=1e-6)


def test_the_committed_judgements_have_the_schema_that_readers_are_told():
    shipped = json.loads((ROOT / "reports/claims.json").read_text(encoding="utf-8"))
    assert shipped["schema"] == judgements.SCHEMA


def test_the_committed_judgements_are_those_of_the_committed_results(tmp_path: Path):
    claims = claims_file.load(SETTINGS, ROOT / "reports" / "claims.yaml")
    judgements.write(claims, SETTINGS, ROOT, tmp_path / "claims.json")
    told, shipped = (
        json.loads((place / "claims.json").read_text()) for place in (tmp_path, ROOT / "reports")
    )
    assert told == shipped
