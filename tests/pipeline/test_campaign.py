"""A campaign: trainings for days, of suites that `run` does not name, until each is carried."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import made_up
import pytest
import trainings

from ebmrepro import data
from ebmrepro.config import forms, params
from ebmrepro.config.campaign import FURTHER
from ebmrepro.config.documents import ParamsError
from ebmrepro.pipeline.campaign import commands, drive, plan
from ebmrepro.pipeline.offload.trainings import provenance
from ebmrepro.runs import fingerprints, identity, layout
from ebmrepro.system.errors import UserError

ASKED = {"seeds": [0, 1, 2], "systems": {"ebgan": 2, "dbn": 2}}  # a judge comes last, on purpose
ORDER = ["again ebgan seed 0", "again ebgan seed 1", "again dbn seed 0", "again dbn seed 1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of which `run` knows nothing, `again`, beside the digits."""
    folder = trainings.project(tmp_path_factory.mktemp("made") / "p", ["ebgan"])
    tree = trainings.read_params(folder)
    tree |= {"again": tree["digits"], "campaign": {"again": ASKED}}
    trainings.write_params(folder, tree)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that a test may change, and the working folder."""
    monkeypatch.chdir(folder := shutil.copytree(made, tmp_path / "p"))
    return folder


def items() -> list[plan.Item]:
    return plan.items(Path(), params.load())


def carry(
    name: str, seed: int, fraction: float, seconds: float, suite: str = "again", identity: str = ""
) -> None:
    """A result of another machine, with what it ran on."""
    place = Path("results") / suite / name / str(seed)
    place.mkdir(parents=True, exist_ok=True)
    identity = identity or f"{name}{seed}".encode().hex()
    card = {"suite": suite, "method": name, "seed": seed, "fingerprint": identity, "values": {}}
    card["budget"] = {"epoch_fraction": fraction}
    (place / "metrics.json").write_text(json.dumps(card))
    path = Path("results") / suite / "provenance.json"
    told = json.loads(path.read_text()) if path.exists() else {"suite": suite, "trainings": {}}
    entry = {"fingerprint": identity, "seconds_in_all": seconds, "seconds": seconds}
    entry |= {"commit": None, "versions": {}, "images_per_second": 1.0, "resumed": False}
    entry |= {"hardware": "", "note": ""}
    told["trainings"].setdefault(name, {})[str(seed)] = entry
    path.write_text(json.dumps(told))


def run(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"EBMREPRO_TRACKING": "off", **options}
    command = [sys.executable, "-m", "ebmrepro", "campaign", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def test_trainings_come_in_the_order_of_the_file(project: Path):
    assert [item.training.label for item in items()] == ORDER
    assert {item.state for item in items()} == {plan.TO_DO} and items()[0].left is None


def test_what_is_carried_at_the_length_asked_for_is_passed_over(project: Path):
    tree = trainings.read_params(project)
    tree["again"] |= {"budget": 0.2}  # not that of digits
    tree["again"]["methods"]["ebgan"] |= {"epoch_fraction": 0.5}  # nor that of another block
    trainings.write_params(project, tree)
    part = 0.2 * 0.5
    carry("ebgan", 0, part, 60)
    carry("ebgan", 1, part / 2, 90)  # half of it: again, and whole
    first, second, *_ = items()
    assert (first.state, second.state) == (plan.CARRIED, plan.TO_DO)
    assert (first.left, second.left) == (0, (60 + 2 * 90) / 2)
    assert "1 of 4 carried; about 0.0 h to go, and 2 trainings of unknown" in plan.in_words(
        items(), 2
    )


def test_further_seeds_of_the_run_are_trained_again_where_their_code_or_numbers_changed(
    project: Path,
):
    further = f"digits{FURTHER}"
    asked = {"campaign": {further: {"seeds": [8], "systems": {"ebgan": 1, "dbn": 1}}}}
    trainings.write_params(project, trainings.read_params(project) | asked)
    splits = data.describe("data/digits")["splits"]
    made_up.reference(project, "digits")
    place = project / "results/digits/reference/reference.json"
    card = json.loads(place.read_text())
    place.write_text(json.dumps(card | {"dataset": card["dataset"] | {"splits": splits}}))
    shutil.copytree(place.parent, project / "results" / further / "reference")
    now = fingerprints.of(further, "ebgan", 8, params.load(), splits)
    for whose, state in (("f", plan.TO_DO), (now, plan.CARRIED)):
        carry("ebgan", 8, 1.0, 60, further, whose)
        assert [item.state for item in items()] == [state, plan.TO_DO]


def test_a_result_that_changed_since_is_not_carried(project: Path):
    carry("ebgan", 0, 1.0, 60)
    path = Path("results/again/ebgan/0/metrics.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "f"}))
    assert items()[0].state == plan.TO_DO


def test_the_weights_of_a_judge_are_needed_although_its_result_is_carried(project: Path):
    for seed in (0, 1):
        carry("dbn", seed, 1.0, 60)
    assert [item.state for item in items()[2:]] == [plan.WEIGHTS, plan.WEIGHTS]
    weights = Path("models/again/dbn/0/model.safetensors")
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert [item.state for item in items()[2:]] == [plan.CARRIED, plan.WEIGHTS]


def test_a_training_begun_anew_has_not_ended_although_its_provenance_is_that_of_the_last(
    project: Path,
):
    data.prepare("again", params.load().suite("again").data, Path("data/again"))
    training = items()[2].training
    ours = identity.fingerprint(*training, params.load())
    folder = layout.folder(*training)
    folder.mkdir(parents=True)
    provenance(ours).parent.mkdir(parents=True)
    provenance(ours).touch()
    card = {"suite": "again", "method": "dbn", "seed": 0, "fingerprint": ours, "params": {}}
    (folder / "run.json").write_text(json.dumps(card))
    (folder / "model.safetensors").touch()
    assert items()[2].state == plan.TO_DO
    ended = {"epochs": 1, "steps": 1, "parameters": {}}
    (folder / "run.json").write_text(json.dumps(card | ended))
    assert items()[2].state == plan.TRAINED
    (folder / "model.safetensors").unlink()
    assert items()[2].state == plan.TO_DO


@pytest.mark.parametrize(
    ("campaign", "place"),
    [
        ({"agian": ASKED}, "campaign: no suite 'agian'"),
        ({"again": ASKED | {"systems": {"dbn": 1, "ebgna": 1}}}, "again.systems: no block 'ebgna'"),
        ({"again": ASKED | {"systems": {"ebgan": 2}}}, "again.systems: found no dbn"),
        ({"again": ASKED | {"systems": {"dbn": 1, "ebgan": 4}}}, "again.systems.ebgan: found 4"),
        ({"again": ASKED | {"seeds": [1, 1]}}, "campaign.again.seeds"),
        ({"again": {"seeds": [0]}}, "campaign.again.systems: this key is missing"),
        ({"again": 3}, "campaign.again"),
        (3, "campaign: found 3"),
        ({"3": ASKED}, "campaign: no suite '3'"),
    ],
)
def test_a_wrong_campaign_is_one_line(project: Path, campaign: object, place: str):
    trainings.write_params(project, trainings.read_params(project) | {"campaign": campaign})
    with pytest.raises(ParamsError) as caught:
        params.load()
    assert place in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ("agian/ebgan/0", "campaign: no suite 'agian'; there are again; did you mean 'again'?"),
        ("again/ebgna/0", "campaign.again.systems: no system 'ebgna'; there are ebgan, dbn"),
        ("again/ebgan/2", "campaign.again: seeds of ebgan: no seed '2'; there are 0, 1"),
        ("again/ebgan/0/1", "campaign.again: seeds of ebgan: no seed '0/1'; there are 0, 1"),
        ("again/ebgan", "'again/ebgan': allowed is SUITE/SYSTEM/SEED"),
    ],
)
def test_a_training_that_is_not_of_the_list_is_told_what_is_at_its_first_wrong_name(
    project: Path, one: str, said: str
):
    with pytest.raises(UserError) as caught:
        commands.campaign(one)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_dry_campaign_of_one_training_is_of_that_alone(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    commands.campaign("again/ebgan/1", dry=True)
    first, *_ = lines = capsys.readouterr().out.splitlines()
    assert first.startswith("again ebgan seed 1 ") and len(lines) == 2


def test_a_campaign_of_a_suite_that_dvc_trains_is_refused_when_it_is_to_begin(project: Path):
    """And no sooner: `dvc exp run -S run.suites=[...]` trains a campaign's suite by DVC."""
    trainings.write_params(
        project, trainings.read_params(project) | {"campaign": {"digits": ASKED}}
    )
    params.load()
    said, _ = (refused := run("--dry")).communicate(timeout=60)
    assert refused.returncode == 2 and "campaign.digits: run.suites names this suite" in said


@pytest.mark.slow
def test_all_is_trained_measured_and_carried_and_then_nothing_is_left(project: Path):
    done = run("--jobs", "2", "--note", "in a test")
    said, _ = done.communicate(timeout=300)
    assert done.returncode == 0 and "4 of 4 carried" in said.splitlines()[-1], said
    told = forms.Carried.read(Path("results/again/provenance.json"))["trainings"]
    assert {name: sorted(own) for name, own in told.items()} == {
        "dbn": ["0", "1"],
        "ebgan": ["0", "1"],
    }
    assert told["ebgan"]["0"]["note"] == "in a test"
    cards = [
        forms.Metrics.read(Path(f"results/again/{name}/{seed}/metrics.json"))
        for name in ("ebgan", "dbn")
        for seed in (0, 1)
    ]
    # All in the features of the two judges, whoever was trained first.
    assert len({card["protocol"]["extractor_sha256"] for card in cards}) == 1
    assert len({card["protocol"]["second_extractor_sha256"] for card in cards}) == 1
    again = run("again/ebgan/0")
    assert again.communicate(timeout=60)[0] == "again ebgan seed 0: trained\n"
    # What was trained from the digits' own block is byte for byte what the stage makes.
    trainings.train(project, "ebgan")
    own, other = (
        Path(f"models/{suite}/ebgan/0/model.safetensors") for suite in ("again", "digits")
    )
    assert own.read_bytes() == other.read_bytes()


def test_a_terminals_ctrl_c_reaches_no_training_which_a_second_signal_would_kill(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    told = project / "python"
    told.write_text("#!/bin/sh\nps -o pgid= $$\n")
    told.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(told))
    assert drive._start(training := items()[0].training, "").wait(60) == 0
    assert int(drive._log(training).read_text()) != os.getpgrp()


@pytest.mark.slow
def test_a_campaign_that_is_told_to_stop_saves_what_it_was_at(project: Path):
    tree = trainings.read_params(project)
    tree["again"]["budget"] = 1.0
    trainings.write_params(project, tree)
    campaign = run("--jobs", "1", EBMREPRO_CHECKPOINT_SECONDS="600")
    curves = Path("models/again/ebgan/0/curves.csv")
    while not curves.exists() or len(curves.read_text().splitlines()) < 2:
        assert campaign.poll() is None
        time.sleep(0.05)
    campaign.send_signal(signal.SIGTERM)
    said, _ = campaign.communicate(timeout=60)
    last = said.splitlines()[-1]
    assert campaign.returncode == 143 and last.endswith(
        "SIGTERM; the same command goes on from there"
    )
    assert items()[0].state == plan.BEGUN and 0 < items()[0].done < 1


@pytest.mark.slow
def test_a_suite_without_data_is_asked_for_once(project: Path):
    tree = trainings.read_params(project)
    image = {"size": 8, "channels": 1, "crop": {"kind": "short_side"}, "broken": 0.01}
    split = {"test": 10, "validation": 0, "split_seed": 0}
    data = {"source": "folder", "folder": "nowhere", "image": image}
    tree["again"] |= {"data": data | split}
    trainings.write_params(project, tree)
    campaign = run("--jobs", "1", EBMREPRO_DATA_MIRROR=str(project))
    said, _ = campaign.communicate(timeout=300)
    assert campaign.returncode == 1 and said.count("nowhere") == 1, said
    assert "again: 3 trainings more left out, for want of data" in said


@pytest.mark.slow
def test_one_that_fails_is_named_and_holds_up_no_other(project: Path):
    Path("models/again").mkdir(parents=True)
    Path("models/again/ebgan").write_text("in the way")
    campaign = run("--jobs", "2")
    said, _ = campaign.communicate(timeout=300)
    assert campaign.returncode == 1 and "2 of 4 carried" in said.splitlines()[-1]
    (told, _) = [line for line in said.splitlines() if "(exit 2;" in line]
    assert told.startswith("again ebgan seed") and ".log" in told
