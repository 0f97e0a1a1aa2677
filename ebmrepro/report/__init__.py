"""The report: what the runs of params.yaml have left on disk, as pages, figures and tables.

`gather` reads files to plain values, `sections` says what there is to show of them, `page`,
`markdown` and `figures` show it. The same files give the same bytes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ebmrepro.config.params import Params
from ebmrepro.report import (
    claims,
    figures,
    front,
    landscape,
    markdown,
    numbers,
    page,
    plane,
    uncommitted,
)
from ebmrepro.report.blocks import Picture, Section, slug
from ebmrepro.report.gather import Suite, System, gather
from ebmrepro.report.sections import WORDS, sections
from ebmrepro.system import atomic

__all__ = ["files", "write"]


def write(params: Params, root: Path, into: Path) -> Path:
    """Render the report of `params.run` from the files under `root`, and return its front page.

    The verdicts are those of claims.json in `into`; without it the report has no claims. `into`
    gets index.html, pages/, landscape.html, results.md, summary.json, overview.png, figures/,
    tables/ and plots/; the folders are emptied first, so that no earlier figure stays.

    Raises:
        UserError: a result file is there and cannot be read, or two suites would share a page.
        atomic.CannotWrite: the machine refuses.
    """
    suites, seen, (first, *content) = _read(params, root, into)
    rendered = page.pages(content, first, uncommitted.find(root))  # or refused, before all is gone
    for name in ("figures", "pages", "plots", "tables"):
        shutil.rmtree(into / name, ignore_errors=True)
        with atomic.named_errors(into / name):
            (into / name).mkdir(parents=True)
    for name, data in page.files([first, *content]):
        atomic.write(into / name, data)
    for name, html in rendered.items():
        atomic.write(into / name, html)
    for suite in suites:
        for system in suite.with_curve("energy/real", "energy/fake"):
            path = into / "plots" / f"{slug(suite.name)}-{file_name(system.name)}.csv"
            atomic.write(path, _energies(system))
    overview = next(b for part in content for b in part.blocks if isinstance(b, Picture))
    atomic.write(into / "overview.png", overview.png)
    atomic.write_json(into / "summary.json", _summary(suites))
    atomic.write(into / "results.md", markdown.markdown(content))
    atomic.write(into / "landscape.html", landscape.html(seen))
    return into / page.FRONT


def files(params: Params, root: Path, into: Path) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of every figure and table that `write` would put into `into`; see there."""
    yield from page.files(_read(params, root, into)[-1])


def _read(
    params: Params, root: Path, into: Path
) -> tuple[Sequence[Suite], plane.Found | None, Sequence[Section]]:
    """The suites, the plane, and the front page's section before all others."""
    suites = gather(root, params)
    told = claims.read(into / "claims.json")
    seen = plane.read(root, params.fundamentals)
    content = sections(suites, told, seen)
    return suites, seen, [front.section(suites, told, content), *content]


def file_name(text: str) -> str:
    """Part of a file's name, whatever a variant is called: it leads to no other folder."""
    return re.sub(r"[^\w-]", "-", text, flags=re.ASCII)


def _summary(suites: Sequence[Suite]) -> Mapping[str, Any]:
    """Means over seeds, suite -> system -> measure; what was not measured is left out."""
    return {
        suite.name: {
            system.name: {
                measure: round(found.mean, 6)
                for measure in WORDS["compared"]
                if (found := numbers.over_seeds(system, measure)) is not None
            }
            for system in suite.systems
            if system.measured
        }
        for suite in suites
    }


def _energies(system: System) -> str:
    """Energies over training as CSV, means over seeds, for `dvc plots`."""
    columns = [figures.mean(system.curves(f"energy/{kind}")) for kind in ("real", "fake")]
    lines = ["epoch,real,fake"]
    for epoch, values in enumerate(zip(*columns, strict=True), start=1):
        cells = [f"{value:.6g}" if np.isfinite(value) else "" for value in values]
        lines.append(",".join([str(epoch), *cells]))
    return "\n".join(lines) + "\n"
