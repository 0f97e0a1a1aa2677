"""Stage `train`: train one system of one suite from one seed."""

import environment  # says what to do when the project's environment is not active

# isort: split
import os
from pathlib import Path
from typing import Annotated

import typer

from ebmrepro.config import params
from ebmrepro.system import signals
from ebmrepro.tracking import follower

Seed = Annotated[int, typer.Argument(min=0, max=2**32 - 1)]


def main(suite: str, name: str, seed: Seed) -> None:
    """Write models/SUITE/NAME/SEED: weights, curves, image grids, and what was run."""
    watch = signals.Watch()  # before the imports below: it remembers this process's parent
    settings = params.load()
    settings.block(suite, name)
    one = params.Training(suite, name, seed)
    own = [one] if os.environ.get("RANK", "0") == "0" else []  # torchrun's
    with follower.following(Path(), own, after=follower.SHORT):
        from ebmrepro.runs import run

        run.train_one(suite, name, seed, settings, watch)


if __name__ == "__main__":
    environment.run(main)
