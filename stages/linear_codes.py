"""Stage `linear_codes`: what an auto-encoder is held against, on one suite, from one seed."""

import environment  # says what to do when the project's environment is not active

# isort: split
from typing import Annotated

import typer

from ebmrepro.config import params

Seed = Annotated[int, typer.Argument(min=0, max=2**32 - 1)]


def main(suite: str, seed: Seed) -> None:
    """Write results/SUITE/linear_codes/SEED: errors of PCA and logistic PCA."""
    settings = params.load()
    settings.linear_codes(suite)
    from ebmrepro.studies import linear_codes

    values = linear_codes.write(suite, seed, settings)["values"]
    errors = ", ".join(f"{key} {value:.3f}" for key, value in values.items())
    typer.echo(f"{suite} linear_codes seed {seed}: {errors}")


if __name__ == "__main__":
    environment.run(main)
