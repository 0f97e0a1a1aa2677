"""Sections as Markdown for a repository's web page: words and tables, no figures."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from ebmrepro.claims.form import MARKS
from ebmrepro.report import blocks
from ebmrepro.report.claims import where

PREFACE = """\
# Results

Written by the stage `report`; edits are lost. The figures are in `reports/index.html`, which
`make repro` makes, or `dvc repro` in the activated environment.
"""


def markdown(sections: Sequence[blocks.Section]) -> str:
    """The tables of the page, escaped, with the overview picture beside them."""
    return "\n".join([PREFACE, *_sections(sections, 2)])


def _sections(sections: Sequence[blocks.Section], depth: int) -> Iterator[str]:
    for section in sections:
        texts = [text for block in section.blocks if (text := _block(block))]
        parts = list(_sections(section.sections, depth + 1))
        if texts or parts:
            yield f"{'#' * depth} {escape(section.title)}\n"
            yield from texts
            yield from parts


def _block(block: blocks.Block) -> str:
    match block:
        case blocks.Text(text, lines):
            items = "".join(f"- {escape(line)}\n" for line in lines)
            return f"{escape(text)}\n" + (f"\n{items}" if items else "")
        case blocks.Command(text):
            return f"```sh\n{text}\n```\n"
        case blocks.Picture():
            return f"![{escape(block.title)}]({block.name}.png)\n\n{escape(block.caption)}\n"
        case blocks.Table():
            return table(block)
        case blocks.Verdicts():
            return _verdicts(block)
    return ""


def table(shown: blocks.Table) -> str:
    """A table with its title, caption and notes."""
    headings = [escape(shown.corner), *map(_heading, shown.columns)]
    side = ":--" if shown.words else "--:"
    lines = [headings, [":--", *[side] * len(shown.columns)]]
    lines += [[escape(label), *map(_cell, cells)] for label, cells in shown.rows]
    rows = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    notes = "".join(f"{i}. {escape(note)}\n" for i, note in enumerate(shown.notes, start=1))
    caption = f"**{escape(shown.title)}.** {escape(shown.caption)}\n"
    return f"{caption}\n{rows}" + (f"\n{notes}" if notes else "")


def _verdicts(block: blocks.Verdicts) -> str:
    lines = [["Verdict", "Claim", "Paper", "Here", "Effect", "Judged by"], [":--"] * 6]
    lines += [_judged(row) for row in block.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _judged(row: blocks.Judged) -> list[str]:
    claim, judgement, parts = row.claim, row.judgement, row.judgement["parts"]
    here = [escape(part["estimate_in_words"]) for part in parts]
    if len(parts) > 1:
        marks = [MARKS[part["verdict"]] for part in parts]
        here = [f"{mark} {said}" if said else "" for mark, said in zip(marks, here, strict=True)]
    reasons = dict.fromkeys(part["reason"] for part in parts if part["reason"])
    verdict = judgement["verdict"]
    suite = escape(where(judgement))
    return [
        f'<a id="{row.anchor}"></a>{MARKS[verdict]} {verdict}<br><sub>{suite}</sub>',
        f"{escape(claim['claim'])}<br><sub>{escape(row.source)}</sub>",
        escape(claim["published_in_words"]),
        "<br>".join([line or "–" for line in here] + [f"<sub>{escape(r)}</sub>" for r in reasons]),
        "<br>".join(escape(part["effect_in_words"]) or "–" for part in parts),
        "<br>".join(escape(f"{part['statistic']}: {part['rule']}") for part in parts),
    ]


def _heading(column: blocks.Column) -> str:
    small = f"<br><sub>{escape(column.small)}</sub>" if column.small else ""
    return escape(column.title) + small


def _cell(cell: blocks.Cell) -> str:
    main = f"**{escape(cell.main)}**" if cell.best else escape(cell.main)
    notes = f"<sup>{', '.join(map(str, cell.notes))}</sup>" if cell.notes else ""
    small = f"<br><sub>{escape(cell.small)}</sub>" if cell.small else ""
    return f"{main}{notes}{small}"


def escape(text: str) -> str:
    """Text that Markdown takes for nothing else: no tags, no cell borders, no emphasis."""
    text = html.escape(" ".join(text.split()), quote=False)
    for mark in "\\|*`[]":
        text = text.replace(mark, f"\\{mark}")
    return text
