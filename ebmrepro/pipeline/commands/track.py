"""`ebmrepro track`: MLflow beside the result files."""

from __future__ import annotations

from pathlib import Path

import typer

from ebmrepro.config import params
from ebmrepro.pipeline import before
from ebmrepro.runs.carried import counted

app = typer.Typer(no_args_is_help=True, help="Bring MLflow in line with the result files.")


@app.command("sync")
def sync() -> None:
    """Log what MLflow lacks of the runs that params.yaml names."""
    from ebmrepro.tracking import projection

    runs = list(params.load().run.trainings)
    done = projection.sync_all(Path(), runs)
    typer.echo(projection.in_words(done, runs))


@app.command("rebuild")
def rebuild() -> None:
    """Make every run on disk anew in MLflow, also where its database is lost or damaged."""
    before.in_project(Path(), "params.yaml")  # which may be wrong, or of another version
    from ebmrepro.tracking import projection

    done = projection.rebuild(Path())
    typer.echo(f"MLflow holds {counted(len(done), 'run')}, all of them made anew")
