"""From numbers over seeds to a verdict.

The interval is Student's t over seeds, at 95 %. A rule holds if the whole interval is on its side,
fails if the whole interval is on the other, and is undecided where the interval straddles. One seed
decides nothing, unless the statistic is deterministic; a seed without a number makes the claim
undecided, because what is missing need not be like what is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from ebmrepro.claims import form, measured, told
from ebmrepro.claims.measured import Absent, Files, Missing
from ebmrepro.metrics.interval import interval

Verdict = Literal["holds", "fails", "undecided", "not run here"]
VERDICTS: tuple[Verdict, ...] = ("holds", "fails", "undecided", "not run here")
# Of the parts of a claim, the one that speaks for it: one that fails is enough.
SPEAKS: tuple[Verdict, ...] = ("fails", "not run here", "undecided", "holds")

LEVEL = 0.95
NORMAL = 1.959964  # of two sides, at LEVEL


@dataclass(frozen=True)
class Part:
    """One statistic against one rule."""

    statistic: str  # in words
    rule: str
    verdict: Verdict
    reason: str  # why there is no other verdict; empty where the interval says it
    values: Mapping[str, float | None] = field(default_factory=dict)  # seed (or run) -> number
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    effect: float | None = None
    effect_is: str = ""  # in what units
    protocol: Sequence[str] = ()


@dataclass(frozen=True)
class Estimate:
    mean: float
    low: float | None  # None: one value has no interval
    high: float | None
    n: int
    sd: float | None


def judge(claim: form.Claim, files: Files) -> list[Part]:
    """Every part of a claim on one suite."""
    return [part for test in claim.tests for part in _parts(test, claim.seeds, files)]


def speaks(verdicts: Sequence[Verdict]) -> Verdict:
    """The claim's verdict: it holds if all its parts do, and fails if one does."""
    return next(verdict for verdict in SPEAKS if verdict in verdicts)


def decide(rule: form.Rule, low: float, high: float) -> Verdict:
    """The verdict on an interval, both ends included."""
    match rule:
        case form.Above(threshold=threshold):
            return "holds" if low > threshold else "fails" if high <= threshold else "undecided"
        case form.Below(threshold=threshold):
            return "holds" if high < threshold else "fails" if low >= threshold else "undecided"
        case form.Within(low=least, high=most):
            return _inside(low, high, least, most)
        case form.Near(value=value, tolerance=tolerance):
            return _inside(low, high, value - tolerance, value + tolerance)
    raise TypeError(f"{rule.kind} decides no interval")


def _inside(low: float, high: float, least: float, most: float) -> Verdict:
    if least <= low and high <= most:
        return "holds"
    return "fails" if high < least or low > most else "undecided"


def _parts(test: form.Test, seeds: int, files: Files) -> list[Part]:
    match test.statistic:
        case form.Ordering(steps=steps):
            rising = isinstance(test.rule, form.Rising)
            zero = {"threshold": 0.0}
            rule = form.Above(kind="above", **zero) if rising else form.Below(kind="below", **zero)
            return [
                _scalar(form.Difference(kind="difference", a=b, b=a), rule, False, seeds, files)
                for a, b in pairwise(steps)
            ]
        case form.EveryEpoch():
            return [_every_epoch(test.statistic, test.rule, seeds, files)]
        case form.AcrossRuns():
            return [_across_runs(test.statistic, test.rule, seeds, files)]
    return [_scalar(test.statistic, test.rule, test.deterministic, seeds, files)]


def _scalar(
    statistic: object, rule: form.Rule, deterministic: bool, seeds: int, files: Files
) -> Part:
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for seed in files.seeds_of(statistic):
        try:
            values[str(seed)] = measured.scalar(statistic, files, seed)
        except Absent as why:
            # A deterministic number is the same for every seed, so it need not be there for each.
            if not deterministic:
                values[str(seed)] = None
            reasons[str(seed)] = str(why)
        except Missing as why:
            values[str(seed)], reasons[str(seed)] = None, str(why)
    found = [value for value in values.values() if value is not None]
    words = {
        "statistic": told.statistic(statistic),
        "rule": told.rule(rule),
        "values": values,
        "protocol": [*told.protocols(statistic), *files.protocols(statistic)],
    }
    if not found:
        return Part(verdict="not run here", reason=_why(reasons), **words)
    estimate = _exact(found) if deterministic else _over_seeds(found)
    words |= {
        "mean": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        **_effect(rule, estimate),
    }
    if None in values.values():
        missing = {seed: reasons[seed] for seed, value in values.items() if value is None}
        return Part(verdict="undecided", reason=_why(missing, seeds=True), **words)
    if not deterministic and len(found) < max(seeds, 2):
        return Part(verdict="undecided", reason=_too_few(len(found), max(seeds, 2)), **words)
    assert estimate.low is not None and estimate.high is not None
    verdict = decide(rule, estimate.low, estimate.high)
    reason = "the interval straddles" if verdict == "undecided" else ""
    return Part(verdict=verdict, reason=reason, **words)


def _every_epoch(statistic: form.EveryEpoch, rule: form.Rule, seeds: int, files: Files) -> Part:
    """A law for all epochs of all runs: one broken epoch refutes it, whatever the others say."""
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    epochs = 0
    for seed in files.seeds_of(statistic):
        try:
            judged = measured.broken(statistic, files, seed)
            values[str(seed)] = float(judged.broken)
            epochs += judged.epochs
        except Missing as why:
            values[str(seed)], reasons[str(seed)] = None, str(why)
    found = [value for value in values.values() if value is not None]
    words = {
        "statistic": told.statistic(statistic),
        "rule": told.rule(rule),
        "values": values,
        "protocol": [*told.protocols(statistic), f"{epochs:,} epochs could be judged."],
    }
    if not found:
        return Part(verdict="not run here", reason=_why(reasons), **words)
    words |= {"mean": float(np.mean(found)), "low": min(found), "high": max(found), "n": len(found)}
    if any(found):
        broken = int(sum(found))
        return Part(verdict="fails", reason=f"broken in {broken} of {epochs:,} epochs", **words)
    if reasons:
        return Part(verdict="undecided", reason=_why(reasons, seeds=True), **words)
    if len(found) < max(seeds, 2):
        return Part(verdict="undecided", reason=_too_few(len(found), max(seeds, 2)), **words)
    return Part(verdict="holds", reason="", **words)


def _across_runs(statistic: form.AcrossRuns, rule: form.Rule, seeds: int, files: Files) -> Part:
    pairs: dict[str, tuple[float, float] | None] = {}
    reasons: dict[str, str] = {}
    for name in statistic.of:
        for seed in files.seeds_among([name]):
            run = f"{name}-{seed}"
            try:
                x, y = (files.measure(name, m, seed) for m in (statistic.x, statistic.y))
                pairs[run] = x, y
            except Missing as why:
                pairs[run], reasons[run] = None, str(why)
    found = [pair for pair in pairs.values() if pair is not None]
    words = {
        "statistic": told.statistic(statistic),
        "rule": told.rule(rule),
        "values": {run: None if pair is None else pair[1] for run, pair in pairs.items()},
        "protocol": told.protocols(statistic),
    }
    if not found:
        return Part(verdict="not run here", reason=_why(reasons), **words)
    words["n"] = len(found)
    try:
        rho = measured.spearman(*np.array(found, dtype=np.float64).T)
    except Missing as why:
        return Part(verdict="undecided", reason=str(why), **words)
    words |= {"mean": rho, "effect": rho, "effect_is": "ρ"}
    if len(found) < 4:
        return Part(verdict="undecided", reason=_too_few(len(found), 4, "trainings"), **words)
    low, high = fisher(rho, len(found))
    words |= {"low": low, "high": high}
    if reasons:
        return Part(verdict="undecided", reason=_why(reasons, seeds=True), **words)
    fewest = min(len(files.seeds_among([name])) for name in statistic.of)
    if fewest < max(seeds, 2):
        short = _too_few(fewest, max(seeds, 2))
        return Part(verdict="undecided", reason=short, **words)
    verdict = decide(rule, low, high)
    reason = "the interval straddles" if verdict == "undecided" else ""
    return Part(verdict=verdict, reason=reason, **words)


def fisher(rho: float, n: int) -> tuple[float, float]:
    """95 % interval of Spearman's rank correlation over n > 3 pairs, by Fisher's transformation.

    Its standard error is sqrt(1.06 / (n - 3)) (Fieller, Hartley and Pearson, 1957). A perfect order
    has no finite transform; it is taken for one that is half a swap of neighbours short of it.
    """
    most = 1 - 6 / (n * (n**2 - 1))
    z, half = math.atanh(min(max(rho, -most), most)), NORMAL * math.sqrt(1.06 / (n - 3))
    return math.tanh(z - half), math.tanh(z + half)


def _over_seeds(values: Sequence[float]) -> Estimate:
    found = interval(values, LEVEL)
    sd = float(np.std(values, ddof=1)) if found.n > 1 else None
    return Estimate(found.mean, found.low, found.high, found.n, sd)


def _exact(values: Sequence[float]) -> Estimate:
    """All values of a deterministic statistic must obey the rule: their range, not an interval."""
    return Estimate(float(np.mean(values)), min(values), max(values), len(values), None)


def _effect(rule: form.Rule, found: Estimate) -> dict[str, float | str]:
    """How far from the threshold, in standard deviations over seeds, corrected for their number
    (Hedges' g); near a published value, how much of the tolerance is used up."""
    match rule:
        case form.Above(threshold=threshold) | form.Below(threshold=threshold):
            if not found.sd:
                return {}
            correction = 1 - 3 / (4 * (found.n - 1) - 1)
            return {"effect": correction * (found.mean - threshold) / found.sd, "effect_is": "g"}
        case form.Near(value=value, tolerance=tolerance):
            used = abs(found.mean - value) / tolerance
            return {"effect": used, "effect_is": "of tolerance"}
    return {}


def _too_few(found: int, needed: int, of: str = "seeds") -> str:
    return f"{found} {of if found != 1 else of.rstrip('s')}, {needed} are needed"


def _why(reasons: Mapping[str, str], seeds: bool = False) -> str:
    """The reasons, each once; `seeds` says for which it is."""
    first, *others = dict.fromkeys(reasons.values())
    where = f"seed {', '.join(reasons)}: " if seeds else ""
    return f"{where}{first}" + (f" (and {len(others)} more)" if others else "")
