"""Sections as one self-contained page of HTML, and the figures as files."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ebmrepro.claims.form import MARKS
from ebmrepro.report import figures, numbers
from ebmrepro.report.blocks import Animation, Block, Figure, Gallery, Panel, Section

TEMPLATE = "page.html.j2"


def html(sections: Sequence[Section]) -> str:
    """The page. Whatever comes from params.yaml or a result is escaped; nothing is fetched."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"svg": _svg, "data_uri": _data_uri}
    pairs = zip(figures.PALETTE, figures.IN_THE_DARK, strict=True)
    colours = {f"c{i}": pair for i, pair in enumerate(pairs)}  # as figures.variables calls them
    quiet = (numbers.NOT_RUN, numbers.NOT_MEASURED, numbers.NOT_APPLICABLE)
    page = environment.get_template(TEMPLATE)
    return page.render(sections=sections, colours=colours, quiet=quiet, marks=MARKS)


def files(sections: Sequence[Section]) -> Iterator[tuple[str, bytes]]:
    """(file name, bytes) of every figure, as PNG and as SVG, and of every animation."""
    for block in _blocks(sections):
        if isinstance(block, Figure):
            drawn = figures.files(block.panels, block.name)
        elif isinstance(block, Gallery) and block.sheet:
            rows = [block.sheet[i : i + 4] for i in range(0, len(block.sheet), 4)]
            drawn = figures.sheet(rows, block.name)
        elif isinstance(block, Animation):
            drawn = {"webp": block.webp}
        else:
            continue
        for ending, data in drawn.items():
            yield f"{block.name}.{ending}", data


def _blocks(sections: Sequence[Section]) -> Iterator[Block]:
    for section in sections:
        yield from section.blocks
        yield from _blocks(section.sections)


def _svg(panel: Panel, figure: str, index: int) -> Markup:
    """matplotlib has escaped the text in it."""
    return Markup(figures.inline(panel, f"{figure}-{index}"))


def _data_uri(picture: bytes) -> str:
    kind = "webp" if picture.startswith(b"RIFF") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
