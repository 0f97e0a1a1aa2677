"""The five questions on the page and in the terminal, from made-up answers."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import made_up
import pytest
from rich.console import Console

from ebmrepro.metrics.catalogue import Scale
from ebmrepro.metrics.interval import interval
from ebmrepro.report import page, terminal
from ebmrepro.report.blocks import Figure, Gallery, Section, Table, Text
from ebmrepro.report.gather import gather
from ebmrepro.report.tour import section, times
from ebmrepro.studies.tour.timing import Timed

SYSTEMS = ["dbn", "ebgan", "magan"]
PARTS = ["decision", "ranking", "detection", "conditional", "generation"]


def sections(root: Path) -> Sequence[Section]:
    return section(gather(root, made_up.params(methods=SYSTEMS[1:], variants=[], seeds=(0, 1))))


def made(root: Path, labelled: list[str]) -> Path:
    settings = made_up.params(methods=SYSTEMS[1:], variants=[], seeds=(0, 1))
    made_up.results(root, settings)
    made_up.tour(root, "digits", SYSTEMS, labelled, [0, 1])
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("project"), ["dbn"])


def test_every_question_has_its_words_a_table_and_a_picture(root: Path):
    (whole,) = sections(root)
    assert whole.slug == "tour"
    *parts, protocol = whole.sections
    assert [part.slug for part in parts] == [f"tour-{name}" for name in PARTS]
    for part in parts:
        said = [line for b in part.blocks if isinstance(b, Text) for line in b.lines]
        for what in ("Energy", "Why it should work", "Where it does not"):
            assert any(line.startswith(f"{what}:") for line in said), (part.slug, what)
        assert any(isinstance(block, Table) for block in part.blocks), part.slug
        assert any(isinstance(block, Figure | Gallery) for block in part.blocks), part.slug
        figures = [b for b in part.blocks if isinstance(b, Figure | Gallery)]
        assert all(block.caption.endswith(".") and block.title for block in figures)
    assert protocol.folded


def test_how_a_number_was_measured_is_on_the_page(root: Path):
    assert "how tau_noise is measured" in "".join(page.pages(sections(root)).values())


def test_pictures_of_the_stage_are_on_the_page(root: Path):
    html = "".join(page.pages(sections(root)).values())
    assert html.count("data:image/png;base64") >= 2 + 2 + 3 * 3
    names = dict(page.files(sections(root)))
    assert {"figures/digits-tour-decision.svg", "figures/digits-tour-reliability.png"} <= set(names)


def test_the_same_files_give_the_same_bytes(root: Path):
    first, second = sections(root), sections(root)
    assert "".join(page.pages(first).values()) == "".join(page.pages(second).values())
    assert dict(page.files(first)) == dict(page.files(second))


def test_where_no_system_models_labels_the_page_says_so(tmp_path: Path):
    (whole,) = sections(made(tmp_path, labelled=[]))
    for part in (whole.sections[0], whole.sections[3]):
        last = part.blocks[-1]
        assert isinstance(last, Text) and "no system of this run models images" in last.text
        assert not any(isinstance(block, Table) for block in part.blocks)
    "".join(page.pages([whole]).values())


def test_a_kind_of_data_that_is_not_at_hand_is_named_with_the_reason(root: Path, tmp_path: Path):
    made(tmp_path, ["dbn"])
    path = tmp_path / "results/digits/tour/metrics.json"
    measured = json.loads(path.read_text())
    for name in SYSTEMS:
        measured["values"][f"auroc_mnist@{name}"] = {"0": None, "1": None}
        measured["reasons"][f"auroc_mnist@{name}"] = "missing t10k.gz: put it into DIR"
        measured["protocol"][f"auroc_mnist@{name}"] = "how"
    path.write_text(json.dumps(measured))
    html = "".join(page.pages(sections(tmp_path)).values())
    assert "mnist: missing t10k.gz: put it into DIR" in html


def test_why_labels_were_not_asked_for_is_said_and_every_kind_has_its_own_reason(tmp_path: Path):
    made(tmp_path, ["dbn"])
    path = tmp_path / "results/digits/tour/metrics.json"
    measured = json.loads(path.read_text())
    for measure in ("error_joint", "temperature", "auroc_averaged", "auroc_mnist"):
        measured["values"][f"{measure}@dbn"] = {"0": None, "1": None}
        measured["reasons"][f"{measure}@dbn"] = f"why no {measure}"
        measured["protocol"][f"{measure}@dbn"] = "how"
    path.write_text(json.dumps(measured))
    (whole,) = sections(tmp_path)
    told = {
        part.slug: [x for b in part.blocks[1:] if isinstance(b, Text) for x in b.lines]
        for part in whole.sections
    }
    assert told["tour-decision"] == ["Digits, 8 × 8 pixels: why no error_joint"]
    assert told["tour-conditional"] == ["Digits, 8 × 8 pixels: why no temperature"]
    assert told["tour-detection"] == [
        "averaged: why no auroc_averaged",
        "mnist: why no auroc_mnist",
    ]


def test_a_suite_that_was_not_asked_has_no_section(tmp_path: Path):
    made_up.results(tmp_path, made_up.params(methods=SYSTEMS[1:], variants=[], seeds=(0, 1)))
    assert sections(tmp_path) == []


def test_the_terminal_says_what_the_page_says_in_80_columns(root: Path):
    out = io.StringIO()
    terminal.show(sections(root), Console(file=out, width=80, no_color=True))
    said = out.getvalue()
    values = json.loads((root / "results/digits/tour/metrics.json").read_text())["values"]
    scales: dict[str, Scale] = {
        "tau_noise@ebgan": "atanh",
        "error_joint@dbn": "logit",
        "sample_distance_own@magan": "linear",
    }
    for name, scale in scales.items():
        mean = interval([*values[name].values()], scale).mean
        assert f"{mean:.1g}" in said, name
    assert "ebmrepro tour" not in said  # which is what was typed
    lines = said.splitlines()
    assert "…" not in said and max(map(len, lines)) <= 80 and len(lines) <= 100


@pytest.mark.parametrize(
    ("labellings", "printed"), [(999_999, "999,999"), (10**6, "1e+6"), (10**400, "1e+400")]
)
def test_a_search_of_any_length_has_its_number_of_labellings(labellings: int, printed: str):
    (table,) = times([Timed(9, 0.1, 0.1, None, labellings)]).blocks
    assert isinstance(table, Table) and table.rows[0][1][-1].main == printed
