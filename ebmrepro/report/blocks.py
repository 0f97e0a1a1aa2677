"""What a report is made of: sections of blocks, said once, shown as a page and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ebmrepro.metrics.catalogue import SCALES, Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ebmrepro.report.gather import Array

Told = Mapping[str, Any]  # a claim of claims.json, or a judgement of one


class Block:
    """What stands in a section, one below the other."""

    @property
    def kind(self) -> str:
        """What the page's template calls it."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Text(Block):
    """A paragraph; `lines` after it are set as a list."""

    text: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Command(Block):
    """What a reader may type to get this again."""

    text: str


@dataclass(frozen=True)
class Captioned(Block):
    """What has a heading of its own; `name` is that of its files, where it has any."""

    name: str
    title: str
    caption: str


@dataclass(frozen=True)
class Cell:
    """A value as printed: `main`, with `small` (its interval) under it and notes by number."""

    main: str
    small: str = ""
    notes: tuple[int, ...] = ()
    best: bool = False


@dataclass(frozen=True)
class Column:
    title: str
    small: str = ""  # unit and direction
    measure: str = ""  # what its cells hold, where they are looked up by name
    digits: int = 3  # decimals of them

    @property
    def scale(self) -> Scale:
        """On which its cells spread over seeds, by its unit."""
        return SCALES.get(self.small.partition(";")[0], "linear")


@dataclass(frozen=True)
class Table(Captioned):
    corner: str  # heading of the first column
    columns: Sequence[Column]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    notes: Sequence[str] = ()
    words: bool = False  # cells are words, set to the left


@dataclass(frozen=True)
class Picture(Captioned):
    """A picture across the page, also a file of its own beside it."""

    png: bytes


@dataclass(frozen=True)
class Animation(Captioned):
    """A picture that moves, and its last one for a reader who has asked for no movement."""

    webp: bytes
    still: bytes


@dataclass(frozen=True)
class Panel:
    """One pair of axes: drawn alone on the page, with its siblings in the figure's file."""

    title: str
    draw: Callable[[Axes], None]
    height: float = 2.9  # inches; a panel is figures.WIDTH wide
    left: float = 0.75  # inches, what the labels of the vertical axis take


@dataclass(frozen=True)
class Figure(Captioned):
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Tile:
    """A picture with its label; without a picture, `missing` says why."""

    label: str
    png: bytes | None
    missing: str = ""


@dataclass(frozen=True)
class Gallery(Captioned):
    tiles: Sequence[Tile]
    sheet: Sequence[tuple[str, Array | None]] = ()  # what its files show; none without


@dataclass(frozen=True)
class Link:
    text: str
    href: str = ""  # a place in the report (`#slug`) or a file, from reports/; none: plain text


@dataclass(frozen=True)
class Judged:
    """A claim's verdict on one suite, as a row; what led to it opens under the sentence."""

    anchor: str
    claim: Told
    judgement: Told
    source: str
    trail: Sequence[tuple[str, Sequence[Link]]]  # from the verdict to numbers, figure, command, run
    provenance: Link  # where it says on what carried numbers were made


@dataclass(frozen=True)
class Verdicts(Block):
    rows: Sequence[Judged]


@dataclass(frozen=True)
class Counts(Block):
    """How many verdicts there are of each kind, as a bar that is also the legend of the marks."""

    counts: Sequence[tuple[str, int]]  # verdict, how many


@dataclass(frozen=True)
class Finding(Block):
    """What a claim came to: a sentence, its number and what that is a number of."""

    verdict: str
    where: str
    text: str
    number: str
    of: str
    link: Link


@dataclass(frozen=True)
class Row:
    """A claim in a matrix: its address, its name, its sentence, a verdict for each column of its
    group.
    """

    anchor: str
    link: Link
    claim: str
    marks: Sequence[tuple[str, Link]]  # ("", ...) where the suite cannot decide it


@dataclass(frozen=True)
class Matrix(Block):
    groups: Sequence[tuple[str, Sequence[str], Sequence[Row]]]  # a paper, its columns, its claims


@dataclass(frozen=True)
class Links(Block):
    """A list of places; a verdict stands before those that are claims."""

    title: str
    items: Sequence[tuple[str, Link]]  # (verdict or "", where)


@dataclass(frozen=True)
class Section:
    """A heading, its blocks and its subsections; `slug` is its address in the report."""

    slug: str
    title: str
    blocks: Sequence[Block] = ()
    sections: Sequence[Section] = ()
    folded: bool = False  # shown as a heading that opens; of a page: paths tried, no results

    @property
    def places(self) -> Mapping[str, str]:
        """Address -> title, of itself and of all it holds, which are told with its own title."""
        parts = [place for part in self.sections for place in part.places.items()]
        return {self.slug: self.title, **{at: f"{self.title}: {title}" for at, title in parts}}

    def every_block(self) -> Iterator[Block]:
        yield from self.blocks
        for part in self.sections:
            yield from part.every_block()


def slug(text: str) -> str:
    """A page address: letters, digits and hyphens only, whatever a suite is called."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")
