"""Every claim judged on every suite, as plain values and as claims.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ebmrepro.claims import commands, form, measurements, price, statistics, verdict, wording
from ebmrepro.claims.form import Claim
from ebmrepro.claims.price import Price
from ebmrepro.claims.statistics import ALPHA, LEVEL
from ebmrepro.claims.verdict import VERDICTS, Part, Verdict
from ebmrepro.config.params import Params
from ebmrepro.runs import carried
from ebmrepro.system import atomic

SCHEMA = 2
DIGITS = 6  # significant ones in claims.json


@dataclass(frozen=True)
class Judgement:
    """A claim's verdict on one suite, with all that leads to it."""

    suite: str
    verdict: Verdict
    reason: str
    parts: Sequence[Part]
    files: Sequence[str] = ()  # that its numbers were read from
    command: str = ""  # that regenerates them; empty where there are none
    to_run: str = ""  # that would make them, where there are none
    runs: Sequence[str] = ()  # their names in MLflow's experiment of the suite
    carried: str = ""  # how its numbers came here, where the suite is not run and they are carried
    price: Price | None = None  # of deciding it, where it is open


def judge(claims: Sequence[Claim], settings: Params, root: Path) -> dict[str, list[Judgement]]:
    """Claim id -> a judgement for each suite that can decide it.

    Raises:
        UserError: a result file is there and cannot be read.
    """
    files = {suite: measurements.Files(root, suite, settings) for c in claims for suite in c.suites}
    return {c.id: [_judge(c, files[suite]) for suite in c.suites] for c in claims}


def document(claims: Sequence[Claim], settings: Params, root: Path) -> dict[str, Any]:
    """What claims.json holds: every claim, with its judgements."""
    judged = judge(claims, settings, root)
    trees = [
        {
            **claim.model_dump(exclude={"suites"}),
            "paper_title": form.PAPERS[claim.paper],
            "certainty_in_words": form.CERTAINTY[claim.certainty],
            "published_in_words": wording.published(claim),
            "least_in_words": wording.least(claim),
            "judgements": [_tree(judgement) for judgement in judged[claim.id]],
        }
        for claim in claims
    ]
    return {"schema": SCHEMA, "level": LEVEL, "count": count(claims, judged), "claims": trees}


def count(claims: Sequence[Claim], judged: Mapping[str, Sequence[Judgement]]) -> dict[str, Any]:
    """The one count of everything: claims, their judgements by suite, and what these are.

    A check cannot fail without a bug and is counted apart. Of the findings that hold, fail or are
    undecided, so many keep their verdict after Holm's correction for all of them (one wrong verdict
    in twenty such reports), and at a false discovery rate of 5 %: p is that of the side on which
    the mean lies, so its level is half of either rate. The verdicts themselves are not changed by
    it. That an effect is not material, or both sides at a ceiling, is no test of the rule's edge.
    """
    pairs = [(claim, judgement) for claim in claims for judgement in judged[claim.id]]
    by_kind = {
        "findings": [judgement for claim, judgement in pairs if not claim.check],
        "checks": [judgement for claim, judgement in pairs if claim.check],
    }
    p = [
        found
        for judgement in by_kind["findings"]
        if judgement.verdict in ("holds", "fails", "undecided")
        and (found := _p(judgement)) is not None
    ]
    return {
        "claims": len(claims),
        "judgements": len(pairs),
        **{
            key: {v: n for v in VERDICTS if (n := sum(j.verdict == v for j in own))}
            for key, own in by_kind.items()
        },
        "tested": len(p),
        "alone": sum(value <= ALPHA for value in p),
        "holm": statistics.holm(p, ALPHA),
        "benjamini_hochberg": statistics.benjamini_hochberg(p, ALPHA),
    }


def _p(judgement: Judgement) -> float | None:
    """A claim is no surer than the least sure of its parts. One part that fails is enough to refute
    it: so as sure as the surest of those, for as many chances as there are parts (Bonferroni)."""
    known = [part.p for part in judgement.parts if part.p is not None]
    if judgement.verdict != "fails":
        return max(known, default=None)
    failed = [p.p for p in judgement.parts if p.p is not None and p.verdict == "fails"]
    return min(1.0, len(known) * min(failed)) if failed else None


def write(claims: Sequence[Claim], settings: Params, root: Path, path: Path) -> None:
    """Judge the claims from the files under `root`, into claims.json at `path`.

    Raises:
        UserError: a result file is there and cannot be read.
    """
    atomic.write_json(path, document(claims, settings, root))


def _judge(claim: Claim, files: measurements.Files) -> Judgement:
    statistics = [test.statistic for test in claim.tests]
    systems, stages = form.systems(statistics), form.stages(statistics)
    run = files.suite == "fundamentals" or files.suite in files.settings.run.suites
    if not run and not files.carried:
        reason = f"the suite {files.suite} is not among run.suites of params.yaml"
        parts = [
            Part(
                wording.statistic(t.statistic),
                wording.rule(t.rule, t.smallest),
                "not run here",
                reason,
            )
            for t in claim.tests
        ]
        to_run = commands.anew(claim, files.suite, files.settings, files.carried)
        return Judgement(files.suite, "not run here", reason, parts, to_run=to_run)
    files.used.clear()
    parts = verdict.judge(claim, files)
    whole = verdict.speaks([part.verdict for part in parts])
    reason = next((p.reason for p in parts if p.verdict == whole and p.reason), "")
    judgement = Judgement(
        files.suite,
        whole,
        reason,
        parts,
        sorted(map(str, files.used)),
        price=price.price(claim, parts, files),
    )
    if run:
        names = form.trained(statistics)
        return replace(
            judgement,
            command=commands.again(files.suite, systems, stages, files.seeds),
            runs=[f"{n}-{k}" for n in names if not carried.stage(n).trains for k in files.seeds],
        )
    if all(part.verdict == "not run here" for part in parts):  # carried are other systems
        return replace(
            judgement, to_run=commands.anew(claim, files.suite, files.settings, files.carried)
        )
    trained = {name: files.carried[name] for name in systems if name in files.carried}
    # Without `runs`: MLflow knows those of this machine, and these are of another.
    return replace(
        judgement,
        command=_again(files, trained, stages),
        carried=_how_carried(files, trained, bool(stages)),
    )


def _again(files: measurements.Files, trained: carried.Seeds, stages: Sequence[str]) -> str:
    """What regenerates carried numbers."""
    found = [commands.carried_again(files.suite, trained)] if trained else []
    for stage in stages:  # it asks all systems at once
        among = [name for name in files.carried if not carried.stage(name).trains]
        found.append(commands.stage_again(files.suite, stage, among, files.seeds_among(among)))
    return " && ".join(found)


def _how_carried(files: measurements.Files, trained: carried.Seeds, toured: bool) -> str:
    """On what these trainings ran, in words."""
    known = carried.provenance(files.root, files.suite)
    runs = [
        (name, seed)
        for name, seeds in (files.carried if toured else trained).items()
        for seed in seeds
    ]
    return carried.in_words([known[run] for run in runs if run in known])


def _tree(judgement: Judgement) -> dict[str, Any]:
    """A judgement as plain values, its numbers also as they are printed wherever they are."""
    tree = atomic.rounded(asdict(judgement), DIGITS)
    for plain, part in zip(tree["parts"], judgement.parts, strict=True):
        plain["estimate_in_words"] = wording.estimate(
            part.mean, part.low, part.high, part.values, each=part.effect_is != "ρ"
        )
        effect = wording.effect(part.effect, part.effect_is), wording.images(part.images)
        plain["effect_in_words"] = "; ".join(filter(None, effect))
    return {**tree, "price_in_words": price.in_words(judgement.price)}
