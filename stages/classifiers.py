"""Stage `classifiers`: what a DBN's errors are held against, on one suite, from one seed."""

import environment  # says what to do when the project's environment is not active

# isort: split
import typer
from train import Seed

from ebmrepro.config import params


def main(suite: str, seed: Seed) -> None:
    """Write results/SUITE/classifiers/SEED: errors of neighbours, support vectors, networks."""
    settings = params.load()
    settings.classifiers(suite)
    from ebmrepro.studies import classifiers

    say(classifiers.write(suite, seed, settings))


def say(measured):
    """The errors in a metrics.json, on a line."""
    errors = ", ".join(f"{name} {error:.4g}" for name, error in measured["values"].items())
    typer.echo(f"{measured['suite']} {measured['method']} seed {measured['seed']}: {errors}")


if __name__ == "__main__":
    environment.run(main)
