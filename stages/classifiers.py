"""Stage `classifiers`: what a DBN's errors are held against, on one suite, from one seed."""

import environment  # says what to do when the project's environment is not active

# isort: split
from typing import Annotated

import typer

from ebmrepro.config import params

Seed = Annotated[int, typer.Argument(min=0, max=2**32 - 1)]


def main(suite: str, seed: Seed) -> None:
    """Write results/SUITE/classifiers/SEED: errors of neighbours, support vectors, networks."""
    settings = params.load()
    settings.classifiers(suite)
    from ebmrepro.studies import classifiers

    values = classifiers.write(suite, seed, settings)["values"]
    errors = ", ".join(f"{k.removeprefix('error_')} {100 * v:.2f} %" for k, v in values.items())
    typer.echo(f"{suite} classifiers seed {seed}: {errors}")


if __name__ == "__main__":
    environment.run(main)
