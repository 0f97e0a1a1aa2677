"""The table of published numbers: what a claim says stands once, whatever parts judge it."""

from pathlib import Path

import made_up

from ebmrepro.report import published, suite
from ebmrepro.report.blocks import Table
from ebmrepro.report.gather import Run, gather


def test_the_parts_of_a_claim_are_rows_of_which_the_first_has_the_claim(tmp_path: Path):
    settings = made_up.params(methods=["began"], variants=[], seeds=(0,))
    made_up.results(tmp_path, settings)
    (of_digits,) = gather(tmp_path, settings)
    parts = [
        {
            "protocol": [f"how {statistic} is measured"],
            "estimate_in_words": estimate,
            "statistic": statistic,
            "rule": "above 0",
            "verdict": "holds",
        }
        for statistic, estimate in (("b minus a", "2"), ("c minus b", "3"))
    ]
    told = {
        "claim": "a is less than b, and b than c.",
        "published": [{"value": 1.0}],
        "published_in_words": "1; 2; 4",
        "source": "Table 1",
        "certainty_in_words": "verified",
        "judgements": [
            {
                "suite": "digits",
                "carried": True,
                "files": ["results/digits/began/0/metrics.json"],
                "parts": parts,
                "command": "dvc repro",
            }
        ],
    }
    (table, *_) = published.rows(of_digits, [told])
    assert isinstance(table, Table)
    (first, cells), (second, others) = table.rows
    assert (first, cells[0].main, cells[1].main) == (told["claim"], "1; 2; 4", "2")
    assert (second, others[0].main, others[1].main) == ("(the same claim)", "", "3")


def test_a_training_that_rounds_its_products_says_so_wherever_its_hardware_is_told():
    def run(**params: str) -> Run:
        machine = {"hardware": "a CPU", "note": "", "seconds_in_all": 60.0, "resumed": False}
        training = {"params": params, "parameters": {}, "epochs": 1, "steps": 2, "fingerprint": "f"}
        return Run(0, training=training, provenance=machine)

    exact, rounded = run(), run(precision="bf16")
    assert published.hardware([exact]) == ("a CPU", "1 training: 60 s")
    assert published.hardware([rounded])[0] == "a CPU, in bf16"
    assert published.hardware([rounded, exact, Run(1)])[0] == "a CPU, in bf16 and float32"
    assert [suite._training(each)[1].small for each in (exact, rounded)] == ["", "in bf16"]
