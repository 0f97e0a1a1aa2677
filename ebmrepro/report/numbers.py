"""Measurements over seeds as cells of tables: mean, interval, count, and what qualifies them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ebmrepro.metrics import catalogue
from ebmrepro.metrics.interval import Interval, interval
from ebmrepro.report import words
from ebmrepro.report.blocks import Cell, Column, Table
from ebmrepro.report.gather import Run, Suite, System

LEVEL = 0.95  # of every interval in the report

NOT_RUN = "not run here"
NOT_MEASURED = "not measured"
NOT_APPLICABLE = "–"


def over_seeds(system: System, measure: str) -> Interval | None:
    """Mean and interval over the seeds that have the measure, None where none has."""
    values = system.values(measure)
    return interval(values, LEVEL) if values else None


def cell(values: Sequence[float], digits: int, missing: str = "–") -> Cell:
    """Mean over seeds with its interval, which a number that no seed moves has not."""
    if not values:
        return Cell(missing)
    found = interval(values, LEVEL)
    small = bounds(found, digits) if min(values) < max(values) else ""
    return Cell(number(found.mean, digits), small)


def mean(system: System, measure: str) -> Cell:
    """A measure of one system, to the decimals of the catalogue."""
    return cell(system.values(measure), catalogue.describe(measure).digits, NOT_MEASURED)


def measures(systems: Sequence[System]) -> Sequence[str]:
    """Every measure that any of these systems' files name, in the catalogue's order."""
    found = {key for system in systems for run in system.measured for key in _values(run)}
    return [*(m for m in catalogue.MEASURES if m in found), *sorted(found - {*catalogue.MEASURES})]


def number(value: float, digits: int) -> str:
    """`digits` decimals, more where they would round it to nothing; a real minus sign."""
    text = f"{value:,.{digits}f}"
    if value and not float(text.replace(",", "")):
        text = f"{value:.1e}"
    return text.replace("-", "−")


def bounds(found: Interval, digits: int) -> str:
    """`[low, high]`, nothing for a single seed."""
    if found.low is None or found.high is None:
        return ""
    return f"[{number(found.low, digits)}, {number(found.high, digits)}]"


def column(measure: str) -> Column:
    """A measure's heading: its label in words, its unit and direction."""
    told = catalogue.describe(measure)
    direction = f"{told.better} is better" if told.better in ("lower", "higher") else ""
    return Column(told.label, "; ".join(part for part in (told.unit, direction) if part))


def table(
    name: str,
    title: str,
    caption: str,
    systems: Sequence[System],
    columns: Sequence[str],
    floor: Mapping[str, float],
    real: str = words.REAL,
) -> Table:
    """Systems down, measures across, with the number of seeds of each system.

    Where `floor` has one of the measures, what real images score is the first row, called `real`.
    """
    notes = Notes()
    best = {measure: _best(systems, measure) for measure in columns}
    rows: list[tuple[str, Sequence[Cell]]] = []
    if any(measure in floor for measure in columns):
        rows.append((real, [*(_floor(floor, m) for m in columns), Cell(NOT_APPLICABLE)]))
    for system in systems:
        seeds = len(system.measured)
        if seeds:
            cells = [_cell(system, m, seeds, notes, system is best[m]) for m in columns]
        else:
            cells = [Cell(NOT_RUN) for _ in columns]
        rows.append((system.title, [*cells, Cell(str(seeds))]))
    headings = [*map(column, columns), Column("Seeds", "n")]
    return Table(name, title, caption, "System", headings, rows, notes.texts)


def of_suite(
    heading: tuple[str, str, str],
    suite: Suite,
    columns: Sequence[str],
    real: str = words.REAL,
) -> Sequence[Table]:
    """Only systems that have one of the measures: no row of dashes; nothing without any."""
    systems = [s for s in suite.systems if set(columns) & set(measures([s]))]
    return [table(*heading, systems, columns, suite.floor, real)] if systems else []


def chosen(systems: Sequence[System], wanted: Sequence[str]) -> Sequence[str]:
    """The measures of the systems that are `wanted` by name or, with _ at its end, by beginning."""
    there = measures(systems)
    return [m for w in wanted for m in there if m == w or (w[-1] == "_" and m.startswith(w))]


@dataclass
class Notes:
    """Notes under a table, each told once and cited by its number."""

    texts: list[str] = field(default_factory=list)

    def cite(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def protocol(suite: Suite) -> Sequence[str]:
    """What the suite's numbers were measured on, each line with the systems it does not hold for.

    Runs say it themselves; where they agree it is told once.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for system in suite.systems:
        for run in system.measured:
            for key, value in (run.measured or {}).get("protocol", {}).items():
                lines = told.setdefault((key, str(value)), [])
                if system.title not in lines:
                    lines.append(system.title)
    measured = [system.title for system in suite.systems if system.measured]
    return [
        f"{key.replace('_', ' ')}: {value}"
        + ("" if titles == measured else f" ({'; '.join(titles)})")
        for (key, value), titles in told.items()
    ]


def reasons(systems: Sequence[System], measure: str) -> Sequence[str]:
    """Why a measure is null, each reason once."""
    found = [
        (run.measured or {}).get("reasons", {}).get(measure) for s in systems for run in s.runs
    ]
    return list(dict.fromkeys(reason for reason in found if reason))


def _cell(system: System, measure: str, seeds: int, notes: Notes, best: bool) -> Cell:
    digits = catalogue.describe(measure).digits
    found = over_seeds(system, measure)
    cited = [notes.cite(remark) for remark in _remarks(system, measure)]
    if found is None:
        named = any(measure in _values(run) for run in system.measured)
        return Cell(NOT_MEASURED if named else NOT_APPLICABLE, notes=tuple(cited))
    small = bounds(found, digits)
    if found.n != seeds:
        small = f"{small} n = {found.n}".strip()
    return Cell(number(found.mean, digits), small, tuple(cited), best)


def _floor(floor: Mapping[str, float], measure: str) -> Cell:
    if measure not in floor:
        return Cell(NOT_APPLICABLE)
    return Cell(number(floor[measure], catalogue.describe(measure).digits))


def _remarks(system: System, measure: str) -> Sequence[str]:
    """Flags and reasons of a measure, with the seeds they hold for where not for all."""
    seeds: dict[str, list[int]] = {}
    label = catalogue.describe(measure).label
    for run in system.measured:
        for kind in ("reasons", "flags"):
            text = (run.measured or {}).get(kind, {}).get(measure)
            if text:
                seeds.setdefault(f"{label}: {text}", []).append(run.seed)
        if run.value(measure) is None and _values(run).get(measure) is not None:
            seeds.setdefault(f"{label}: not a finite number", []).append(run.seed)
    everyone = [run.seed for run in system.measured]
    return [
        text if which == everyone else f"{text} (seed {', '.join(map(str, which))})"
        for text, which in seeds.items()
    ]


def _best(systems: Sequence[System], measure: str) -> System | None:
    """The system whose interval lies wholly on the better side of every other's, if one does."""
    better = catalogue.describe(measure).better
    spans: list[tuple[float, float, System]] = []
    for system in systems:
        found = over_seeds(system, measure)
        if found is None:
            continue
        if found.low is None or found.high is None:
            return None
        low_is_good = (found.low, found.high) if better == "lower" else (-found.high, -found.low)
        spans.append((*low_is_good, system))
    if better is None or len(spans) < 2:
        return None
    spans.sort(key=lambda span: span[1])
    (_, high, first), *others = spans
    return first if all(high < low for low, _, _ in others) else None


def _values(run: Run) -> Mapping[str, float | None]:
    return (run.measured or {}).get("values", {})
