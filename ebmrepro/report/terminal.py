"""Sections in a terminal, in short: questions and means; intervals and pictures are on the page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ebmrepro.report import blocks

LINES = 80  # letters of what is said over a table: one line


def show(sections: Sequence[blocks.Section], console: Console, depth: int = 0) -> None:
    """Headings and tables, and what stands first of all; folded parts are left to the page."""
    for section in sections:
        console.rule(Text(section.title), align="left")
        opening = next((b.text for b in section.blocks if isinstance(b, blocks.Text)), "")
        if opening and not depth:
            console.print(Text(_sentence(opening)))
        for block in section.blocks:
            if isinstance(block, blocks.Table):
                console.print(Text(_over(block), style="dim"))
                console.print(_table(block))
        show([part for part in section.sections if not part.folded], console, depth + 1)


def _sentence(text: str) -> str:
    """The first one."""
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0]


def _over(table: blocks.Table) -> str:
    whole = f"{table.title}. {_sentence(table.caption)}"
    return whole if len(whole) <= LINES else f"{table.title}."


def _table(table: blocks.Table) -> Table:
    """Lying down where it has more columns than rows, for their headings are long."""
    columns = [column.title for column in table.columns]
    labels = [label for label, _ in table.rows]
    cells = [[cell.main for cell in row] for _, row in table.rows]
    if len(columns) > len(labels):
        columns, labels, cells = labels, columns, list(zip(*cells, strict=True))
    grid = Table(box=None, padding=(0, 0, 0, 2), pad_edge=False)
    grid.add_column("", no_wrap=True)
    for column in columns:
        grid.add_column(Text(column), justify="left" if table.words else "right", overflow="fold")
    for label, row in zip(labels, cells, strict=True):
        grid.add_row(Text(label), *map(Text, row))
    return grid
