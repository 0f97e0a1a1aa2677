"""The deep belief network: filters, classifier, depth, other starts, and labels after up-down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.networks import images
from ebmrepro.report import figures, galleries, numbers, pictures, published
from ebmrepro.report.blocks import Block, Cell, Panel
from ebmrepro.report.figures import INK, MUTED, Line
from ebmrepro.report.gather import SHOWN, Array, Run, Suite, System
from ebmrepro.report.words import Words

WORDS = Words("belief_network")
DEPTH = "hparams.layers"  # what variants differ in that differ in depth
COLUMNS, LINE = 10, 1.45  # of pictures in a gallery, and the height of a line of them in pictures


def blocks(suite: Suite) -> Sequence[Block]:
    """Of the system with a classifier, of that with other starts, and of that with labels."""
    shown: list[Block] = []
    if (system := _first(suite, "classifier")) is not None:
        colour = figures.colour(system.name)
        columns = numbers.chosen([system], WORDS["numbers"]["measures"])
        shown += [
            *_filters(suite, system),
            *_fine_tuning(system, colour),
            *_gradients(system, colour),
            *numbers.of_suite(WORDS.heading("numbers"), suite, columns),
            *_by_depth(suite),
        ]
    if (system := _first(suite, "starts")) is not None:
        columns = numbers.chosen([system], WORDS["starts"]["measures"])
        shown += [numbers.table(WORDS.heading("starts"), [system], columns)] if columns else []
    if (system := _first(suite, "labels")) is not None:
        shown += [
            *_in_mind(system),
            *_learning_labels(system, figures.colour(system.name)),
        ]
    shown += _beside(suite)
    if system is not None:
        shown += _mistaken(system)
    return shown


def _first(suite: Suite, what: str) -> System | None:
    """The first system of the method that has it."""
    return next((s for s in suite.systems if s.base == WORDS["methods"][what]), None)


# Classifier ------------------------------------------------------------------------------------


def _filters(suite: Suite, system: System) -> Sequence[Block]:
    run = system.first("filters")
    if run is None or run.filters is None or suite.real is None:
        return []
    weights = pictures.filters(run.filters, suite.real.shape[1:], SHOWN)
    learnt, drawn = WORDS["filters"]["tiles"]
    sheet = [
        (learnt, galleries.square(weights)),
        (drawn, galleries.generated(system)),
        (f"Real ({suite.evaluate['split']})", galleries.real(suite)),
    ]
    shown, tiles = min(SHOWN, run.filters.shape[1]), galleries.tiles(sheet)
    return WORDS.gallery("filters", tiles, sheet=sheet, shown=shown, seed=run.seed)


def _fine_tuning(system: System, colour: str) -> Sequence[Block]:
    panels = []
    for told in WORDS["fine-tuning"]["panels"]:
        ways = [system.curves(f"{told['column']}/{start}") for start in ("classifier", "scratch")]
        if all(ways):
            lines = figures.starts(colour, *ways)
            x, y = "epoch of fine-tuning", told["axis"]
            panels.append(figures.over_epochs(told["title"], lines, x, y))
    return WORDS.figure("fine-tuning", panels)


def _gradients(system: System, colour: str) -> Sequence[Block]:
    lines: list[tuple[figures.Points, str, str]] = []
    for start, shade in (("random", INK), ("pretrained", colour)):
        prefix = f"grad_norm_{start}_"
        points = [
            (int(measure.removeprefix(prefix)), values)
            for measure in numbers.chosen([system], [prefix])
            if (values := system.values(measure))
        ]
        if points:
            lines.append((sorted(points), shade, f"{start} start"))

    def draw(ax: Axes) -> None:
        for points, shade, label in lines:
            figures.series(ax, points, shade, label)
        spread = figures.wide([np.array(v) for points, _, _ in lines for _, v in points], 12)
        figures.finish(ax, "layer of weights, 1 next to the pixels", "gradient norm", log=spread)

    return WORDS.figure("gradients", [Panel("Gradient norm by layer", draw)] if lines else [])


def _by_depth(suite: Suite) -> Sequence[Block]:
    """The DBN beside its variants of other depths, the shallowest first; nothing without any."""
    base = WORDS["methods"]["classifier"]
    family = [s for s in suite.systems if s.base == base and DEPTH in s.numbers]
    others = [s for s in family if {d.key for d in s.differences} - {"grids"} == {DEPTH}]
    if not others:
        return []
    family = [s for s in family if s.method or s in others]
    family.sort(key=lambda s: len(s.numbers[DEPTH]))
    titled = [
        replace(s, title=f"{s.title}: {'-'.join(map(str, s.numbers[DEPTH]))}") for s in family
    ]
    if len({published.share([s]) for s in titled}) > 1:
        titled = [replace(s, title=f"{s.title}; {published.share([s])}") for s in titled]
    return [
        numbers.table(WORDS.heading(key), titled, columns)
        for key in ("depth", "depth-gradients")
        if (columns := numbers.chosen(titled, WORDS[key]["measures"]))
    ]


# Labels ----------------------------------------------------------------------------------------


def _in_mind(system: System) -> Sequence[Block]:
    """What is drawn for each label, a row each: samples, and a chain as it goes."""
    if (run := system.first("labels")) is None:
        return []
    told, found, steps = WORDS["labels"], run.labels, f"{int(run.labels['sample_steps']):,}"
    looks = [f"{int(steps):,}" for steps in found["chain_steps"]]
    panels = [
        Panel(told[kind].format(steps=steps), partial(_rows, found[kind], heads), 4.55, left=0.35)
        for kind, heads in (("samples", ()), ("chains", looks))
    ]
    return WORDS.figure("labels", panels, steps=steps, seed=run.seed)


def _rows(shown: Array, heads: Sequence[str], ax: Axes) -> None:
    """Images, uint8 (rows, columns, C, H, W), a row for each label; `heads` stand under columns."""
    rows, columns = shown.shape[:2]
    whole = images.grid(shown.reshape(-1, *shown.shape[2:]), columns)
    figures.picture(ax, whole, extent=(0, columns, -rows, 0))
    for label in range(rows):
        ax.text(-0.2, -label - 0.5, str(label), ha="right", va="center", fontsize=9)
    for i, head in enumerate(heads):
        ax.text(i + 0.5, -rows - 0.1, head, ha="center", va="top", fontsize=8, color=MUTED)
    _bare(ax, columns, rows)


def _mistaken(system: System) -> Sequence[Block]:
    """The test images that each way to infer a label gets wrong, and those hardly right."""
    if (run := system.first("labels")) is None:
        return []
    told = WORDS["mistaken"]
    lists = {name: title for name, title in told["lists"].items() if len(run.labels[name])}
    panels = [_gallery(run, name, title, told["most"]) for name, title in lists.items()]
    return WORDS.figure("mistaken", panels, seed=run.seed, most=told["most"])


def _gallery(run: Run, name: str, title: str, most: int) -> Panel:
    """The first images of a list, each above its label and the other one."""
    listed = run.labels[name]
    shown = listed[:most]
    kept = dict(zip(run.labels["numbers"].tolist(), run.labels["pictures"], strict=True))
    lines = [shown[i : i + COLUMNS] for i in range(0, len(shown), COLUMNS)]

    def draw(ax: Axes) -> None:
        for top, line in zip(np.arange(len(lines)) * -LINE, lines, strict=True):
            strip = images.grid(np.stack([kept[number] for number in line[:, 0]]), len(line))
            figures.picture(ax, strip, extent=(0, len(line), top - 1, top))
            for i, (_, label, other) in enumerate(line):
                ax.text(i + 0.5, top - 1.05, f"{label}→{other}", ha="center", va="top", fontsize=8)
        _bare(ax, COLUMNS, LINE * len(lines))

    height = figures.TOP + figures.BOTTOM + LINE * len(lines) * figures.WIDTH / COLUMNS
    return Panel(f"{title}: {len(shown)} of {len(listed):,}", draw, height, left=0.12)


def _bare(ax: Axes, columns: float, rows: float) -> None:
    """Pictures in their own proportions from the top left, whatever room a sheet has."""
    ax.set_xlim(0, columns)
    ax.set_ylim(-rows, 0)
    ax.set_aspect("equal", anchor="NW")
    ax.set_axis_off()


def _learning_labels(system: System, colour: str) -> Sequence[Block]:
    if not (found := system.curves("error/label")):
        return []
    steps = " then ".join(map(str, system.numbers.get("hparams.gibbs_steps", ())))
    lines = figures.from_first(Line(found, colour, system.title))
    x, y = "epoch of up-down", "share of training images"
    panel = figures.over_epochs("Error of inferred labels", lines, x, y, legend=False)
    return WORDS.figure("updown", [panel], steps=steps)


# Beside others ---------------------------------------------------------------------------------


def _beside(suite: Suite) -> Sequence[Block]:
    """The paper's table of test errors: what it prints, and what was measured on one split."""
    told = WORDS["beside"]
    there = {system.name: system for system in suite.measured}
    if not any(there[name].measured for name in told["asks"] if name in there):
        return []
    rows = []
    for row in told["rows"]:
        paper, system = row["published"], there.get(row["of"])
        said = paper if isinstance(paper, str) else numbers.number(paper, 4)
        ours = [Cell(numbers.NOT_RUN), Cell(""), Cell("")]
        if system is not None and (values := system.values(row["measure"])):
            n, share = str(len(values)), published.share([system])
            ours = [numbers.mean(system, row["measure"]), Cell(n), Cell(share)]
        rows.append((row["label"], [Cell(said, row["sure"]), *ours]))
    counts = ", ".join(f"{n:,} {split}" for split, n in suite.counts.items())
    return WORDS.table("beside", rows, suite=suite.title, counts=counts)
