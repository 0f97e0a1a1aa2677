"""Stage `report`: what the runs of params.yaml have left on disk, as pages, figures and tables."""

import environment  # noqa: F401, says what to do when the project's environment is not active

# isort: split
from pathlib import Path

import typer

from ebmrepro import params, report


def main() -> None:
    """Write reports/: index.html, results.md, summary.json, overview.png, figures, plots."""
    try:
        page = report.write(params.load(), Path(), Path("reports"))
    except (params.ParamsError, report.ReportError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    typer.echo(f"report: {page}")


if __name__ == "__main__":
    typer.run(main)
