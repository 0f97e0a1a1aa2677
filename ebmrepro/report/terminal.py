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
            console.print(_table(block))
        case Figure() | Gallery() | Picture():
            name = escape(block.title)
            console.print(f"Picture in reports/index.html: {name}", style="dim")


def _table(table: Table) -> Grid:
    grid = Grid(
        title=escape(table.title),
        caption=escape(table.caption),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE,
    )
    grid.add_column(escape(table.corner))
    for column in table.columns:
        heading = "\n".join(part for part in (column.title, column.small) if part)
        grid.add_column(escape(heading), justify="left" if table.words else "right")
    for label, cells in table.rows:
        grid.add_row(escape(label), *map(_cell, cells))
    return grid


def _cell(cell: Cell) -> str:
    return escape("\n".join(part for part in (cell.main, cell.small) if part))
