"""Stage `report`: what the runs of params.yaml have left on disk, as pages, figures and tables."""

import environment  # says what to do when the project's environment is not active

# isort: split
from pathlib import Path

import typer

from ebmrepro.config import params
from ebmrepro.tracking import follower


def main() -> None:
    """Write reports/: index.html, pages, results.md, *.json, figures, tables, plots."""
    settings = params.load()
    # Brings MLflow up to date on all runs: evaluations, and trainings too short to be followed.
    with follower.following(Path(), list(settings.run.trainings)):
        from ebmrepro import report
        from ebmrepro.claims import claims_file, judgements

        claims = claims_file.load(settings)
        judgements.write(claims, settings, Path(), Path("reports/claims.json"))
        page = report.write(settings, Path(), Path("reports"))
    typer.echo(f"report: {page}")


if __name__ == "__main__":
    environment.run(main)
