"""The deep belief network: its filters, its classifier, its depth, and its labels after up-down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.networks import images
from ebmrepro.report import figures, galleries, numbers, pictures, published
from ebmrepro.report.blocks import Block, Panel
from ebmrepro.report.figures import INK, Colours
from ebmrepro.report.gather import SHOWN, Array, Suite, System
from ebmrepro.report.words import Words

WORDS = Words("belief_network")
DEPTH = "hparams.layers"  # what variants differ in that differ in depth
Points = Sequence[tuple[float, Sequence[float]]]  # (layer, a value per seed)


def blocks(suite: Suite, colours: Colours) -> Sequence[Block]:
    """Of the system with a classifier, then of the one with labels in its top RBM."""
    shown: list[Block] = []
    if (system := _first(suite, "classifier")) is not None:
        colour = colours.of(system.name)
        shown += [
            *_filters(suite, system),
            *_fine_tuning(system, colour),
            *_gradients(system, colour),
            *_table("numbers", suite, system),
            *_by_depth(suite),
        ]
    if (system := _first(suite, "labels")) is not None:
        shown += [
            *_drawn_labels(suite, system),
            *_learning_labels(system, colours.of(system.name)),
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
    run = next((run for run in system.runs if run.filters is not None), None)
    if run is None or run.filters is None or suite.real is None:
        return []
    weights = pictures.filters(run.filters, suite.real.shape[1:], SHOWN)
    learnt, drawn = WORDS["filters"]["tiles"]
    sheet = [
        (learnt, images.grid(weights, 8)),
        (drawn, galleries.generated(system, SHOWN, 8)),
        (f"Real ({suite.evaluate['split']})", galleries.real(suite, SHOWN, 8)),
    ]
    shown = min(SHOWN, run.filters.shape[1])
    facts = {"sheet": sheet, "shown": shown, "seed": run.seed}
    return WORDS.gallery("filters", galleries.tiles(sheet), **facts)


def _fine_tuning(system: System, colour: str) -> Sequence[Block]:
    panels = [
        Panel(told["title"], partial(_start, pretrained, scratch, colour, told["axis"]))
        for told in WORDS["fine-tuning"]["panels"]
        if (pretrained := system.curves(f"{told['column']}/classifier"))
        and (scratch := system.curves(f"{told['column']}/scratch"))
    ]
    return WORDS.figure("fine-tuning", panels)


def _start(
    pretrained: Sequence[Array], scratch: Sequence[Array], colour: str, axis: str, ax: Axes
) -> None:
    lines = (scratch, INK, "random start"), (pretrained, colour, "pretrained start")
    figures.from_first(ax, *lines)
    figures.finish(ax, "epoch of fine-tuning", axis)


def _gradients(system: System, colour: str) -> Sequence[Block]:
    lines: list[tuple[Points, str, str]] = []
    for start, shade in (("random", INK), ("pretrained", colour)):
        prefix = f"grad_norm_{start}_"
        points = [
            (float(measure.removeprefix(prefix)), values)
            for measure in numbers.chosen([system], [prefix])
            if (values := system.values(measure))
        ]
        if points:
            lines.append((sorted(points, key=lambda point: point[0]), shade, f"{start} start"))
    panels = [Panel("Gradient norm by layer", partial(_layers, lines))] if lines else []
    return WORDS.figure("gradients", panels)


def _layers(lines: Sequence[tuple[Points, str, str]], ax: Axes) -> None:
    for points, colour, label in lines:
        figures.series(ax, points, colour, label)
    spread = figures.wide([np.array(v) for points, _, _ in lines for _, v in points], 12)
    figures.finish(ax, "layer of weights, 1 next to the pixels", "gradient norm", log=spread)


def _by_depth(suite: Suite) -> Sequence[Block]:
    """The DBN beside its variants of other depths, the shallowest first; nothing without any."""
    base = WORDS["methods"]["classifier"]
    family = [s for s in suite.systems if s.base == base and DEPTH in s.numbers]
    others = [s for s in family if {d.key for d in s.differences} - {"grids"} == {DEPTH}]
    if not others:
        return []
    family = [s for s in family if s.method or s in others]
    family.sort(key=lambda s: len(s.numbers[DEPTH]))
    titled = [replace(s, title=f"{s.title}: {_layers_of(s)}") for s in family]
    if len({published.share([s]) for s in titled}) > 1:
        titled = [replace(s, title=f"{s.title}; {published.share([s])}") for s in titled]
    return [
        numbers.table(*WORDS.heading(key), titled, columns, {})
        for key in ("depth", "depth-gradients")
        if (columns := numbers.chosen(titled, WORDS[key]["measures"]))
    ]


def _layers_of(system: System) -> str:
    return "-".join(str(width) for width in system.numbers[DEPTH])


# Labels ----------------------------------------------------------------------------------------


def _drawn_labels(suite: Suite, system: System) -> Sequence[Block]:
    """What is drawn for each label, a column each."""
    classes, run = len(suite.dataset.get("classes", ())), system.first
    if not classes or run is None:
        return []
    shown = SHOWN // classes * classes
    sheet = [(WORDS["labels"]["tile"], galleries.generated(system, shown, classes))]
    facts = {"sheet": sheet, "shown": shown, "seed": run.seed}
    return WORDS.gallery("labels", galleries.tiles(sheet), **facts)


def _learning_labels(system: System, colour: str) -> Sequence[Block]:
    curves = system.curves("error/label")
    steps = " then ".join(map(str, system.numbers.get("hparams.gibbs_steps", ())))
    draw = Panel("Error of inferred labels", partial(_label_error, (curves, colour, system.title)))
    return WORDS.figure("updown", [draw] if curves else [], steps=steps)


def _label_error(line: tuple[Sequence[Array], str, str], ax: Axes) -> None:
    figures.from_first(ax, line)
    figures.finish(ax, "epoch of up-down", "share of training images", legend=False)
