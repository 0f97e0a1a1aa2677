"""The lecture, part by part: what each says, its claims with their verdicts, where to look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ebmrepro.claims.form import TOPICS
from ebmrepro.config.training import base
from ebmrepro.report import claims
from ebmrepro.report.blocks import Link, Links, Section, Text, Told, slug
from ebmrepro.report.words import Words

WORDS = Words("lecture")


def section(
    judged: Sequence[Told],
    suites: Sequence[str],
    there: Mapping[str, str],
    systems: Mapping[str, Sequence[str]],
) -> Section:
    """`suites` are those of the run, `systems` the names of all that there are, by suite, carried
    ones too; `there` are the titles on the page by address; a figure that is not there, or has no
    system of the part, is not linked.
    """
    parts = []
    for part in WORDS["parts"]:
        topic = part["topic"]
        items = [
            (judgement["verdict"], Link(text, f"#{claims.anchor(claim, i, judgement['suite'])}"))
            for claim in judged
            if claim["topic"] == topic
            for i, judgement in enumerate(claims.shown(claim, suites))
            for text in [f"{claim['claim']} ({claims.where(judgement)})"]
        ]
        places = [
            ("", Link(f"{shows} ({there[address]})", f"#{address}"))
            for shows, where in part["figures"].items()
            for address in [where, *_of_suites(topic, where, systems)]
            if address in there
        ]
        links = (Links("Claims", items), Links("Where to look", places))
        blocks = [Text(part["text"]), *(block for block in links if block.items)]
        parts.append(Section(f"lecture-{topic}", TOPICS[topic], blocks))
    pages = Links("Elsewhere", [("", Link(text, to)) for text, to in WORDS["pages"].items()])
    return Section("lecture", WORDS["title"], [WORDS.text("introduction"), pages], parts)


def _of_suites(topic: str, where: str, systems: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Addresses of a part of suites' sections: where a topic is a method's, of those that have it,
    or a variant of it."""
    method = topic.replace("-", "_")
    a_method = any(base(name) == method for names in systems.values() for name in names)
    for suite, names in systems.items():
        own = [
            name for name in names if base(name) == method and (where != "variants" or "__" in name)
        ]
        if own or not a_method:
            yield f"{slug(suite)}-{where}"
