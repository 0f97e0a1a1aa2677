"""The section on one suite: what its systems draw, how they score, and what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ebmrepro.report import (
    belief_network,
    claims,
    curves,
    figures,
    galleries,
    numbers,
    published,
    words,
)
from ebmrepro.report.blocks import (
    Block,
    Cell,
    Command,
    Figure,
    Gallery,
    Panel,
    Section,
    Text,
    Tile,
    slug,
)
from ebmrepro.report.figures import Colours
from ebmrepro.report.gather import SHOWN, Run, Suite
from ebmrepro.report.words import Words

WORDS = Words("suite")
MEASURES = Words("measures")


def of_suite(suite: Suite, judged: Sequence[claims.Told] = ()) -> Section:
    """All there is of one suite; `judged` are the claims, for the numbers that papers print."""
    colours = Colours([system.name for system in suite.systems])
    top = slug(suite.name) or "suite"
    opening: list[Block] = []
    if suite.carried:
        opening.append(WORDS.text("carried", suite=suite.name))
        opening.append(Command(f"ebmrepro carry {suite.name}"))
    if suite.dataset:
        opening.append(Text(f"{suite.dataset['name']}. Licence: {suite.dataset['licence']}."))
    parts = WORDS.sections(
        top,
        published=published.rows(suite, judged) if suite.carried else [],
        samples=samples(suite),
        quality=quality(suite, colours),
        energies=[*curves.comparison(suite, colours), *curves.energies(suite, colours)],
        control=curves.control(suite, colours),
        histograms=curves.histograms(suite, colours),
        dbn=belief_network.blocks(suite, colours),
        variants=[*curves.sweeps(suite, colours), *variants(suite)],
        progress=progress(suite),
        measures=tables(suite),
        trainings=trainings(suite),
        protocol=protocol(suite),
    )
    named = [replace(part, blocks=[_named(top, block) for block in part.blocks]) for part in parts]
    return Section(top, suite.title, opening, named)


def _named(suite: str, block: Block) -> Block:
    """Figures of different suites lie in one folder."""
    drawn = isinstance(block, Figure | Gallery)
    return replace(block, name=f"{suite}-{block.name}") if drawn else block


def samples(suite: Suite) -> Sequence[Block]:
    sheet = [
        (f"Real ({suite.evaluate['split']})", galleries.real(suite, SHOWN, 8)),
        *((system.title, galleries.generated(system, SHOWN, 8)) for system in suite.systems),
    ]
    seed = next((s.first.seed for s in suite.systems if s.first is not None), "–")
    facts = {"shown": SHOWN, "generated": f"{suite.evaluate['generated']:,}", "seed": seed}
    return WORDS.gallery("samples", galleries.tiles(sheet), sheet=sheet, **facts)


def progress(suite: Suite) -> Sequence[Block]:
    found: list[Block] = []
    for system in suite.systems:
        run = next((run for run in system.runs if run.progress), None)
        if run is not None:
            tiles = [Tile(f"step {step:,}", png) for step, png in run.progress]
            title = f"{system.title}, seed {run.seed}"
            found.append(Gallery(f"progress-{system.name}", title, "", tiles))
    return [WORDS.text("progress"), *found] if found else []


# Measures --------------------------------------------------------------------------------------


def quality(suite: Suite, colours: Colours) -> Sequence[Block]:
    wanted = {key: WORDS[key]["measures"] for key in ("scores", "quality", "variety", "inception")}
    there = {key: numbers.chosen(suite.systems, measures) for key, measures in wanted.items()}
    of_inception = there["inception"] if there["inception"] != ["fid"] else []
    own = [m for m in there["quality"] if m not in of_inception]
    return [
        *WORDS.figure("scores", [p for m in there["scores"] for p in _dots(suite, colours, m)]),
        *numbers.of_suite(WORDS.heading("quality"), suite, own),
        *numbers.of_suite(WORDS.heading("variety"), suite, there["variety"]),
        *numbers.of_suite(WORDS.heading("inception"), suite, of_inception, words.OTHER_REAL),
        *_inception_note(suite),
    ]


def _inception_note(suite: Suite) -> Sequence[Block]:
    """The hash of the weights and what else is to be known, beside the numbers."""
    named = ("inception", "kid:", "fid published")
    lines = [line for line in numbers.protocol(suite) if line.startswith(named)]
    return [Text(WORDS["measured_in_inception"], lines)] if lines else []


def _dots(suite: Suite, colours: Colours, measure: str) -> Sequence[Panel]:
    rows = [
        (system.title, colours.of(system.name), values)
        for system in suite.systems
        if (values := system.values(measure))
    ]
    heading = numbers.column(measure)
    floor = suite.floor.get(measure)
    return [figures.dots(heading.title, rows, heading.small, floor)] if rows else []


def tables(suite: Suite) -> Sequence[Block]:
    """Every measure of the suite's files that `quality` does not show, in tables of a kind."""
    shown = {m for key in ("quality", "variety", "inception") for m in WORDS[key]["measures"]}
    kinds: dict[str, list[str]] = {kind: [] for kind in MEASURES}
    for measure in numbers.measures(suite.systems):
        if measure not in shown:
            kinds[_kind(measure)].append(measure)
    return [
        table
        for kind, own in kinds.items()
        for table in numbers.of_suite(MEASURES.heading(kind), suite, own)
    ]


def _kind(measure: str) -> str:
    """The table that a measure stands in."""
    fits = [
        (len(start), kind)
        for kind in MEASURES
        for start in MEASURES[kind]["measures"]
        if measure == start or (start[-1] == "_" and measure.startswith(start))
    ]
    return max(fits)[1] if fits else "others"


def protocol(suite: Suite) -> Sequence[Block]:
    lines = [*numbers.protocol(suite)]
    if suite.floor_protocol:
        lines.append(f"{words.REAL.lower()}: {suite.floor_protocol}")
    return [Text(WORDS["protocol"], lines)] if lines else []


# Trainings -------------------------------------------------------------------------------------


def variants(suite: Suite) -> Sequence[Block]:
    rows = [
        (
            system.title,
            [Cell(system.name), Cell(d.key), Cell(_shown(d.method)), Cell(_shown(d.variant))],
        )
        for system in suite.systems
        for d in system.differences
    ]
    return WORDS.table("variants", rows)


def _shown(value: object) -> str:
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def trainings(suite: Suite) -> Sequence[Block]:
    rows = [
        (
            f"{system.title}, seed {run.seed}",
            [*_training(run.training), *(_on(run) if suite.carried else [])],
        )
        for system in suite.systems
        for run in system.runs
    ]
    columns, times = WORDS.columns("trainings"), ""
    if suite.carried:
        columns += WORDS.columns("carried_trainings")
        times = f" {WORDS['carried_trainings']['times']}"
    return WORDS.table("trainings", rows, columns=columns, times=times)


def _training(told: Any) -> Sequence[Cell]:
    if told is None:
        return [Cell(numbers.NOT_RUN), Cell(""), Cell(""), Cell("")]
    players = ", ".join(f"{player} {n:,}" for player, n in sorted(told["parameters"].items()))
    epochs, steps = f"{told['epochs']:,}", f"{told['steps']:,}"
    return [Cell(epochs), Cell(steps), Cell(players), Cell(told["fingerprint"][:12])]


def _on(run: Run) -> Sequence[Cell]:
    """What a carried training ran on."""
    share, known = published.part(run), run.provenance or {}
    return [
        Cell(f"{100 * share:.3g} %" if share else numbers.NOT_APPLICABLE),
        Cell(*published.hardware([run])),
        Cell((known.get("commit") or numbers.NOT_APPLICABLE)[:12]),
    ]
