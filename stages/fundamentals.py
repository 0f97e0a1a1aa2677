"""Stage `fundamentals`: energies of the plane, which can be seen, and whose Z can be computed."""

import environment  # says what to do when the project's environment is not active

# isort: split
from pathlib import Path

import typer

from ebmrepro import params


def main() -> None:
    """Write results/fundamentals: numbers; and generated/fundamentals: arrays and animations."""
    try:
        asked = params.load().fundamentals
        import torch

        from ebmrepro import runs
        from ebmrepro.plane import files, measure

        torch.set_num_threads(1)  # as for all small networks; and sums are the same everywhere
        found = measure.measure(asked, typer.echo)
        files.write(found, asked, Path())
        runs.write_seconds("fundamentals", found.seconds)
    except params.UserError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    values = found.values["kl_ring@ml"].values()
    typer.echo(f"fundamentals: {len(found.values)} measures; KL of the ring {max(values):.3f}")


if __name__ == "__main__":
    environment.run(main)
