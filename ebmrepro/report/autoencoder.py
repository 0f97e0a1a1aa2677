"""The section on the deep auto-encoder: its error beside PCA's, and images in two numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from ebmrepro.networks import images
from ebmrepro.report import figures, numbers
from ebmrepro.report.blocks import Block, Cell, Panel, Section, slug
from ebmrepro.report.figures import FONT, INK, MUTED, PALETTE
from ebmrepro.report.gather import Array, Suite, System
from ebmrepro.report.words import Words

WORDS = Words("autoencoder")
POINTS = 1000  # images of a scatter: the first, not picked
NUMERAL = 32  # points squared, of a numeral in it
# A class is told by its numeral; its colour, of which there are too few for ten, only helps.
CLASS_COLOURS = (*PALETTE, INK, MUTED)


def section(suites: Sequence[Suite]) -> Sequence[Section]:
    """One section over all suites in which an auto-encoder was held against PCA; or none."""
    blocks = [block for suite in suites for block in _of_suite(suite)]
    if not blocks:
        return []
    return [Section("autoencoder", WORDS["title"], [WORDS.text("introduction"), *blocks])]


def _of_suite(suite: Suite) -> Sequence[Block]:
    systems = [system for system in suite.systems if system.values(WORDS["errors"]["measures"][0])]
    at = f"{slug(suite.name)}-deep"
    learning = [panel for system in systems for panel in _learning(system)]
    rebuilt = [
        Panel(f"{system.title}, seed {run.seed}", partial(_rows, run.rebuilt), 2.1, left=1.0)
        for system in systems
        if (run := system.first("rebuilt"))
    ]
    return [
        *_errors(suite, systems, at),
        *_linear_codes(suite, at),
        *WORDS.figure("learning", learning, at),
        *WORDS.figure("reconstructions", rebuilt, at),
        *_plane(suite, systems, at),
    ]


def _errors(suite: Suite, systems: Sequence[System], at: str) -> Sequence[Block]:
    """The caption of the paper's Figure 2 as a table."""
    if not systems:
        return []
    measures = WORDS["errors"]["measures"]
    rows = [
        (network, [*cells, Cell(paper["epochs"]), Cell(numbers.NOT_APPLICABLE)])
        for network, paper, cells in _published("errors", suite, measures)
    ]
    rows += [
        (
            f"{system.title}: {_layers(suite, system)}",
            [*_means(system, measures), Cell(_epochs(system)), numbers.seeds(system)],
        )
        for system in systems
    ]
    columns = [*map(numbers.column, measures), *WORDS.columns("errors")]
    return WORDS.table("errors", rows, at, columns=columns, suite=suite.title)


def _linear_codes(suite: Suite, at: str) -> Sequence[Block]:
    """PCA and logistic PCA, which are the same whatever network stands beside them."""
    if suite.linear_codes is None:
        return []
    own = suite.linear_codes
    measures = [m for m in WORDS["linear"]["measures"] if own.values(m)]
    rows = [
        (network, [*cells, Cell(numbers.NOT_APPLICABLE)])
        for network, _, cells in _published("linear", suite, measures)
    ]
    rows.append((own.title, [*_means(own, measures), numbers.seeds(own)]))
    columns = [*map(numbers.column, measures), *WORDS.columns("linear")]
    return WORDS.table("linear", rows, at, columns=columns, suite=suite.title)


def _published(
    table: str, suite: Suite, measures: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, Any], Sequence[Cell]]]:
    """Row, entry and cells of what is published of a suite; nothing of many.

    Errors in another unit, in which `total_variance` is given, are brought into ours by it.
    """
    if (paper := WORDS[table]["published"].get(suite.name)) is None:
        return
    unit = 1.0
    if theirs := paper.get("total_variance"):
        ours = suite.linear_codes.values("total_variance") if suite.linear_codes else []
        if not ours:
            return
        unit = ours[0] / theirs
    cells = [
        Cell(numbers.number(paper[m] * unit, 2) if m in paper else numbers.NOT_APPLICABLE)
        for m in measures
    ]
    yield paper["network"], paper, cells


def _means(system: System, measures: Sequence[str]) -> Sequence[Cell]:
    return [numbers.mean(system, measure) for measure in measures]


def _epochs(system: System) -> str:
    told = [str(run.training["epochs"]) for run in system.measured if run.training is not None]
    return ", ".join(dict.fromkeys(told)) or numbers.NOT_APPLICABLE


def _layers(suite: Suite, system: System) -> str:
    pixels = [] if suite.real is None else [suite.real[0].size]
    return "-".join(map(str, [*pixels, *system.numbers.get("hparams.layers", ())]))


def _learning(system: System) -> Sequence[Panel]:
    ways = [system.curves(f"sum_sq/{start}") for start in ("pretrained", "scratch")]
    if not all(ways):
        return []
    levels = [
        (found.mean, label)
        for measure, label in WORDS["learning"]["levels"].items()
        if (found := numbers.over_seeds(system, measure)) is not None
    ]
    title = f"{system.title}: error over fine-tuning"
    lines = figures.starts(figures.colour(system.name), *ways)
    x, y = "epoch of fine-tuning", "squared error per image"
    return [figures.over_epochs(title, lines, x, y, levels, log=True)]


def _rows(rebuilt: Mapping[str, Array], ax: Axes) -> None:
    """A labelled row of pictures for each way of reconstruction."""
    ways = {way: label for way, label in WORDS["reconstructions"]["ways"].items() if way in rebuilt}
    count = len(next(iter(rebuilt.values())))
    for i, (way, label) in enumerate(ways.items()):
        row = images.grid(rebuilt[way], count)
        figures.picture(ax, row, extent=(0, count, -i - 0.96, -i), aspect="auto")
        ax.text(-0.15, -i - 0.5, label, ha="right", va="center", fontsize=8.5)
    ax.set_xlim(0, count)
    ax.set_ylim(-len(ways), 0)
    ax.set_axis_off()


# The plane -------------------------------------------------------------------------------------


def _plane(suite: Suite, systems: Sequence[System], at: str) -> Sequence[Block]:
    panels, rows, measures = [], [], WORDS["apart"]["measures"]
    for system in systems:
        if run := system.first("codes"):
            titles = {"code": f"{system.title}, seed {run.seed}", "pca": WORDS["codes"]["pca"]}
            panels += [
                Panel(title, partial(_scatter, run.codes[way], run.codes["labels"]), 4.2)
                for way, title in titles.items()
            ]
            rows.append((system.title, [*_means(system, measures), numbers.seeds(system)]))
    columns = [*map(numbers.column, measures), *WORDS.columns("apart")]
    return [
        *WORDS.figure("codes", panels, at, points=f"{POINTS:,}"),
        *WORDS.table("apart", rows, at, columns=columns, suite=suite.title),
    ]


def _scatter(codes: Array, labels: Array, ax: Axes) -> None:
    """The first images as numerals of their classes."""
    at, which = codes[:POINTS].astype(float), labels[:POINTS]
    for label in np.unique(which):
        own, colour = at[which == label], CLASS_COLOURS[label % len(CLASS_COLOURS)]
        ax.scatter(*own.T, s=NUMERAL, marker=_numeral(label), color=colour, alpha=0.8, linewidths=0)
    low, high = np.quantile(at, [0.002, 0.998], axis=0)
    margin = 0.05 * (high - low)
    ax.set_xlim(low[0] - margin[0], high[0] + margin[0])
    ax.set_ylim(low[1] - margin[1], high[1] + margin[1])
    ax.set_xlabel("first number")
    ax.set_ylabel("second number")


def _numeral(label: int) -> MarkerStyle:
    """As a marker, around its middle."""
    path = TextPath((0, 0), str(label), size=10, prop=FontProperties(FONT))
    box = path.get_extents()
    middle = [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]
    return MarkerStyle(Path(path.vertices - middle, path.codes))
