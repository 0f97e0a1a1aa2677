"""Claims in the terminal: a table of many, or one whole."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ebmrepro.claims import wording
from ebmrepro.claims.form import MARKS, NOT_RUN, WORDS

Told = Mapping[str, Any]  # a claim or a judgement of claims.json

COLOURS = {verdict: colour for verdict, (_, colour) in WORDS["verdicts"].items()}
WIDEST = 30  # letters of an id in the overview


def rows(
    document: Told,
    suite: str | None,
    paper: str | None,
    verdicts: Sequence[str] = tuple(MARKS),
) -> list[Any]:
    """(claim, judgement) of those that are asked for; None asks for all.

    Without a suite, suites that are neither run nor carried are shown only of claims that no other
    decides, and of these the first.
    """

    def shown(claim: Told) -> Sequence[Told]:
        if suite is not None:
            return [j for j in claim["judgements"] if j["suite"] == suite]
        return [j for j in claim["judgements"] if j["command"]] or claim["judgements"][:1]

    return [
        (claim, judgement)
        for claim in document["claims"]
        for judgement in shown(claim)
        if paper in (None, claim["paper"]) and judgement["verdict"] in verdicts
    ]


def overview(document: Told, console: Console) -> None:
    """The count of everything, then a line for each claim that was judged, with a mark by suite;
    checks that hold are no findings and are left out.
    """
    summary(document, console)
    judged = [
        (claim, own)
        for claim in document["claims"]
        if (own := [j for j in claim["judgements"] if j["verdict"] != NOT_RUN])
    ]
    kept = [claim for claim, own in judged if claim["check"] and all(map(_holds, own))]
    judged = [(claim, own) for claim, own in judged if claim not in kept]
    suites = list(dict.fromkeys(j["suite"] for _, own in judged for j in own))
    shown = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    room = console.width - WIDEST - 1  # else rich narrows all columns alike, those of marks to none
    for suite in suites:
        others = [other for other in suites if other != suite]
        starts = (suite[:n] for n in range(2, len(suite)))
        told = next((s for s in starts if not any(o.startswith(s) for o in others)), suite)
        shown.add_column(told, min_width=len(told), no_wrap=True)
        room -= len(told) + 1
    shown.add_column("claim", min_width=WIDEST, max_width=WIDEST, no_wrap=True)
    shown.add_column("here", max_width=max(room, 1), no_wrap=True)
    for paper in dict.fromkeys(claim["paper"] for claim, _ in judged):
        shown.add_row(*("" for _ in suites), Text(paper, style="bold"))
        for claim, own in judged:
            if claim["paper"] == paper:
                marks = {j["suite"]: _mark(j["verdict"]) for j in own}
                estimates = (part["estimate_in_words"] for j in own for part in j["parts"])
                here = Text(next(filter(None, estimates), ""))
                shown.add_row(*(marks.get(s, "") for s in suites), Text(claim["id"]), here)
    console.print(shown)
    legend = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items() if verdict != NOT_RUN)
    console.print(Text(f"{legend}. Here: on the first suite, of {', '.join(suites)}."))
    unrun = len(document["claims"]) - len(judged) - len(kept)
    more = f"{unrun} more: --verdict '{NOT_RUN}'. " if unrun else ""
    more += f"{len(kept)} checks that hold: --verdict holds. " if kept else ""
    console.print(Text(f"{more}Whole: ebmrepro claims ID, --suite, --paper."))


def _holds(judgement: Told) -> bool:
    return judgement["verdict"] == "holds"


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
    console.print(Text(f"Shown: {wording.counted(Counter(j['verdict'] for _, j in found))}."))


def summary(document: Told, console: Console) -> None:
    """The count of everything."""
    count = document["count"]
    console.print(
        Text(
            f"{count['claims']} claims on their suites: {count['judgements']} judgements. "
            f"Findings: {wording.counted(count['findings'])}. "
            f"Checks, which cannot fail without a bug: {wording.counted(count['checks'])}. "
            f"Of {count['tested']} tested {count['alone']} are decided alone, "
            f"{count['holm']} after Holm, {count['benjamini_hochberg']} by Benjamini-Hochberg."
        )
    )


def undecided(found: Sequence[Any], console: Console) -> None:
    """What is open and could be decided, the cheapest first; what has no price last."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("", no_wrap=True)
    shown.add_column("Hours", justify="right", no_wrap=True)
    shown.add_column("Seeds", no_wrap=True)
    shown.add_column("Claim", no_wrap=True)
    shown.add_column("Suite", no_wrap=True)

    def cost(row: Any) -> tuple[float, float]:
        price = row[1]["price"] or {"more": None, "hours": None}
        more, hours = price["more"], price["hours"]
        return math.inf if hours is None else hours, math.inf if more is None else more

    for claim, judgement in sorted(found, key=cost):
        hours, more = cost((claim, judgement))
        shown.add_row(
            MARKS[judgement["verdict"]],
            "–" if math.isinf(hours) else wording.hours(hours),
            "–" if math.isinf(more) else f"{more} of {judgement['price']['seeds']}",
            claim["id"],
            judgement["suite"],
        )
    console.print(shown)
    console.print(
        "? undecided, … not yet: trained for less of the budget than the claim asks for. "
        "Seeds: more of all, for an interval that decides four times in five at the "
        "mean and spread seen. Hours: of one thread for all of them, as carried results record it."
    )


def whole(claim: Told, console: Console) -> None:
    """One claim with everything that leads to its verdicts."""
    console.print(Panel(Text(claim["claim"]), title=claim["id"], title_align="left"))
    source = f"{claim['source']} ({claim['certainty_in_words']})"
    head = {"Paper": claim["paper_title"], "Source": source}
    head |= {"Published": claim["published_in_words"], "Note": claim["note"]}
    head |= {"Decidable": claim["least_in_words"], "Changed": _changed(claim)}
    console.print(_pairs(head))
    for judgement in claim["judgements"]:
        remarks = [Text(judgement[key]) for key in ("reason", "carried") if judgement[key]]
        where = {
            "Price": judgement["price_in_words"],
            "Files": ", ".join(judgement["files"]),
            "Command": judgement["command"],
            "To run it": judgement["to_run"],
            "MLflow": _runs(judgement),
        }
        group = Group(
            _verdict(judgement["verdict"]),
            *remarks,
            *(_pairs(_part(part)) for part in judgement["parts"]),
            _pairs(where),
        )
        console.print(Panel(group, title=judgement["suite"], title_align="left"))


def _part(part: Told) -> Mapping[str, str]:
    return {
        "Statistic": part["statistic"],
        "Rule": part["rule"],
        "Here": part["estimate_in_words"],
        "Effect": part["effect_in_words"],
        "Verdict": part["verdict"],
        "By seed": wording.by_seed(part["values"]),
        "Protocol": " ".join(part["protocol"]),
    }


def _changed(claim: Told) -> str:
    changed = claim["changed"]
    return changed and (
        f"rule changed after a result was seen, {changed['on']}: {changed['why']} Before: "
        f"{changed['before']}"
    )


def _verdict(verdict: str) -> Text:
    return Text(f"{MARKS[verdict]} {verdict}", style=COLOURS[verdict])


def _mark(verdict: str) -> Text:
    return Text(MARKS[verdict], style=COLOURS[verdict])


def _here(judgement: Told) -> Iterator[str]:
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


def _runs(judgement: Told) -> str:
    if not judgement["runs"]:
        return ""
    return f"experiment ebmrepro/{judgement['suite']}: {', '.join(judgement['runs'])}"
