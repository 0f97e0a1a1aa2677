"""Claims in the terminal: a table of many, or one whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

Block = Mapping[str, Any]  # a claim or a judgement of claims.json

MARKS = {"holds": "✓", "fails": "✗", "undecided": "?", "not run here": "–"}
COLOURS = {"holds": "green", "fails": "red", "undecided": "yellow", "not run here": "dim"}


def rows(document: Block, suite: str | None, paper: str | None, verdict: str | None) -> list[Any]:
    """(claim, judgement) of those that are asked for; None asks for all.

    Without a suite, suites that are neither run nor carried are shown only of claims that no other
    decides, and of these the first.
    """

    def shown(claim: Block) -> Sequence[Block]:
        if suite is not None:
            return [j for j in claim["judgements"] if j["suite"] == suite]
        return [j for j in claim["judgements"] if j["command"]] or claim["judgements"][:1]

    return [
        (claim, judgement)
        for claim in document["claims"]
        for judgement in shown(claim)
        if paper in (None, claim["paper"]) and verdict in (None, judgement["verdict"])
    ]


def table(found: Sequence[Any], console: Console) -> None:
    for paper in dict.fromkeys(claim["paper_title"] for claim, _ in found):
        shown = Table(title=paper, title_justify="left", box=box.SIMPLE_HEAD, expand=True)
        shown.add_column("Verdict", no_wrap=True)
        shown.add_column("Claim", ratio=3, overflow="fold")
        shown.add_column("Suite", no_wrap=True)
        shown.add_column("Paper", ratio=2)
        shown.add_column("Here, 95 % interval over seeds", ratio=3)
        for claim, judgement in found:
            if claim["paper_title"] == paper:
                shown.add_row(
                    _verdict(judgement["verdict"]),
                    Text.assemble((claim["id"], "bold"), " ", claim["claim"]),
                    Text(judgement["suite"]),
                    Text(claim["published_in_words"]),
                    Text("\n".join(_here(judgement))),
                )
        console.print(shown)
    counts = {verdict: sum(j["verdict"] == verdict for _, j in found) for verdict in MARKS}
    console.print(Text(", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)))


def whole(claim: Block, console: Console) -> None:
    """One claim with everything that leads to its verdicts."""
    console.print(Panel(Text(claim["claim"]), title=claim["id"], title_align="left"))
    source = f"{claim['source']} ({claim['certainty_in_words']})"
    head = {"Paper": claim["paper_title"], "Source": source}
    head |= {"Published": claim["published_in_words"], "Note": claim["note"]}
    console.print(_pairs(head))
    for judgement in claim["judgements"]:
        remarks = [Text(judgement[key]) for key in ("reason", "carried") if judgement[key]]
        where = {
            "Files": ", ".join(judgement["files"]),
            "Command": judgement["command"],
            "MLflow": _runs(judgement),
        }
        group = Group(
            _verdict(judgement["verdict"]),
            *remarks,
            *(_pairs(_part(part)) for part in judgement["parts"]),
            _pairs(where),
        )
        console.print(Panel(group, title=judgement["suite"], title_align="left"))


def _part(part: Block) -> Mapping[str, str]:
    return {
        "Statistic": part["statistic"],
        "Rule": part["rule"],
        "Here": part["estimate_in_words"],
        "Effect": part["effect_in_words"],
        "Verdict": part["verdict"],
        "By seed": ", ".join(f"{seed}: {_value(v)}" for seed, v in part["values"].items()),
        "Protocol": " ".join(part["protocol"]),
    }


def _verdict(verdict: str) -> Text:
    return Text(f"{MARKS[verdict]} {verdict}", style=COLOURS[verdict])


def _here(judgement: Block) -> Iterator[str]:
    for part in judgement["parts"]:
        if part["estimate_in_words"]:
            yield f"{part['estimate_in_words']} ({part['rule']})"
    yield from (judgement[key] for key in ("reason", "carried") if judgement[key])


def _pairs(pairs: Mapping[str, str]) -> Table:
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column()
    for key, value in pairs.items():
        if value:
            shown.add_row(key, Text(value))
    return shown


def _runs(judgement: Block) -> str:
    if not judgement["runs"]:
        return ""
    return f"experiment ebmrepro/{judgement['suite']}: {', '.join(judgement['runs'])}"


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
