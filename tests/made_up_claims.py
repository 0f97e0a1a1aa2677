"""Made-up claims, and results whose verdict is known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import made_up

from ebmrepro.claims import judgements
from ebmrepro.claims.form import Claim
from ebmrepro.config.params import Params

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


def trained(root: Path, name: str, fraction: float, steps: int) -> None:
    """Say of three measured seeds how long they were trained."""
    for seed in range(3):
        path = root / "results" / "digits" / name / str(seed) / "metrics.json"
        told = json.loads(path.read_text())
        told |= {"budget": {"epoch_fraction": fraction}, "step": steps}
        path.write_text(json.dumps(told))


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
