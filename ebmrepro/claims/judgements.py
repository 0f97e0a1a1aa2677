"""Every claim judged on every suite, as plain values and as claims.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ebmrepro.claims import form, measured, told, verdict
from ebmrepro.claims.form import Claim
from ebmrepro.claims.reading import FILE, load
from ebmrepro.claims.verdict import LEVEL, Part, Verdict
from ebmrepro.params import Params

SCHEMA = 1
DIGITS = 6  # significant ones in claims.json


@dataclass(frozen=True)
class Judgement:
    """A claim's verdict on one suite, with all that leads to it."""

    suite: str
    verdict: Verdict
    reason: str
    parts: Sequence[Part]
    files: Sequence[str]  # that its numbers were read from
    command: str  # that regenerates them
    runs: Sequence[str]  # their names in MLflow's experiment of the suite


def judge(claims: Sequence[Claim], settings: Params, root: Path) -> dict[str, list[Judgement]]:
    """Claim id -> a judgement for each suite that can decide it.

    Raises:
        measured.DamagedError: a result file is there and cannot be read.
    """
    files = {suite: measured.Files(root, suite, settings) for c in claims for suite in c.suites}
    return {c.id: [_judge(c, files[suite]) for suite in c.suites] for c in claims}


def document(claims: Sequence[Claim], settings: Params, root: Path) -> dict[str, Any]:
    """What claims.json holds: every claim, with its judgements."""
    judged = judge(claims, settings, root)
    told_claims = []
    for claim in claims:
        told_claims.append(
            {
                **claim.model_dump(exclude={"tests", "suites"}),
                "paper_title": form.PAPERS[claim.paper],
                "certainty_in_words": form.CERTAINTY[claim.certainty],
                "published_in_words": told.published(claim),
                "tests": claim.model_dump()["tests"],
                "judgements": [_told(found) for found in judged[claim.id]],
            }
        )
    return {"schema": SCHEMA, "level": LEVEL, "claims": told_claims}


def write(settings: Params, root: Path, path: Path, source: Path = FILE) -> dict[str, Any]:
    """Judge every claim of `source` from the files under `root`, into claims.json at `path`.

    Raises:
        ParamsError: a claim is not what it may be.
        measured.DamagedError: a result file is there and cannot be read.
    """
    found = document(load(settings, source), settings, root)
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return found


def _judge(claim: Claim, files: measured.Files) -> Judgement:
    systems = list(dict.fromkeys(s for t in claim.tests for s in form.systems(t.statistic)))
    stages = list(dict.fromkeys(s for t in claim.tests for s in form.stages(t.statistic)))
    command = told.command(files.suite, systems, stages)
    runs = [f"{name}-{seed}" for name in systems for seed in files.seeds]
    if files.suite != "fundamentals" and files.suite not in files.settings.run.suites:
        reason = f"the suite {files.suite} is not among run.suites of params.yaml"
        return Judgement(files.suite, "not run here", reason, [], [], command, [])
    files.used.clear()
    parts = verdict.judge(claim, files)
    said = verdict.speaks([part.verdict for part in parts])
    reason = next((p.reason for p in parts if p.verdict == said and p.reason), "")
    used = sorted(map(str, files.used))
    return Judgement(files.suite, said, reason, parts, used, command, runs)


def _told(judgement: Judgement) -> dict[str, Any]:
    """A judgement as plain values, its numbers also as they are printed wherever they are."""
    tree = _plain(asdict(judgement))
    for plain, part in zip(tree["parts"], judgement.parts, strict=True):
        plain["estimate_in_words"] = told.estimate(part.mean, part.low, part.high, part.n)
        plain["effect_in_words"] = told.effect(part.effect, part.effect_is)
    return tree


def _plain(tree: Any) -> Any:
    """Numbers as JSON keeps them on every machine alike."""
    if isinstance(tree, float):
        return float(f"{tree:.{DIGITS}g}")
    if isinstance(tree, Mapping):
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, Sequence) and not isinstance(tree, str):
        return [_plain(value) for value in tree]
    return tree
