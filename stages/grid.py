"""Stage `grid`: EBGAN's grid of one suite from one seed of its draw and its trainings."""

import environment  # says what to do when the project's environment is not active

# isort: split
import typer
from train import Seed

from ebmrepro.config import params
from ebmrepro.system import signals


def main(suite: str, seed: Seed) -> None:
    """Write results/SUITE/ebgan_grid/SEED: a row per configuration, what they amount to, digits."""
    watch = signals.Watch()  # before the imports below: it remembers this process's parent
    settings = params.load()
    settings.grid(suite)
    from ebmrepro.studies.grid import results

    values = results.write(suite, seed, settings, watch)["values"]
    typer.echo(
        f"{suite} grid seed {seed}: a drawn EBGAN scores above a drawn GAN with probability "
        f"{values['grid_auroc']:.3f}"
    )


if __name__ == "__main__":
    environment.run(main)
