"""The section on the deep auto-encoder: its error beside PCA's, and images in two numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from ebmrepro.networks import images
from ebmrepro.report import figures, numbers, words
from ebmrepro.report.blocks import Block, Cell, Column, Figure, Panel, Section, Table, Text
from ebmrepro.report.figures import FONT, INK, MUTED, PALETTE
from ebmrepro.report.gather import Array, Run, Suite, System

ERRORS = (
    "reconstruction_sum_sq",
    "reconstruction_sum_sq_random",
    "pca_sum_sq",
    "mean_image_sum_sq",
)
APART = ("neighbour_error_code", "neighbour_error_pca")
PUBLISHED = {"reconstruction_sum_sq": 3.00, "pca_sum_sq": 13.87}  # of 784-1000-500-250-30 on MNIST
POINTS = 1000  # images of a scatter: the first, not picked
NUMERAL = 32  # points squared, of a numeral in it
# A class is told by its numeral; its colour, of which there are too few for ten, only helps.
CLASS_COLOURS = (*PALETTE, INK, MUTED)


def section(suites: Sequence[Suite]) -> Sequence[Section]:
    """One section over all suites in which an auto-encoder was held against PCA; or none."""
    blocks = [block for suite in suites for block in _of_suite(suite)]
    if not blocks:
        return []
    return [Section("autoencoder", words.DEEP, [Text(words.DEEP_INTRODUCTION), *blocks])]


def _of_suite(suite: Suite) -> Sequence[Block]:
    systems = [s for s in suite.systems if numbers.over_seeds(s, ERRORS[0])]
    if not systems:
        return []
    return [
        _errors(suite, systems),
        *_learning(suite, systems),
        *_rebuilt(suite, systems),
        *_plane(suite, systems),
    ]


def _errors(suite: Suite, systems: Sequence[System]) -> Table:
    """The caption of the paper's Figure 2 as a table."""
    published = [_published(measure) for measure in ERRORS]
    rows = [(words.DEEP_PUBLISHED, [*published, Cell("400"), Cell(numbers.NOT_APPLICABLE)])]
    rows += [
        (
            f"{system.title}: {_layers(suite, system)}",
            [*(_cell(system, m, 2) for m in ERRORS), Cell(_epochs(system)), _seeds(system)],
        )
        for system in systems
    ]
    columns = [*map(numbers.column, ERRORS), Column("Epochs", "all layers, fine-tuning")]
    columns.append(Column("Seeds", "n"))
    title = f"{suite.title}: squared error of reconstructions"
    return Table(f"{suite.name}-deep", title, words.DEEP_ERRORS, "Network", columns, rows)


def _published(measure: str) -> Cell:
    found = PUBLISHED.get(measure)
    return Cell(numbers.NOT_APPLICABLE if found is None else numbers.number(found, 2))


def _cell(system: System, measure: str, digits: int) -> Cell:
    """Mean with its interval, which a number that no seed moves has not."""
    found = numbers.over_seeds(system, measure)
    if found is None:
        return Cell(numbers.NOT_MEASURED)
    varies = len({run.value(measure) for run in system.measured}) > 1
    small = numbers.bounds(found, digits) if varies else ""
    return Cell(numbers.number(found.mean, digits), small)


def _epochs(system: System) -> str:
    told = [str(run.training["epochs"]) for run in system.measured if run.training is not None]
    return ", ".join(dict.fromkeys(told)) or numbers.NOT_APPLICABLE


def _seeds(system: System) -> Cell:
    return Cell(str(len(system.measured)))


def _layers(suite: Suite, system: System) -> str:
    pixels = [] if suite.real is None else [suite.real[0].size]
    return "-".join(map(str, [*pixels, *system.numbers.get("hparams.layers", ())]))


# Fine-tuning -----------------------------------------------------------------------------------


def _learning(suite: Suite, systems: Sequence[System]) -> Sequence[Block]:
    panels = [
        Panel(f"{system.title}: error over fine-tuning", partial(_curves, system))
        for system in systems
        if system.curves("sum_sq/pretrained") and system.curves("sum_sq/scratch")
    ]
    if not panels:
        return []
    name, title = f"{suite.name}-deep-learning", "With and without pretraining"
    return [Figure(name, title, words.DEEP_LEARNING, panels)]


def _curves(system: System, ax: Axes) -> None:
    """Both counted from the first epoch of fine-tuning, which follows the RBMs' own epochs."""
    own, other = system.curves("sum_sq/pretrained"), system.curves("sum_sq/scratch")
    first = min(int(np.flatnonzero(np.isfinite(c))[0]) for c in [*own, *other])
    figures.band(ax, [c[first:] for c in other], INK, "random start")
    figures.band(ax, [c[first:] for c in own], PALETTE[2], "pretrained start")
    for measure, label in words.DEEP_LEVELS.items():
        if (found := numbers.over_seeds(system, measure)) is not None:
            figures.level(ax, found.mean, "")
            at = (1, found.mean)
            style = {"ha": "right", "va": "bottom", "fontsize": 8, "color": MUTED}
            ax.annotate(label, at, xycoords=("axes fraction", "data"), **style)
    figures.finish(ax, "epoch of fine-tuning", "squared error per image", log=True)


# Pictures --------------------------------------------------------------------------------------


def _rebuilt(suite: Suite, systems: Sequence[System]) -> Sequence[Block]:
    shown = [(s, run) for s in systems if (run := _first(s, "rebuilt")) is not None]
    if not shown:
        return []
    panels = [
        Panel(f"{system.title}, seed {run.seed}", partial(_rows, run.rebuilt), 2.1, left=1.0)
        for system, run in shown
    ]
    name, title = f"{suite.name}-deep-reconstructions", "Reconstructions"
    return [Figure(name, title, words.DEEP_RECONSTRUCTIONS, panels)]


def _rows(rebuilt: Mapping[str, Array], ax: Axes) -> None:
    """A labelled row of pictures for each way of reconstruction."""
    ways = [way for way in words.DEEP_WAYS if way in rebuilt]
    count = len(rebuilt[ways[0]])
    for i, way in enumerate(ways):
        row = images.grid(rebuilt[way], count)
        picture = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "none"}
        ax.imshow(row, extent=(0, count, -i - 0.96, -i), aspect="auto", **picture)
        ax.text(-0.15, -i - 0.5, words.DEEP_WAYS[way], ha="right", va="center", fontsize=8.5)
    ax.set_xlim(0, count)
    ax.set_ylim(-len(ways), 0)
    ax.set_axis_off()


# The plane -------------------------------------------------------------------------------------


def _plane(suite: Suite, systems: Sequence[System]) -> Sequence[Block]:
    shown = [(s, run) for s in systems if (run := _first(s, "codes")) is not None]
    if not shown:
        return []
    panels = []
    for system, run in shown:
        for way, title in (("code", f"{system.title}, seed {run.seed}"), ("pca", words.DEEP_PCA)):
            draw = partial(_scatter, run.codes[way], run.codes["labels"])
            panels.append(Panel(title, draw, 4.2))
    rows = [(s.title, [*(_cell(s, m, 3) for m in APART), _seeds(s)]) for s, _ in shown]
    columns = [*map(numbers.column, APART), Column("Seeds", "n")]
    name, title = f"{suite.name}-deep-codes", "Images in two numbers"
    table = f"{suite.title}: classes in two numbers"
    caption = words.DEEP_CODES.format(points=f"{POINTS:,}")
    return [
        Figure(name, title, caption, panels),
        Table(f"{name}-table", table, words.DEEP_APART, "Network", columns, rows),
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


def _first(system: System, what: str) -> Run | None:
    """The first seed that has something to show."""
    return next((run for run in system.runs if getattr(run, what)), None)
