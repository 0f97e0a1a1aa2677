"""`docs/guide/cost.py`: what a training costs before anybody has run it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from params_file import shipped

from ebmrepro.methods.base import method

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("cost", ROOT / "docs/guide/cost.py")
assert SPEC is not None and SPEC.loader is not None
cost = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cost)


@pytest.mark.parametrize("name", ["dbn", "magan", "dbn_updown"])
def test_an_iteration_costs_what_those_of_all_epochs_do_in_the_mean(name: str):
    short = shipped().suite("digits").model_copy(update={"budget": 0.1})  # every phase is there
    block = shipped().model_copy(update={"suites": {"digits": short}}).block("digits", name)
    with torch.device("meta"):
        model = method.build(name, block.hparams, (1, 8, 8), 10, seed=0).to("meta")
    each = [cost.step(model, 8, epoch) for epoch in range(model.epochs)]
    assert cost.of_all_epochs(model, 8) == pytest.approx(sum(each) / len(each))
    assert len(set(each)) > 1, "phases of one price show nothing"


def test_a_wrong_suite_is_one_line():
    line = [sys.executable, "docs/guide/cost.py", "dgits", "--images=9", "--rate=1", "--watts=1"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "no suite 'dgits'" in done.stderr and "did you mean 'digits'?" in done.stderr
