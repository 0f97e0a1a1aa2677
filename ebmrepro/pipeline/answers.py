"""What a command prints that several rooms have to answer together."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.config.params import Params
from ebmrepro.pipeline import sides
from ebmrepro.report import claims, compared, compared_terminal, comparison, front, page, terminal
from ebmrepro.report import tour as questions
from ebmrepro.report.gather import gather
from ebmrepro.runs import carried


def compare(a: str, b: str, name: str = "") -> None:
    """Print what two words name side by side, and write its page.

    Raises:
        UserError: a word names nothing, or the two have nothing to compare.
    """
    with tempfile.TemporaryDirectory(prefix="ebmrepro-") as into:
        found = [comparison.of(*pair) for pair in sides.pairs(a, b, Path(), Path(into))]
    console = Console()
    for each in found:
        compared_terminal.show(each, console)
    written = compared.write(found, (a, b), Path(), name)
    console.print(f"Curves and images: {written}", style="bold", soft_wrap=True)


def findings(root: Path) -> None:
    """Print the findings of the front page as the claims stand, and the report's path.

    Raises:
        UserError: params.yaml or claims.json cannot be read.
    """
    settings, front_page = params.load(root / "params.yaml"), root / "reports" / page.FRONT
    document = claims.read(front_page.parent / "claims.json")
    run = settings.run.suites
    results = [*run, *carried.suites(root, settings)]
    judged = front.Judged({claim["id"]: claim for claim in document["claims"]}, run, results)
    console = Console()
    console.rule(front.WORDS["parts"]["findings"], align="left")
    for found in front.findings(judged):
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(*map(Text, front.in_words(found).split(" ", 1)))
        console.print(grid)
    console.print(Text(front.WORDS["key"], style="dim"))
    console.print(f"report: {front_page.resolve()}", style="bold", soft_wrap=True)


def tour(name: str, settings: Params) -> None:
    """Print the answers of a suite's methods, asking them where the stage has not."""
    decision = settings.suite(name).tour.decision
    if not (Path("results") / name / "tour" / "metrics.json").exists():
        from ebmrepro.studies import tour as asked  # torch

        asked.write(name, settings)
    run = settings.run.model_copy(update={"suites": [name]})
    settings = settings.model_copy(update={"run": run})
    from ebmrepro.studies.tour import timing

    console = Console()
    results = next(each for each in gather(Path(), settings) if each.name == name)
    told = dataclasses.replace(results, systems=results.generators)  # variants are on the page
    terminal.show(questions.section([told]), console)
    known = results.dataset or data.describe(Path("data") / name)  # a clone may have no data
    timed = timing.search(len(known["classes"]), decision.lengths, decision.brute_force)
    terminal.show([questions.times(timed)], console)
    console.print("Variants, 95 % intervals and pictures: reports/pages/tour.html", style="bold")
