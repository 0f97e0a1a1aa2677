"""Stage `reference`: features of a suite's real images, which generated ones are held against."""

import environment  # says what to do when the project's environment is not active

# isort: split
import typer

from ebmrepro.config import params


def main(suite: str) -> None:
    """Write reference/SUITE: features per extractor, and the floor that real images reach."""
    settings = params.load()
    settings.suite(suite)
    from ebmrepro.evaluation import reference

    card = reference.reference(suite, settings)
    typer.echo(
        f"reference/{suite}: {card['count']:,} images ({card['split']}); {card['extractor']}"
    )
    typer.echo(f"  copies of training images reach fd_dbn {card['rows']['copies']['fd_dbn']:.3f}")
    if "fid_reason" in card:
        typer.echo("  fid: not measured, the Inception weights are not at hand (see README)")


if __name__ == "__main__":
    environment.run(main)
