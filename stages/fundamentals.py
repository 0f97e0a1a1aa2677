"""Stage `fundamentals`: energies of the plane, which can be seen, and whose Z can be computed."""

import environment  # says what to do when the project's environment is not active

# isort: split
from pathlib import Path

import typer

from ebmrepro.config import params


def main() -> None:
    """Write results/fundamentals: numbers; and generated/fundamentals: arrays and animations."""
    block = params.load().fundamentals
    from ebmrepro.runs import layout
    from ebmrepro.studies.plane import film, measure
    from ebmrepro.system import atomic

    measured = measure.measure(block, typer.echo)
    results, generated = Path("results/fundamentals"), Path("generated/fundamentals")
    # What belongs to this machine and moment lies beside the results, never inside them.
    provenance = layout.root() / ".ebmrepro/provenance"
    for folder in (results, generated, provenance):
        folder.mkdir(parents=True, exist_ok=True)
    atomic.write_json(results / "metrics.json", measured.document())
    measured.save(generated / "arrays.npz")
    film.write(measured.training, measured.sliding, block, generated)
    atomic.write_json(provenance / "fundamentals.json", {"seconds": measured.seconds})
    typer.echo(f"results/fundamentals: {len(measured.values)} values over seeds")


if __name__ == "__main__":
    environment.run(main)
