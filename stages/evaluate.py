"""Stage `evaluate`: measure one system of one suite, every seed of the run."""

import environment  # says what to do when the project's environment is not active

# isort: split
import typer

from ebmrepro.config import params


def main(suite: str, name: str) -> None:
    """Write results/SUITE/NAME: metrics, energies and images of each seed."""
    settings = params.load()
    settings.block(suite, name)
    from ebmrepro.evaluation import evaluate, reference

    extract = reference.Extractor(suite, settings, kept=True)
    for seed in settings.run.seeds:
        values = evaluate.evaluate(suite, name, seed, settings, extract)["values"]
        typer.echo(
            f"{suite} {name} seed {seed}: fd_dbn {values['fd_dbn']:.3f} "
            f"(untrained {values['fd_dbn_untrained']:.1f}), "
            f"classes covered {values['classes_covered']}"
        )


if __name__ == "__main__":
    environment.run(main)
