"""Two systems held against each other: parameters, and each measure's difference by seed.

Runs are paired by seed, as the claims pair them: both systems have drawn the same splits and start
from the same random numbers, so that what a seed does to both cancels. A measure on a scale of its
own is compared on it: by the ratio where numbers are positive and of any size (a distance), by the
difference elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ebmrepro.claims.statistics import ALPHA, holm, p_value
from ebmrepro.config.training import base
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.catalogue import ENERGY_UNIT, Scale
from ebmrepro.metrics.interval import Interval, fits, interval
from ebmrepro.report import numbers, words
from ebmrepro.report.gather import Difference, Run, Suite, System, differences, measured
from ebmrepro.report.words import Words
from ebmrepro.system.errors import UserError

WORDS = Words("comparison")
Said = Literal["better", "worse", "higher", "lower", "the same", ""]


@dataclass(frozen=True)
class Side:
    """A system as it was found: `place` is the revision or experiment, empty for this folder."""

    name: str  # as typed
    place: str
    suite: Suite
    system: System

    @property
    def unit(self) -> str:
        """Of its energies: how errors are summed up, else the method."""
        return str(self.system.numbers.get("hparams.reduction", self.system.base))

    @property
    def card(self) -> Mapping[str, Any]:
        """What the measures of its first run say of themselves."""
        return next((run.measured for run in self.system.measured if run.measured), {})


@dataclass(frozen=True)
class Row:
    """A measure of both systems."""

    measure: str
    a: Interval
    b: Interval
    by_seed: Mapping[int, float]  # B / A or B - A
    effect: Interval  # of these over seeds
    ratio: bool
    p: float | None  # of one side, against no effect; None of one seed

    @property
    def none(self) -> float:
        """The effect of two systems that are the same."""
        return 1.0 if self.ratio else 0.0

    @property
    def said(self) -> Said:
        """What B is to A; empty where no interval tells."""
        if all(value == self.none for value in self.by_seed.values()):
            return "the same"
        if self.effect.low is None or self.effect.high is None:
            return ""
        if self.effect.low <= self.none <= self.effect.high:
            return ""
        up, better = self.effect.low > self.none, catalogue.describe(self.measure).better
        if better is None:
            return "higher" if up else "lower"
        return "better" if up == (better == "higher") else "worse"


@dataclass(frozen=True)
class Comparison:
    """What is to be said of B against A."""

    a: Side
    b: Side

    @cached_property
    def seeds(self) -> Sequence[int]:
        """Those that both have; UserError where there is none."""
        own = [[run.seed for run in side.system.measured] for side in (self.a, self.b)]
        if not (both := sorted(set(own[0]) & set(own[1]))):
            told = "; ".join(
                f"{side.name} has {', '.join(map(str, seeds)) or 'none'}"
                for side, seeds in zip((self.a, self.b), own, strict=True)
            )
            raise UserError(
                f"{told}: no seed is measured of both; allowed are systems that share one"
            )
        return both

    @cached_property
    def runs(self) -> Sequence[tuple[Run, Run]]:
        """Paired by seed."""
        found = [{run.seed: run for run in side.system.runs} for side in (self.a, self.b)]
        return [(found[0][seed], found[1][seed]) for seed in self.seeds]

    @cached_property
    def parameters(self) -> Sequence[Difference]:
        """Keys in which the trainings differ, the part of the epochs that was run among them."""
        a, b = ({**side.system.numbers, **_budget(side)} for side in (self.a, self.b))
        return differences(a, b)

    @cached_property
    def protocol(self) -> Sequence[Difference]:
        """What was measured in another way."""
        a, b = (side.card.get("protocol", {}) for side in (self.a, self.b))
        return [
            Difference(key.replace("_", " "), a.get(key), b.get(key))
            for key in {**a, **b}
            if a.get(key) != b.get(key) and key != "trained"
        ]

    @cached_property
    def rows(self) -> Sequence[Row]:
        """Every measure that both have, in the catalogue's order; no refused one."""
        return list(self._rows())

    @cached_property
    def refused(self) -> Mapping[str, Sequence[str]]:
        """Reason -> measures that are not compared for it."""
        told: dict[str, list[str]] = {}
        for measure in self._both:
            if reason := self._why_not(measure):
                told.setdefault(reason, []).append(measure)
        return told

    @cached_property
    def surest(self) -> Sequence[Row]:
        """Rows that differ also after Holm's correction for all that were tested."""
        tested = sorted((row for row in self.rows if row.p is not None), key=lambda row: row.p or 0)
        kept = tested[: holm([row.p or 0.0 for row in tested], ALPHA)]
        return [row for row in kept if row.said not in ("", "the same")]

    @property
    def _both(self) -> Sequence[str]:
        a, b = (numbers.measures([side.system]) for side in (self.a, self.b))
        return [measure for measure in a if measure in b]

    def _rows(self) -> Iterator[Row]:
        for measure in self._both:
            pairs = {
                one.seed: (x, y)
                for one, other in self.runs
                if (x := one.value(measure)) is not None and (y := other.value(measure)) is not None
            }
            if not pairs or self._why_not(measure):
                continue
            own = catalogue.scale(measure)
            a, b = (interval([pair[i] for pair in pairs.values()], own) for i in (0, 1))
            yield Row(measure, a, b, *_effect(pairs, own))

    def _why_not(self, measure: str) -> str:
        """Why a measure of the two says nothing of one against the other; empty where it does."""
        if catalogue.describe(measure).unit == ENERGY_UNIT and self.a.unit != self.b.unit:
            return WORDS["refused"]["energy"].format(a=_unit(self.a), b=_unit(self.b))
        for key, marks in WORDS["held_to"].items():
            if not any(mark in measure for mark in marks):
                continue
            x, y = ({_told(run, key) for run in pair} for pair in zip(*self.runs, strict=True))
            if x != y:
                a, b = (", ".join(sorted(str(each)[:12] for each in side)) for side in (x, y))
                return WORDS["refused"][key].format(a=a, b=b)
            if (mine := _real(self.a)) != (theirs := _real(self.b)):
                return WORDS["refused"]["images"].format(a=str(mine)[:12], b=str(theirs)[:12])
        return ""


def of(a: tuple[Path, str, str, str], b: tuple[Path, str, str, str]) -> Comparison:
    """Of two systems, each (root, place, suite, system) as `pipeline.sides` finds them.

    Raises:
        UserError: a result cannot be read, or no seed is measured of both.
    """
    found = Comparison(_side(*a), _side(*b))
    assert found.seeds
    return found


def title(side: Side, other: Side) -> str:
    """A side's system in words, with its place where that is what tells the two apart."""
    told = words.system(side.system.name)
    if side.system.name != other.system.name:
        return told
    return f"{told} ({side.place or 'this folder'})"


def _side(root: Path, place: str, suite: str, system: str) -> Side:
    whole, found = measured(root, suite, system)
    name = f"{suite}/{system}" + (f"@{place}" if place else "")
    return Side(name, place, whole, found)


def _budget(side: Side) -> Mapping[str, Any]:
    """Epochs as they were run, where that was not all of them."""
    ran = side.card.get("budget", {}).get("epochs", {})
    return {f"{key} run": f"{n['run']} of {n['of']}" for key, n in ran.items()}


def _effect(
    pairs: Mapping[int, tuple[float, float]], own: Scale
) -> tuple[Mapping[int, float], Interval, bool, float | None]:
    """By seed, with its interval over seeds; whether it is a ratio; and its p."""
    ratio = own == "log" and all(min(pair) > 0 for pair in pairs.values())
    effects = {seed: y / x if ratio else y - x for seed, (x, y) in pairs.items()}
    scale: Scale = "log" if ratio else "atanh" if own == "logit" else "linear"
    values = list(effects.values())
    if not fits(scale, values):
        scale = "linear"
    found = interval(values, scale)
    if len(values) < 2:
        return effects, found, ratio, None
    return effects, found, ratio, p_value(values, 1.0 if ratio else 0.0, scale)


def _told(run: Run, key: str) -> str:
    """An entry of a run's protocol: a hash, or what stands before the word images."""
    return run.measurement.protocol.get(key, "none").partition(" images")[0]


def _real(side: Side) -> str | None:
    """The checksum of the real images of the split that is compared with."""
    splits, split = side.suite.dataset.get("splits", {}), side.suite.evaluate.get("split")
    return splits.get(split, {}).get("sha256")


def _unit(side: Side) -> str:
    told = words.NAMES["reductions"].get(side.unit)
    return f"{words.system(base(side.system.name))}: {told or 'an energy of its own'}"
