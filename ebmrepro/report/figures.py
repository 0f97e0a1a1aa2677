"""Drawing: panels on matplotlib axes, out as SVG for the page and as SVG and PNG files.

On the page a colour is a name, so that the page's style sheet can change it in the dark: each
colour below is drawn as a hexadecimal number that stands for a CSS variable.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ebmrepro.claims.form import NOT_RUN
from ebmrepro.config.training import base
from ebmrepro.metrics.catalogue import Scale
from ebmrepro.metrics.interval import interval
from ebmrepro.report.blocks import Panel
from ebmrepro.report.words import NAMES
from ebmrepro.runs.results import Array

STYLE: dict[Any, Any] = dict(
    matplotlib.rc_params_from_file(
        Path(__file__).with_name("figures.mplstyle"), use_default_template=False
    )
)
INK, MUTED, RULE = (STYLE[key] for key in ("text.color", "axes.edgecolor", "grid.color"))
(FONT,) = STYLE["font.family"]
PALETTE, IN_THE_DARK = zip(*NAMES["palette"].values(), strict=True)
DASHES = (  # of variants; a method's line is whole
    (0, (4, 1.5)),
    (0, (1.2, 1.2)),
    (0, (5, 1.2, 1.2, 1.2)),
    (0, (6, 1.2, 1, 1.2, 1, 1.2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
DOTTED: dict[str, Any] = {"color": MUTED, "linestyle": (0, (1, 2)), "linewidth": 1.3}

WIDTH = 4.2  # inches, of a panel
RIGHT, TOP, BOTTOM = 0.12, 0.32, 0.5  # inches, of a panel's margins: laying out by hand is fast
DPI = 130  # of PNG files
TILE = 1.8  # inches, of a picture on a sheet
BINS = 40  # of a histogram
MANY = 4  # lines; a legend of more, or of a logarithmic axis, has room of its own above them
ROOM = 0.14  # of the height of the lines, for each row of such a legend


def colour(name: str) -> str:
    """That of a system's method, by names.yaml; one that is not there has one by its letters."""
    method = base(name)
    light, _ = NAMES["palette"].get(NAMES["colours"].get(method), (None, None))
    return light or PALETTE[sum(method.encode()) % len(PALETTE)]


def dash(name: str) -> Any:
    """What tells a variant from its method, whatever else is in the figure."""
    _, _, variant = name.partition("__")
    return DASHES[sum(variant.encode()) % len(DASHES)] if variant else "-"


def inline(panel: Panel, salt: str) -> str:
    """One panel as an `<svg>` element that takes its colours and its type from the page."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        svg = _svg(_sheet([panel], 1, facecolor="none")).decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)  # HTML's parser knows both
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', svg)
    svg = svg.replace(f"'{FONT}'", "inherit").replace("xlink:href", "href")
    for name, colour in variables().items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg


def variables() -> dict[str, str]:
    """CSS variable -> the colour that stands for it in a drawing."""
    named = {f"c{i}": colour for i, colour in enumerate(PALETTE)}
    return {"ink": INK, "muted": MUTED, "rule": RULE, **named}


def files(panels: Sequence[Panel], salt: str) -> dict[str, bytes]:
    """All panels of a figure on one white sheet, by file ending."""
    columns = min(len(panels), 2 if len(panels) in (2, 4) else 3)
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        return _save(_sheet(panels, columns, facecolor="white"))


def sheet(rows: Sequence[Sequence[tuple[str, Array | None]]], salt: str) -> dict[str, bytes]:
    """Rows of titled pictures, by file ending; a missing one is a frame that says so.

    rows: uint8 (h, w) or (h, w, 3) arrays with their titles, or None.
    """
    columns = max(len(row) for row in rows)
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt, "axes.titlelocation": "center"}):
        canvas = Canvas(figsize=(TILE * columns, (TILE + TOP) * len(rows)), facecolor="white")
        for i, row in enumerate(rows):
            for j, (title, pixels) in enumerate(row):
                left, top, side = j * TILE + 0.06, i * (TILE + TOP) + TOP, TILE - 0.12
                ax = _axes(canvas, left, top, side, side)
                ax.set_axis_off()
                ax.set_title(title, fontsize=10 if len(title) < 16 else 8)
                if pixels is None:
                    ax.text(0.5, 0.5, NOT_RUN, ha="center", color=MUTED)
                else:
                    picture(ax, pixels)
        return _save(canvas)


def _sheet(panels: Sequence[Panel], columns: int, facecolor: str) -> Canvas:
    rows = -(-len(panels) // columns)
    height = max(panel.height for panel in panels)
    canvas = Canvas(figsize=(WIDTH * columns, height * rows), facecolor=facecolor)
    for i, panel in enumerate(panels):
        x, y = i % columns * WIDTH, i // columns * height
        width = WIDTH - panel.left - RIGHT
        ax = _axes(canvas, x + panel.left, y + TOP, width, height - TOP - BOTTOM)
        panel.draw(ax)
        ax.set_title(panel.title, x=0.02 - panel.left / width)
    return canvas


def _axes(canvas: Canvas, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place counted in inches from the top left."""
    w, h = canvas.get_size_inches()
    return canvas.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))


def _save(canvas: Canvas) -> dict[str, bytes]:
    """By file ending; not through `Figure.savefig`, which draws everything twice."""
    svg = _svg(canvas)
    canvas.dpi = DPI
    png = io.BytesIO()
    FigureCanvasAgg(canvas).print_png(png, metadata={"Software": None})
    return {"svg": svg, "png": png.getvalue()}


def _svg(canvas: Canvas) -> bytes:
    out = io.BytesIO()
    FigureCanvasSVG(canvas).print_svg(out, metadata={"Date": None})
    return out.getvalue()


# What panels draw ------------------------------------------------------------------------------


def table(curves: Sequence[Array]) -> Array:
    """Curves (epochs,) of unequal length as (seeds, epochs), NaN where a seed has no value."""
    found = np.full((len(curves), max(len(curve) for curve in curves)), np.nan)
    for row, curve in zip(found, curves, strict=True):
        row[: len(curve)] = curve
    return found


def mean(curves: Sequence[Array]) -> Array:
    """Mean over the seeds that have a value, (epochs,); NaN where none has."""
    found = table(curves)
    count = np.isfinite(found).sum(axis=0)
    return np.where(count, np.nansum(found, axis=0) / np.maximum(count, 1), np.nan)


class Line(NamedTuple):
    curves: Sequence[Array]  # one (epochs,) array per seed, NaN where nothing was measured
    colour: str
    label: str
    dash: Any = "-"


def over_epochs(
    title: str,
    lines: Sequence[Line],
    x: str,
    y: str,
    levels: Sequence[tuple[float, str]] = (),
    *,
    named: bool = True,
    legend: bool = True,
    log: bool = False,
) -> Panel:
    """Bands against the epoch, and levels that they are held against.

    The name of a level stands at its right end if `named`, in the legend if not.
    """

    def draw(ax: Axes) -> None:
        for line in lines:
            band(ax, line)
        for height, name in levels:
            level(ax, height, "" if named else name)
            if named:
                style = {"ha": "right", "va": "bottom", "fontsize": 8, "color": MUTED}
                ax.annotate(name, (1, height), xycoords=("axes fraction", "data"), **style)
        finish(ax, x, y, legend=legend, log=log)

    return Panel(title, draw)


def band(ax: Axes, line: Line) -> None:
    """Mean over seeds against the epoch, with a band from the lowest to the highest seed."""
    values = table(line.curves)
    seen = np.isfinite(values).any(axis=0)
    epochs = np.arange(1, values.shape[1] + 1)[seen]
    if len(values) > 1:
        low, high = np.nanmin(values[:, seen], axis=0), np.nanmax(values[:, seen], axis=0)
        ax.fill_between(epochs, low, high, color=line.colour, alpha=0.18, linewidth=0)
    style = {"marker": "o" if len(epochs) == 1 else None, "markersize": 4, "label": line.label}
    ax.plot(epochs, mean(line.curves)[seen], color=line.colour, linestyle=line.dash, **style)


def from_first(*lines: Line) -> list[Line]:
    """The same, counted from the first epoch that any of them measured.

    Fine-tuning follows the RBMs' own epochs, in which its curves have no values.
    """
    first = min(int(np.flatnonzero(np.isfinite(c))[0]) for line in lines for c in line.curves)
    return [line._replace(curves=[c[first:] for c in line.curves]) for line in lines]


def starts(colour: str, pretrained: Sequence[Array], scratch: Sequence[Array]) -> list[Line]:
    """Fine-tuning from pretrained weights, and from random ones."""
    ways = Line(scratch, INK, "random start"), Line(pretrained, colour, "pretrained start")
    return from_first(*ways)


def key(lines: Sequence[tuple[str, str, Any]]) -> Panel:
    """What lines of several panels stand for, (label, colour, dash), in a panel of its own."""

    def draw(ax: Axes) -> None:
        for label, colour, dash in lines:
            ax.plot([], [], color=colour, linestyle=dash, label=label)
        ax.set_axis_off()
        ax.legend(loc="upper left", ncols=2, borderaxespad=0)

    return Panel("", draw, TOP + BOTTOM + 0.2 * -(-len(lines) // 2), left=0.2)


def picture(ax: Axes, pixels: Array, **where: Any) -> None:
    """Grey pixels as they are; `where` are matplotlib's `extent` and `aspect`."""
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="none", **where)


def level(ax: Axes, value: float, label: str) -> None:
    """A dotted line that a curve is held against."""
    ax.axhline(value, label=label, **DOTTED)


def finish(ax: Axes, x: str, y: str, *, legend: bool = True, log: bool = False) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if log:
        log_axis(ax.yaxis)
    ax.margins(x=0.02)
    if not legend:
        return
    style = {"handlelength": 2.4, "borderaxespad": 0.2}
    count = len(ax.get_legend_handles_labels()[1])
    if count <= MANY and not log:
        ax.legend(loc="best", **style)
        return
    (low, high), more = ax.get_ylim(), ROOM * -(-count // 2)
    ax.set_ylim(low, high * (high / low) ** more if log else high + more * (high - low))
    ax.legend(loc="upper left", ncols=2, columnspacing=1, **style)


def _tick(value: float, _: int) -> str:
    """A number as short as the room to the left of an axis."""
    return f"{value:g}" if value < 1e5 else f"{value:.0e}".replace("e+0", "e").replace("e+", "e")


def log_axis(axis: Any) -> None:
    """A logarithmic axis whose ticks are plain numbers, few enough to read."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    steps = (1.0,) if decades > 2.5 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=steps, numticks=8))
    axis.set_major_formatter(FuncFormatter(_tick))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", length=0)


def wide(values: Sequence[Array], factor: float) -> bool:
    """Whether positive values span so much that a linear axis would hide most of them."""
    joined = np.concatenate([v[np.isfinite(v)] for v in values])
    return bool(joined.min() > 0 and np.max(joined) > factor * np.min(joined))


Row = tuple[str, str, Sequence[Array]]  # label, colour, energies (images,) of each seed
Dots = tuple[str, str, Sequence[float]]  # label, colour, a value per seed
Points = Sequence[tuple[float, Sequence[float]]]  # a number, a value per seed


def ridges(title: str, rows: Sequence[Row], axis: str) -> Panel:
    """Histograms over a common axis, one row per kind of image and one outline per seed."""
    joined = np.concatenate([seed for _, _, seeds in rows for seed in seeds])
    low, high = np.quantile(joined, [0.001, 0.999])
    high = high if high > low else low + 1
    log = bool(low > 0 and high > 20 * low)
    edges = np.geomspace(low, high, BINS + 1) if log else np.linspace(low, high, BINS + 1)
    middles = np.sqrt(edges[1:] * edges[:-1]) if log else (edges[1:] + edges[:-1]) / 2

    def row(ax: Axes, i: int, at: int) -> None:
        _, colour, seeds = rows[i]
        for seed in seeds:
            heights = np.histogram(np.clip(seed, low, high), bins=edges)[0]
            outline = at - 0.4 + 0.86 * heights / max(heights.max(), 1)
            ax.fill_between(middles, at - 0.4, outline, color=colour, alpha=0.28 / len(seeds), lw=0)
            ax.plot(middles, outline, color=colour, linewidth=1, alpha=0.9)

    return _rows(title, rows, axis, 2.9, row, (low, high), log)


def dots(
    title: str, rows: Sequence[Dots], axis: str, floor: float | None, scale: Scale = "linear"
) -> Sequence[Panel]:
    """A row for each system: a dot per seed, the mean as a tick, the interval as a line.

    A row without values is left out, and the panel where there is none. `floor` is drawn as a
    dotted line, where a logarithmic axis can show it.
    """
    rows = [row for row in rows if row[2]]
    if not rows:
        return []
    values = np.concatenate([np.array(seeds) for _, _, seeds in rows])
    intervals = [interval(seeds, scale) for _, _, seeds in rows]
    log = wide([values], 12)
    floors = [floor] if floor is not None and (floor > 0 or not log) else []
    ends = [end for i in intervals for end in (i.low, i.high) if end is not None]
    low, high = min([*values, *ends, *floors]), max([*values, *ends, *floors])
    if log:  # an interval may reach below zero, where a logarithmic axis does not: it is cut there
        low, high = max(low, min([float(values.min()) / 3, *floors])) / 1.1, high * 1.1
    else:
        edge = 0.05 * (high - low or 10)
        low, high = low - edge, high + edge

    def row(ax: Axes, i: int, at: int) -> None:
        for place in floors if i == 0 else []:
            ax.axvline(place, **DOTTED)
        (_, colour, seeds), found = rows[i], intervals[i]
        if found.low is not None and found.high is not None:
            span = [max(found.low, low), found.high]
            ax.plot(span, [at, at], color=colour, linewidth=2.4, alpha=0.45)
        ax.plot([found.mean], [at], marker="|", markersize=13, markeredgewidth=2.2, color=colour)
        ax.plot(seeds, [at] * len(seeds), "o", markersize=4, color=colour, alpha=0.85)

    return [_rows(title, rows, axis, 1.0 + 0.24 * len(rows), row, (low, high), log)]


def label_rows(ax: Axes, labels: Sequence[str]) -> None:
    """The vertical axis of rows at 0, 1, ..., the first label on top."""
    ax.set_yticks(range(len(labels)), list(reversed(labels)))
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_ylim(-0.6, len(labels) - 0.4)


def _rows(
    title: str,
    rows: Sequence[Row] | Sequence[Dots],
    axis: str,
    height: float,
    row: Callable[[Axes, int, int], None],
    ends: tuple[float, float],
    log: bool,
) -> Panel:
    """Labelled rows over one axis, the first on top; `row(ax, i, at)` draws row i at a height."""
    labels = [label for label, _, _ in rows]

    def draw(ax: Axes) -> None:
        for i in range(len(labels)):
            row(ax, i, len(labels) - 1 - i)
        label_rows(ax, labels)
        ax.set_xlabel(axis)
        ax.set_xlim(*ends)
        if log:
            log_axis(ax.xaxis)
        else:
            ax.xaxis.set_major_locator(MaxNLocator(nbins=5))

    return Panel(title, draw, height, left=room_for(labels))


def room_for(labels: Sequence[str]) -> float:
    """Inches to the left of an axis for labels of rows, of their longest line.

    A name that is longer than that runs out of the picture, but leaves room for what is drawn.
    """
    longest = max(len(line) for label in labels for line in label.split("\n"))
    return min(0.2 + 0.078 * longest, 0.6 * WIDTH)


def series(ax: Axes, points: Points, colour: str, label: str, scale: Scale = "linear") -> None:
    """Means joined by a line, with intervals and a dot for each seed, against a number."""
    intervals = [interval(seeds, scale) for _, seeds in points]
    ax.plot([x for x, _ in points], [i.mean for i in intervals], color=colour, label=label)
    for (value, seeds), found in zip(points, intervals, strict=True):
        if found.low is not None and found.high is not None:
            ax.plot([value, value], [found.low, found.high], color=colour, linewidth=2.4, alpha=0.4)
        ax.plot([value] * len(seeds), seeds, "o", markersize=4, color=colour, alpha=0.85)
