"""`ebmrepro offload`: trainings on a machine that has torch and numpy only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ebmrepro.config import params
from ebmrepro.runs.carried import counted
from ebmrepro.system.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    help="Train on a machine that has torch and numpy only: pack here, run there, take back.",
)


@app.command("pack")
def pack_up(
    suite: Annotated[str, typer.Argument(help="A suite of params.yaml.")],
    blocks: Annotated[
        list[str] | None,
        typer.Argument(help="Systems, the most worth first; those of `run`, or of the suite."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("offload"),
    seeds: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Of the trainings; run.seeds if none.")
    ] = None,
    size: Annotated[float, typer.Option(min=1, max=1e6, help="MB that the folder may have.")] = 60,
    images: Annotated[
        int | None, typer.Option(min=1, help="A part of the training images; all if none.")
    ] = None,
    python: Annotated[
        str | None, typer.Option(metavar="3.N", help="The machine's; this one's if none.")
    ] = None,
) -> None:
    """Write code, parameters, images and lacking packages into one folder for a bare machine.

    There, `python run.py --seconds 540` in it trains what fits in that time, in the order given,
    all systems with the first seed, then with the next, and leaves in home/ what
    `ebmrepro offload take` brings back. The Linux machine needs torch, numpy and the Python that
    was named. Results of a part of the images say so.
    """
    settings = params.load()
    every = [name for _, name, _ in settings.suite(suite).blocks]
    names = blocks or (settings.run.names if suite in settings.run.suites else every)
    for name in (names := list(dict.fromkeys(names))):
        block = settings.block(suite, name)  # an unknown one is named
        if images is not None and images < block.batch_size:
            least = f"{name} has batches of {block.batch_size}, and needs as many"
            raise UserError(f"--images: found {images}; {least}")
    numbers = settings.run.seeds if seeds is None else _seeds(seeds)
    if python is not None and not re.fullmatch(r"3\.\d{1,2}", python):
        raise UserError(f"--python: found {python!r}; allowed is 3.11, 3.12, ...")
    from ebmrepro.pipeline.offload import pack

    limit = round(size * pack.MEGABYTE)
    pack.write(suite, names, numbers, settings, out, limit, images, python)
    typer.echo(
        f"{out}: {pack.size(out) / pack.MEGABYTE:.1f} MB, "
        f"{counted(len(names), 'system')}, {counted(len(numbers), 'seed')}; "
        f"there: python run.py --seconds 540; then: ebmrepro offload take {out}"
    )


def _seeds(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.isdecimal() and int(word) < 2**32 for word in words):
        raise UserError(f"--seeds: found {text!r}; allowed are numbers like 3,4,5")
    return list(dict.fromkeys(map(int, words)))


@app.command("take")
def take_home(
    folder: Annotated[Path, typer.Argument(help="The pack, or what lay in its home/.")],
) -> None:
    """Put the models, curves, provenance and checkpoints of a pack where stages would have.

    What was trained with other parameters, images or code than those here is left alone. The stages
    of params.yaml's `run` are told to DVC, so that `dvc repro` goes on from them; what was trained
    on a part of the images is no stage's.
    """
    settings = params.load()
    from ebmrepro.pipeline.offload import take

    well = True
    for line, right in take.take(folder, settings):
        typer.echo(line, err=not right)
        well = well and right
    if not well:
        raise typer.Exit(1)
