"""From numbers over seeds to a verdict.

The interval is Student's over training seeds at 95 % (`metrics.interval`), or one of `statistics`.
A rule holds if the whole interval is on its side, fails if the whole interval is on the other, and
is undecided where the interval straddles. A difference that is wholly smaller than what matters has
no material effect; two systems that are both as good as can be are at ceiling. One seed decides
nothing, unless the statistic is deterministic; a seed without a number makes the claim undecided,
because what is missing need not be like what is there; a training shorter than the claim asks for
decides not yet.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from ebmrepro.claims import form, measurements, statistics, wording
from ebmrepro.claims.form import Claim, Test
from ebmrepro.claims.measurements import Absent, Files, Missing
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.catalogue import Scale
from ebmrepro.metrics.interval import interval
from ebmrepro.runs.carried import counted

Verdict = Literal[
    "holds", "fails", "no material effect", "at ceiling", "undecided", "not yet", "not run here"
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
OPEN = VERDICTS[4:6]
# Of the parts of a claim, the one that speaks for it: one that fails is enough.
SPEAKS: tuple[Verdict, ...] = (
    *("fails", "not run here", "not yet", "undecided"),
    *("no material effect", "at ceiling", "holds"),
)

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
    mean: float | None = None  # taken on `scale`
    low: float | None = None
    high: float | None = None
    n: int = 0
    scale: str = ""
    effect: float | None = None
    effect_is: str = ""  # in what units
    p: float | None = None  # of one side, at the rule's nearest edge
    fraction: float | None = None  # least part of the epochs in params.yaml that were trained
    images: float | None = None  # standard error by the draw of test images alone, at most
    needed: int | None = None  # seeds that would decide it four times in five
    protocol: Sequence[str] = ()


def judge(claim: Claim, files: Files) -> list[Part]:
    """Every part of a claim on one suite."""
    return [part for test in claim.tests for part in _Judge(claim, test, files).parts()]


def speaks(verdicts: Sequence[Verdict]) -> Verdict:
    """The claim's verdict: it holds if all its parts do, and fails if one does."""
    return next(verdict for verdict in SPEAKS if verdict in verdicts)


def decide(test: Test, low: float, high: float) -> Verdict:
    """The verdict on an interval, both ends included."""
    if (inside := small(test)) and inside[0] < low and high < inside[1]:
        return "no material effect"
    match test.rule:
        case form.Above(threshold=threshold):
            return "holds" if low > threshold else "fails" if high <= threshold else "undecided"
        case form.Below(threshold=threshold):
            return "holds" if high < threshold else "fails" if low >= threshold else "undecided"
        case form.Always():
            return "holds" if high == 0 else "fails"
    least, most = edges(test.rule)
    if least <= low and high <= most:
        return "holds"
    return "fails" if high < least or low > most else "undecided"


def small(test: Test) -> tuple[float, float] | None:
    """Between which numbers a difference does not matter; None where the claim does not say."""
    if test.smallest is None or not isinstance(test.rule, form.Above | form.Below):
        return None
    threshold, size = test.rule.threshold, test.smallest
    if (test.scale or form.scale(test.statistic)) == "log":
        return threshold / (1 + size), threshold * (1 + size)
    return threshold - size, threshold + size


def edges(rule: form.Rule) -> tuple[float, ...]:
    """Where a rule's side ends."""
    match rule:
        case form.Above(threshold=threshold) | form.Below(threshold=threshold):
            return (threshold,)
        case form.Within(low=low, high=high):
            return low, high
        case form.Near(value=value, tolerance=tolerance):
            return value - tolerance, value + tolerance
    raise TypeError(f"{rule.kind} has no edge")


@dataclass
class _Judge:
    """One test of a claim against the files of a suite."""

    claim: Claim
    test: Test
    files: Files

    @property
    def least(self) -> int:
        """Seeds that the claim asks for."""
        return max(self.claim.seeds[self.files.suite], 2)

    def parts(self) -> list[Part]:
        match self.test.statistic:
            case form.Ordering(steps=steps):
                if self.test.rule.kind == "rising":
                    rule = form.Above(kind="above", threshold=0)
                else:
                    rule = form.Below(kind="below", threshold=0)
                steps = [form.Difference(kind="difference", a=b, b=a) for a, b in pairwise(steps)]
                tests = [self.test.model_copy(update={"statistic": s, "rule": rule}) for s in steps]
                return [_Judge(self.claim, test, self.files)._scalar() for test in tests]
            case form.EveryEpoch() as statistic:
                return [self._every_epoch(statistic)]
            case form.AcrossRuns() as statistic:
                return [self._across_runs(statistic)]
            case form.Pooled() as statistic:
                return [self._pooled(statistic)]
        return [self._scalar()]

    def _seeds(self) -> dict[str, int]:
        """Those that may decide: all but the seen ones of a rule that was changed after."""
        there = self.files.seeds_of(self.test.statistic)
        return {str(seed): seed for seed in self._unseen(there)}

    def _unseen(self, seeds: Iterable[int]) -> list[int]:
        seen = self.claim.changed.seen.get(self.files.suite, []) if self.claim.changed else []
        return [seed for seed in seeds if seed not in seen]

    def _scalar(self) -> Part:
        statistic, rule = self.test.statistic, self.test.rule
        values, reasons = _read(
            lambda seed: measurements.scalar(statistic, self.files, seed),
            self._seeds(),
            # A deterministic number is the same for every seed, so it need not be there for each.
            spare=Absent if self.test.deterministic else None,
        )
        known = [value for value in values.values() if value is not None]
        words = self._words(values)
        words["protocol"] += self.files.protocols(statistic)
        if not known:
            # A few epochs have no order.
            if isinstance(statistic, form.Correlation) and (short := self._too_short()):
                return Part(verdict="not yet", reason=short, **words)
            return Part(verdict="not run here", reason=_why(reasons), **words)
        lacking = {seed: reasons[seed] for seed, value in values.items() if value is None}
        if self.test.deterministic:  # all values must obey the rule: their range, not an interval
            words |= {"mean": float(np.mean(known)), "low": min(known), "high": max(known)}
            words |= {"n": len(known)}
            return self._decided(words, lacking, len(known), 1)
        scale = self.test.scale or form.scale(statistic)
        found = interval(known, scale)
        words |= {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}
        words |= {
            "scale": found.scale,
            **_effect(rule, known, scale),
            "images": self._images([int(s) for s, value in values.items() if value is not None]),
        }
        if found.by == "range":
            words["protocol"].append("Too few distinct values for an interval: their range.")
        if len(known) > 1:
            words["p"] = max(statistics.p_value(known, edge, scale) for edge in edges(rule))
            words["needed"] = statistics.seeds_needed(known, self._goals(found.mean), scale)
        part = self._decided(words, lacking, len(known), self.least)
        if part.verdict in OPEN or not self._at_ceiling():
            return part
        return Part(verdict="at ceiling", reason="both are as good as can be", **words)

    def _nearest(self, mean: float) -> float:
        """The edge of the rule that is nearest."""
        return min(edges(self.test.rule), key=lambda edge: abs(mean - edge))

    def _goals(self, mean: float) -> list[tuple[float, ...]]:
        """Where an interval around the mean would decide: past an edge, or between two."""
        between = [ends for ends in (edges(self.test.rule), small(self.test)) if ends]
        inside = [ends for ends in between if len(ends) == 2 and ends[0] < mean < ends[1]]
        return inside if edges(self.test.rule) in inside else [(self._nearest(mean),), *inside]

    def _at_ceiling(self) -> bool:
        ceiling, pair = self.test.ceiling, self.test.statistic
        if ceiling is None or not isinstance(pair, form.Difference | form.Ratio):
            return False
        return all(
            measurements.scalar(side, self.files, seed) >= ceiling
            for seed in self._seeds().values()
            for side in (pair.a, pair.b)
        )

    def _images(self, seeds: Sequence[int]) -> float | None:
        """What the number of test images leaves open, of a share of them or a difference of two."""
        pair = self.test.statistic
        sides = [pair.a, pair.b] if isinstance(pair, form.Difference) else [pair]
        if not all(isinstance(side, form.Measure) and _is_error(side.measure) for side in sides):
            return None
        of = [np.mean([measurements.scalar(s, self.files, seed) for seed in seeds]) for s in sides]
        share, other = map(float, [*of, 0.0][:2])
        images = self.files.settings.suites[self.files.suite].data.test
        return statistics.of_images(share, other, images)

    def _every_epoch(self, statistic: form.EveryEpoch) -> Part:
        """A law for all epochs of all runs: one broken epoch refutes it, whatever others say."""
        judged, reasons = _read(
            lambda seed: measurements.broken(statistic, self.files, seed), self._seeds()
        )
        values = {seed: None if run is None else float(run.broken) for seed, run in judged.items()}
        known = [value for value in values.values() if value is not None]
        epochs = sum(run.epochs for run in judged.values() if run is not None)
        words = self._words(values)
        words["protocol"].append(f"{epochs:,} epochs could be judged.")
        if not known:
            return Part(verdict="not run here", reason=_why(reasons), **words)
        words |= {"mean": float(np.mean(known)), "low": min(known), "high": max(known)}
        words |= {"n": len(known), "needed": self.least}
        if any(known):
            reason = f"broken in {int(sum(known))} of {epochs:,} epochs"
            return Part(verdict="fails", reason=reason, **words)
        return self._decided(words, reasons, len(known), self.least)

    def _across_runs(self, statistic: form.AcrossRuns) -> Part:
        files = self.files
        trained = {
            name: self._unseen(files.seeds_among([name] if files.carried else statistic.of))
            for name in statistic.of
        }
        every = {f"{name}-{seed}": (name, seed) for name in trained for seed in trained[name]}
        runs = self._in_one_space(statistic, every)
        pairs, reasons = _read(
            lambda run: tuple(files.measure(run[0], m, run[1]) for m in (statistic.x, statistic.y)),
            runs,
        )
        known = [pair for pair in pairs.values() if pair is not None]
        words = self._words({run: pair[1] if pair else None for run, pair in pairs.items()})
        if not known:
            return Part(verdict="not run here", reason=_why(reasons), **words)
        words["n"] = len(known)
        if len(runs) < len(every):
            words["protocol"].append(
                f"{len(runs)} of {len(every)} trainings: those measured in features of one network."
            )
        try:
            rho = measurements.spearman(*np.array(known, dtype=np.float64).T)
        except Missing as why:
            return Part(verdict="undecided", reason=str(why), **words)
        words |= {"mean": rho, "effect": rho, "effect_is": "ρ", "scale": "atanh"}
        if len(known) < 4:
            return Part(verdict="undecided", reason=_too_few(len(known), 4, "training"), **words)
        edge = self._nearest(rho)
        words["low"], words["high"] = statistics.rank_interval(rho, len(known))
        words["p"] = statistics.rank_p(rho, len(known), edge)
        pairs = statistics.pairs_needed(rho, len(known), edge)
        words["needed"] = pairs and math.ceil(pairs / len(trained))
        seeds = Counter(name for name, _ in runs.values())
        return self._decided(words, reasons, min(seeds.values()), self.least)

    def _in_one_space(
        self, statistic: form.AcrossRuns, runs: Mapping[str, tuple[str, int]]
    ) -> Mapping[str, tuple[str, int]]:
        """Of trainings that are ranked by a distance those in whose features the most are measured,
        and those that do not say: the distances of two networks have no common order."""
        if not any(map(catalogue.in_dbn, (statistic.x, statistic.y))):
            return runs
        spaces, _ = _read(lambda run: self.files.extractor(*run), runs)
        counts = Counter(space for space in spaces.values() if space)
        most = max(counts, key=counts.__getitem__, default=None)
        return {name: run for name, run in runs.items() if spaces[name] in (None, most)}

    def _pooled(self, statistic: form.Pooled) -> Part:
        of, pair = statistic.of, (statistic.share, statistic.trials)
        found, reasons = _read(
            lambda seed: tuple(self.files.measure(of, measure, seed) for measure in pair),
            self._seeds(),
        )
        words = self._words({seed: both[0] if both else None for seed, both in found.items()})
        known = [both for both in found.values() if both is not None]
        if not known:
            return Part(verdict="not run here", reason=_why(reasons), **words)
        trials = sum(round(count) for _, count in known)
        hits = sum(round(share * count) for share, count in known)
        low, high = statistics.clopper_pearson(hits, trials)
        words |= {"mean": hits / trials, "low": low, "high": high, "n": len(known)}
        edge, each = self._nearest(hits / trials), trials / len(known)
        words["p"] = statistics.share_p(hits, trials, edge)
        words["needed"] = statistics.seeds_of_trials_needed(hits / trials, each, edge)
        words["protocol"].append(f"{hits} of {trials} trials; the interval is of their binomial.")
        return self._decided(words, reasons, len(known), self.least)

    def _words(self, values: Mapping[str, float | None]) -> dict[str, Any]:
        statistic = self.test.statistic
        return {
            "statistic": wording.statistic(statistic),
            "rule": wording.rule(self.test.rule, self.test.smallest),
            "values": values,
            "protocol": [*wording.protocols(statistic), *self.files.beside(statistic)],
            "fraction": self._trained()[0],
        }

    def _decided(
        self, words: Mapping[str, Any], lacking: Mapping[str, str], seeds: int, needed: int
    ) -> Part:
        """The verdict on the interval in `words`, if all was trained for long enough, nothing lacks
        and seeds are enough."""
        if short := self._too_short():
            return Part(verdict="not yet", reason=short, **{**words, "needed": self.least})
        if lacking:
            return Part(verdict="undecided", reason=_why(lacking, seeds=True), **words)
        if seeds < needed:
            told = max(needed, words.get("needed") or 0)
            reason = _too_few(seeds, needed)
            return Part(verdict="undecided", reason=reason, **{**words, "needed": told})
        verdict = decide(self.test, words["low"], words["high"])
        reason = "the interval straddles" if verdict == "undecided" else ""
        return Part(verdict=verdict, reason=reason, **words)

    def _trained(self) -> tuple[float | None, int | None]:
        """The least part of the budget, and the fewest steps, among the trainings behind it."""
        names, seeds = form.trained(self.test.statistic), self._seeds().values()
        runs = [(name, seed) for name in names for seed in seeds]
        told, _ = _read(lambda run: self.files.trained(*run), {f"{n}-{s}": (n, s) for n, s in runs})
        known = [run for run in told.values() if run]
        fractions = [fraction for fraction, _ in known if fraction is not None]
        steps = [steps for _, steps in known if steps is not None]
        return min(fractions, default=None), min(steps, default=None)

    def _too_short(self) -> str:
        """Why the trainings are too short to decide; empty where they are not."""
        least = self.claim.least
        if least is None or self.test.deterministic:
            return ""
        fraction, steps = self._trained()
        if least.fraction is not None and fraction is not None and fraction < least.fraction:
            return f"{100 * fraction:.3g} % of the epochs, {100 * least.fraction:.3g} % are needed"
        if least.steps is not None and steps is not None and steps < least.steps:
            return f"{steps:,} steps, {least.steps:,} are needed"
        return ""


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


def _is_error(measure: str) -> bool:
    return "error_" in measure and catalogue.describe(measure).unit == "share"


def _effect(rule: form.Rule, values: Sequence[float], scale: Scale) -> dict[str, Any]:
    """How far from the threshold, in standard deviations over seeds, both on the scale, corrected
    for their number (Hedges' g); near a published value, how much of the tolerance is used up."""
    n = len(values)
    match rule:
        case form.Above(threshold=threshold) | form.Below(threshold=threshold) if n > 1:
            mean, sd, (at,) = statistics.moments(values, (threshold,), scale)
            correction = 1 - 3 / (4 * (n - 1) - 1)
            if min(values) == max(values) or not sd:  # sd of equal ones may be a rounding
                return {}
            return {"effect": correction * (mean - at) / sd, "effect_is": "g"}
        case form.Near(value=value, tolerance=tolerance):
            off = abs(float(np.mean(values)) - value)
            return {"effect": off / tolerance, "effect_is": "of tolerance"}
    return {}


def _too_few(found: int, needed: int, of: str = "seed") -> str:
    return f"{counted(found, of)}, {needed} are needed"


def _why(reasons: Mapping[str, str], seeds: bool = False) -> str:
    """The reasons, each once; `seeds` says for which it is."""
    if not reasons:
        return "every seed here had been seen when the rule changed; others are needed"
    first, *others = dict.fromkeys(reasons.values())
    where = f"seed {', '.join(reasons)}: " if seeds else ""
    return f"{where}{first}" + (f" (and {len(others)} more)" if others else "")
