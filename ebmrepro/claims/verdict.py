"""From numbers over seeds to a verdict.

The interval is Student's t over seeds, at 95 %. A rule holds if the whole interval is on its side,
fails if the whole interval is on the other, and is undecided where the interval straddles. One seed
decides nothing, unless the statistic is deterministic; a seed without a number makes the claim
undecided, because what is missing need not be like what is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, TypeVar

import numpy as np

from ebmrepro.claims import form, measurements, wording
from ebmrepro.claims.measurements import Absent, Files, Missing
from ebmrepro.metrics.interval import interval

Verdict = Literal["holds", "fails", "undecided", "not run here"]
VERDICTS: tuple[Verdict, ...] = ("holds", "fails", "undecided", "not run here")
# Of the parts of a claim, the one that speaks for it: one that fails is enough.
SPEAKS: tuple[Verdict, ...] = ("fails", "not run here", "undecided", "holds")

LEVEL = 0.95
NORMAL = 1.959964  # of two sides, at LEVEL

Key = TypeVar("Key")
Value = TypeVar("Value")


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
        case form.Always():
            return "holds" if high == 0 else "fails"
    raise TypeError(f"{rule.kind} decides no interval")


def _inside(low: float, high: float, least: float, most: float) -> Verdict:
    if least <= low and high <= most:
        return "holds"
    return "fails" if high < least or low > most else "undecided"


def _parts(test: form.Test, seeds: int, files: Files) -> list[Part]:
    match test.statistic:
        case form.Ordering(steps=steps):
            up, down = form.Above(kind="above", threshold=0), form.Below(kind="below", threshold=0)
            rule = up if test.rule.kind == "rising" else down
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
    values, reasons = _read(
        lambda seed: measurements.scalar(statistic, files, seed),
        {str(seed): seed for seed in files.seeds_of(statistic)},
        # A deterministic number is the same for every seed, so it need not be there for each.
        spare=Absent if deterministic else None,
    )
    known = [value for value in values.values() if value is not None]
    words = _words(statistic, rule, values)
    words["protocol"] += files.protocols(statistic)
    if not known:
        return Part(verdict="not run here", reason=_why(reasons), **words)
    if deterministic:  # all values must obey the rule: their range, not an interval
        words |= {"mean": float(np.mean(known)), "low": min(known), "high": max(known)}
    else:
        estimate = interval(known, LEVEL)
        words |= {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    sd = float(np.std(known, ddof=1)) if len(known) > 1 and not deterministic else None
    words |= {"n": len(known), **_effect(rule, words["mean"], sd, len(known))}
    lacking = {seed: reasons[seed] for seed, value in values.items() if value is None}
    return _decided(rule, words, lacking, len(known), 1 if deterministic else max(seeds, 2))


def _every_epoch(statistic: form.EveryEpoch, rule: form.Rule, seeds: int, files: Files) -> Part:
    """A law for all epochs of all runs: one broken epoch refutes it, whatever the others say."""
    judged, reasons = _read(
        lambda seed: measurements.broken(statistic, files, seed),
        {str(seed): seed for seed in files.seeds_of(statistic)},
    )
    values = {seed: None if run is None else float(run.broken) for seed, run in judged.items()}
    known = [value for value in values.values() if value is not None]
    epochs = sum(run.epochs for run in judged.values() if run is not None)
    words = _words(statistic, rule, values)
    words["protocol"].append(f"{epochs:,} epochs could be judged.")
    if not known:
        return Part(verdict="not run here", reason=_why(reasons), **words)
    words |= {"mean": float(np.mean(known)), "low": min(known), "high": max(known), "n": len(known)}
    if any(known):
        reason = f"broken in {int(sum(known))} of {epochs:,} epochs"
        return Part(verdict="fails", reason=reason, **words)
    return _decided(rule, words, reasons, len(known), max(seeds, 2))


def _across_runs(statistic: form.AcrossRuns, rule: form.Rule, seeds: int, files: Files) -> Part:
    trained = {name: files.seeds_among([name]) for name in statistic.of}
    pairs, reasons = _read(
        lambda run: tuple(files.measure(run[0], m, run[1]) for m in (statistic.x, statistic.y)),
        {f"{name}-{seed}": (name, seed) for name in statistic.of for seed in trained[name]},
    )
    known = [pair for pair in pairs.values() if pair is not None]
    y = {run: None if pair is None else pair[1] for run, pair in pairs.items()}
    words = _words(statistic, rule, y)
    if not known:
        return Part(verdict="not run here", reason=_why(reasons), **words)
    words["n"] = len(known)
    try:
        rho = measurements.spearman(*np.array(known, dtype=np.float64).T)
    except Missing as why:
        return Part(verdict="undecided", reason=str(why), **words)
    words |= {"mean": rho, "effect": rho, "effect_is": "ρ"}
    if len(known) < 4:
        return Part(verdict="undecided", reason=_too_few(len(known), 4, "trainings"), **words)
    words["low"], words["high"] = fisher(rho, len(known))
    return _decided(rule, words, reasons, min(map(len, trained.values())), max(seeds, 2))


def _read(
    read: Callable[[Key], Value], keys: Mapping[str, Key], spare: type[Missing] | None = None
) -> tuple[dict[str, Value | None], dict[str, str]]:
    """What was read by name, None where it is missing, and the reasons; what lacks for a reason of
    the kind `spare` is left out."""
    values: dict[str, Value | None] = {}
    reasons: dict[str, str] = {}
    for name, key in keys.items():
        try:
            values[name] = read(key)
        except Missing as why:
            reasons[name] = str(why)
            if spare is None or not isinstance(why, spare):
                values[name] = None
    return values, reasons


def _words(
    statistic: object, rule: form.Rule, values: Mapping[str, float | None]
) -> dict[str, Any]:
    return {
        "statistic": wording.statistic(statistic),
        "rule": wording.rule(rule),
        "values": values,
        "protocol": wording.protocols(statistic),
    }


def _decided(
    rule: form.Rule, words: Mapping[str, Any], lacking: Mapping[str, str], seeds: int, needed: int
) -> Part:
    """The verdict on the interval in `words`, if nothing lacks and seeds are enough."""
    if lacking:
        return Part(verdict="undecided", reason=_why(lacking, seeds=True), **words)
    if seeds < needed:
        return Part(verdict="undecided", reason=_too_few(seeds, needed), **words)
    verdict = decide(rule, words["low"], words["high"])
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


def _effect(rule: form.Rule, mean: float, sd: float | None, n: int) -> dict[str, Any]:
    """How far from the threshold, in standard deviations over seeds, corrected for their number
    (Hedges' g); near a published value, how much of the tolerance is used up."""
    match rule:
        case form.Above(threshold=threshold) | form.Below(threshold=threshold) if sd:
            correction = 1 - 3 / (4 * (n - 1) - 1)
            return {"effect": correction * (mean - threshold) / sd, "effect_is": "g"}
        case form.Near(value=value, tolerance=tolerance):
            return {"effect": abs(mean - value) / tolerance, "effect_is": "of tolerance"}
    return {}


def _too_few(found: int, needed: int, of: str = "seeds") -> str:
    return f"{found} {of if found != 1 else of.rstrip('s')}, {needed} are needed"


def _why(reasons: Mapping[str, str], seeds: bool = False) -> str:
    """The reasons, each once; `seeds` says for which it is."""
    first, *others = dict.fromkeys(reasons.values())
    where = f"seed {', '.join(reasons)}: " if seeds else ""
    return f"{where}{first}" + (f" (and {len(others)} more)" if others else "")
