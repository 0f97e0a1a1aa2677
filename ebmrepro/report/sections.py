"""The report's sections in order; each function turns results into blocks and may find nothing.

A part of the project with questions of its own adds its sections to `ITEMS`: a function from the
suites to their `Section`s, which shows nothing where no suite has what it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.metrics import catalogue
from ebmrepro.networks import images
from ebmrepro.report import (
    autoencoder,
    claims,
    figures,
    grid,
    lecture,
    likelihoods,
    numbers,
    pictures,
    plane,
    published,
    tour,
    words,
)
from ebmrepro.report.blocks import (
    Block,
    Cell,
    Column,
    Command,
    Figure,
    Gallery,
    Panel,
    Picture,
    Section,
    Table,
    Text,
    Tile,
    slug,
)
from ebmrepro.report.figures import INK, MUTED, Colours
from ebmrepro.report.gather import SHOWN, Array, Run, Suite, System
from ebmrepro.runs import carried

HEADLINE = ("fd_dbn", "precision_dbn", "recall_dbn", "classes_covered", "auroc_noise")
QUALITY = ("fd_dbn", "fd_dbn_untrained", "kd_dbn", "is_dbn", "fid")
INCEPTION = (  # with `fid`, of suites that ask for more than it
    "fid_published",
    "inception_score",
    "inception_score_sd",
    "kid",
    "precision_inception",
    "recall_inception",
)
VARIETY = ("precision_dbn", "recall_dbn", "classes_covered", "cos2_dbn", "cos2_code")
DOTS = ("fd_dbn", "kd_dbn", "is_dbn", "precision_dbn", "recall_dbn", "classes_covered")
DOTS += ("fid", "inception_score")
SWEPT = ("ratio", "recall_dbn", "precision_dbn", "classes_covered", "fd_dbn", "fid", "M_global")
HELD_EQUAL = ("gamma", "ratio")  # BEGAN holds the measure at the number
CLASSIFIER = ("error_pretrained", "error_random")
INFERENCE = ("error_greedy", "error_updown", "error_updown_averaged", "error_updown_sampled")
# Tables of one kind of measure each, by the beginning of its name; what none claims comes last.
TABLES = (
    (
        "energy",
        "Energies",
        "Mean energy by kind of image, on each system's own scale.",
        ("energy_",),
    ),
    ("gap", "Energy gaps", "How far above the test images' mean energy others lie.", ("gap_",)),
    (
        "auroc",
        "Energy as a detector",
        "How well energy alone tells an image of another kind from a test image: 1 always, 0.5 "
        "never, under 0.5 the wrong way round. For generated images 0.5 is the generator's aim.",
        ("auroc_",),
    ),
    (
        "state",
        "Where training ended",
        "What the algorithms steer by, after the last step.",
        ("ratio", "k", "margin", "M_global", "hinge_active", "reconstruction"),
    ),
    (
        "margin",
        "MAGAN's margin",
        "How often it moved, of how many chances, and what held it in the other epochs; several "
        "conditions can hold it at once.",
        ("chances", "updates", "stopped_by_"),
    ),
)
SPREAD = "energy_sd_"
DEPTH = "hparams.layers"  # what variants of the DBN change that differ in depth
DRAWN = (Figure, Gallery)

# What some suites were asked besides, one function a line.
ITEMS: Sequence[Callable[[Sequence[Suite]], Sequence[Section]]] = (
    autoencoder.section,
    likelihoods.section,
    grid.section,
)


def sections(
    suites: Sequence[Suite],
    judged: Sequence[claims.Told] = (),
    fundamentals: plane.Found | None = None,
) -> Sequence[Section]:
    """The whole report; `judged` are the claims of claims.json."""
    shown = [
        plane.section(fundamentals),
        *(of_suite(suite, judged) for suite in suites),
        *(section for item in ITEMS for section in item(suites)),
        *tour.section(suites),
        glossary(suites),
    ]
    return [summary(suites), *_of_claims(suites, judged, shown), *shown]


def _of_claims(
    suites: Sequence[Suite], judged: Sequence[claims.Told], shown: Sequence[Section]
) -> Sequence[Section]:
    """Claims, and the lecture that they belong to, with links to what is shown elsewhere."""
    if not judged:
        return []
    there = {at: title for section in shown for at, title in section.places.items()}
    names = [suite.name for suite in suites if not suite.carried]
    also = [suite.name for suite in suites if suite.carried]
    return [claims.section(judged, names, there, also), lecture.section(judged, names, there, also)]


def file_name(text: str) -> str:
    """Part of a file's name, whatever a variant is called: it leads to no other folder."""
    return re.sub(r"[^\w-]", "-", text, flags=re.ASCII)


# Summary ---------------------------------------------------------------------------------------


def summary(suites: Sequence[Suite]) -> Section:
    systems = {s.base: s for suite in suites for s in suite.generators}
    what = [f"{s.title}: {words.SYSTEMS.get(s.base, 'a method')}." for s in systems.values()]
    blocks: list[Block] = [
        Text(
            "An energy-based model gives every image a number, its energy: low for images like "
            "the data, high for all others. The systems below learn such an energy, a generator "
            "of images, or both. All were trained by the same loop and measured by the same code, "
            "several times each, from different random seeds.",
            what,
        ),
        *(Text(_ran(suite)) for suite in suites),
    ]
    run = [suite for suite in suites if not suite.carried]
    for suite in run:
        blocks.append(_headline(suite))
        blocks.extend([*_classifier_note(suite), *_fid_note(suite)])
    blocks.append(_overview(run))
    blocks += [
        Text(
            "Regenerate this report, and whatever it rests on that has changed (in the activated "
            "environment, dvc repro does the same):"
        ),
        Command("make repro"),
    ]
    return Section("summary", "Summary", blocks)


def _ran(suite: Suite) -> str:
    seeds = sorted({run.seed for system in suite.systems for run in system.runs})
    trainings = sum(len(system.runs) for system in suite.systems)
    done = sum(len(system.measured) for system in suite.systems)
    counts = ", ".join(f"{n:,} {split}" for split, n in suite.counts.items())
    how = f"over {published.share(suite.systems)} of the epochs in params.yaml"
    if suite.carried:
        runs = [run for system in suite.systems for run in system.runs]
        machine, time = published.hardware(runs)
        how += f"; carried, that is run before, on {machine}" + (f" ({time})" if time else "")
    return (
        f"{suite.title}: {counts or 'no'} images; {carried.counted(len(suite.systems), 'system')}, "
        f"variants included, from {'seed' if len(seeds) == 1 else 'seeds'} "
        f"{', '.join(map(str, seeds))}: {done} of {carried.counted(trainings, 'training')} "
        f"measured, {how}."
    )


def _headline(suite: Suite) -> Table:
    columns = [m for m in HEADLINE if m in numbers.measures(suite.systems)] or list(HEADLINE[:1])
    if any(numbers.over_seeds(system, "fid") for system in suite.systems):
        columns.insert(0, "fid")
    return numbers.table(
        "headline",
        f"{suite.title}: the numbers to look at first",
        "Mean over seeds, with its 95 % interval in brackets. Bold: better than every other "
        "system by more than the intervals. Fréchet distance sums up quality and variety; "
        "precision is about quality alone, recall and classes covered about variety alone.",
        suite.systems,
        columns,
        suite.floor,
    )


def _overview(suites: Sequence[Suite]) -> Picture:
    """Real images and each method's, a row for each suite."""
    rows = [
        [("Real", real_grid(suite, 25, 5))]
        + [(system.title, generated_grid(system, 25, 5)) for system in suite.generators]
        for suite in suites
    ]
    return Picture(
        "overview", "Real images and each system's", words.OVERVIEW, figures.sheet(rows, "o")["png"]
    )


def _classifier_note(suite: Suite) -> Sequence[Block]:
    """The DBN's own result, which the other systems have no column for."""
    told = []
    for system in suite.systems:
        for measure in CLASSIFIER:
            found = numbers.over_seeds(system, measure)
            if found is not None:
                digits = catalogue.describe(measure).digits
                value = f"{numbers.number(found.mean, digits)} {numbers.bounds(found, digits)}"
                told.append(f"{numbers.column(measure).title.lower()} {value.strip()}")
    if not told:
        return []
    return [Text(f"The DBN as a classifier of {suite.title}, as a share: {'; '.join(told)}.")]


def _fid_note(suite: Suite) -> Sequence[Block]:
    if any(numbers.over_seeds(system, "fid") for system in suite.systems):
        return []
    why = numbers.reasons(suite.systems, "fid")
    return [Text(f"FID on {suite.title}: {numbers.NOT_MEASURED}: {'; '.join(why)}.")] if why else []


# One suite -------------------------------------------------------------------------------------


def of_suite(suite: Suite, judged: Sequence[claims.Told] = ()) -> Section:
    """All there is of one suite; `judged` are the claims, for the numbers that papers print."""
    colours = Colours([system.name for system in suite.systems])
    top = slug(suite.name) or "suite"
    opening: list[Block] = []
    if suite.carried:
        opening.append(Text(words.CARRIED.format(suite=suite.name)))
        opening.append(Command(f"ebmrepro carry {suite.name}"))
    if suite.dataset:
        opening.append(Text(f"{suite.dataset['name']}. Licence: {suite.dataset['licence']}."))
    parts = [
        ("published", "Published numbers", published.rows(suite, judged) if suite.carried else []),
        ("samples", "Generated images", [samples(suite)]),
        ("quality", "Quality and variety", quality(suite, colours)),
        (
            "energies",
            "Energy over training",
            [*comparison(suite, colours), *energies(suite, colours)],
        ),
        ("control", "What the algorithms steer by", control(suite, colours)),
        ("histograms", "The energy of each kind of image", histograms(suite, colours)),
        ("dbn", "Deep belief network", [*belief_network(suite, colours), *up_down(suite, colours)]),
        ("variants", "Variants", [*sweeps(suite, colours), *variants(suite)]),
    ]
    folded = [
        ("progress", "Images over training", progress(suite)),
        ("measures", "All measures", tables(suite)),
        ("trainings", "Trainings", trainings(suite)),
        ("protocol", "Protocol", protocol(suite)),
    ]
    return Section(
        top,
        suite.title,
        opening,
        [
            Section(f"{top}-{part}", title, [_named(top, b) for b in blocks], folded=fold)
            for fold, group in ((False, parts), (True, folded))
            for part, title, blocks in group
            if blocks
        ],
    )


def _named(suite: str, block: Block) -> Block:
    """Figures of different suites lie in one folder."""
    return replace(block, name=f"{suite}-{block.name}") if isinstance(block, DRAWN) else block


def real_grid(suite: Suite, count: int, columns: int) -> Array | None:
    return None if suite.real is None else images.grid(suite.real[:count], columns)


def generated_grid(system: System, count: int, columns: int) -> Array | None:
    run = system.first
    if run is None or run.generated is None:
        return None
    return images.grid(run.generated[:count], columns)


def samples(suite: Suite) -> Gallery:
    tiles = [
        (f"Real ({suite.evaluate['split']})", real_grid(suite, SHOWN, 8)),
        *((system.title, generated_grid(system, SHOWN, 8)) for system in suite.systems),
    ]
    return Gallery(
        "samples",
        "Real and generated images",
        words.SAMPLES.format(
            shown=SHOWN,
            generated=f"{suite.evaluate['generated']:,}",
            seed=_first_seed(suite),
        ),
        [_tile(label, grid) for label, grid in tiles],
        tiles,
    )


def quality(suite: Suite, colours: Colours) -> Sequence[Block]:
    there = numbers.measures(suite.systems)
    panels = [panel for m in DOTS if (panel := _dots(suite, colours, m)) is not None]
    blocks: list[Block] = []
    if panels:
        blocks.append(
            Figure("scores", "System by system, seed by seed", words.QUALITY_FIGURE, panels)
        )
    of_inception = [m for m in ("fid", *INCEPTION) if m in there]
    if of_inception == ["fid"]:
        of_inception = []
    for name, title, caption, measures in (
        ("quality", "Distances and scores", words.QUALITY, QUALITY),
        ("variety", "Fidelity and variety", words.VARIETY, VARIETY),
    ):
        own = [m for m in measures if m in there and m not in of_inception]
        blocks.extend(_table(name, title, caption, suite, own))
    title = "In features of the Inception network"
    blocks += _table(
        "inception", title, words.INCEPTION, suite, of_inception, real=words.OTHER_REAL
    )
    return [*blocks, *_inception_note(suite)]


def _inception_note(suite: Suite) -> Sequence[Block]:
    """The hash of the weights and what else is to be known, beside the numbers."""
    named = ("inception", "kid:", "fid published")
    lines = [line for line in numbers.protocol(suite) if line.startswith(named)]
    return [Text(words.MEASURED_IN_INCEPTION, lines)] if lines else []


def _dots(suite: Suite, colours: Colours, measure: str) -> Panel | None:
    rows = []
    for system in suite.systems:
        found = numbers.over_seeds(system, measure)
        values = [v for run in system.runs if (v := run.value(measure)) is not None]
        if found is not None:
            rows.append((system.title, colours.of(system.name), values, found))
    if not rows:
        return None
    heading = numbers.column(measure)
    return figures.dots(heading.title, rows, heading.small, suite.floor.get(measure))


def energies(suite: Suite, colours: Colours) -> Sequence[Block]:
    systems = suite.with_curve("energy/real", "energy/fake")
    panels = [Panel(s.title, partial(_energy, s, colours)) for s in systems]
    caption = words.ENERGIES + words.expected(words.EXPECTED_ENERGIES, (s.base for s in systems))
    return [Figure("energies", "System by system", caption, panels)] if panels else []


def comparison(suite: Suite, colours: Colours) -> Sequence[Block]:
    there = {s.name: s for s in suite.with_curve("energy/real", "energy/fake")}
    if not all(name in there for name in words.COMPARED):
        return []
    panels = [Panel(there[n].title, partial(_energy, there[n], colours)) for n in words.COMPARED]
    title = " against ".join(there[name].title for name in words.COMPARED)
    return [Figure("comparison", f"{title}: energy over training", words.COMPARISON, panels)]


def _energy(system: System, colours: Colours, ax: Axes) -> None:
    real, fake = system.curves("energy/real"), system.curves("energy/fake")
    figures.band(ax, real, INK, "real")
    figures.band(ax, fake, colours.of(system.name), "generated")
    margin = system.hparam("margin")
    if margin is not None:
        figures.level(ax, margin, "margin m")
    axis = words.energy_axis(system.numbers.get("hparams.reduction"))
    figures.finish(ax, "epoch", axis, log=figures.wide([*real, *fake], 30))


def control(suite: Suite, colours: Colours) -> Sequence[Block]:
    panels = [
        Panel(title, partial(_lines, systems, colours, column, axis))
        for column, (title, axis) in words.CONTROLS.items()
        if (systems := suite.with_curve(column))
    ]
    held = [s for s in suite.with_curve("energy/real", "energy/fake") if s.hparam("gamma")]
    if held:
        panels.insert(0, Panel("Ratio of energies against γ", partial(_ratio, held, colours)))
    methods = (s.base for s in suite.systems)
    caption = words.CONTROL + words.expected(words.EXPECTED_CONTROL, methods)
    return [Figure("control", "Over training", caption, panels)] if panels else []


def _lines(systems: Sequence[System], colours: Colours, column: str, axis: str, ax: Axes) -> None:
    curves = [system.curves(column) for system in systems]
    for system, own in zip(systems, curves, strict=True):
        figures.band(ax, own, colours.of(system.name), system.title, colours.dash(system.name))
    figures.finish(ax, "epoch", axis, log=figures.wide([c for own in curves for c in own], 50))


def _ratio(systems: Sequence[System], colours: Colours, ax: Axes) -> None:
    for system in systems:
        ratios = [
            run.curves["energy/fake"] / run.curves["energy/real"]
            for run in system.runs
            if {"energy/fake", "energy/real"} <= run.curves.keys()
        ]
        colour, dash = colours.of(system.name), colours.dash(system.name)
        figures.band(ax, ratios, colour, system.title, dash)
    for gamma in sorted({system.hparam("gamma") or 0.0 for system in systems}):
        figures.level(ax, gamma, "")
        ax.annotate(
            f"γ = {gamma:g}",
            (1, gamma),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
            color=MUTED,
        )
    figures.finish(ax, "epoch", "E[D(G(z))] / E[D(x)]")


def histograms(suite: Suite, colours: Colours) -> Sequence[Block]:
    panels = []
    for system in suite.systems:
        rows = [
            (label, colours.of(system.name) if kind == "generated" else _shade(kind), seeds)
            for kind, label in words.IMAGE_SETS.items()
            if (seeds := [run.energies[kind] for run in system.runs if kind in run.energies])
        ]
        if rows:
            axis = words.energy_axis(system.numbers.get("hparams.reduction"))
            axis = words.FREE_ENERGIES.get(system.base, axis)
            panels.append(figures.ridges(system.title, rows, axis))
    if not panels:
        return []
    return [Figure("histograms", "Energies after training", words.HISTOGRAMS, panels)]


def _shade(kind: str) -> str:
    return INK if kind in ("train", "test") else MUTED


def sweeps(suite: Suite, colours: Colours) -> Sequence[Block]:
    """A figure for each number of a method that variants change alone."""
    found: list[Block] = []
    for system in suite.generators:
        keys: dict[str, list[System]] = {}
        for other in suite.systems:
            if other.base == system.base and len(other.differences) == 1:
                keys.setdefault(other.differences[0].key, []).append(other)
        for key, family in keys.items():
            if all(s.number(key) is not None for s in [system, *family]):
                ordered = sorted([system, *family], key=lambda s: s.number(key) or 0.0)
                found.extend(_sweep(ordered, key, colours))
    return found


def _sweep(family: Sequence[System], key: str, colours: Colours) -> Sequence[Block]:
    symbol, leaf = words.symbol(key), key.rpartition(".")[2]
    method = words.system(family[0].base)
    panels = []
    for measure in SWEPT:
        points = []
        for system in family:
            interval = numbers.over_seeds(system, measure)
            values = [v for run in system.runs if (v := run.value(measure)) is not None]
            if interval is not None:
                points.append((system.number(key), values, interval))
        if len(points) > 1:
            heading = numbers.column(measure)
            colour = colours.of(family[0].name)
            equal = (leaf, measure) == HELD_EQUAL
            draw = partial(_swept, points, colour, symbol, heading, equal)
            panels.append(Panel(heading.title, draw))
    if not panels:
        return []
    caption = words.SWEEP + words.SWEEPS.get(leaf, "")
    return [Figure(f"sweep-{family[0].base}-{leaf}", f"{method}: {symbol} varied", caption, panels)]


def _swept(points: Any, colour: str, symbol: str, heading: Column, equal: bool, ax: Axes) -> None:
    figures.series(ax, points, colour, heading.title)
    if equal:
        ends = [points[0][0], points[-1][0]]
        ax.plot(ends, ends, color=MUTED, linestyle=(0, (1, 2)))
    ax.set_xlabel(symbol)
    ax.set_ylabel(heading.small)


def variants(suite: Suite) -> Sequence[Block]:
    rows = [
        (
            system.title,
            [Cell(system.name), Cell(d.key), Cell(_shown(d.method)), Cell(_shown(d.variant))],
        )
        for system in suite.systems
        for d in system.differences
    ]
    if not rows:
        return []
    columns = [
        Column("Name in params.yaml"),
        Column("Key"),
        Column("Method has"),
        Column("Variant has"),
    ]
    return [
        Table(
            "variants",
            "What each variant changes",
            words.VARIANTS,
            "Variant",
            columns,
            rows,
            words=True,
        )
    ]


def _shown(value: object) -> str:
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def progress(suite: Suite) -> Sequence[Block]:
    galleries: list[Block] = []
    for system in suite.systems:
        run = next((run for run in system.runs if run.progress), None)
        if run is not None:
            tiles = [Tile(f"step {step:,}", png) for step, png in run.progress]
            title = f"{system.title}, seed {run.seed}"
            galleries.append(Gallery(f"progress-{system.name}", title, "", tiles))
    return [Text(words.PROGRESS), *galleries] if galleries else []


def tables(suite: Suite) -> Sequence[Block]:
    """Every measure of the suite's files, in tables of a kind."""
    left = [m for m in numbers.measures(suite.systems) if m not in (*QUALITY, *INCEPTION, *VARIETY)]
    found: list[Block] = []
    spread = [m for m in left if m.startswith(SPREAD)]
    left = [m for m in left if m not in spread]
    for name, title, caption, starts in TABLES:
        own = [m for m in left if any(m == s or (s[-1] == "_" and m.startswith(s)) for s in starts)]
        left = [m for m in left if m not in own]
        found.extend(_table(name, title, caption, suite, own))
    found[1:1] = _table(
        "spread", "Spread of energies", "Standard deviation over images.", suite, spread
    )
    return [*found, *_table("others", "Other measures", "Mean over seeds.", suite, left)]


def _table(
    name: str,
    title: str,
    caption: str,
    suite: Suite,
    measures: Sequence[str],
    real: str = words.FLOOR,
) -> Sequence[Block]:
    """Only systems that have one of the measures: no row of dashes."""
    systems = [s for s in suite.systems if set(measures) & set(numbers.measures([s]))]
    if not measures or not systems:
        return []
    return [numbers.table(name, title, caption, systems, measures, suite.floor, real)]


def trainings(suite: Suite) -> Sequence[Block]:
    rows = []
    for system in suite.systems:
        for run in system.runs:
            cells = [*_training(run.training), *(_on(run) if suite.carried else [])]
            rows.append((f"{system.title}, seed {run.seed}", cells))
    columns = [
        Column("Epochs"),
        Column("Steps"),
        Column("Parameters", "by player"),
        Column("Fingerprint", "first 12 digits"),
    ]
    caption = words.TRAININGS
    if suite.carried:
        columns += [Column("Share", "of the budget"), Column("Hardware and time"), Column("Commit")]
        caption += words.TIMES
    return [Table("trainings", "Trainings", caption, "Training", columns, rows, words=True)]


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


def protocol(suite: Suite) -> Sequence[Block]:
    lines = [*numbers.protocol(suite)]
    if suite.floor_protocol:
        lines.append(f"{words.FLOOR.lower()}: {suite.floor_protocol}")
    return [Text("What the numbers of this suite were measured on:", lines)] if lines else []


# The DBN ---------------------------------------------------------------------------------------


def belief_network(suite: Suite, colours: Colours) -> Sequence[Block]:
    system = next((s for s in suite.systems if s.base == "dbn"), None)
    if system is None:
        return []
    colour = colours.of(system.name)
    there = numbers.measures([system])
    errors = [m for m in there if m in CLASSIFIER or m.startswith(("free_energy", "pseudo"))]
    return [
        *_filters(suite, system),
        *_fine_tuning(system, colour),
        *_gradients(system, colour),
        *_table(
            "dbn",
            "The deep belief network in numbers",
            "Mean over seeds with its 95 % interval. The same classifier is fine-tuned from the "
            "DBN's weights and from random ones; free energies on training and test images drift "
            "apart when an RBM learns its training images by heart.",
            suite,
            errors,
        ),
        *_by_depth(suite),
    ]


def _by_depth(suite: Suite) -> Sequence[Block]:
    """The DBN beside its variants of other depths, the shallowest first; nothing without any."""
    family = [s for s in suite.systems if s.base == "dbn" and DEPTH in s.numbers]
    others = [s for s in family if {d.key for d in s.differences} - {"grids"} == {DEPTH}]
    family = [s for s in family if s.method or s in others]
    if not others:
        return []
    family.sort(key=lambda s: len(s.numbers[DEPTH]))
    titled = [replace(s, title=f"{s.title}: {_layers_of(s)}") for s in family]
    if len({published.share([s]) for s in titled}) > 1:
        titled = [replace(s, title=f"{s.title}; {published.share([s])}") for s in titled]
    there = numbers.measures(titled)
    blocks = []
    for name, title, caption, measures in (
        ("depth", "Test error by depth", words.DEPTH_ERRORS, CLASSIFIER),
        (
            "depth-gradients",
            "Gradients by depth",
            words.DEPTH_GRADIENTS,
            [m for m in there if m.startswith("grad_norm_")],
        ),
    ):
        if own := [m for m in measures if m in there]:
            blocks.append(numbers.table(name, title, caption, titled, own, {}))
    return blocks


def _layers_of(system: System) -> str:
    return "-".join(str(width) for width in system.numbers[DEPTH])


def _filters(suite: Suite, system: System) -> Sequence[Block]:
    run = next((run for run in system.runs if run.filters is not None), None)
    if run is None or run.filters is None or suite.real is None:
        return []
    weights = pictures.filters(run.filters, suite.real.shape[1:], SHOWN)
    tiles = [
        ("Filters of the first RBM", images.grid(weights, 8)),
        ("Generated by Gibbs sampling", generated_grid(system, SHOWN, 8)),
        (f"Real ({suite.evaluate['split']})", real_grid(suite, SHOWN, 8)),
    ]
    return [
        Gallery(
            "dbn-filters",
            "What the DBN has learnt, and what it generates",
            words.FILTERS.format(shown=min(SHOWN, run.filters.shape[1]), seed=run.seed),
            [_tile(label, grid) for label, grid in tiles],
            tiles,
        )
    ]


def _fine_tuning(system: System, colour: str) -> Sequence[Block]:
    panels = [
        Panel(title, partial(_start, pretrained, scratch, colour, axis))
        for kind, title, axis in (
            ("loss", "Classification loss, training images", "cross-entropy, nats"),
            ("error", "Classification error, training images", "share of images"),
        )
        if (pretrained := system.curves(f"{kind}/classifier"))
        and (scratch := system.curves(f"{kind}/scratch"))
    ]
    title = "Fine-tuning with and without pretraining"
    return [Figure("dbn-fine-tuning", title, words.FINE_TUNING, panels)] if panels else []


def _start(
    pretrained: Sequence[Array], scratch: Sequence[Array], colour: str, axis: str, ax: Axes
) -> None:
    """Both counted from the first epoch of fine-tuning, which follows the RBMs' own epochs."""
    first = min(int(np.flatnonzero(np.isfinite(c))[0]) for c in [*pretrained, *scratch])
    figures.band(ax, [c[first:] for c in scratch], INK, "random start")
    figures.band(ax, [c[first:] for c in pretrained], colour, "pretrained start")
    figures.finish(ax, "epoch of fine-tuning", axis)


def _gradients(system: System, colour: str) -> Sequence[Block]:
    lines = []
    for start, label, shade in (
        ("grad_norm_random_", "random start", INK),
        ("grad_norm_pretrained_", "pretrained start", colour),
    ):
        points = []
        for measure in numbers.measures([system]):
            found = numbers.over_seeds(system, measure) if measure.startswith(start) else None
            if found is not None:
                values = [v for run in system.runs if (v := run.value(measure)) is not None]
                points.append((float(measure.removeprefix(start)), values, found))
        if points:
            lines.append((sorted(points, key=lambda point: point[0]), shade, label))
    if not lines:
        return []
    draw = Panel("Gradient norm by layer", partial(_layers, lines))
    return [Figure("dbn-gradients", "Gradients by layer", words.GRADIENTS, [draw])]


def _layers(lines: Any, ax: Axes) -> None:
    for points, colour, label in lines:
        figures.series(ax, points, colour, label)
    spread = figures.wide([np.array(v) for points, _, _ in lines for _, v, _ in points], 12)
    figures.finish(ax, "layer of weights, 1 next to the pixels", "gradient norm", log=spread)


def up_down(suite: Suite, colours: Colours) -> Sequence[Block]:
    """The DBN that has labels: what it draws for each, and how it infers them."""
    system = next((s for s in suite.systems if s.base == "dbn_updown"), None)
    if system is None:
        return []
    errors = [m for m in numbers.measures([system]) if m in INFERENCE]
    table = _table("dbn-inference", "Labels by free energy", words.INFERENCE, suite, errors)
    return [*_drawn_labels(suite, system), *_learning_labels(system, colours), *table]


def _drawn_labels(suite: Suite, system: System) -> Sequence[Block]:
    classes, run = len(suite.dataset.get("classes", ())), system.first
    if not classes or run is None:
        return []
    shown = SHOWN // classes * classes
    tiles = [("One column for each label", generated_grid(system, shown, classes))]
    caption = words.LABELS.format(shown=shown, seed=run.seed)
    title = "What up-down generates for each label"
    return [Gallery("dbn-labels", title, caption, [_tile(*tile) for tile in tiles], tiles)]


def _learning_labels(system: System, colours: Colours) -> Sequence[Block]:
    curves = system.curves("error/label")
    if not curves:
        return []
    steps = " then ".join(map(str, system.numbers.get("hparams.gibbs_steps", ())))
    draw = Panel("Error of inferred labels", partial(_label_error, curves, system, colours))
    caption = words.UP_DOWN.format(steps=steps)
    return [Figure("dbn-updown", "Labels during up-down", caption, [draw])]


def _label_error(curves: Sequence[Array], system: System, colours: Colours, ax: Axes) -> None:
    first = min(int(np.flatnonzero(np.isfinite(c))[0]) for c in curves)
    figures.band(ax, [c[first:] for c in curves], colours.of(system.name), system.title)
    figures.finish(ax, "epoch of up-down", "share of training images", legend=False)


# Glossary --------------------------------------------------------------------------------------


def glossary(suites: Sequence[Suite]) -> Section:
    names = numbers.measures([system for suite in suites for system in suite.systems])
    rows = []
    for name in names:
        told = catalogue.describe(name)
        direction = told.better if told.better in ("lower", "higher") else "–"
        cells = [Cell(name), Cell(told.unit or "–"), Cell(direction), Cell(told.protocol)]
        rows.append((told.label, cells))
    columns = [
        Column("Name in files"),
        Column("Unit"),
        Column("Better"),
        Column("How it is measured"),
    ]
    table = Table("glossary", "Measures", words.GLOSSARY, "Measure", columns, rows, words=True)
    return Section("measures", "Measures and protocols", [table] if rows else [])


def _tile(label: str, grid: Array | None) -> Tile:
    png = None if grid is None else pictures.png(grid)
    return Tile(label, png, "" if png else numbers.NOT_RUN)


def _first_seed(suite: Suite) -> object:
    return next((s.first.seed for s in suite.systems if s.first is not None), "–")
