"""Stage `fundamentals`: energies of the plane, which can be seen, and whose Z can be computed."""

import environment  # says what to do when the project's environment is not active

# isort: split
from pathlib import Path

import typer

from ebmrepro.config import params
from ebmrepro.system import errors


def main() -> None:
    """Write results/fundamentals: numbers; and generated/fundamentals: arrays and animations."""
    try:
        asked = params.load().fundamentals
        from ebmrepro.runs import layout
        from ebmrepro.studies.plane import film, measure
        from ebmrepro.system import atomic

        found = measure.measure(asked, typer.echo)
        results, generated = Path("results/fundamentals"), Path("generated/fundamentals")
        for folder in (results, generated):
            folder.mkdir(parents=True, exist_ok=True)
        atomic.write_json(results / "metrics.json", found.document())
        found.save(generated / "arrays.npz")
        film.write(found.training, found.sliding, asked, generated)
        # What belongs to this machine and moment lies beside the results, never inside them.
        provenance = layout.root() / ".ebmrepro" / "provenance" / "fundamentals.json"
        provenance.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(provenance, {"seconds": found.seconds})
    except errors.UserError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    typer.echo(f"results/fundamentals: {len(found.values)} values over seeds")


if __name__ == "__main__":
    environment.run(main)
