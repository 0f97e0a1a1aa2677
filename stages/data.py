"""Stage `data`: fetch, verify and split the images of one suite."""

import environment  # says what to do when the project's environment is not active

# isort: split
from pathlib import Path

import typer

from ebmrepro import data
from ebmrepro.config import params


def main(suite: str) -> None:
    """Write data/SUITE: images as uint8, labels, and what they are."""
    block = params.load().suite(suite).data
    dataset = data.prepare(suite, block, Path("data") / suite)
    counts = ", ".join(f"{name} {split['count']:,}" for name, split in dataset["splits"].items())
    typer.echo(f"data/{suite}: {dataset['name']}: {counts} images")
    for remark in data.remarks(dataset):
        typer.echo(f"data/{suite}: {remark}")


if __name__ == "__main__":
    environment.run(main)
