"""Committed results in the pages, so that a page is true of the results it is built beside."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from source import ROOT, MarkerError, escape

from ebmrepro.metrics import catalogue
from ebmrepro.metrics.interval import interval
from ebmrepro.report import numbers, words

PICTURES = "assets/results"  # where the site has the pictures of results
NOT_RUN = "not run here"


def result(suite: str, names: Sequence[str], measures: Sequence[str]) -> str:
    """Measures down, systems across: mean over the committed seeds, its 95 % interval and n.

    Raises:
        MarkerError: a measure has no name in the catalogue.
    """
    runs = {name: _runs(suite, name) for name in names}
    if not any(runs.values()):
        return f"*{words.suite(suite)}: {NOT_RUN}.*"
    table = [
        f"| {words.suite(suite)} | {' | '.join(words.system(name) for name in names)} |",
        f"| :-- |{' --: |' * len(names)}",
    ]
    for measure in measures:
        try:
            told = catalogue.describe(measure)
        except KeyError as error:
            raise MarkerError(f"result: {error.args[0]}") from None
        cells = [_cell(runs[name], measure, told.digits) for name in names]
        better = f", {told.better} is better" if told.better else ""
        table.append(f"| {escape(told.label)}{better} | {' | '.join(cells)} |")
    note = "Mean over training seeds, 95 % interval in brackets, number of seeds behind it."
    return "\n".join([*table, "", f"<small>{note} From `results/{suite}/`.</small>"])


def samples(suite: str, name: str, page: Any) -> str:
    """What a system draws after training, from its first committed seed."""
    found = _folders(suite, name)
    if not found:
        return f"*{words.system(name)} on {words.suite(suite)}: {NOT_RUN}.*"
    link = posixpath.relpath(
        f"{PICTURES}/{suite}-{name}.png", posixpath.dirname(page.file.src_uri) or "."
    )
    alt = f"Generated images of {words.system(name)}, {words.suite(suite)}"
    caption = f"{words.system(name)}, {words.suite(suite)}, seed {found[0].name}; not selected"
    return (
        f'<figure markdown="span">\n![{alt}]({link}){{ .samples }}\n'
        f"<figcaption>{caption}</figcaption>\n</figure>"
    )


def verdicts(paper: str) -> str:
    """What was found of a paper's claims: reports/claims.json, which the report writes."""
    path = ROOT / "reports" / "claims.json"
    if not path.is_file():
        return f"*Verdicts on the paper's claims: {NOT_RUN}.*"
    raise NotImplementedError(paper)


def pictures() -> Iterator[tuple[str, Path]]:
    """(address in the site, file) of every picture of results that a page may show."""
    yield f"{PICTURES}/overview.png", ROOT / "reports" / "overview.png"
    for folder in sorted((ROOT / "results").glob("*/*")):
        suite, name = folder.parts[-2:]
        if seeds := _folders(suite, name):
            yield f"{PICTURES}/{suite}-{name}.png", seeds[0] / "samples.png"


def measures() -> str:
    """Every measure of the catalogue."""
    table = [
        "| measure | name in files | unit | better | how it is measured |",
        "| :-- | :-- | :-- | :-- | :-- |",
    ]
    for name, told in catalogue.MEASURES.items():
        cells = (told.label, f"`{name}`", told.unit, told.better or "", told.protocol)
        shown = [cell if cell.startswith("`") else escape(cell) for cell in cells]
        table.append(f"| {' | '.join(shown)} |")
    return "\n".join(table)


def _folders(suite: str, name: str) -> Sequence[Path]:
    found = (ROOT / "results" / suite / name).glob("*/metrics.json")
    return sorted((path.parent for path in found), key=lambda folder: int(folder.name))


def _runs(suite: str, name: str) -> Sequence[dict[str, Any]]:
    texts = (f / "metrics.json" for f in _folders(suite, name))
    return [json.loads(path.read_text(encoding="utf-8")) for path in texts]


def _cell(runs: Sequence[dict[str, Any]], measure: str, digits: int) -> str:
    if not runs:
        return NOT_RUN
    values = [v for run in runs if (v := run["values"].get(measure)) is not None]
    if not values:
        return "not measured" if any(measure in run["values"] for run in runs) else "–"
    found = interval(values, numbers.LEVEL)
    bounds = numbers.bounds(found, digits)
    small = escape(f"{bounds} n = {found.n}".strip())
    return f"{numbers.number(found.mean, digits)}<br><small>{small}</small>"
