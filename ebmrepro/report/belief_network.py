"""The deep belief network: filters, classifier, depth, other starts, and labels after up-down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.networks import images
from ebmrepro.report import figures, galleries, numbers, pictures, published
from ebmrepro.report.blocks import Block, Panel
from ebmrepro.report.figures import INK, Line
from ebmrepro.report.gather import SHOWN, Suite, System
from ebmrepro.report.words import Words

WORDS = Words("belief_network")
DEPTH = "hparams.layers"  # what variants differ in that differ in depth


def blocks(suite: Suite) -> Sequence[Block]:
    """Of the system with a classifier, of that with other starts, and of that with labels."""
    shown: list[Block] = []
    if (system := _first(suite, "classifier")) is not None:
        colour = figures.colour(system.name)
        shown += [
            *_filters(suite, system),
            *_fine_tuning(system, colour),
            *_gradients(system, colour),
            *_table("numbers", suite, system),
            *_by_depth(suite),
        ]
    if (system := _first(suite, "starts")) is not None:
        columns = numbers.chosen([system], WORDS["starts"]["measures"])
        shown += [numbers.table(WORDS.heading("starts"), [system], columns)] if columns else []
    if (system := _first(suite, "labels")) is not None:
        shown += [
            *_drawn_labels(suite, system),
            *_learning_labels(system, figures.colour(system.name)),
            *_table("inference", suite, system),
        ]
    return shown


def _first(suite: Suite, what: str) -> System | None:
    """The first system of the method that has it."""
    return next((s for s in suite.systems if s.base == WORDS["methods"][what]), None)


def _table(key: str, suite: Suite, system: System) -> Sequence[Block]:
    columns = numbers.chosen([system], WORDS[key]["measures"])
    return numbers.of_suite(WORDS.heading(key), suite, columns)


# Classifier ------------------------------------------------------------------------------------


def _filters(suite: Suite, system: System) -> Sequence[Block]:
    run = system.first("filters")
    if run is None or run.filters is None or suite.real is None:
        return []
    weights = pictures.filters(run.filters, suite.real.shape[1:], SHOWN)
    learnt, drawn = WORDS["filters"]["tiles"]
    sheet = [
        (learnt, images.grid(weights, 8)),
        (drawn, galleries.generated(system, SHOWN, 8)),
        (f"Real ({suite.evaluate['split']})", galleries.real(suite, SHOWN, 8)),
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


def _drawn_labels(suite: Suite, system: System) -> Sequence[Block]:
    """What is drawn for each label, a column each."""
    classes, run = len(suite.dataset.get("classes", ())), system.first("generated")
    if not classes or run is None:
        return []
    shown = SHOWN // classes * classes
    sheet = [(WORDS["labels"]["tile"], galleries.generated(system, shown, classes))]
    tiles = galleries.tiles(sheet)
    return WORDS.gallery("labels", tiles, sheet=sheet, shown=shown, seed=run.seed)


def _learning_labels(system: System, colour: str) -> Sequence[Block]:
    if not (found := system.curves("error/label")):
        return []
    steps = " then ".join(map(str, system.numbers.get("hparams.gibbs_steps", ())))
    lines = figures.from_first(Line(found, colour, system.title))
    x, y = "epoch of up-down", "share of training images"
    panel = figures.over_epochs("Error of inferred labels", lines, x, y, legend=False)
    return WORDS.figure("updown", [panel], steps=steps)
