"""The report's words: a YAML file beside each module that shows them, and the blocks they make.

An entry is a sentence, or a block of `title`, `caption` and, for a table, `corner`, `columns` and
`words`. A sentence that needs facts is a template of `str.format`. What names.yaml does not know
(a method, a suite, a symbol) goes by its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ebmrepro.claims import wording
from ebmrepro.config.documents import read_yaml
from ebmrepro.report import blocks


class Words:
    """The entries of one YAML file. What would show nothing (no row, panel or tile) is no block."""

    def __init__(self, part: str) -> None:
        self._entries = read_yaml(Path(__file__).with_name(f"{part}.yaml"))

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def text(self, key: str, **facts: object) -> blocks.Text:
        """A paragraph, with the list that follows it."""
        entry = self[key]
        if isinstance(entry, str):
            return blocks.Text(entry.format(**facts))
        return blocks.Text(entry["text"].format(**facts), entry["lines"])

    def lines(self, key: str, lines: Sequence[str]) -> list[blocks.Block]:
        """A paragraph and its list, where there is something to list."""
        return [blocks.Text(self[key], lines)] if lines else []

    def columns(self, key: str) -> list[blocks.Column]:
        return [blocks.Column(**column) for column in self[key]["columns"]]

    def heading(self, key: str, at: str = "", **facts: object) -> tuple[str, str, str]:
        """Name, title and caption of a block; `at` tells blocks of one key apart in file names."""
        entry = self[key]
        name = entry.get("file", key)
        title, caption = (entry[part].format(**facts) for part in ("title", "caption"))
        return f"{at}-{name}" if at else name, title, caption

    def table(
        self,
        key: str,
        rows: Sequence[tuple[str, Sequence[blocks.Cell]]],
        at: str = "",
        columns: Sequence[blocks.Column] | None = None,
        notes: Sequence[str] = (),
        **facts: object,
    ) -> list[blocks.Block]:
        """Rows under the columns of the entry, or under others."""
        if not rows:
            return []
        entry, heading = self[key], self.heading(key, at, **facts)
        columns = self.columns(key) if columns is None else columns
        set_left = entry.get("words", False)
        return [blocks.Table(*heading, entry["corner"], columns, rows, notes, set_left)]

    def figure(
        self, key: str, panels: Sequence[blocks.Panel], at: str = "", **facts: object
    ) -> list[blocks.Block]:
        return [blocks.Figure(*self.heading(key, at, **facts), panels)] if panels else []

    def gallery(
        self, key: str, tiles: Sequence[blocks.Tile], at: str = "", sheet: Any = (), **facts: object
    ) -> list[blocks.Block]:
        """`sheet` is what its files show, if there are to be any."""
        return [blocks.Gallery(*self.heading(key, at, **facts), tiles, sheet)] if tiles else []

    def sections(self, at: str, **parts: Sequence[blocks.Block]) -> list[blocks.Section]:
        """Subsections by the titles under `parts` and, shown as headings that open, `folded`."""
        folded = self["folded"]
        titles = self["parts"] | folded
        return [
            blocks.Section(f"{at}-{part}", titles[part], own, folded=part in folded)
            for part, own in parts.items()
            if own
        ]


NAMES = Words("names")
ROWS: dict[str, str] = NAMES["rows"]  # of tables of systems, that are none


def suite(name: str, carried: bool = False) -> str:
    """A suite's title; one that is carried says so."""
    if carried:
        return f"{NAMES['carried'].get(name, suite(name))} (carried)"
    return NAMES["suites"].get(name, name.replace("_", " "))


def system(name: str, changes: Sequence[tuple[str, object]] = ()) -> str:
    """`ebgan_pt` -> EBGAN-PT; a variant is told by the one number it changes, else by its name."""
    if len(changes) == 1:
        key, value = changes[0]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{wording.title(name.partition('__')[0])}, {symbol(key)} = {value:g}"
    return wording.title(name)


def symbol(key: str) -> str:
    """A dotted key's last part, by its symbol in the papers where it has one."""
    leaf = key.rpartition(".")[2]
    return NAMES["symbols"].get(leaf, leaf.replace("_", " "))


def value(found: object) -> str:
    """As params.yaml has it."""
    if found is None:
        return "–"
    if isinstance(found, list):
        return f"[{', '.join(map(value, found))}]"
    return str(found).lower() if isinstance(found, bool) else str(found)


def energy_axis(reduction: object) -> str:
    """What an axis of energies says, from the `reduction` hyper-parameter where there is one."""
    how = NAMES["reductions"].get(str(reduction))
    return f"energy ({how})" if how else "energy"
