"""Stage `tour`: five questions that one energy can answer, put to the trained models of a suite."""

import environment  # says what to do when the project's environment is not active

# isort: split
import typer

from ebmrepro.config import params


def main(suite: str) -> None:
    """Write results/SUITE/tour: the answers as numbers, as arrays for the report, as pictures."""
    settings = params.load()
    from ebmrepro.studies import tour

    answers = tour.write(suite, settings)
    typer.echo(f"{suite} tour: {len(answers['values'])} measures, {len(settings.run.seeds)} seeds")


if __name__ == "__main__":
    environment.run(main)
