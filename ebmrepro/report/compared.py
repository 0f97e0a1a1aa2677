"""A comparison as a page of its own: what differs, measures, curves and images side by side."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ebmrepro.metrics import catalogue
from ebmrepro.metrics.interval import Interval
from ebmrepro.report import curves, figures, galleries, numbers, page, words
from ebmrepro.report.blocks import Block, Cell, Column, Command, Panel, Section, Text
from ebmrepro.report.comparison import WORDS, Comparison, Row, title
from ebmrepro.report.curves import ENERGIES
from ebmrepro.report.figures import Line
from ebmrepro.report.gather import SHOWN, Difference
from ebmrepro.system import atomic

FOLDER = Path("reports/comparisons")  # git ignores it
A, B = figures.PALETTE[2], figures.PALETTE[4]  # blue and vermilion, whatever the systems are
GENERATED = figures.DASHES[0]
LONGEST = 120  # letters of a file's name


def write(
    comparisons: Sequence[Comparison], asked: tuple[str, str], root: Path, name: str = ""
) -> Path:
    """The page of some comparisons under `root`, called `name` or by what was asked; its path."""
    name = re.sub(r"[^\w@.+-]+", "-", name or "--".join(asked), flags=re.ASCII)
    path = FOLDER / f"{name[:LONGEST]}.html"
    command = Command(f"ebmrepro compare {' '.join(asked)}")
    content = [_section(each, command, i) for i, each in enumerate(comparisons)]
    beside = path.with_suffix("")
    shutil.rmtree(root / beside, ignore_errors=True)
    files = {path: page.alone(WORDS["page"], content, path.stem).encode()}
    files |= {beside / file: data for file, data in page.files(content)}
    for place, data in files.items():
        with atomic.named_errors(root / place):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
        atomic.write(root / place, data)
    return path


def summary(found: Comparison) -> str:
    """How many measures tell the two apart."""
    tested = [row for row in found.rows if row.p is not None]
    if found.rows and all(row.said == "the same" for row in found.rows):
        return WORDS["summary"]["same"]
    if not tested:
        return WORDS["summary"]["single" if len(found.seeds) == 1 else "nothing"]
    clear = sum(row.said not in ("", "the same") for row in tested)
    facts = {"tested": len(tested), "clear": clear, "surest": len(found.surest)}
    return WORDS["summary"]["some" if clear else "none"].format(**facts)


def names(found: Comparison) -> tuple[str, str]:
    """Of both systems, apart from each other."""
    return title(found.a, found.b), title(found.b, found.a)


def mean(row: Row, found: Interval) -> Cell:
    """One side's mean with its interval, to the decimals of the catalogue, at most."""
    return _cell(found, catalogue.describe(row.measure).digits)


def effect(row: Row) -> Cell:
    """B against A: a ratio by its sign, a difference with its sign."""
    if row.ratio:
        return _cell(row.effect, 2, "×")
    return _cell(
        row.effect, catalogue.describe(row.measure).digits, "+" if row.effect.mean > 0 else ""
    )


def _cell(found: Interval, digits: int, sign: str = "") -> Cell:
    digits = numbers.decimals(found, digits)
    return Cell(f"{sign}{numbers.number(found.mean, digits)}", numbers.bounds(found, digits))


def _section(found: Comparison, command: Command, index: int) -> Section:
    a, b = names(found)
    seeds = ", ".join(map(str, found.seeds))
    facts = {"suite": found.a.suite.title, "n": _runs(len(found.seeds)), "seeds": seeds}
    at = f"{index}"
    blocks: list[Block] = [
        Text(
            WORDS["tagline"].format(**facts),
            [f"A: {a} ({found.a.name})", f"B: {b} ({found.b.name})"],
        ),
        Text(summary(found)),
        *_differences("parameters", found.parameters, at),
        *_differences("protocol", found.protocol, at),
        *WORDS.figure("effects", _effects(found), at),
        *_measures(found, at),
        *_refused(found),
        *_curves(found, at),
        *_samples(found, at),
        Text(WORDS["again"]),
        command,
    ]
    return Section(f"comparison-{index}", WORDS["title"].format(a=a, b=b), blocks)


def _runs(n: int) -> str:
    return f"{n} runs of each" if n > 1 else "one run of each"


def _differences(key: str, found: Sequence[Difference], at: str) -> Sequence[Block]:
    rows = [
        (each.key, [Cell(words.value(each.method)), Cell(words.value(each.variant))])
        for each in found
    ]
    if not rows and key == "parameters":
        return [Text(WORDS[key]["none"])]
    return WORDS.table(key, rows, at)


def _measures(found: Comparison, at: str) -> Sequence[Block]:
    told, rows = WORDS["columns"], []
    for row in found.rows:
        own, sure = (mean(row, each) for each in (row.a, row.b)), row in found.surest
        main, last = effect(row), Cell(row.said or numbers.NOT_APPLICABLE, best=sure)
        label = catalogue.describe(row.measure).label
        rows.append((label, [*own, Cell(main.main, main.small, best=sure), last]))
    columns = [Column(told[key]) for key in ("a", "b", "effect", "said")]
    return WORDS.table("measures", rows, at, columns)


def _refused(found: Comparison) -> Sequence[Block]:
    lines = [
        WORDS["not_compared"]["line"].format(
            reason=reason, measures=", ".join(catalogue.describe(name).label for name in measures)
        )
        for reason, measures in found.refused.items()
    ]
    return [Text(WORDS["not_compared"]["title"], lines)] if lines else []


def _effects(found: Comparison) -> Sequence[Panel]:
    """The headline measures, a panel for ratios and one for each difference."""
    rows = [
        row for name in WORDS["effects"]["measures"] for row in found.rows if row.measure == name
    ]
    panels = []
    for row in rows:
        heading = numbers.column(row.measure)
        axis = "B / A" if row.ratio else "B − A"
        dots = [("", B, list(row.by_seed.values()))]
        panels += figures.dots(heading.title, dots, axis, row.none, row.effect.scale)
    return panels


def _curves(found: Comparison, at: str) -> Sequence[Block]:
    told = WORDS["curves"]
    shared = found.a.unit == found.b.unit
    panels = [*_energies(found, shared), *_ratios(found)]
    for column, heading, axis in _columns():
        if lines := _lines(found, column):
            log = figures.wide([curve for line in lines for curve in line.curves], 50)
            panels.append(figures.over_epochs(heading, lines, "epoch", axis, log=log))
    return WORDS.figure("curves", panels, at, units="" if shared else told["units"])


def _columns() -> Iterator[tuple[str, str, str]]:
    """Column of curves.csv, what its panel is called and its axis."""
    for each in curves.WORDS["control"]["panels"]:
        yield each["column"], each["title"], each["axis"]
    for column in WORDS["curves"]["more"]:
        yield column, WORDS["curves"]["other"].format(column=column), column


def _energies(found: Comparison, shared: bool) -> Iterator[Panel]:
    real, fake = (_lines(found, column) for column in ENERGIES)
    if not real or not fake:
        return
    groups = (
        [(WORDS["curves"]["energy"], 0, 2)]
        if shared
        else [(name, i, i + 1) for i, name in enumerate(names(found))]
    )
    for heading, first, end in groups:
        pairs = zip(real[first:end], fake[first:end], strict=False)
        lines = [
            line._replace(dash=dash, label=f"{line.label}, {kind}")
            for pair in pairs
            for line, kind, dash in zip(pair, ("real", "generated"), ("-", GENERATED), strict=True)
        ]
        if lines:
            side = (found.a, found.b)[first]
            axis = words.energy_axis(side.system.numbers.get("hparams.reduction"))
            log = figures.wide([curve for line in lines for curve in line.curves], 30)
            yield figures.over_epochs(heading, lines, "epoch", axis, log=log)


def _ratios(found: Comparison) -> Iterator[Panel]:
    """Generated over real, which has no unit."""
    real, fake = (_lines(found, column) for column in ENERGIES)
    if len(real) == len(fake) == 2:
        lines = [
            f._replace(curves=[y / x for x, y in zip(r.curves, f.curves, strict=True)])
            for r, f in zip(real, fake, strict=True)
        ]
        heading, axis = WORDS["curves"]["ratio"], WORDS["curves"]["ratio_axis"]
        yield figures.over_epochs(heading, lines, "epoch", axis, [(1.0, "")])


def _lines(found: Comparison, column: str) -> list[Line]:
    """A and B, those of them that measured the column."""
    lines = []
    for i, (label, colour) in enumerate((("A", A), ("B", B))):
        paired = replace((found.a, found.b)[i].system, runs=[pair[i] for pair in found.runs])
        if known := paired.curves(column):
            lines.append(Line(known, colour, label))
    return lines


def _samples(found: Comparison, at: str) -> Iterator[Block]:
    """A row of A and a row of B, so that a seed stands over itself; then real images."""
    told = WORDS["samples"]
    for i, (letter, name) in enumerate(zip("AB", names(found), strict=True)):
        sheet = [
            (told["tile"].format(side=letter, seed=run.seed), galleries.square(run.generated))
            for run in (pair[i] for pair in found.runs)
        ]
        yield from WORDS.gallery(
            "samples", galleries.tiles(sheet), f"{at}-{letter}", side=letter, name=name, shown=SHOWN
        )
    real = galleries.tiles([(told["real"], galleries.real(found.a.suite))])
    yield from WORDS.gallery("real", real, at, shown=SHOWN)
