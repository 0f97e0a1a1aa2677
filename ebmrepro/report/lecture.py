"""The lecture, part by part: what each says, its claims with their verdicts, where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ebmrepro.claims.form import TOPICS
from ebmrepro.report import claims
from ebmrepro.report.blocks import Link, Links, Section, Text, Told, slug
from ebmrepro.report.words import Words

WORDS = Words("lecture")


def section(
    judged: Sequence[Told],
    suites: Sequence[str],
    there: Mapping[str, str],
    carried: Sequence[str] = (),
) -> Section:
    """`suites` are those of the run, `carried` those that are not; `there` are the titles on the
    page by address; a figure that is not there is not linked.
    """
    everywhere = [slug(suite) for suite in (*suites, *carried)]
    parts = []
    for part in WORDS["parts"]:
        topic = part["topic"]
        items = [
            (judgement["verdict"], Link(text, f"#{claims.anchor(claim, i, judgement)}"))
            for claim in judged
            if claim["topic"] == topic
            for i, judgement in enumerate(claims.shown(claim, suites))
            for text in [f"{claim['claim']} ({claims.where(judgement)})"]
        ]
        places = [
            ("", Link(f"{shows} ({there[address]})", f"#{address}"))
            for shows, where in part["figures"].items()
            for address in dict.fromkeys([where, *(f"{at}-{where}" for at in everywhere)])
            if address in there
        ]
        links = (Links("Claims", items), Links("Where to look", places))
        blocks = [Text(part["text"]), *(block for block in links if block.items)]
        parts.append(Section(f"lecture-{topic}", TOPICS[topic], blocks))
    pages = Links("Elsewhere", [("", Link(text, to)) for text, to in WORDS["pages"].items()])
    return Section("lecture", WORDS["title"], [WORDS.text("introduction"), pages], parts)
