"""Stage `reference`: a suite's real images, and what is no system's beside them."""

import environment  # says what to do when the project's environment is not active

# isort: split
import typer

from ebmrepro.config import params


def main(suite: str) -> None:
    """Write reference/SUITE, and what copies, noise and the mean image score."""
    settings = params.load()
    settings.suite(suite)
    from ebmrepro.evaluation import reference

    card = reference.reference(suite, settings)
    typer.echo(
        f"reference/{suite}: {card['count']:,} images ({card['split']}); {card['extractor']}"
    )
    scores = {row: told["values"].get("fd_dbn") for row, told in card["rows"].items()}
    told = [f"{row} {fd_dbn:.3f}" for row, fd_dbn in scores.items() if fd_dbn is not None]
    typer.echo(f"  fd_dbn of what is no system's: {', '.join(told)}")
    if "fid_reason" in card:
        typer.echo("  fid: not measured, the Inception weights are not at hand (see README)")


if __name__ == "__main__":
    environment.run(main)
