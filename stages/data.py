"""Stage `data`: fetch, verify and split the images of one suite."""

import environment  # noqa: F401, says what to do when the project's environment is not active

# isort: split
from pathlib import Path

import typer

from ebmrepro import data, params


def main(suite: str) -> None:
    """Write data/SUITE: images as uint8, labels, and what they are."""
    try:
        suites = params.load().suites
        if suite not in suites:
            raise params.ParamsError(
                f"params.yaml: no suite {suite!r}; there are {', '.join(suites)}"
                f"{params.nearest(suite, suites)}"
            )
        dataset = data.prepare(suite, suites[suite].data, Path("data") / suite)
    except (params.ParamsError, data.DataError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    counts = ", ".join(f"{name} {split['count']:,}" for name, split in dataset["splits"].items())
    typer.echo(f"data/{suite}: {dataset['name']}: {counts} images")


if __name__ == "__main__":
    typer.run(main)
