"""The table of published numbers: what a claim says stands once, whatever parts judge it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import made_up
import pytest

from ebmrepro.report import page, published
from ebmrepro.report import suite as of_suite
from ebmrepro.report.blocks import Section, Table, Text
from ebmrepro.report.gather import Run, Suite, System, gather, measured
from ebmrepro.report.markdown import markdown
from ebmrepro.runs import carried


@pytest.fixture
def of_digits(tmp_path: Path) -> Suite:
    settings = made_up.params(methods=["began", "magan"], variants=[], seeds=(0,))
    made_up.results(tmp_path, settings)
    (suite,) = gather(tmp_path, settings)
    return suite


def judgement(*estimates: str, **known: Any) -> dict[str, Any]:
    parts = [
        {
            "protocol": [f"how {estimate} is measured"],
            "estimate_in_words": estimate,
            "statistic": "b minus a",
            "rule": "above 0",
            "verdict": "holds",
        }
        for estimate in estimates
    ]
    told = {"suite": "digits", "carried": True, "parts": parts, "command": "dvc repro"}
    told |= {"files": ["results/digits/began/0/metrics.json"], "reason": "nothing is carried"}
    return told | known


def claim(*judgements: dict[str, Any], published: bool = True) -> dict[str, Any]:
    return {
        "claim": "a is less than b, and b than c.",
        "published": [{"value": 1.0}] if published else [],
        "published_in_words": "1; 2; 4",
        "source": "Table 1",
        "certainty_in_words": "verified",
        "judgements": judgements,
    }


def test_the_parts_of_a_claim_are_rows_of_which_the_first_has_the_claim(of_digits: Suite):
    told = claim(judgement("2", "3"))
    table, *_ = published.rows(of_digits, [told])
    assert isinstance(table, Table)
    (first, cells), (second, others) = table.rows
    assert (first, cells[0].main, cells[1].main) == (told["claim"], "1; 2; 4", "2")
    assert (second, others[0].main, others[1].main) == ("(the same claim)", "", "3")


def test_only_a_judgement_on_the_suite_has_a_row_and_without_results_says_what_is_missing(
    of_digits: Suite,
):
    told = [
        claim(
            judgement("ours"),
            judgement("of another suite", suite="mnist"),
            judgement("missing", carried=False),
            judgement("missing there", suite="mnist", carried=False),
        ),
        claim(judgement("a shape"), published=False),
    ]
    table, *_, lacking = published.rows(of_digits, told)
    assert isinstance(table, Table) and isinstance(lacking, Text)
    assert [cells[1].main for _, cells in table.rows] == ["ours"]
    assert lacking.lines == [f"{told[0]['claim']} Paper: 1; 2; 4. nothing is carried."]


def test_how_much_was_run_is_said_of_the_systems_that_a_row_rests_on(of_digits: Suite):
    budget = {"budget": {"epoch_fraction": 0.5}}
    systems = [
        replace(system, runs=[replace(run, measured=budget) for run in system.runs])
        if system.name == "began"
        else system
        for system in of_digits.systems
    ]
    suite = replace(of_digits, systems=systems)
    table, *_ = published.rows(suite, [claim(judgement("2"))])
    assert isinstance(table, Table)
    ((_, cells),) = table.rows
    assert cells[3].main == "50 %" != published.share(systems)


def test_what_a_stage_trains_by_itself_is_whole_and_says_where_it_ran(of_digits: Suite):
    machine = {"hardware": "a CPU", "note": "", "seconds_in_all": 60.0, "resumed": False}
    run = Run(3, measured={"values": {"error_nearest_l2": 0.03}}, provenance=machine)
    suite = replace(of_digits, classifiers=System("classifiers", "Others", "", {}, [], [run]))
    told = judgement("3 %", files=["results/digits/classifiers/3/metrics.json"])
    table, *_ = published.rows(suite, [claim(told)])
    assert isinstance(table, Table)
    ((_, cells),) = table.rows
    assert (cells[3].main, cells[3].small) == ("100 %", "1 training: 60 s")


@pytest.mark.parametrize(
    "suite, name", [("mnist", "classifiers"), ("drawn_curves", "linear_codes")]
)
def test_what_a_stage_trains_by_itself_is_gathered_with_where_it_ran(suite: str, name: str):
    root = Path(__file__).parents[2]
    beside = getattr(measured(root, suite, name)[0], name)
    ran_on = carried.provenance(root, suite)
    assert [run.provenance for run in beside.runs] == [ran_on[name, k] for k in (0, 1, 2)]


def test_a_number_s_notes_are_told_apart(of_digits: Suite):
    part = judgement("2")["parts"][0] | {"protocol": ["on which images", "by which classifier"]}
    blocks = published.rows(of_digits, [claim(judgement() | {"parts": [part]})])
    sections = [Section("digits", "Digits", blocks)]
    assert "2<sup>1, 2</sup>" in markdown(sections)
    assert "2</span><sup>1, 2</sup>" in page.alone("Digits", sections, ".")


def test_a_training_that_rounds_its_products_says_so_wherever_its_hardware_is_told():
    def run(**params: str) -> Run:
        machine = {"hardware": "a CPU", "note": "", "seconds_in_all": 60.0, "resumed": False}
        training = {"params": params, "parameters": {}, "epochs": 1, "steps": 2, "fingerprint": "f"}
        return Run(0, training=training, provenance=machine)

    exact, rounded = run(), run(precision="bf16")
    assert published.hardware([exact]) == ("a CPU", "1 training: 60 s")
    assert published.hardware([rounded])[0] == "a CPU, in bf16"
    assert published.hardware([rounded, exact, Run(1)])[0] == "a CPU, in bf16 and float32"
    assert [of_suite._training(each)[1].small for each in (exact, rounded)] == ["", "in bf16"]
