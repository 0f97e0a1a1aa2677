"""The section on one suite: what its systems draw, how they score, and what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ebmrepro.networks import images
from ebmrepro.report import (
    belief_network,
    curves,
    figures,
    galleries,
    numbers,
    pictures,
    published,
    words,
)
from ebmrepro.report.blocks import (
    Block,
    Captioned,
    Cell,
    Command,
    Gallery,
    Section,
    Text,
    Tile,
    Told,
    slug,
)
from ebmrepro.report.gather import SHOWN, Run, Suite
from ebmrepro.report.words import Words

WORDS = Words("suite")
TABLED = ("quality", "variety", "memorisation", "inception")  # tables of measures of `quality`
MEASURES = Words("measures")


def of_suite(suite: Suite, judged: Sequence[Told] = ()) -> Section:
    """All there is of one suite; `judged` are the claims, for the numbers that papers print."""
    top = slug(suite.name)
    tried = _tried(suite)
    share = published.share(suite.systems)
    opening: list[Block] = [Text(WORDS["tried"]["text"].format(share=share))] if tried else []
    if suite.dataset:
        opening.append(Text(f"{suite.dataset['name']}. Licence: {suite.dataset['licence']}."))
    parts = WORDS.sections(
        top,
        published=published.rows(suite, judged) if suite.carried else [],
        samples=samples(suite),
        quality=quality(suite),
        energies=[*curves.comparison(suite), *curves.energies(suite)],
        control=curves.control(suite),
        histograms=curves.histograms(suite),
        dbn=belief_network.blocks(suite),
        variants=[*curves.sweeps(suite), *variants(suite)],
        progress=progress(suite),
        paths=paths(suite),
        measures=tables(suite),
        trainings=trainings(suite),
        protocol=protocol(suite),
    )
    named = [
        replace(part, blocks=[_named(top, b) for b in part.blocks], folded=part.folded or tried)
        for part in [*_provenance(suite, top, share), *parts]
    ]
    return Section(top, suite.title, opening, named, folded=tried)


def _tried(suite: Suite) -> bool:
    """Whether it is carried and its trainings ran for next to nothing."""
    shares = [published.part(run) or 0 for system in suite.systems for run in system.measured]
    return suite.carried and sum(shares) < WORDS["tried"]["below"] * len(shares)


def _provenance(suite: Suite, top: str, share: str) -> Sequence[Section]:
    """One line on what carried results were made with, the rest behind it."""
    if not suite.carried:
        return []
    machine, time = published.hardware([run for system in suite.systems for run in system.runs])
    blocks = [
        WORDS.text("machine", machine=machine, time=time),
        WORDS.text("carried", suite=suite.name),
        Command(f"ebmrepro carry {suite.name}"),
    ]
    title = WORDS["badge"].format(share=share)
    return [Section(f"{top}-provenance", title, blocks, folded=True)]


def _named(suite: str, block: Block) -> Block:
    """Figures of different suites lie in one folder."""
    captioned = isinstance(block, Captioned)
    return replace(block, name=f"{suite}-{block.name}") if captioned else block


def samples(suite: Suite) -> Sequence[Block]:
    sheet = [
        (f"Real ({suite.evaluate['split']})", galleries.real(suite)),
        *((system.title, galleries.generated(system)) for system in suite.systems),
    ]
    seeds = [run.seed for s in suite.systems if (run := s.first("generated"))]
    facts = {"generated": f"{suite.evaluate['generated']:,}", "seed": next(iter(seeds), "–")}
    return WORDS.gallery("samples", galleries.tiles(sheet), sheet=sheet, shown=SHOWN, **facts)


def progress(suite: Suite) -> Sequence[Block]:
    found: list[Block] = []
    for system in suite.systems:
        if run := system.first("progress"):
            there = zip(run.progress["steps"], run.progress["images"], strict=True)
            tiles = [Tile(_at(run, step), pictures.png(images.grid(x, 5))) for step, x in there]
            title = f"{system.title}, seed {run.seed}"
            found.append(Gallery(f"progress-{system.name}", title, "", tiles))
    return [WORDS.text("progress"), *found] if found else []


def _at(run: Run, step: int) -> str:
    """A step, and where the method has such a measure, how far it says that training has come."""
    for column, symbol in WORDS["convergence"].items():
        if column in run.curves:
            measured = dict(zip(run.curves["step"], run.curves[column], strict=True))
            if step in measured:
                return f"step {step:,}, {symbol} {measured[step]:.3f}"
    return f"step {step:,}"


def paths(suite: Suite) -> Sequence[Block]:
    if not (asked := suite.evaluate.get("paths")):
        return []
    tiles = [
        Tile(s.title, pictures.png(run.paths))
        for s in suite.systems
        if (run := s.first("paths")) and run.paths is not None
    ]
    return WORDS.gallery("paths", tiles, **asked)


# Measures --------------------------------------------------------------------------------------


def quality(suite: Suite) -> Sequence[Block]:
    there = {
        key: numbers.chosen(suite.systems, WORDS[key]["measures"]) for key in ("scores", *TABLED)
    }
    scores = []
    for measure in there["scores"]:
        told = numbers.column(measure)
        copies = [v for row in suite.rows if row.name == "copies" for v in row.values(measure)]
        rows = [(s.title, figures.colour(s.name), s.values(measure)) for s in suite.systems]
        floor = copies[0] if copies else None
        scores += figures.dots(told.title, rows, told.small, floor, told.scale)
    # The hash of the weights and what else is to be known, beside the numbers.
    named = ("inception", "kid:", "fid ")
    note = [line for line in numbers.protocol(suite) if line.startswith(named)]
    if there["inception"] == ["fid"]:  # stands among the distances then
        there["inception"] = []
    there["quality"] = [m for m in there["quality"] if m not in there["inception"]]
    groups = numbers.extractors(suite.systems)
    mixed = [f"{weights[:8]}: {'; '.join(titles)}" for weights, titles in groups.items()]
    return [
        *(WORDS.lines("mixed", mixed) if len(mixed) > 1 else []),
        *WORDS.figure("scores", scores),
        *(t for key in TABLED for t in numbers.of_suite(WORDS.heading(key), suite, there[key])),
        *WORDS.lines("measured_in_inception", note),
    ]


def tables(suite: Suite) -> Sequence[Block]:
    """Every measure of the suite's files that `quality` does not show, in tables of a kind."""
    shown = {measure for key in TABLED for measure in WORDS[key]["measures"]}
    kinds: dict[str, list[str]] = {kind: [] for kind in MEASURES}
    for measure in numbers.measures(suite.systems):
        fits = [
            (len(name), kind)
            for kind in MEASURES
            for name in MEASURES[kind]["measures"]
            if numbers.named(measure, name)
        ]
        if measure not in shown:
            kinds[max(fits)[1] if fits else "others"].append(measure)
    return [
        table
        for kind, own in kinds.items()
        for table in numbers.of_suite(MEASURES.heading(kind), suite, own)
    ]


def protocol(suite: Suite) -> Sequence[Block]:
    lines = [*numbers.protocol(suite)]
    if suite.rows_protocol:
        lines.append(f"rows that are no system: {suite.rows_protocol}")
    return WORDS.lines("protocol", lines)


# Trainings -------------------------------------------------------------------------------------


def variants(suite: Suite) -> Sequence[Block]:
    rows = [
        (s.title, [*map(Cell, (s.name, d.key, words.value(d.method), words.value(d.variant)))])
        for s in suite.systems
        for d in s.differences
    ]
    return WORDS.table("variants", rows)


def trainings(suite: Suite) -> Sequence[Block]:
    notes: list[str] = []
    rows = [
        (
            f"{system.title}, seed {run.seed}",
            [*_training(run), *(_on(run, notes) if suite.carried else [])],
        )
        for system in suite.systems
        for run in system.runs
    ]
    columns, times = WORDS.columns("trainings"), ""
    if suite.carried:
        columns += WORDS.columns("carried_trainings")
        times = f" {WORDS['carried_trainings']['times']}"
    return WORDS.table("trainings", rows, columns=columns, notes=notes, times=times)


def _training(run: Run) -> Sequence[Cell]:
    if (told := run.training) is None:
        return [Cell(numbers.NOT_RUN), Cell(""), Cell(""), Cell("")]
    players = ", ".join(f"{player} {n:,}" for player, n in sorted(told["parameters"].items()))
    return [
        Cell(f"{told['epochs']:,}"),
        Cell(f"{told['steps']:,}", published.precision([run])),
        Cell(players),
        Cell(told["fingerprint"][:12]),
    ]


def _on(run: Run, notes: list[str]) -> Sequence[Cell]:
    """What a carried training ran on."""
    share, known = published.part(run), run.provenance or {}
    return [
        published.spent(f"{100 * share:.3g} %" if share else numbers.NOT_APPLICABLE, [run], notes),
        Cell(_short(known.get("commit"))),
    ]


def _short(commit: str | None) -> str:
    """The first signs of a commit, and whether its tree held other changes."""
    whole, dirty, _ = (commit or numbers.NOT_APPLICABLE).partition("-dirty")
    return whole[:12] + dirty
