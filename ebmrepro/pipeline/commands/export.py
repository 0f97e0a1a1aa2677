"""`ebmrepro export`: results to take along."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ebmrepro.config import params
from ebmrepro.system import atomic

if TYPE_CHECKING:
    import pandas as pd

EXTRACTOR = r"; extractor sha256: (\w+)"  # as the table's protocol tells it
MINUS = {"−": "$-$", "–": "--"}  # as LaTeX has them in any encoding


def export(
    csv: Annotated[bool, typer.Option("--csv", help="Every number: results.csv.")] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="The same with its types: results.parquet.")
    ] = False,
    latex: Annotated[
        bool, typer.Option("--latex", help="A table of each suite, for booktabs: latex/SUITE.tex.")
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="The report's, as SVG and PNG: figures/.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("export"),
) -> None:
    """Write results as tables and figures to take along; all of them unless some are named.

    The table of every number is that of `ebmrepro.results.load()`: suite, system, seed, measure,
    value, fraction of the epochs of params.yaml, protocol, hardware. Nothing is run for it.
    """
    settings = params.load()
    from ebmrepro import results

    every = not (csv or parquet or latex or figures)
    table = results.load(Path()) if every or csv or parquet or latex else None
    if table is not None:
        if every or csv:
            _put(out / "results.csv", table.to_csv(index=False).encode())
        if every or parquet:
            _put(out / "results.parquet", table.to_parquet(index=False))
        if every or latex:
            for suite, text in _latex(table):
                _put(out / "latex" / f"{suite}.tex", text.encode())
    if every or figures:
        from ebmrepro import report

        drawn = [f for f in report.files(settings, Path(), Path("reports")) if "figures/" in f[0]]
        for name, content in drawn:
            _put(out / name, content, told=False)
        typer.echo(f"{out / 'figures'}: {len(drawn)} files")


def _put(path: Path, content: bytes, told: bool = True) -> None:
    with atomic.named_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, content)
    if told:
        from rich.filesize import decimal

        typer.echo(f"{path}: {decimal(len(content))}")


def _latex(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Suite and table: systems down, the measures of summary.json across, over seeds."""
    import pandas as pd

    from ebmrepro.metrics import catalogue
    from ebmrepro.report import numbers, words
    from ebmrepro.report.sections import WORDS

    for suite, own in table[table.measure.isin(WORDS["compared"])].groupby("suite"):
        columns = [m for m in WORDS["compared"] if own.value[own.measure == m].notna().any()]
        rows = {}
        for system, values in own.groupby("system", sort=False):
            told = {"n": str(values.seed.nunique() or "--")}
            parts = values.fraction.dropna().unique()
            told["of the budget"] = ", ".join(f"{part:.3g}" for part in parts) or "--"
            for measure in columns:
                known = (values.measure == measure) & values.value.notna()
                if catalogue.in_dbn(measure) and known.any():  # no mean over features of two DBNs
                    dbn = values.protocol.str.extract(EXTRACTOR, expand=False).fillna("")
                    known &= dbn == dbn[known].iloc[0]
                found = values.value[known].tolist()
                digits, scale = catalogue.describe(measure).digits, catalogue.scale(measure)
                cell = numbers.cell(found, digits, scale=scale)
                n = f"n = {len(found)}" if found and str(len(found)) != told["n"] else ""
                told[numbers.column(measure).title] = " ".join(
                    filter(None, (cell.main, cell.small, n))
                )
            rows[words.ROWS.get(str(system), words.system(str(system)))] = told
        caption = f"{words.suite(str(suite))}: mean over n seeds and 95 \\% interval."
        caption += " Of the budget: the part of the published epochs that was trained."
        frame = pd.DataFrame.from_dict(rows, orient="index")
        text = frame.to_latex(escape=True, caption=caption, label=f"tab:{suite}")
        for sign, latex in MINUS.items():
            text = text.replace(sign, latex)
        yield str(suite), text
