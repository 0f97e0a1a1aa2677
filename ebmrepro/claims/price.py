"""What it would cost to decide a claim that is undecided, from the records of its trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ebmrepro.claims import form, wording
from ebmrepro.claims.form import Claim
from ebmrepro.claims.measurements import Files, Missing
from ebmrepro.claims.verdict import OPEN, Part, speaks
from ebmrepro.runs.carried import counted


@dataclass(frozen=True)
class Price:
    """Trainings of each system behind a claim, and what they take one after the other."""

    seeds: int | None  # in all, the most that a part of the claim needs; None: no number tells
    more: int | None  # of them not trained yet, or not for long enough
    hours: float | None  # of one thread; None where no record says


def price(claim: Claim, parts: Sequence[Part], files: Files) -> Price | None:
    """Of an open claim; None where it is not, or nothing is trained."""
    if speaks([part.verdict for part in parts]) not in OPEN:
        return None
    opened = [part for part in parts if part.verdict in OPEN]
    statistics = [test.statistic for test in claim.tests]
    names = form.trained(statistics)
    if not names:
        return None
    if any(part.needed is None and part.n > 1 for part in opened):
        return Price(None, None, None)
    seeds = max([claim.seeds[files.suite], *(part.needed or 0 for part in opened)])
    short = any(part.verdict == "not yet" for part in opened)
    more = seeds if short else max(seeds - min(map(_trained, opened)), 0)
    each = [_hours(name, claim, files, whole=short) for name in names]
    known = [hours for hours in each if hours is not None]
    return Price(seeds, more, more * sum(known) if len(known) == len(each) else None)


def _trained(part: Part) -> int:
    """Seeds that a part has numbers of; those over all trainings are named `<system>-<seed>`."""
    known = [run for run, value in part.values.items() if value is not None]
    return len({run.rpartition("-")[2] for run in known})


def in_words(found: Price | None) -> str:
    if found is None:
        return ""
    if found.seeds is None or found.more is None:
        return "no number of seeds would tell"
    hours = "" if found.hours is None else f", {wording.hours(found.hours)} core-hours"
    return f"{counted(found.more, 'more seed')}{hours}, {found.seeds} in all"


def _hours(name: str, claim: Claim, files: Files, *, whole: bool) -> float | None:
    """Core-hours of one training as recorded; `whole`: of one that is long enough for the claim."""
    least, hours = claim.least, []
    for seed in files.seeds_among([name]):
        seconds = files.seconds(name, seed)
        try:
            fraction, steps = files.trained(name, seed)
        except Missing:
            continue
        if seconds is None:
            continue
        times = 1.0
        if whole and least and least.fraction and fraction:
            times = max(least.fraction / fraction, 1)
        elif whole and least and least.steps and steps:
            times = max(least.steps / steps, 1)
        hours.append(times * seconds / 3600)
    return sum(hours) / len(hours) if hours else None
