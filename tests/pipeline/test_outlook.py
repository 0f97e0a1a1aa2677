"""Times to come are those of others like it, at the pace of what has ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ebmrepro.pipeline import outlook
from ebmrepro.pipeline.outlook import Outlook
from ebmrepro.pipeline.progress import Progress


@pytest.fixture
def known(tmp_path: Path) -> Outlook:
    found = Outlook(tmp_path)
    found.known = {"train@a-ebgan-0": 10.0, "train@a-ebgan-1": 20.0, "train@a-ebgan_pt": 90.0}
    return found


def test_a_stage_takes_what_it_took_or_its_other_seeds_or_others_of_its_suite(known: Outlook):
    assert known.of("train@a-ebgan-0") == 10
    assert known.of("train@a-ebgan-7") == 15
    assert known.of("train@a-magan-7") == 40
    assert known.of("train@b-ebgan-0") is None and known.of("report") is None


def test_what_is_left_goes_by_places_by_what_runs_and_by_the_pace_of_what_has_ended(known: Outlook):
    two = ["train@a-ebgan-0", "train@a-ebgan-1"]
    assert known.left(two, 1) == 30
    assert known.left(two, 2) == 20, "no sooner than the longest"
    assert known.left(two, 1, {two[1]: 15.0}) == 15
    assert known.left(two, 1, {two[1]: 99.0}) == 10, "late is not negative"
    assert known.left([*two, "report"], 1) is None
    assert known.left([], 1) == 0
    known.ended("train@a-ebgan_pt-0", 180.0)  # twice as long as expected, beside a minute of doubt
    assert known.left(two, 1) == 30 * (180 + 60) / (90 + 60)


def test_what_a_machine_took_is_kept_for_its_next_run_and_damage_is_no_obstacle(tmp_path: Path):
    first = Outlook(tmp_path)
    first.ended("report", 7.04)
    first.keep()
    assert json.loads((tmp_path / outlook.RECORD).read_text()) == {"report": 7.0}
    assert Outlook(tmp_path).of("report") == 7
    for damage in ("{", "[1]", '{"report": "x"}'):
        (tmp_path / outlook.RECORD).write_text(damage)
        assert Outlook(tmp_path).of("report") != 7
    (tmp_path / "results/mnist").mkdir(parents=True)
    (tmp_path / "results/mnist/provenance.json").write_text("<<<<<<< HEAD")
    assert Outlook(tmp_path).of("data@digits") is not None


def test_a_training_is_the_stage_of_the_pipeline_that_trains_it():
    assert outlook.training("digits", "dbn", 3) == "pretrain@digits-3"
    assert outlook.training("digits", "magan", 3) == "train@digits-magan-3"
    assert outlook.training("digits", "magan__x", 3) == "train_variant@digits-magan__x-3"
    assert outlook.training("mnist", "classifiers", 0) == "classifiers@mnist-0"


def test_how_many_stages_there_are_is_said_once_though_all_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    told = Progress(Outlook(tmp_path))
    told.plan(stages := ["a@1", "a@2"])
    for stage in stages:
        told.begun(stage, dry=False)
        told.ended(stage, False, dry=False)
    assert capsys.readouterr().out.count("2 stages to run at most") == 1
