"""The claims with their verdicts, as claims.json has them: a table for each paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ebmrepro.claims import wording
from ebmrepro.config import forms
from ebmrepro.report.blocks import Block, Command, Judged, Link, Section, Told, Verdicts, slug
from ebmrepro.report.words import Words
from ebmrepro.system import reading

ANYWHERE = "fundamentals"  # what belongs to no suite
WORDS = Words("claims")


def read(path: Path) -> Told:
    """claims.json, whole; without claims where the file is not there.

    Raises:
        UserError: it cannot be read.
    """
    return reading.known(forms.Claims.read, path) or {"claims": [], "count": {}}


def section(
    document: Told,
    suites: Sequence[str],
    there: Mapping[str, str],
    carried: Sequence[str] = (),
) -> Section:
    """`suites` are those of the run, `there` the titles on the page, by address."""
    claims, count = document["claims"], document["count"]
    papers: dict[str, list[Judged]] = {}
    for claim in claims:
        papers.setdefault(claim["paper"], []).extend(_rows(claim, suites, there))
    titles = {claim["paper"]: claim["paper_title"] for claim in claims}
    where = ", ".join(suites)
    if carried:
        where += f" {WORDS['carried'].format(suites=', '.join(carried))}"
    facts = {**count, "suites": where}
    facts |= {kind: wording.counted(count[kind]) for kind in ("findings", "checks")}
    paragraphs = ("counted", "how", "least", "multiple", "effect", "scope", "terminal")
    blocks: list[Block] = [WORDS.text(key, **facts) for key in paragraphs]
    lines = ("", " --undecided", f" {claims[0]['id']}")
    blocks.append(Command("\n".join(f"ebmrepro claims{line}" for line in lines)))
    parts = [
        Section(f"claims-{slug(paper)}", titles[paper], [Verdicts(own)])
        for paper, own in papers.items()
    ]
    return Section("claims", "Claims and verdicts", blocks, parts)


def shown(claim: Told, suites: Sequence[str]) -> Sequence[Told]:
    """The judgements of suites that were run or whose results are carried; where there is none,
    one that says so for all."""
    run = [j for j in claim["judgements"] if j["suite"] in (*suites, ANYWHERE) or j["carried"]]
    if run or len(claim["judgements"]) == 1:
        return run or claim["judgements"]
    first = claim["judgements"][0]
    names = ", ".join(judgement["suite"] for judgement in claim["judgements"])
    reason = f"none of the suites {names} is among run.suites of params.yaml"
    parts = [{**part, "reason": reason} for part in first["parts"]]
    return [{**first, "suite": names, "parts": parts}]


def anchor(claim: Told, index: int, suite: str) -> str:
    """The first row of a claim has the claim's own address."""
    return f"claim-{claim['id']}" + (f"-{slug(suite)}" if index else "")


def where(judgement: Told) -> str:
    """The suite, and whether its numbers are carried."""
    return judgement["suite"] + (", carried" if judgement["carried"] else "")


def source(claim: Told) -> str:
    return f"{claim['source']} ({claim['certainty_in_words']})"


def _rows(claim: Told, suites: Sequence[str], there: Mapping[str, str]) -> Sequence[Judged]:
    return [
        Judged(at, claim, j, source(claim), _trail(claim, j, there), link)
        for i, j in enumerate(shown(claim, suites))
        for at, made in [(anchor(claim, i, j["suite"]), f"{slug(j['suite'])}-provenance")]
        for link in [Link("carried", f"#{made}" if made in there else "")]
    ]


def _trail(
    claim: Told, judgement: Told, there: Mapping[str, str]
) -> Sequence[tuple[str, Sequence[Link]]]:
    """What there is of each line, once."""
    suite = judgement["suite"]
    lines: list[tuple[str, Sequence[Link]]] = [
        ("Name", [Link(claim["id"])]),
        ("Note", [Link(claim["note"])]),
        ("Decidable", [Link(claim["least_in_words"])]),
        ("Price", [Link(judgement["price_in_words"])]),
    ]
    if changed := claim["changed"]:
        told = WORDS["changed"].format(**changed)
        lines.append(("Rule changed after a result was seen", [Link(told)]))
    for part in judgement["parts"]:
        lines.append(("By seed", [Link(wording.by_seed(part["values"]))]))
        lines.extend(("Protocol", [Link(line)]) for line in part["protocol"])
    places = [at for at in (claim["shown"], f"{slug(suite)}-{claim['shown']}") if at in there]
    lines += [
        ("Numbers", [Link(name, f"../{name}") for name in judgement["files"]]),
        ("Figure", [Link(there[at], f"#{at}") for at in places[:1]]),
    ]
    lines += [("Command", [Link(judgement["command"])]), ("To run it", [Link(judgement["to_run"])])]
    if judgement["runs"]:
        runs = ", ".join(judgement["runs"])
        lines.append(("MLflow", [Link(f"ebmrepro ui, experiment ebmrepro/{suite}, runs {runs}")]))
    told = [(key, tuple(links)) for key, links in lines if any(link.text for link in links)]
    return list(dict.fromkeys(told))
