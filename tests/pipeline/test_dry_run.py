"""What a suite would take, found out without training it."""

import dataclasses
import time
from pathlib import Path

import pytest
import trainings
from params_file import shipped

from ebmrepro import data
from ebmrepro.cli import main
from ebmrepro.config import params, variant
from ebmrepro.data import DataError
from ebmrepro.pipeline import dry_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trainings.project(tmp_path_factory.mktemp("rehearsal") / "project", ["magan"])


def test_each_system_says_what_it_takes_and_leaves_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(project)
    before = trainings.outputs(project)
    settings = params.load()
    found = dry_run.images("digits", settings)
    told = list(dry_run.rehearse("digits", ["dbn", "magan"], found))
    for name, one in zip(("dbn", "magan"), told, strict=True):
        assert isinstance(one, dry_run.Rehearsal), one
        assert (one.system, one.parameters > 1000) == (name, True)
        assert one.seconds_per_step > 0 and one.peak > 2**20
        hp = settings.block("digits", name).hparams
        epochs = (
            hp.epochs + hp.pretrain_epochs + 1
            if name == "magan"
            else 2 * hp.rbm_epochs + hp.finetune_epochs
        )
        assert found.count is not None and one.steps is not None
        assert one.steps == epochs * (found.count // 128)
        assert one.seconds_besides > 0
        assert one.seconds == one.seconds_besides + one.steps * one.seconds_per_step
    assert trainings.outputs(project) == before


def test_other_values_are_rehearsed_as_dvc_would_run_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(project)
    changes = ["digits.methods.magan.batch_size=16", "digits.methods.magan.hparams.epochs=200"]
    settings = params.load()
    found = dry_run.images("digits", settings)
    as_it_is, other = (
        one
        for given in ([], changes)
        for one in dry_run.rehearse("digits", ["magan"], found, given)
        if isinstance(one, dry_run.Rehearsal)
    )
    assert found.count and other.steps and as_it_is.steps
    hp = variant.tried(changes).block("digits", "magan").hparams
    assert other.steps == (hp.epochs + hp.pretrain_epochs + 1) * (found.count // 16)
    assert as_it_is.steps < other.steps / 8


def test_the_data_are_verified(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(project)
    settings = params.load()
    assert "checksums agree" in dry_run.images("digits", settings).status
    stored = project / "data/digits/train.npy"
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(DataError, match="train"):
            dry_run.images("digits", settings)
    finally:
        stored.write_bytes(whole)


def test_of_data_that_are_not_there_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    settings = shipped()
    found = dry_run.images("mnist", settings)
    assert (found.shape, found.count) == ((1, 28, 28), 60_000)
    assert "noise stands in" in found.status and "ebmrepro data check mnist" in found.status


def test_a_process_that_ends_without_an_answer_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(project)
    found = dry_run.images("digits", params.load())
    (told,) = dry_run.rehearse("digits", ["magan"], dataclasses.replace(found, shape=(1, 9, 9)))
    assert told == "magan: its process ended with code 1"


def test_what_a_person_can_mend_is_said_in_one_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(project)
    monkeypatch.setenv("EBMREPRO_DEVICE", "none such")
    found = dry_run.images("digits", params.load())
    (told,) = dry_run.rehearse("digits", ["magan"], found)
    assert isinstance(told, str) and told.startswith("magan: EBMREPRO_DEVICE: found 'none such'")
    assert "Traceback" not in capfd.readouterr().err


def test_a_method_of_few_labels_has_enough_images_of_each_class(monkeypatch: pytest.MonkeyPatch):
    """Two batches hold too few for 1,000 labels."""
    monkeypatch.chdir(ROOT)
    like = dry_run.images("mnist", params.load())
    (told,) = dry_run.rehearse("mnist", ["ladder__labels_1000"], like)
    assert isinstance(told, dry_run.Rehearsal), told


def test_an_unknown_suite_is_named_before_anything_is_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["ebmrepro", "check", "--dry", "cifar"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "no suite 'cifar'" in (said := capsys.readouterr().err) and "cifar10" in said


def test_a_set_of_one_batch_is_rehearsed_on_two(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Its epochs have one step, of which none was left to be timed."""
    monkeypatch.chdir(project)
    settings = params.load()
    like, batch = dry_run.images("digits", settings), settings.block("digits", "magan").batch_size
    whole = data.read(Path("data/digits"), "train")
    monkeypatch.setattr(data, "read", lambda *_: tuple(part[:batch] for part in whole))
    told = dry_run._rehearsed("digits", "magan", like, [], time.monotonic())
    assert told.seconds_per_step > 0
