"""How many times as fast as others we are, as bars with their spread and the aims."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.page import Bar, number
from ebmrepro.report.figures import DPI, INK, MUTED, PALETTE, STYLE

WIDTH, ROW = 8.0, 0.34  # inches


def png(bars: Sequence[Bar]) -> bytes:
    """One bar per comparison, in their order, on an axis of powers."""
    with matplotlib.rc_context({**STYLE, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(WIDTH, 1.1 + ROW * max(len(bars), 1)), facecolor="white")
        FigureCanvasAgg(figure)
        ax = figure.add_subplot()
        places = range(len(bars))
        for place, bar in zip(places, bars, strict=True):
            times = bar.times
            ax.barh(place, times.median - 1, left=1, height=0.62, color=PALETTE[2])
            ax.plot([times.low, times.high], [place, place], color=INK, linewidth=1.2)
            if bar.aim is not None:
                ax.plot([bar.aim] * 2, [place - 0.42, place + 0.42], color=PALETTE[4], linewidth=2)
            ax.annotate(
                number(times.median),
                (max(times.high, times.median, bar.aim or 0, 1), place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
            )
        ax.set_xscale("log")
        ends = [v for bar in bars for v in (bar.times.low, bar.times.high, bar.aim or 1.0)]
        ax.set_xlim(min([0.8, *(0.9 * v for v in ends)]), max([2.0, *(1.5 * v for v in ends)]))
        ax.axvline(1, color=MUTED, linewidth=1)
        ax.set_yticks(
            list(places), [f"{bar.what}\nbeside {bar.whom}" for bar in bars], fontsize=7.5
        )
        ax.invert_yaxis()
        ax.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("times as fast; line: least to largest of the repeats; mark: the aim")
        ax.set_title("ebmrepro beside others on the same work")
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
