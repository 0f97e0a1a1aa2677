"""The report's sections in order, its summary and its glossary.

A part of the project with questions of its own adds its sections to `ITEMS`: a function from the
suites to their `Section`s, which shows nothing where no suite has what it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ebmrepro.metrics import catalogue
from ebmrepro.report import (
    autoencoder,
    claims,
    figures,
    galleries,
    grid,
    lecture,
    likelihoods,
    numbers,
    plane,
    published,
    tour,
    words,
)
from ebmrepro.report.blocks import Block, Cell, Command, Picture, Section, Table, Text, Told, slug
from ebmrepro.report.gather import Suite
from ebmrepro.report.suite import of_suite
from ebmrepro.report.words import Words
from ebmrepro.runs import carried

WORDS = Words("summary")

# What some suites were asked besides, one function a line.
ITEMS: Sequence[Callable[[Sequence[Suite]], Sequence[Section]]] = (
    autoencoder.section,
    likelihoods.section,
    grid.section,
    tour.section,
)


def sections(
    suites: Sequence[Suite],
    judged: Told | None = None,
    fundamentals: plane.Found | None = None,
) -> Sequence[Section]:
    """The whole report; `judged` is claims.json."""
    shown = [
        plane.section(fundamentals),
        *(of_suite(suite, judged["claims"] if judged else ()) for suite in suites if suite.paged),
        *(section for item in ITEMS for section in item(suites)),
        glossary(suites),
    ]
    trained = [suite for suite in suites if suite.systems]
    return [summary(trained), *_of_claims(suites, judged, shown), *shown]


def _of_claims(
    suites: Sequence[Suite], judged: Told | None, shown: Sequence[Section]
) -> Sequence[Section]:
    """Claims, and the lecture that they belong to, with links to what is shown elsewhere."""
    if not judged or not judged["claims"]:
        return []
    there = {at: title for section in shown for at, title in section.places.items()}
    names = [suite.name for suite in suites if not suite.carried]
    also = [suite.name for suite in suites if suite.carried]
    run_first = sorted(suites, key=lambda suite: suite.carried)
    systems = {suite.name: [system.name for system in suite.systems] for suite in run_first}
    return [
        claims.section(judged, names, there, also),
        lecture.section(judged["claims"], names, there, systems),
    ]


# Summary ---------------------------------------------------------------------------------------


def summary(suites: Sequence[Suite]) -> Section:
    systems = {s.base: s for suite in suites for s in suite.generators}
    methods = words.NAMES["methods"]
    what = [f"{s.title}: {methods.get(s.base, 'a method')}." for s in systems.values()]
    run = [suite for suite in suites if not suite.carried]
    blocks: list[Block] = [Text(WORDS["introduction"], what), *map(ran, suites)]
    for suite in run:
        blocks += [_headline(suite), *_classifier_note(suite), *_fid_note(suite)]
    blocks += [_overview(suites), WORDS.text("regenerate"), Command("make repro")]
    return Section("summary", "Summary", blocks)


def ran(suite: Suite) -> Text:
    runs = [run for system in suite.systems for run in system.runs]
    seeds = sorted({run.seed for run in runs})
    how = ""
    if suite.carried:
        machine, time = published.hardware(runs)
        how = WORDS["carried"].format(machine=machine) + (f" ({time})" if time else "")
    return WORDS.text(
        "ran",
        suite=suite.title,
        images=", ".join(f"{n:,} {split}" for split, n in suite.counts.items()) or "no",
        systems=carried.counted(len(suite.systems), "system"),
        seeds=f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}",
        done=sum(run.measured is not None for run in runs),
        trainings=carried.counted(len(runs), "training"),
        share=published.share(suite.systems),
        how=how,
    )


def _headline(suite: Suite) -> Table:
    wanted = WORDS["headline"]["measures"]
    columns = numbers.chosen(suite.systems, wanted) or wanted[:1]
    if any(system.values("fid") for system in suite.systems):
        columns = ["fid", *columns]
    heading = WORDS.heading("headline", slug(suite.name), suite=suite.title)
    return numbers.table(heading, suite.systems, columns, suite.rows)


def _overview(suites: Sequence[Suite]) -> Picture:
    """Real images and what each method of the run draws, a row for each suite."""
    columns = {s.name: s.title for suite in suites if not suite.carried for s in suite.generators}
    rows = []
    for suite in suites:
        if suite.carried and suite.name not in WORDS["overview"]["carried"]:
            continue
        row = [("Real", galleries.real(suite, galleries.FEW))]
        own = {system.name: system for system in suite.generators}
        for name, title in columns.items():
            drawn = galleries.generated(own[name], galleries.FEW) if name in own else None
            row.append((published.labelled(own[name]) if name in own else title, drawn))
        rows.append(row)
    heading = WORDS.heading("overview", shown=galleries.FEW)
    return Picture(*heading, figures.sheet(rows, "o")["png"])


def _classifier_note(suite: Suite) -> Sequence[Block]:
    """The DBN's own result, which the other systems have no column for."""
    told = []
    for system in suite.systems:
        for measure in WORDS["classifier"]["measures"]:
            if (found := numbers.over_seeds(system, measure)) is not None:
                digits = numbers.decimals(found, catalogue.describe(measure).digits)
                value = f"{numbers.number(found.mean, digits)} {numbers.bounds(found, digits)}"
                told.append(f"{numbers.column(measure).title.lower()} {value.strip()}")
    note = WORDS["classifier"]["note"].format(suite=suite.title, errors="; ".join(told))
    return [Text(note)] if told else []


def _fid_note(suite: Suite) -> Sequence[Block]:
    runs = [run for system in suite.systems for run in system.runs]
    why = dict.fromkeys(reason for run in runs if (reason := run.measurement.reasons.get("fid")))
    if not why or any(system.values("fid") for system in suite.systems):
        return []
    return [WORDS.text("fid", suite=suite.title, why="; ".join(why))]


# Glossary --------------------------------------------------------------------------------------


def glossary(suites: Sequence[Suite]) -> Section:
    rows = []
    for name in numbers.measures([system for suite in suites for system in suite.measured]):
        told = catalogue.describe(name)
        cells = (name, told.unit or "–", told.better or "–", told.protocol)
        rows.append((told.label, [Cell(text) for text in cells]))
    return Section("measures", "Measures and protocols", WORDS.table("glossary", rows))
