"""`ebmrepro data`: a suite's stored images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ebmrepro.config import params

app = typer.Typer(no_args_is_help=True, help="Look at a suite's data.")


@app.command("check")
def check_data(suite: Annotated[str, typer.Argument(help="A suite of params.yaml.")]) -> None:
    """Verify a suite's stored images, and print the error of principal components on them."""
    settings = params.load()
    from ebmrepro import data
    from ebmrepro.data.check import check

    block = settings.suite(suite)
    folder = Path("data") / suite
    if not folder.exists():
        data.prepare(suite, block.data, folder)
    report = check(folder)
    counts = ", ".join(f"{split} {n:,}" for split, n in report.counts.items())
    typer.echo(f"{suite}: {report.name}; {counts} images of {report.shape}; checksums agree")
    for remark in report.remarks:
        typer.echo(f"{suite}: {remark}")
    if report.pca_error is None:
        typer.echo("PCA: not measured, these images have too many values for it")
        return
    line = f"PCA with {report.components} components: {report.pca_error:.2f} squared error "
    line += "per test image, pixels in [0, 1]"
    if report.published is not None:
        line += f"; published {report.published}: {'agrees' if report.agrees else 'DIFFERS'}"
    typer.echo(line)
    if report.agrees is False:
        raise typer.Exit(1)
