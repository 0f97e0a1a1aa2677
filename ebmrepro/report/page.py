"""Sections as pages of HTML that link to each other, and what can be taken along from them."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ebmrepro.claims.form import MARKS
from ebmrepro.report import figures, numbers
from ebmrepro.report.blocks import Animation, Figure, Gallery, Panel, Section, Table, Verdicts
from ebmrepro.report.uncommitted import Uncommitted
from ebmrepro.system.errors import UserError

FRONT = "index.html"
QUIET = (numbers.NOT_RUN, numbers.NOT_MEASURED, numbers.NOT_APPLICABLE)


def pages(
    sections: Sequence[Section], front: Section | None = None, unlike: Uncommitted | None = None
) -> dict[str, str]:
    """Path under reports/ -> HTML: the front page, if there is one, and a page for each section.

    Each says what it is `unlike` the last commit in.

    Raises:
        UserError: two sections would have one page.
    """
    titles: dict[str, str] = {}
    for section in sections:
        other = titles.setdefault(path := _path(section), section.title)
        if other is not section.title:
            raise UserError(
                f"params.yaml: {other!r} and {section.title!r} would both be {path} of the report; "
                "allowed is a suite of another name"
            )
    environment = _environment()
    environment.globals |= {"contents": sections, "uncommitted": unlike}
    homes = {at: _path(section) for section in sections for at in _addresses(section)}
    found = {_path(section): ("page.html.j2", section) for section in sections}
    if front is not None:
        found[FRONT] = ("front.html.j2", front)
    return {
        path: _rendered(environment, template, page=section, at=partial(_at, path, homes))
        for path, (template, section) in found.items()
    }


def alone(title: str, sections: Sequence[Section], beside: str) -> str:
    """A page that belongs to no report; what can be taken along lies in the folder `beside` it."""
    facts = {"title": title, "sections": sections, "at": lambda href: f"{beside}/{href}"}
    return _rendered(_environment(), "alone.html.j2", **facts)


def templates(folder: Path) -> Environment:
    """Whatever comes from params.yaml or a result is escaped; nothing is fetched."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _environment() -> Environment:
    environment = templates(Path(__file__).parent)
    pairs = zip(figures.PALETTE, figures.IN_THE_DARK, strict=True)
    colours = {f"c{i}": pair for i, pair in enumerate(pairs)}  # as figures.variables calls them
    environment.globals |= {"colours": colours, "quiet": QUIET, "marks": MARKS}
    environment.filters |= {"svg": _svg, "data_uri": _data_uri}
    environment.filters["capitalised"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _rendered(environment: Environment, template: str, **facts: object) -> str:
    """The page; no line ends between a number and its %."""
    page = environment.get_template(template).render(**facts)
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", page)


def _path(section: Section) -> str:
    return f"pages/{section.slug}.html"


def _addresses(section: Section) -> Iterator[str]:
    yield from section.places
    for block in section.every_block():
        if isinstance(block, Verdicts):
            yield from (row.anchor for row in block.rows)


def _at(path: str, homes: Mapping[str, str], href: str) -> str:
    """A link as the page at `path` has it; `homes` are the pages of addresses."""
    up = "../" * path.count("/")
    if not href.startswith("#"):
        return up + href
    home = homes.get(href[1:], path)
    return href if home == path else up + home + href


def _svg(panel: Panel, figure: str, index: int) -> Markup:
    """matplotlib has escaped the text in it."""
    return Markup(figures.inline(panel, f"{figure}-{index}"))


def _data_uri(picture: bytes) -> str:
    kind = "webp" if picture.startswith(b"RIFF") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


# To take along ---------------------------------------------------------------------------------


def files(sections: Sequence[Section]) -> Iterator[tuple[str, bytes]]:
    """(path under reports/, bytes): figures as PNG and as SVG, animations, tables as CSV."""
    for block in (block for section in sections for block in section.every_block()):
        match block:
            case Figure():
                drawn = figures.files(block.panels, block.name)
            case Gallery() if block.sheet:
                rows = [block.sheet[i : i + 4] for i in range(0, len(block.sheet), 4)]
                drawn = figures.sheet(rows, block.name)
            case Animation():
                drawn = {"webp": block.webp}
            case Table():
                yield f"tables/{block.name}.csv", _csv(block).encode()
                continue
            case _:
                continue
        for ending, data in drawn.items():
            yield f"figures/{block.name}.{ending}", data


def _csv(table: Table) -> str:
    """As printed, with a column of its own for what stands under the numbers, if anything does."""
    headings = [", ".join(filter(None, (c.title, c.small))) for c in table.columns]
    columns = [[table.corner, *(label for label, _ in table.rows)]]
    for i, heading in enumerate(headings):
        cells = [row[i] for _, row in table.rows]
        columns.append([heading, *(_plain(cell.main) for cell in cells)])
        if any(cell.small for cell in cells):
            columns.append([f"{heading}: below", *(_plain(cell.small) for cell in cells)])
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(zip(*columns, strict=True))
    return out.getvalue()


def _plain(text: str) -> str:
    """Numbers as programs read them."""
    return re.sub(r"(?<=\d),(?=\d{3}\b)", "", text).replace("−", "-")
