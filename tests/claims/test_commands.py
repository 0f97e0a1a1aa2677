"""What the report tells to type can be typed."""

import re
import shlex
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from params_file import part_of_text, shipped

from ebmrepro.claims import claims_file, commands, judgements
from ebmrepro.claims.measurements import Files
from ebmrepro.config import variant
from ebmrepro.config.campaign import FURTHER
from ebmrepro.config.params import Run
from ebmrepro.runs import carried

ROOT = Path(__file__).parents[2]
SETTINGS = shipped()
CLAIMS = claims_file.load(SETTINGS, ROOT / "reports/claims.yaml")
SYSTEMS = {
    suite: ["dbn", *SETTINGS.suites[suite].methods]
    for suite in SETTINGS.suites
    if suite not in SETTINGS.run.suites and not suite.endswith(FURTHER)
}


def test_systems_of_other_seeds_are_run_in_turn():
    found = commands.carried_again("mnist", {"dbn": [0, 1], "ebgan": [0], "ebgan__x": [0]})
    assert found == (
        "dvc exp run -S 'run.suites=[mnist]' -S 'run.methods=[]' -S 'run.variants=[]' "
        "-S 'run.seeds=[0,1]' evaluate_dbn@mnist && "
        "dvc exp run -S 'run.suites=[mnist]' -S 'run.methods=[ebgan]' -S 'run.variants=[ebgan__x]' "
        "-S 'run.seeds=[0]' evaluate@mnist-ebgan evaluate_variant@mnist-ebgan__x"
    )
    assert commands.carried_again("mnist", {"ebgan_grid": [0, 1]}) == (
        "dvc exp run -S 'run.suites=[mnist]' -S 'run.methods=[]' -S 'run.variants=[]' "
        "-S 'run.grids=[mnist]' -S 'run.seeds=[0,1]' grid@mnist-0 grid@mnist-1"
    )


def test_a_carried_stage_asks_all_carried_systems_at_once():
    files: Any = SimpleNamespace(suite="mnist", carried={"began": [0, 1], "magan": [0]})
    files.seeds_among = lambda names: Files.seeds_among(files, names)
    assert judgements._again(files, {}, []) == ""
    both = judgements._again(files, {"began": [0, 1]}, ["tour"])
    trained, toured = both.split(" && ")
    assert trained == commands.carried_again("mnist", {"began": [0, 1]})
    assert toured == commands.stage_again("mnist", "tour", ["began", "magan"], [0])
    assert toured.endswith(" tour@mnist") and "run.seeds=[0]" in toured


def tried(folder: Path, suite: str, line: str) -> Run:
    """The run that a line asks for, by the part of params.yaml that it is about."""
    if not (path := folder / f"{suite}.yaml").exists():
        path.write_text(part_of_text(suite), encoding="utf-8")
    words = shlex.split(line)
    changes = [words[i + 1] for i, word in enumerate(words) if word == "-S"]
    return variant.tried(changes, path).run


@pytest.mark.parametrize("suite", SYSTEMS)
def test_params_yaml_takes_the_changes_of_each_system_alone_and_of_a_stage(
    suite: str, tmp_path: Path
):
    told = [commands.carried_again(suite, {name: [0]}) for name in SYSTEMS[suite]]
    for line in [*told, commands.stage_again(suite, "tour", SYSTEMS[suite], [0])]:
        run = tried(tmp_path, suite, line)
        assert run.suites == [suite] and run.seeds == [0]


def test_params_yaml_takes_what_would_run_any_claim_that_was_not_run(tmp_path: Path):
    asked = cache(tried)
    told = [
        (claim, suite, line)
        for claim in CLAIMS
        for suite in claim.suites
        if suite not in (*SETTINGS.run.suites, "fundamentals")
        for line in commands.anew(claim, suite, SETTINGS, {}).split(" && ")
        if line
    ]
    assert len({line for *_, line in told}) > 50
    for claim, suite, line in told:
        words, run = shlex.split(line), asked(tmp_path, suite, line)
        assert run.suites == [suite] and len(run.seeds) == claim.seeds[suite], line
        assert words[-1].startswith(("evaluate", "grid", "classifiers", "linear_codes", "tour"))
        seen = claim.changed.seen.get(suite, []) if claim.changed else []
        assert not {*run.seeds} & {*seen}


def test_what_would_run_a_claim_trains_nothing_that_is_carried_and_loses_none_of_it():
    """DVC removes the outputs of a stage, all seeds of a system, before it runs it."""
    (claim,) = (c for c in CLAIMS if c.id == "magan-beats-began")
    line = commands.anew(claim, "fashion_mnist", SETTINGS, {"began": [0, 1, 2, 3, 4]})
    assert line.endswith(" evaluate@fashion_mnist-magan") and "run.seeds=[0,1,2]" in line
    line = commands.anew(claim, "fashion_mnist", SETTINGS, {"began": [7], "magan": [0, 1, 2]})
    assert line.endswith(" evaluate@fashion_mnist-began") and "run.seeds=[0,1,2,7]" in line
    both = {"began": [0, 1, 2], "magan": [0, 1, 2]}
    assert commands.anew(claim, "fashion_mnist", SETTINGS, both) == ""
    (toured,) = (c for c in CLAIMS if c.id == "energies-are-uncalibrated")
    line = commands.anew(toured, "mnist", SETTINGS, {"began": [0], "classifiers": [0]})
    assert "run.methods=[began,dbn_updown]" in line and line.endswith(" tour@mnist")


def test_what_has_no_block_has_no_command_that_would_run_it():
    (claim,) = (c for c in CLAIMS if c.id == "magan-beats-ebgan")
    assert commands.anew(claim, "mnist", SETTINGS, {})
    suites = {"mnist": SETTINGS.suites["mnist"].model_copy(update={"methods": {}})}
    without = SETTINGS.model_copy(update={"suites": suites})
    assert commands.anew(claim, "mnist", without, {}) == ""


def test_a_command_asks_for_no_system_but_those_that_it_names():
    (line,) = commands.carried_again("faces", {"began__refined": [2]}).split(" && ")
    lists = dict(re.findall(r"-S 'run\.(\w+)=\[([\w,]*)\]'", line))
    assert lists == {"suites": "faces", "methods": "", "variants": "began__refined", "seeds": "2"}
    assert carried.targets("faces", "began__refined", [2]) == [line.split()[-1]]
