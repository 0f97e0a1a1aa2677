"""Stage `grid`: EBGAN's grid of one suite from one seed of its draw and its trainings."""

import environment  # says what to do when the project's environment is not active

# isort: split
from typing import Annotated

import typer

from ebmrepro.config import params
from ebmrepro.system import errors, signals

Seed = Annotated[int, typer.Argument(min=0, max=2**32 - 1)]


def main(suite: str, seed: Seed) -> None:
    """Write results/SUITE/ebgan_grid/SEED: a row per configuration, what they amount to, digits."""
    watch = signals.Watch()  # before the imports below: it remembers this process's parent
    try:
        settings = params.load()
        settings.grid(suite)
        from ebmrepro.studies.grid import results

        values = results.write(suite, seed, settings, watch)["values"]
    except errors.UserError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    except signals.Stopped as stop:
        typer.echo(f"{stop}; the same command goes on from there", err=True)
        raise typer.Exit(stop.code) from None
    except KeyboardInterrupt:
        typer.echo(f"{suite} grid seed {seed}: stopped; the same command goes on", err=True)
        raise typer.Exit(130) from None
    typer.echo(
        f"{suite} grid seed {seed}: a drawn EBGAN scores above a drawn GAN with probability "
        f"{values['grid_auroc']:.3f}"
    )


if __name__ == "__main__":
    environment.run(main)
