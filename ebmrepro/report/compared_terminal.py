"""A comparison in a terminal of 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ebmrepro.report import compared, numbers, words
from ebmrepro.report.comparison import WORDS, Comparison, Row

COLOURS = {"better": "green", "worse": "red", "higher": "cyan", "lower": "cyan"}


def show(found: Comparison, console: Console) -> None:
    """What differs, each measure, and what was not compared."""
    console.rule(
        Text(WORDS["title"].format(**dict(zip("ab", compared.names(found), strict=True)))),
        align="left",
    )
    for letter, side in zip("AB", (found.a, found.b), strict=True):
        console.print(Text.assemble((letter, "bold"), f"  {side.name}"))
    console.print(Text(f"Paired by seed: {', '.join(map(str, found.seeds))}"))
    for key, differences in (("parameters", found.parameters), ("protocol", found.protocol)):
        if not differences:
            continue
        grid = _table("key" if key == "parameters" else "measured with", "A", "B")
        for each in differences:
            grid.add_row(Text(each.key), *(Text(words.value(v)) for v in each[1:]))
        console.print(grid)
    if not found.parameters:
        console.print(Text(WORDS["parameters"]["none"]))
    grid = _table("measure", "A", "B", "B against A, 95 %", "B is", right=(1, 2, 3))
    for row in found.rows:
        grid.add_row(*_cells(row, row in found.surest))
    console.print(grid)
    for reason, measures in found.refused.items():
        console.print(Text(f"Not compared, {reason}: {', '.join(measures)}."))
    console.print(Text(compared.summary(found)))


def _cells(row: Row, sure: bool) -> list[Text]:
    effect = compared.effect(row)
    style = f"{COLOURS.get(row.said, 'dim')}{' bold' if sure else ''}"
    return [
        Text(row.measure),
        *(Text(compared.mean(row, own).main) for own in (row.a, row.b)),
        Text(f"{effect.main} {effect.small}".strip()),
        Text(f"{row.said or numbers.NOT_APPLICABLE}{' *' if sure else ''}", style=style),
    ]


def _table(*columns: str, right: tuple[int, ...] = ()) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for i, column in enumerate(columns):
        grid.add_column(column, justify="right" if i in right else "left")
    return grid
