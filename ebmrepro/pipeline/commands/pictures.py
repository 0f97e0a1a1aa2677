"""`ebmrepro sample` and `interpolate`: pictures drawn from a trained model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ebmrepro.config import documents, optimisers, params
from ebmrepro.config.params import Params, Training
from ebmrepro.runs import layout
from ebmrepro.system import errors, reading

Suite = Annotated[str, typer.Argument(help="A suite of params.yaml.")]
TrainedSeed = Annotated[
    int | None, typer.Option(min=0, help="Of the trained model; the first of run.seeds if none.")
]


def sample(
    suite: Suite,
    method: Annotated[str, typer.Argument(help="A method or variant of the suite, or dbn.")],
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("samples.png"),
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, max=10_000, help="Images to draw.")
    ] = 100,
    seed: TrainedSeed = None,
    draw: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the draw.")] = 0,
) -> None:
    """Draw images from a trained model into one picture."""
    settings = params.load()
    trained = _trained(settings, suite, method, seed, out)
    from ebmrepro.networks import images
    from ebmrepro.report import pictures
    from ebmrepro.runs import models

    with _finite(trained):
        drawn = models.draw(models.restore(*trained, settings), number, draw)
    told = f"{number} images of {method}, {suite}, seed {trained.seed}"
    images.save_png(out, pictures.labelled(images.grid(drawn, min(number, 10)), told))
    typer.echo(f"{out}: {told}")


def interpolate(
    suite: Suite,
    method: Annotated[str, typer.Argument(help="A method or variant with a generator.")],
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("interpolation.png"),
    rows: Annotated[int, typer.Option(min=1, max=100, help="Of each of three kinds.")] = 4,
    between: Annotated[int, typer.Option(min=2, max=100, help="Images of a path.")] = 8,
    steps: Annotated[int, typer.Option(min=0, help="Of the search for z, by Adam.")] = 500,
    rate: Annotated[
        float, typer.Option(min=1e-12, max=1e12, help="Learning rate of the search.")
    ] = 0.05,
    seed: TrainedSeed = None,
    draw: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the draws of z.")] = 0,
) -> None:
    """Draw paths through a trained generator's z into one picture, as BEGAN's figure 4 does.

    From real images to their mirror images, from real images to others, and between draws. The
    images at both ends of the former are real; beside each stands what G makes of the z that
    minimises |x - G(z)|.
    """
    settings = params.load()
    systems = {name: block.hparams for _, name, block in settings.suite(suite).blocks}
    able = [name for name, hparams in systems.items() if "G" in type(hparams).model_fields]
    settings.block(suite, method)
    documents.known(method, able, "ebmrepro interpolate", "generator of")
    trained = _trained(settings, suite, method, seed, out)
    from ebmrepro.evaluation import interpolation
    from ebmrepro.networks import images
    from ebmrepro.report import pictures

    optim = optimisers.Adam(name="adam", lr=rate, beta1=0.9, beta2=0.999)
    with _finite(trained):
        error = interpolation.write(out, trained, settings, rows, between, steps, optim, draw)
    told = f"paths through z of {method}, {suite}, seed {trained.seed}"
    images.save_png(out, pictures.paths(reading.pixels(out), told, rows, between))
    typer.echo(
        f"{out}: {told}; {rows} rows each to mirror images, to other images and between draws; "
        f"mean |x - G(z)| at real ends {error:.3f}, of 2 at most"
    )


@contextmanager
def _finite(trained: Training) -> Iterator[None]:
    """UserError where a network draws what no picture can show."""
    try:
        yield
    except errors.UserError:
        raise
    except ValueError as error:  # of `images.to_uint8`
        raise errors.UserError(f"{layout.folder(*trained)}: {error}") from error


def _trained(settings: Params, suite: str, method: str, seed: int | None, out: Path) -> Training:
    """Whose weights are there, for a picture that can be written."""
    settings.block(suite, method)
    trained = Training(suite, method, settings.run.seeds[0] if seed is None else seed)
    weights = layout.folder(*trained) / "model.safetensors"
    if out.suffix.lower() != ".png" or not out.parent.is_dir():
        raise errors.UserError(
            f"--out: found {str(out)!r}; allowed is FILE.png in a folder that is there"
        )
    if not weights.exists():
        raise errors.UserError(f"{weights}: no such file; {settings.trains(trained)}")
    if not weights.with_name(beside := "model.sha256").exists():  # of an earlier version's training
        typer.echo(
            f"{weights}: no {beside} beside it, so nothing holds it to what was trained", err=True
        )
    return trained
