"""What a report is made of: sections of blocks, said once, shown as a page and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ebmrepro.report.gather import Array


@dataclass(frozen=True)
class Text:
    """A paragraph; `lines` after it are set as a list."""

    kind: ClassVar = "text"
    text: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Command:
    """What a reader may type to get this again."""

    kind: ClassVar = "command"
    text: str


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


@dataclass(frozen=True)
class Table:
    kind: ClassVar = "table"
    name: str
    title: str
    caption: str
    corner: str  # heading of the first column
    columns: Sequence[Column]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    notes: Sequence[str] = ()
    words: bool = False  # cells are words, set to the left


@dataclass(frozen=True)
class Picture:
    """A picture across the page, also a file of its own beside it."""

    kind: ClassVar = "picture"
    name: str
    title: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Animation:
    """A picture that moves, and its last one for a reader who has asked for no movement."""

    kind: ClassVar = "animation"
    name: str  # of its file
    title: str
    caption: str
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
class Figure:
    kind: ClassVar = "figure"
    name: str  # of its files
    title: str
    caption: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Tile:
    """A picture with its label; without a picture, `missing` says why."""

    label: str
    png: bytes | None
    missing: str = ""


@dataclass(frozen=True)
class Gallery:
    kind: ClassVar = "gallery"
    name: str
    title: str
    caption: str
    tiles: Sequence[Tile]
    sheet: Sequence[tuple[str, Array | None]] = ()  # what its files show; none without


@dataclass(frozen=True)
class Link:
    text: str
    href: str = ""  # a place on the page (`#slug`) or a file beside it; none: plain text


@dataclass(frozen=True)
class JudgedPart:
    verdict: str
    here: str  # estimate, interval, n
    effect: str
    by: str  # statistic: rule
    reason: str  # why it is not decided


@dataclass(frozen=True)
class Judged:
    """A claim's verdict on one suite, as a row; what led to it opens under the sentence."""

    anchor: str
    verdict: str
    claim: str
    suite: str
    carried: str  # how its numbers came here, where the suite is not run
    published: str
    source: str
    parts: Sequence[JudgedPart]
    trail: Sequence[tuple[str, Sequence[Link]]]  # from the verdict to numbers, figure, command, run


@dataclass(frozen=True)
class Verdicts:
    kind: ClassVar = "verdicts"
    title: str
    rows: Sequence[Judged]


@dataclass(frozen=True)
class Links:
    """A list of places; `mark` and `verdict` stand before those that are claims."""

    kind: ClassVar = "links"
    title: str
    items: Sequence[tuple[str, Link]]  # (verdict or "", where)


Block = Text | Command | Table | Picture | Animation | Figure | Gallery | Verdicts | Links


@dataclass(frozen=True)
class Section:
    """A heading, its blocks and its subsections; `slug` is its address on the page."""

    slug: str
    title: str
    blocks: Sequence[Block] = ()
    sections: Sequence[Section] = ()
    folded: bool = False  # shown as a heading that opens

    @property
    def places(self) -> Mapping[str, str]:
        """Address -> title, of itself and of all it holds, which are told with its own title."""
        parts = [place for part in self.sections for place in part.places.items()]
        return {self.slug: self.title, **{at: f"{self.title}: {title}" for at, title in parts}}


def slug(text: str) -> str:
    """A page address: letters, digits and hyphens only, whatever a suite is called."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")
