"""Sections in a terminal: words and tables as on the page, and where the pictures are."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from ebmrepro.report import blocks

ACROSS = 3  # columns side by side: what 80 characters hold
INTERVAL = 16  # characters of `[−0.123, −0.123]`
LABEL = 18


def show(sections: Sequence[blocks.Section], console: Console) -> None:
    """Print sections and their parts; folded parts are left to the page."""
    for section in sections:
        console.print()
        console.rule(escape(section.title), align="left")
        for block in section.blocks:
            _block(block, console)
        show([part for part in section.sections if not part.folded], console)


def _block(block: blocks.Block, console: Console) -> None:
    match block:
        case blocks.Text(text, lines):
            console.print(escape(text))
            for line in lines:
                console.print(Padding(f"- {escape(line)}", (0, 0, 0, 2)))
        case blocks.Command(text):
            console.print(f"    {escape(text)}")
        case blocks.Table():
            console.print(f"\n[bold]{escape(block.title)}[/bold]. {escape(block.caption)}")
            for first in range(0, len(block.columns), ACROSS):
                console.print(_table(block, slice(first, first + ACROSS)))
        case blocks.Figure():
            place = f"reports/figures/{block.name}.png"
            console.print(f"Picture: {escape(f'{block.title}, {place}')}", style="dim")
        case blocks.Gallery() | blocks.Picture():
            console.print(f"Pictures in reports/pages/: {escape(block.title)}", style="dim")


def _table(table: blocks.Table, shown: slice) -> Table:
    """Some of the columns, beside the labels of the rows."""
    grid = Table(box=box.SIMPLE)
    grid.add_column(escape(table.corner), max_width=LABEL)
    for column in table.columns[shown]:
        heading = "\n".join(part for part in (column.title, column.small) if part)
        side = "left" if table.words else "right"
        grid.add_column(escape(heading), justify=side, min_width=0 if table.words else INTERVAL)
    for label, cells in table.rows:
        grid.add_row(escape(label), *map(_cell, cells[shown]))
    return grid


def _cell(cell: blocks.Cell) -> str:
    return escape("\n".join(part for part in (cell.main, cell.small) if part))
