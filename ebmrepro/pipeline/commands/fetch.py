"""`ebmrepro fetch`: what belongs to others and is not in the repository."""

from __future__ import annotations

from pathlib import Path

import typer

from ebmrepro.system.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Get what others publish, where there is a network.")

# Of pytorch-fid, in whose source the address stands; its file's name has the start of the hash.
URL = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


@app.callback()
def group() -> None:
    """So that the one command keeps its name."""


@app.command("inception")
def inception() -> None:
    """Get the weights that FID is defined by (pytorch-fid's, 96 MB), where evaluations find them.

    What is there already is checked and kept. DVC does not see it arrive: `dvc repro --single-item
    --force reference@SUITE`, then `dvc repro`, measure again.
    """
    import torch  # says where its cache is

    from ebmrepro.data import downloads
    from ebmrepro.metrics.inception import FILE_NAME, VARIABLE

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        path = downloads.download(FILE_NAME, folder, SHA256, [URL])
    except downloads.Unavailable as error:
        raise UserError(
            f"{FILE_NAME}: not to be had from here; where there is a network get {URL}{FILE_NAME}, "
            f"put it into {folder} or set {VARIABLE} to it ({error})"
        ) from None
    typer.echo(f"{path}: the weights of FID, SHA-256 {SHA256}")
