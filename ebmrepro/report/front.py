"""The front page: what was tried, what held, what failed, how sure, how to run it.

Which findings stand there is data (front.yaml); their numbers and marks are those of claims.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from ebmrepro.claims import wording
from ebmrepro.claims.form import MARKS, NOT_RUN
from ebmrepro.config.campaign import FURTHER
from ebmrepro.report import claims, figures, galleries, published, words
from ebmrepro.report.blocks import (
    Block,
    Command,
    Counts,
    Figure,
    Finding,
    Link,
    Matrix,
    Panel,
    Row,
    Section,
    Text,
    Told,
    slug,
)
from ebmrepro.report.figures import INK, MUTED
from ebmrepro.report.galleries import FEW
from ebmrepro.report.gather import Suite
from ebmrepro.report.sections import ran
from ebmrepro.report.words import Words
from ebmrepro.runs import carried

WORDS = Words("front")
FINDINGS = 5
NAMED = 6  # systems in the first sentence, in the report's order


class Judged(NamedTuple):
    """claims.json, by claim, with the suites whose judgements are results."""

    claims: Mapping[str, Told]
    run: Sequence[str]  # of params.yaml
    results: Sequence[str]  # these, and carried ones that were trained for long enough

    def of(self, name: str, suite: str) -> tuple[Told, Told] | None:
        """A claim, and what became of it on a suite; None where nothing did."""
        claim = self.claims.get(name)
        if claim is None or suite not in (*self.results, claims.ANYWHERE):
            return None
        return next(((claim, j) for j in claim["judgements"] if j["suite"] == suite), None)

    def address(self, claim: Told, suite: str) -> str:
        """Where the claims' page has it: its row of this suite, or its first."""
        shown = {j["suite"]: i for i, j in enumerate(claims.shown(claim, self.run))}
        return f"#{claims.anchor(claim, shown.get(suite, 0), suite)}"


def section(suites: Sequence[Suite], document: Told, content: Sequence[Section]) -> Section:
    """`document` is claims.json; figures of `content`, the other pages, stand here too."""
    tried = {part.slug for part in content if part.folded}
    run = [suite.name for suite in suites if not suite.carried]
    results = [suite.name for suite in suites if slug(suite.name) not in tried]
    judged = Judged({claim["id"]: claim for claim in document["claims"]}, run, results)
    there = {
        block.name: block
        for part in content
        for block in part.every_block()
        if isinstance(block, Figure)
    }
    parts = WORDS.sections(
        "front",
        verdicts=_verdicts(document["count"]),
        findings=findings(judged),
        published=_published(judged),
        run=[Command(WORDS["run"].strip())],
        samples=_samples(judged, suites),
        energies=_figure("energies", judged, there),
        control=_figure("control", judged, there),
        matrix=_matrix(judged),
        provenance=[ran(suite) for suite in suites if suite.systems],
    )
    return Section("front", WORDS["title"], _lead(suites, document, results), parts)


def _lead(suites: Sequence[Suite], document: Told, results: Sequence[str]) -> Sequence[Block]:
    shown = [suite for suite in suites if suite.name in results and suite.systems]
    systems = list(dict.fromkeys(s.title for suite in shown for s in suite.generators))
    if (more := len(systems) - NAMED) > 1:
        systems[NAMED:] = [f"{more} more"]
    found = document["count"].get("findings", {})
    decided = {verdict: found.get(verdict, 0) for verdict in ("holds", "fails")}
    return [
        WORDS.text(
            "lead",
            systems=_listed(systems),
            claims=sum(not claim["check"] for claim in document["claims"]),
            judgements=sum(found.values()),
            rest=sum(found.values()) - sum(decided.values()),
            trainings=len(_trainings(document, results)),
            suites=_listed([_suite(suite.name) for suite in shown]),
            **decided,
        )
    ]


def _trainings(document: Told, results: Sequence[str]) -> set[tuple[str, ...]]:
    """(suite, system, seed) whose files the judgements on these suites rest on."""
    files = (f for c in document["claims"] for j in c["judgements"] for f in j["files"])
    paths = (parts for f in files if len(parts := f.split("/")) == 5)
    return {
        (suite, name, seed)
        for _, suite, name, seed, _ in paths
        if suite.removesuffix(FURTHER) in results and not carried.stage(name).trains
    }


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _verdicts(count: Told) -> Sequence[Block]:
    if not count:
        return []
    found = [(verdict, count["findings"].get(verdict, 0)) for verdict in MARKS]
    facts = {**count, "checks": sum(count["checks"].values())}
    return [Counts([(v, n) for v, n in found if n]), WORDS.text("sure", **facts)]


# Findings --------------------------------------------------------------------------------------


def findings(judged: Judged) -> Sequence[Finding]:
    """The first of those listed that something became of; README has them too."""
    found = (block for told in WORDS["findings"] for block in _finding(told, judged))
    return [*islice(found, FINDINGS)]


def in_words(found: Finding) -> str:
    """In one line, as README and `ebmrepro repro` have it."""
    number, n = found.number.split(", n = ")
    told = f"{found.text} {number} {found.of} ({found.where}, n = {n})"
    return f"{MARKS[found.verdict]} {told}"


def _finding(told: Told, judged: Judged) -> Iterator[Finding]:
    """By its verdict the sentence that is written for it, or the claim itself."""
    pair = judged.of(told["claim"], told["suite"])
    if pair is None:
        return
    claim, judgement = pair
    part = judgement["parts"][told.get("part", 0)]
    if part["mean"] is None:
        return
    times = told.get("times", 1)
    ends = sorted(times * part[end] for end in ("low", "high") if part[end] is not None)
    low, high = ends if len(ends) == 2 else (None, None)
    values = {seed: None if v is None else times * v for seed, v in part["values"].items()}
    text = told["says"].get(judgement["verdict"], claim["claim"])
    link = Link(claim["id"], judged.address(claim, judgement["suite"]))
    number = wording.estimate(times * part["mean"], low, high, values)
    of = told["of"].format(paper=claim["published_in_words"])
    yield Finding(judgement["verdict"], claims.where(judgement), text, number, of, link)


# Published numbers -----------------------------------------------------------------------------


class Held(NamedTuple):
    """One printed number and ours."""

    label: str
    paper: float
    part: Told
    whole: bool  # at the budget that the claim asks for


def _published(judged: Judged) -> Sequence[Block]:
    """Claims of one printed number and one statistic; named where nothing was measured."""
    rows, lacking = [], list[str]()
    for claim in judged.claims.values():
        if len(claim["published"]) != 1:
            continue
        if all(judgement["verdict"] == NOT_RUN for judgement in claim["judgements"]):
            lacking.append(claim["id"])
        paper = claim["published"][0]["value"]
        for judgement in claim["judgements"]:
            part, *others = judgement["parts"]
            if judgement["suite"] in judged.results and part["mean"] and not others:
                label = f"{claim['id']}, {_suite(judgement['suite'])}"
                whole = judgement["verdict"] != "not yet"
                rows.append(Held(label, paper, part, whole))
    rows = [row for row in rows if row.part["mean"] * row.paper > 0]  # they share a sign
    if not rows:
        return []
    panel = Panel("", partial(_forest, rows), 0.8 + 0.48 * len(rows), left=0.1)
    figure = WORDS.figure("published", [panel], "front")
    told = WORDS["published"]["unmeasured"].format(claims=", ".join(lacking))
    return [*figure, Text(told)] if lacking else figure


def _forest(rows: Sequence[Held], ax: Axes) -> None:
    """A row for each number: its name, both numbers, and below them the seeds over the paper's."""
    for y, (label, paper, part, whole) in enumerate(rows):
        ax.plot([1, 1], [y - 0.12, y + 0.2], color=MUTED, linewidth=2)
        known = [value / paper for value in part["values"].values() if value is not None]
        style = {"color": INK, "markersize": 4.5, "markerfacecolor": INK if whole else "none"}
        ax.plot(known, [y] * len(known), "o", **style)
        if len(known) >= wording.FEW and part["low"] is not None:
            ax.plot([part["low"] / paper, part["high"] / paper], [y, y], color=INK, linewidth=1.6)
        ours = wording.number(part["mean"], wording.places(part["mean"], None, None))
        printed = f"{paper:g}".replace("-", "−")
        share = "" if part["fraction"] is None else f", {100 * part['fraction']:.3g} % of epochs"
        numbers = f"paper {printed}, here {ours}, n = {len(known)}{share}"
        for text, at, colour, size in (
            (label, y - 0.56, INK, 9.5),
            (numbers, y - 0.27, MUTED, 8.5),
        ):
            where = {"transform": ax.get_yaxis_transform(), "va": "center", "color": colour}
            ax.text(0.01, at, text, fontsize=size, **where)
    ax.set_ylim(len(rows) - 0.6, -0.8)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(visible=False)
    ax.set_xlabel(WORDS["published"]["axis"])
    figures.log_axis(ax.xaxis)
    ax.xaxis.set_major_locator(FixedLocator([0.25, 0.5, 1, 2, 4, 8]))


# Every claim -----------------------------------------------------------------------------------


def _suite(name: str) -> str:
    return WORDS["suites"].get(name) or words.suite(name).partition(",")[0]


def _matrix(judged: Judged) -> Sequence[Block]:
    """Of each paper, the claims of which a suite said anything, against the suites that did;
    checks that hold are left out.
    """
    suites = (*judged.results, claims.ANYWHERE)
    papers: dict[str, list[tuple[Told, dict[str, str]]]] = {}
    for claim in judged.claims.values():
        verdicts = {j["suite"]: j["verdict"] for j in claim["judgements"] if j["suite"] in suites}
        said = {*verdicts.values()} - {NOT_RUN}
        if said and not (claim["check"] and said == {"holds"}):
            papers.setdefault(claim["paper_title"], []).append((claim, verdicts))
    if not papers:
        return []
    groups = []
    for paper, own in papers.items():
        said = {suite for _, verdicts in own for suite, v in verdicts.items() if v != NOT_RUN}
        columns = [suite for suite in suites if suite in said]
        rows = [
            Row(
                f"claim-{claim['id']}",
                Link(claim["id"], judged.address(claim, "")),
                claim["claim"],
                [(verdicts.get(s, ""), Link("", judged.address(claim, s))) for s in columns],
            )
            for claim, verdicts in own
        ]
        groups.append((paper, [*map(_suite, columns)], rows))
    absent = len(judged.claims) - sum(map(len, papers.values()))
    return [Matrix(groups), WORDS.text("matrix", n=absent)]


# The lecture's figures -------------------------------------------------------------------------


def _samples(judged: Judged, suites: Sequence[Suite]) -> Sequence[Block]:
    told = WORDS["samples"]
    return [
        *_finding(told, judged),
        *(block for s in suites if s.name in told["suites"] for block in _sheet(told, s)),
    ]


def _sheet(told: Told, suite: Suite) -> Sequence[Block]:
    own = {s.name: s for s in suite.systems}
    systems = [own[name] for name in told["systems"] if name in own]
    sheet = [("Real", galleries.real(suite, FEW))]
    sheet += [(published.labelled(s), galleries.generated(s, FEW)) for s in systems]
    at = f"front-{slug(suite.name)}"
    facts = {"shown": FEW, "suite": _suite(suite.name)}
    return WORDS.gallery("samples", galleries.tiles(sheet), at, sheet, **facts)


def _figure(key: str, judged: Judged, there: Mapping[str, Figure]) -> Sequence[Block]:
    """A finding, and over a figure of its suite's page what is to be seen of it here."""
    told = WORDS[key]
    figure = there.get(f"{slug(told['suite'])}-{told['figure']}")
    wanted = told.get("panels")
    panels = [p for p in figure.panels if not wanted or p.title in wanted] if figure else []
    if figure is None or not panels:
        return []
    words_ = {name: told[name] for name in ("title", "caption") if name in told}
    own = replace(figure, name=f"front-{key}", panels=panels, **words_)
    return [*_finding(told, judged), own]
