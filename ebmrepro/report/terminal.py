"""Sections in a terminal: words and tables as on the page, and where the pictures are."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as Grid

from ebmrepro.report.blocks import (
    Block,
    Cell,
    Command,
    Figure,
    Gallery,
    Picture,
    Section,
    Table,
    Text,
)

ACROSS = 3  # columns side by side: what 80 characters hold
INTERVAL = 16  # characters of `[−0.123, −0.123]`
LABEL = 18


def show(sections: Sequence[Section], console: Console) -> None:
    """Print sections and their parts; folded parts are left to the page."""
    for section in sections:
        console.print()
        console.rule(escape(section.title), align="left")
        for block in section.blocks:
            _block(block, console)
        show([part for part in section.sections if not part.folded], console)


def _block(block: Block, console: Console) -> None:
    match block:
        case Text(text, lines):
            console.print(escape(text))
            for line in lines:
                console.print(Padding(f"- {escape(line)}", (0, 0, 0, 2)))
        case Command(text):
            console.print(f"    {escape(text)}")
        case Table():
            console.print(f"\n[bold]{escape(block.title)}[/bold]. {escape(block.caption)}")
            for first in range(0, len(block.columns), ACROSS):
                console.print(_table(block, slice(first, first + ACROSS)))
        case Figure():
            place = f"reports/figures/{block.name}.png"
            console.print(f"Picture: {escape(f'{block.title}, {place}')}", style="dim")
        case Gallery() | Picture():
            console.print(f"Pictures in reports/index.html: {escape(block.title)}", style="dim")


def _table(table: Table, shown: slice) -> Grid:
    """Some of the columns, beside the labels of the rows."""
    grid = Grid(box=box.SIMPLE)
    grid.add_column(escape(table.corner), max_width=LABEL)
    for column in table.columns[shown]:
        heading = "\n".join(part for part in (column.title, column.small) if part)
        side = "left" if table.words else "right"
        grid.add_column(escape(heading), justify=side, min_width=0 if table.words else INTERVAL)
    for label, cells in table.rows:
        grid.add_row(escape(label), *map(_cell, cells[shown]))
    return grid


def _cell(cell: Cell) -> str:
    return escape("\n".join(part for part in (cell.main, cell.small) if part))
