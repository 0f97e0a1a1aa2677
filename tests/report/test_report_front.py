"""The front page says what claims.json says, and says it again when that changes."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from params_file import shipped
from typed_numbers import as_committed

from ebmrepro.report import curves, figures, front
from ebmrepro.report.blocks import Block, Counts, Figure, Finding, Matrix, Panel, Section, Text
from ebmrepro.report.gather import Run, Suite, System
from ebmrepro.report.suite import of_suite

ROOT = Path(__file__).parents[2]
DOCUMENT = json.loads((ROOT / "reports" / "claims.json").read_text())
FINDINGS = front.WORDS["findings"]


def system(name: str, *runs: Run, **numbers: Any) -> System:
    base = name.partition("__")[0]
    return System(name, name, base, {f"hparams.{k}": v for k, v in numbers.items()}, [], runs)


def run(**known: Any) -> Run:
    return replace(Run(0, None, {}, None, {}, None), **known)


def suite(name: str, *systems: System, carried: bool = False) -> Suite:
    data = {"shape": [1, 8, 8], "name": name, "licence": "none"}
    return Suite(
        name, name, carried, {"split": "test", "generated": 4}, data, {}, None, [], "", systems
    )


def shown(document: Any, *others: Section) -> dict[str, Sequence[Block]]:
    whole = front.section([suite("digits"), suite("mnist", carried=True)], document, others)
    return {part.slug.removeprefix("front-"): part.blocks for part in whole.sections}


def test_a_finding_is_the_judgement_in_a_sentence_and_turns_with_it():
    told, *_ = (block for block in shown(DOCUMENT)["findings"] if isinstance(block, Finding))
    changed = copy.deepcopy(DOCUMENT)
    claim = next(c for c in changed["claims"] if c["id"] == FINDINGS[0]["claim"])
    judgement = next(j for j in claim["judgements"] if j["suite"] == FINDINGS[0]["suite"])
    assert told.verdict == judgement["verdict"]
    assert told.number == judgement["parts"][0]["estimate_in_words"]
    for verdict, sentence in {**FINDINGS[0]["says"], "undecided": claim["claim"]}.items():
        judgement["verdict"], judgement["parts"][0]["mean"] = verdict, 0.5
        other, *_ = (b for b in shown(changed)["findings"] if isinstance(b, Finding))
        assert (other.verdict, other.text) == (verdict, sentence)
        assert other.number.startswith("0.50 ")


def test_five_findings_are_shown_of_those_that_were_judged_failures_among_them():
    found = [block for block in shown(DOCUMENT)["findings"] if isinstance(block, Finding)]
    assert len(found) == 5
    assert "fails" in {block.verdict for block in found}
    changed = copy.deepcopy(DOCUMENT)
    for claim in changed["claims"]:
        if claim["id"] == FINDINGS[0]["claim"]:
            claim["judgements"] = []
    links = [b.link.text for b in shown(changed)["findings"] if isinstance(b, Finding)]
    assert links == [told["claim"] for told in FINDINGS[1:]][:5]


def test_every_finding_that_may_be_shown_is_a_claim_on_one_of_its_suites():
    claims = {claim["id"]: claim for claim in DOCUMENT["claims"]}
    listed = [*FINDINGS, *(front.WORDS[key] for key in ("samples", "energies", "control"))]
    for told in listed:
        assert told["suite"] in {j["suite"] for j in claims[told["claim"]]["judgements"]}
        assert set(told["says"]) <= set(front.MARKS)
        assert not any(c.isdigit() for said in told["says"].values() for c in said), (
            "numbers are data"
        )


def test_the_bar_counts_all_findings_and_the_matrix_has_a_mark_for_each():
    parts = shown(DOCUMENT)
    (bar,) = (block for block in parts["verdicts"] if isinstance(block, Counts))
    assert dict(bar.counts) == DOCUMENT["count"]["findings"]
    (matrix,) = (block for block in parts["matrix"] if isinstance(block, Matrix))
    suites = {front._suite(suite): suite for suite in ("digits", "mnist", "fundamentals")}
    rows = {
        row.link.text: dict(zip(columns, (verdict for verdict, _ in row.marks), strict=True))
        for _, columns, rows in matrix.groups
        for row in rows
    }
    for claim in DOCUMENT["claims"]:
        verdicts = {j["suite"]: j["verdict"] for j in claim["judgements"]}
        known = {title: verdicts.get(suite, "") for title, suite in suites.items()}
        said = {*known.values()} - {"", front.NOT_RUN}
        if not said or (claim["check"] and said == {"holds"}):
            assert claim["id"] not in rows
            continue
        shown_of = rows[claim["id"]]
        assert shown_of.items() <= known.items()
        left_out = {known[title] for title in known.keys() - shown_of.keys()}
        assert left_out <= {"", front.NOT_RUN}
    for paper, columns, group in matrix.groups:
        for index, column in enumerate(columns):
            of_suite = {row.marks[index][0] for row in group}
            assert of_suite - {"", front.NOT_RUN}, (paper, column)


def test_a_suite_that_was_only_tried_has_no_column_and_is_folded():
    def measured(share: float) -> Run:
        return run(measured={"budget": {"epoch_fraction": share}, "values": {}})

    tried = of_suite(suite("cifar10", system("ebgan", measured(0.01)), carried=True))
    assert tried.folded and all(part.folded for part in tried.sections)
    assert not of_suite(suite("cifar10", system("ebgan", measured(0.5)), carried=True)).folded
    assert not of_suite(suite("cifar10", system("ebgan", measured(0.01)))).folded, "it is run here"


def test_a_method_has_one_colour_everywhere_and_a_variant_its_dash():
    settings = shipped()
    names = {name for block in settings.suites.values() for _, name, _ in block.blocks}
    methods = {name for name in names if "__" not in name}
    assert len({figures.colour(name) for name in methods}) == len(methods)
    assert figures.colour("ebgan__no_hinge") == figures.colour("ebgan")
    assert figures.dash("ebgan") == "-" != figures.dash("ebgan__no_hinge")
    own = [name for name in settings.run.names if name.startswith("ebgan__")]
    assert len({str(figures.dash(name)) for name in own}) == len(own)
    assert figures.colour("of_somebody") in figures.PALETTE


def test_two_energies_are_overlaid_in_one_unit():
    """64 pixels that are each off by 0.5: a norm of 4, a sum of squares of 16."""
    norm = {"energy/real": np.array([4.0]), "energy/fake": np.array([8.0])}
    square = {"energy/real": np.array([16.0]), "energy/fake": np.array([64.0])}
    ended = {"test": np.array([4.0, 16.0])}
    pair = suite(
        "digits",
        system("ebgan", run(curves=norm), reduction="norm", margin=2.0),
        system("magan", run(curves=square, energies=ended), reduction="sum_sq"),
    )
    (figure,) = curves.comparison(pair)
    assert isinstance(figure, Figure)
    lines = [drawn(panel) for panel in figure.panels]
    assert lines[0] == [0.5, 0.5]
    assert lines[1] == [1.0, 1.0, 0.25], "and the margin, over the root of 64"
    assert "5.4 %" in figure.caption  # sqrt(10) / 3 - 1
    alone = replace(pair, systems=pair.systems[:1])
    other = replace(
        pair, systems=[pair.systems[0], system("began", run(curves=norm), reduction="mean_abs")]
    )
    assert curves.comparison(alone) == curves.comparison(other) == []


def drawn(panel: Panel) -> list[Any]:
    """The last height of each line, in the order of drawing."""
    return [pytest.approx(float(line[-1])) for line in heights(panel)]


def test_a_training_counts_once_and_further_seeds_of_a_suite_do_too():
    files = ("digits/began/3/metrics.json", "digits/began/3/curves.csv", "mnist/dbn/0/metrics.json")
    more = ("digits__seeds/began/8/metrics.json", "digits/tour/metrics.json")
    more = (*more, "digits/linear_codes/3/metrics.json")
    judged = [{"files": [f"results/{file}" for file in part]} for part in (files, files, more)]
    document = {"claims": [{"judgements": judged[:2]}, {"judgements": judged[2:]}]}
    assert len(front._trainings(document, ["digits"])) == 2
    assert len(front._trainings(document, ["digits", "mnist"])) == 3


def test_a_printed_number_is_unmeasured_only_where_no_suite_measured_it():
    there = unmeasured(DOCUMENT)
    changed = copy.deepcopy(DOCUMENT)
    claim = next(c for c in changed["claims"] if c["id"] == "pretrained-error")
    more = [j | {"verdict": "not run here", "suite": "celeba"} for j in claim["judgements"]]
    claim["judgements"] += more
    assert unmeasured(changed) == there and "pretrained-error" not in there
    claim["judgements"] = more
    assert "pretrained-error" in unmeasured(changed)


def unmeasured(document: Any) -> str:
    """The sentence below the figure of printed numbers."""
    (told,) = (block for block in shown(document)["published"] if isinstance(block, Text))
    return told.text


def test_the_bars_of_a_share_stay_within_it():
    panel = Panel("", lambda ax: figures.series(ax, [(1.0, [0.5, 0.99])], "k", "", "logit"))
    assert max(max(np.ravel(h)) for h in heights(panel)) < 1


def heights(panel: Panel) -> list[Any]:
    from matplotlib.figure import Figure as Canvas

    ax = Canvas().add_subplot()
    panel.draw(ax)
    return [np.asarray(line.get_ydata(), dtype=float) for line in ax.lines]


def test_the_readme_has_the_findings_of_the_front_page():
    """Once one that has moved is committed, the message has the line that README wants."""
    as_committed("reports/claims.json")
    readme = " ".join((ROOT / "README.md").read_text().split())
    for found in shown(DOCUMENT)["findings"]:
        assert isinstance(found, Finding)
        assert front.in_words(found) in readme
