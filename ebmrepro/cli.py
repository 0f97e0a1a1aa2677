"""`ebmrepro`: what people type besides `dvc repro`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ebmrepro import params

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
data_app = typer.Typer(no_args_is_help=True, help="Look at a suite's data.")
track_app = typer.Typer(no_args_is_help=True, help="Bring MLflow in line with the result files.")
app.add_typer(data_app, name="data")
app.add_typer(track_app, name="track")
checkpoints_app = typer.Typer(no_args_is_help=True, help="Look after what killed trainings left.")
app.add_typer(checkpoints_app, name="checkpoints")

Suite = Annotated[str, typer.Argument(help="A suite of params.yaml.")]


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """What a person can mend is one line on stderr and exit code 2."""
    try:
        yield
    except params.UserError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None


@app.command()
def check() -> None:
    """Say whether params.yaml is right, and what `dvc repro` would train."""
    with one_line():
        run = params.load().run
        trainings = len(list(run.trainings))
        typer.echo(
            f"params.yaml is right: {', '.join(run.suites)}; {', '.join(run.names)}; "
            f"{len(run.seeds)} seeds; {trainings} trainings"
        )


@app.command()
def ui(port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 5000) -> None:
    """Open the runs in MLflow, after logging those that came from DVC's cache."""
    with one_line():
        from ebmrepro import tracking

        raise typer.Exit(tracking.serve(Path(), params.load().run.trainings, port))


@app.command()
def sample(
    suite: Suite,
    method: Annotated[str, typer.Argument(help="A method or variant of the suite, or dbn.")],
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("samples.png"),
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Images to draw.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the trained model.")] = 0,
    draw: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
) -> None:
    """Draw images from a trained model into one picture."""
    with one_line():
        settings = params.load()
        settings.block(suite, method)
        weights = Path("models") / suite / method / str(seed) / "model.safetensors"
        if not weights.exists():
            raise params.UserError(f"{weights}: no such file; `dvc repro` trains it")
        from ebmrepro import images, runs

        drawn = runs.draw(runs.restore(suite, method, seed, settings), number, draw)
        images.save_png(out, images.grid(drawn, columns=10))
        typer.echo(f"{out}: {number} images of {method}, {suite}, seed {seed}")


@data_app.command("check")
def data_check(suite: Suite) -> None:
    """Verify a suite's stored images, and print the error of 30 principal components on them."""
    with one_line():
        settings = params.load()
        from ebmrepro import data
        from ebmrepro.data.check import check

        block = settings.suite(suite)
        folder = Path("data") / suite
        if not folder.exists():
            data.prepare(suite, block.data, folder)
        report = check(suite, folder)
        counts = ", ".join(f"{split} {n:,}" for split, n in report.counts.items())
        typer.echo(f"{suite}: {report.name}; {counts} images of {report.shape}; checksums agree")
        line = f"PCA with {report.components} components: {report.pca_error:.2f} squared error "
        line += "per test image, pixels in [0, 1]"
        if report.published is not None:
            line += f"; published {report.published}: {'agrees' if report.agrees else 'DIFFERS'}"
        typer.echo(line)
        if report.agrees is False:
            raise typer.Exit(1)


@track_app.command("sync")
def track_sync() -> None:
    """Log what MLflow lacks of the runs that params.yaml names."""
    with one_line():
        from ebmrepro import tracking

        runs = list(params.load().run.trainings)
        done = tracking.sync_all(Path(), runs)
        typer.echo(f"MLflow holds {len(done)} of {len(runs)} runs; the others have no files yet")


@track_app.command("rebuild")
def track_rebuild() -> None:
    """Make the runs anew from the result files, in a store that has lost them."""
    with one_line():
        from ebmrepro import tracking

        done = tracking.rebuild(Path(), params.load().run.trainings)
        typer.echo(f"MLflow holds {len(done)} runs, all of them made anew")


@checkpoints_app.command("ls")
def checkpoints_ls() -> None:
    """List the checkpoints of trainings that have not ended."""
    from ebmrepro import checkpoints

    for each in checkpoints.stored(_root()):
        typer.echo(checkpoints.in_words(each))


@checkpoints_app.command("prune")
def checkpoints_prune() -> None:
    """Remove the checkpoints that no training of params.yaml, with this data and code, can use."""
    with one_line():
        settings = params.load()
        from ebmrepro import checkpoints, locks, runs

        freed = 0
        for each in checkpoints.stored(_root()):
            why = runs.why_unusable(each, settings)
            line = checkpoints.in_words(each)
            if why is None:
                typer.echo(f"kept     {line}")
                continue
            try:
                checkpoints.remove(_root(), each)
            except locks.Busy:
                typer.echo(f"kept     {line}")
            else:
                freed += each.bytes
                typer.echo(f"removed  {line}: {why}")
        typer.echo(f"{checkpoints.size(freed)} freed")


def _root() -> Path:
    """The repository, as `runs.root` has it, without importing torch."""
    return Path(os.environ.get("DVC_ROOT", "."))
