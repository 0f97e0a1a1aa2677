"""Words, tables and bars out of numbers; no sentence here or in the questions presumes a result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.timing import Comparison, Spread


@dataclass(frozen=True)
class Bar:
    """How many times as fast as somebody else we are, for the picture."""

    what: str
    whom: str
    times: Spread
    aim: float | None = None


@dataclass(frozen=True)
class Sides:
    """A comparison as rows of a table, one a side."""

    comparison: Comparison
    against: str  # the side that ratios are taken to
    limit: str | None = None  # the side that shares are taken of
    products: Mapping[str, str] = field(default_factory=dict)  # side -> whose products it is given
    threads: int | None = None


def number(x: float) -> str:
    """Three significant digits, thousands apart."""
    if x == 0 or not math.isfinite(x):
        return f"{x:g}"
    if abs(x) < 1e-4:
        return f"{x:.1e}"
    digits = 2 - math.floor(math.log10(abs(x)))
    return f"{round(x, digits):,.{max(digits, 0)}f}"


def spread(values: Spread) -> str:
    """Median, with the least and the largest value where they differ."""
    middle = number(values.median)
    if values.low == values.high:
        return middle
    return f"{middle} ({number(values.low)} to {number(values.high)})"


def percent(values: Spread) -> str:
    scaled = Spread(100 * values.median, 100 * values.low, 100 * values.high)
    return f"{spread(scaled)} %"


def seconds(values: Spread) -> str:
    scale, unit = (1e3, "ms") if values.median < 1 else (1.0, "s")
    return (
        f"{spread(Spread(*(scale * v for v in (values.median, values.low, values.high))))} {unit}"
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, [":--", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sides(rows: Sequence[Sides]) -> str:
    """One table of comparisons whose work has one unit."""
    limited = any(row.limit for row in rows)
    unit = rows[0].comparison.unit
    headings = ["work", "side", f"{unit} a second", f"times `{rows[0].against}`"]
    lines = []
    for row in rows:
        one = row.comparison
        shown = [side for side in one.blocks if not side.startswith(("matmul", "copy"))]
        for i, side in enumerate(shown):
            title = f"{one.what}{'*' if one.disturbed else ''}" if i == 0 else ""
            note = f": {one.notes[side]}" if side in one.notes else ""
            ratio = "" if side == row.against else spread(one.times_as_fast(side, row.against))
            line = [title, f"{side}{note}", spread(one.rate(side)), ratio]
            if limited:
                known = row.limit and (side in row.products or side in one.products)
                of = row.products.get(side)
                line.append(percent(one.share(side, row.limit, of)) if known and row.limit else "")
            lines.append(line)
    text = table([*headings, *(["share of the limit"] if limited else [])], lines)
    busy = any(row.comparison.disturbed for row in rows)
    star = "\n\n\\* Other processes used the machine in some of the repeats that count."
    return text + (star if busy else "")


def paragraphs(*parts: str) -> str:
    """Parts apart, list items together."""
    text = ""
    for part in parts:
        if part:
            item = part.startswith("- ") and text.rpartition("\n")[2].startswith("- ")
            text += ("\n" if item else "\n\n") + part if text else part
    return text
