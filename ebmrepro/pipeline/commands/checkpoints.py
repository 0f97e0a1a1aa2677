"""`ebmrepro checkpoints`: what trainings that have not ended left."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from ebmrepro.config import params
from ebmrepro.pipeline import before
from ebmrepro.runs import layout

app = typer.Typer(no_args_is_help=True, help="Look after what killed trainings left.")


@app.command("ls")
def ls() -> None:
    """List the checkpoints of trainings that have not ended."""
    before.in_project(Path(), "params.yaml")  # which may be wrong, or of another version
    from ebmrepro.runs import checkpoints

    stored = checkpoints.stored(layout.root())
    for each in stored:
        typer.echo(checkpoints.in_words(each))
    if not stored:
        typer.echo("no checkpoints: every training that was begun has ended")


@app.command("prune")
def prune(
    every: Annotated[
        bool, typer.Option("--all", help="Also those that only another torch can go on from.")
    ] = False,
) -> None:
    """Remove the checkpoints that no training of params.yaml, with this data and code, can use."""
    settings = params.load()
    import torch
    from rich.filesize import decimal

    from ebmrepro.runs import checkpoints, identity
    from ebmrepro.system import locks

    freed = 0
    for each in checkpoints.stored(layout.root()):
        why = identity.why_unusable(each, settings)
        if not every and not each.made_with.endswith(torch.__version__):
            why = None  # a pack may take it back to the machine that made it
        line = checkpoints.in_words(each)
        with contextlib.suppress(locks.Busy):
            if why is not None:
                checkpoints.remove(each)
                freed += each.bytes
                typer.echo(f"removed  {line}: {why}")
                continue
        typer.echo(f"kept     {line}")
    typer.echo(f"{decimal(freed)} freed")
