"""Measurements over seeds as cells of tables: mean, interval, count, and what qualifies them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ebmrepro.claims import wording
from ebmrepro.claims.form import NOT_RUN
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.catalogue import Scale
from ebmrepro.metrics.flags import COPIES
from ebmrepro.metrics.interval import Interval, interval
from ebmrepro.report.blocks import Cell, Column, Table
from ebmrepro.report.gather import Suite, System, extractor
from ebmrepro.system.errors import UserError

NOT_MEASURED = "not measured"
NOT_APPLICABLE = "–"
SMALLEST = 1e-4  # that is printed without a power of ten


def over_seeds(system: System, measure: str) -> Interval | None:
    """Mean and interval over the seeds that have the measure, None where none has."""
    values = system.values(measure)
    return interval(values, catalogue.scale(measure)) if values else None


def cell(
    values: Sequence[float], digits: int, missing: str = NOT_APPLICABLE, scale: Scale = "linear"
) -> Cell:
    """Mean over seeds with its interval, which a number that no seed moves has not."""
    if not values:
        return Cell(missing)
    found = interval(values, scale)
    digits = decimals(found, digits)
    small = bounds(found, digits) if min(values) < max(values) else ""
    return Cell(number(found.mean, digits), small)


def mean(system: System, measure: str) -> Cell:
    """A measure of one system, to the decimals of the catalogue."""
    digits, scale = catalogue.describe(measure).digits, catalogue.scale(measure)
    return cell(system.values(measure), digits, NOT_MEASURED, scale)


def measures(systems: Sequence[System]) -> Sequence[str]:
    """Every measure that any of these systems' files name, in the catalogue's order.

    Raises:
        UserError: the catalogue has no words for one.
    """
    found = {
        key: system.name
        for system in systems
        for run in system.measured
        for key in run.measurement.values
    }
    for name, system in found.items():
        try:
            catalogue.describe(name)
        except KeyError as error:
            raise UserError(f"results of {system}: {error.args[0]}") from None
    return [
        *(m for m in catalogue.MEASURES if m in found),
        *sorted({*found} - {*catalogue.MEASURES}),
    ]


def number(value: float, digits: int) -> str:
    """`digits` decimals, two figures where they would round it to nothing; a real minus sign."""
    text = f"{value:,.{digits}f}"
    if value and not float(text.replace(",", "")):
        small = abs(value) < SMALLEST
        text = f"{value:.1e}" if small else f"{value:.{wording.decimals(value, 2)}f}"
    return text.replace("-", "−")


def decimals(found: Interval, most: int) -> int:
    """At most so many, less where fewer say all that is known."""
    return wording.places(found.mean, found.low, found.high, most)


def bounds(found: Interval, digits: int) -> str:
    """`[low, high]`, nothing for a single seed."""
    if found.low is None or found.high is None:
        return ""
    return f"[{number(found.low, digits)}, {number(found.high, digits)}]"


def column(measure: str) -> Column:
    """A measure's heading: its label in words, its unit and direction."""
    told = catalogue.describe(measure)
    direction = f"{told.better} is better" if told.better else ""
    return Column(told.label, "; ".join(filter(None, (told.unit, direction))))


def seeds(system: System) -> Cell:
    """How many were measured."""
    return Cell(str(len(system.measured)))


def table(
    heading: tuple[str, str, str],
    systems: Sequence[System],
    columns: Sequence[str],
    fixed: Sequence[System] = (),
) -> Table:
    """Systems down, measures across, with the number of seeds of each system.

    First stand the rows of `fixed` that have one of the measures, which are no systems.
    """
    notes: list[str] = []
    best = {measure: _best(systems, measure) for measure in columns}
    rows: list[tuple[str, Sequence[Cell]]] = []
    for row in fixed:
        if any(row.values(measure) for measure in columns):
            cells = [_cell(row, measure, notes, False) for measure in columns]
            rows.append((row.title, [*cells, Cell(NOT_APPLICABLE)]))
    for system in systems:
        cells = [Cell(NOT_RUN) for _ in columns]
        if system.measured:
            cells = [_cell(system, m, notes, system is best[m]) for m in columns]
        rows.append((system.title, [*cells, seeds(system)]))
    headings = [*map(column, columns), Column("Seeds", "n")]
    return Table(*heading, "System", headings, rows, notes)


def of_suite(
    heading: tuple[str, str, str], suite: Suite, columns: Sequence[str]
) -> Sequence[Table]:
    """Only systems that have one of the measures: no row of dashes; nothing without any."""
    systems = [s for s in suite.systems if set(columns) & set(measures([s]))]
    return [table(heading, systems, columns, suite.rows)] if systems else []


def chosen(systems: Sequence[System], wanted: Sequence[str]) -> Sequence[str]:
    """The measures of the systems that are `wanted` by name or, with _ at its end, by beginning."""
    there = measures(systems)
    return [measure for name in wanted for measure in there if named(measure, name)]


def named(measure: str, name: str) -> bool:
    """By its name or, with _ at the end of `name`, by its beginning."""
    return measure == name or (name[-1] == "_" and measure.startswith(name))


def cite(notes: list[str], text: str) -> int:
    """The number of a note under a table, where each is told once."""
    if text not in notes:
        notes.append(text)
    return notes.index(text) + 1


def protocol(suite: Suite) -> Sequence[str]:
    """What the suite's numbers were measured on, each line with the systems it does not hold for.

    Runs say it themselves; where they agree it is told once.
    """
    told: dict[str, list[str]] = {}
    for system in suite.systems:
        lines = [line for run in system.measured for line in run.measurement.protocol.items()]
        for key, value in dict.fromkeys(lines):
            told.setdefault(f"{key.replace('_', ' ')}: {value}", []).append(system.title)
    measured = [system.title for system in suite.systems if system.measured]
    return [
        line if titles == measured else f"{line} ({'; '.join(titles)})"
        for line, titles in told.items()
    ]


def extractors(systems: Sequence[System]) -> Mapping[str, Sequence[str]]:
    """SHA-256 of the DBN in whose features systems were measured -> their titles."""
    found: dict[str, dict[str, None]] = {}
    for system in systems:
        for run in system.measured:
            if weights := extractor(run.measurement):
                found.setdefault(weights, {})[system.title] = None
    return {weights: [*titles] for weights, titles in found.items()}


def _cell(system: System, measure: str, notes: list[str], best: bool) -> Cell:
    found = over_seeds(system, measure)
    cited = tuple(cite(notes, remark) for remark in _remarks(system, measure))
    if found is None:
        applies = any(measure in run.measurement.values for run in system.measured)
        return Cell(NOT_MEASURED if applies else NOT_APPLICABLE, notes=cited)
    digits = decimals(found, catalogue.describe(measure).digits)
    small = bounds(found, digits)
    if found.n != len(system.measured):
        small = f"{small} n = {found.n}".strip()
    return Cell(number(found.mean, digits), small, cited, best)


def _remarks(system: System, measure: str) -> Sequence[str]:
    """Flags and reasons of a measure, with the seeds they hold for where not for all."""
    which: dict[str, list[int]] = {}
    label = catalogue.describe(measure).label
    for run in system.measured:
        told = run.measurement
        remarks = [told.reasons.get(measure), told.flags.get(measure)]
        if run.value(measure) is None and told.values.get(measure) is not None:
            remarks.append("not a finite number")
        for text in filter(None, remarks):
            which.setdefault(f"{label}: {text}", []).append(run.seed)
    everyone = [run.seed for run in system.measured]
    return [
        text if seeds == everyone else f"{text} (seed {', '.join(map(str, seeds))})"
        for text, seeds in which.items()
    ]


def _best(systems: Sequence[System], measure: str) -> System | None:
    """The system whose interval lies wholly on the better side of every other's, if one does; one
    that copies training images competes with none, nor do features of different DBNs."""
    better = catalogue.describe(measure).better
    if catalogue.in_dbn(measure) and len(extractors(systems)) > 1:
        return None
    spans: list[tuple[float, float, System]] = []
    for system in systems:
        copies = any(
            COPIES in str(flag)
            for run in system.measured
            for flag in run.measurement.flags.values()
        )
        if copies or (found := over_seeds(system, measure)) is None:
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
