"""Figures and tables of the report in the pages, from the results that a page is built beside."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from source import ROOT, MarkerError, escape

from ebmrepro.config import params
from ebmrepro.report import figures, markdown, plane, tour
from ebmrepro.report.blocks import Animation, Captioned, Figure, Gallery, Section, Table
from ebmrepro.report.gather import gather
from ebmrepro.report.suite import of_suite

INTERACTIVE = "landscape.html"  # of reports/ and of the site
NOT_DRAWN = "not drawn here: `make repro` makes what it is drawn from"


def figure(name: str, shown: Sequence[str] = ()) -> str:
    """A figure, gallery or film's last picture of the report by its name there, with its caption.

    `shown` chooses among its panels or tiles by their titles, in that order; none: all.

    Raises:
        MarkerError: the report has no such figure, or that has no such panel or tile.
    """
    there = {name: b for name, b in _blocks().items() if not isinstance(b, Table)}
    if name not in there:
        if name.startswith("plane-") and "plane" not in {at.partition("-")[0] for at in there}:
            return f"*Figure: {NOT_DRAWN}.*"
        raise MarkerError(f"figure: the report has no {name}; there are {', '.join(there)}")
    block = there[name]
    if isinstance(block, Animation):
        drawn = [_picture(block.title, block.still)]
    elif isinstance(block, Gallery):
        tiles = {t.label: t for t in block.tiles}
        drawn = [
            f"<div><b>{label}</b>{_picture(label, png) if (png := tiles[label].png) else ''}</div>"
            for label in _chosen(name, shown, tiles)
        ]
    else:
        assert isinstance(block, Figure)
        panels = {panel.title: panel for panel in block.panels}
        drawn = [
            f"<div>{figures.inline(panels[title], f'docs-{name}-{i}')}</div>"
            for i, title in enumerate(_chosen(name, shown, panels))
        ]
    body = re.sub(r"\n\s*", " ", "".join(drawn))  # a blank line would end the element
    told = f"<b>{escape(block.title)}.</b> {escape(block.caption)}"
    caption = f"<figcaption>{told}</figcaption>"
    return f'<figure class="drawn"><div class="panels">{body}</div>{caption}</figure>'


def table(name: str) -> str:
    """A table of the report by its name there, with its caption.

    Raises:
        MarkerError: the report has no such table.
    """
    there = {name: b for name, b in _blocks().items() if isinstance(b, Table)}
    if name not in there:
        raise MarkerError(f"table: the report has no {name}; there are {', '.join(there)}")
    return markdown.table(there[name])


def interactive(place: str = "plane") -> str:
    """A link to a section of the page to play with, `plane` or `dials`, where it was made."""
    if not (ROOT / "reports" / INTERACTIVE).is_file():
        return f"*The page to play with: {NOT_DRAWN}.*"
    return f"[Play with it]({INTERACTIVE}#{place}){{ .md-button .md-button--primary }}"


def report() -> str:
    """A sentence that leads to the report, which stands beside the site in a checkout."""
    return (
        "The report shows every measure of every system: "
        '<a href="../reports/index.html">its front page</a>, where `make repro` has made it.'
    )


def page() -> str | None:
    """The page to play with, its links made for the site; None where it was not made."""
    made = ROOT / "reports" / INTERACTIVE
    if not made.is_file():
        return None
    text = made.read_text(encoding="utf-8")
    text = text.replace('href="index.html"', 'href="../reports/index.html"')
    return text.replace('href="../site/lecture.html"', 'href="lecture.html"')


@cache
def _blocks() -> dict[str, Captioned]:
    """All of the report that can be shown here, by name."""
    settings = params.load(ROOT / "params.yaml")
    suites = gather(ROOT, settings)
    seen = plane.read(ROOT, settings.fundamentals)
    sections = [*map(of_suite, suites), *tour.section(suites)]
    if seen is not None:
        sections.append(plane.section(seen))
    return {block.name: block for section in sections for block in _captioned(section)}


def _captioned(section: Section) -> Iterator[Captioned]:
    for block in section.blocks:
        if isinstance(block, (Animation, Figure, Gallery, Table)):
            yield block
    for part in section.sections:
        yield from _captioned(part)


def _chosen(name: str, shown: Sequence[str], there: Mapping[str, object]) -> Sequence[str]:
    for title in shown:
        if title not in there:
            raise MarkerError(f"figure: {name} has no {title!r}; there are {', '.join(there)}")
    return shown or list(there)


def _picture(alt: str, data: bytes) -> str:
    kind = "webp" if data.startswith(b"RIFF") else "png"
    return f'<img alt="{alt}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
