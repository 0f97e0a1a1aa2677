"""A pack trains on a machine with torch and numpy only, and what comes home is what stages make."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trainings
from packaging.requirements import Requirement

from ebmrepro import data
from ebmrepro.config import forms, params
from ebmrepro.config.params import Training
from ebmrepro.evaluation import evaluate
from ebmrepro.pipeline.offload import cargo, pack, program, start, take
from ebmrepro.pipeline.offload import trainings as offloaded
from ebmrepro.pipeline.offload.parts import DONE, NO_TIME
from ebmrepro.pipeline.offload.trainings import Deadline
from ebmrepro.runs import fingerprints
from ebmrepro.system.errors import UserError
from ebmrepro.system.locks import Busy

NAMES = ["ebgan", "dbn"]
MEGABYTE = pack.MEGABYTE
PUT_ASIDE = """
import sys
sys.path.insert(0, ".")
from ebmrepro.pipeline.offload import start
start.unpack("packages.zip", "packages")
sys.path.insert(1, "packages")
from ebmrepro.pipeline.offload import program
from ebmrepro.pipeline.offload.trainings import Deadline

def reason(self):
    self.taken += 1
    return ("at its deadline", 75) if self.taken == 15 else None

Deadline.reason = reason
program.main(".", ["--seconds", "60"])
"""


def needs(name: str) -> Iterator[str]:
    """A distribution and all that it asks for."""
    yield name
    for line in metadata.requires(name) or ():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield from needs(wanted.name)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of a machine that has torch and numpy, and what these ask for."""
    folder = tmp_path_factory.mktemp("bare")
    for name in {*needs("torch"), *needs("numpy")}:
        for file in metadata.distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (folder / top).exists():
                (folder / top).symlink_to(str(file.locate()).removesuffix(str(file)) + top)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trainings.project(tmp_path_factory.mktemp("project") / "p", NAMES)


@pytest.fixture(scope="module")
def stages(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages leave of the same trainings."""
    folder = tmp_path_factory.mktemp("stages") / "p"
    shutil.copytree(project, folder)
    for name in NAMES:
        trainings.train(folder, name)
    return folder


@pytest.fixture
def here(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, and the working folder."""
    folder = tmp_path / "p"
    shutil.copytree(project, folder)
    monkeypatch.chdir(folder)
    return folder


def packed(out: str = "offload", limit: int = 60 * MEGABYTE, **options: Any) -> Path:
    pack.write("digits", NAMES, [0], params.load(), Path(out), limit, **options)
    return Path(out).absolute()


def run(
    folder: Path, packages: Path | None, *command: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Python without site-packages, in a pack."""
    kept = ("PATH", "HOME", "OMP_NUM_THREADS")
    environment = {k: v for k, v in os.environ.items() if k in kept} | more
    environment["PYTHONPATH"] = str(packages or "")
    line = [sys.executable, "-S", *command]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)


def sat(folder: Path, packages: Path, *command: str, **more: str) -> dict[str, Any]:
    done = run(folder, packages, *(command or ("run.py", "--seconds", "60")), **more)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "home/report.json").read_text())["parts"]


def taken(folder: Path) -> list[tuple[str, bool]]:
    return list(take.take(folder, params.load()))


@pytest.fixture(scope="module")
def home(project: Path, bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that comes back of a pack that was carried elsewhere and run there."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with contextlib.chdir(project):
        folder = packed("offload").rename(elsewhere / "pack")
    told = sat(folder, bare)
    assert {name: part["how"] for name, part in told.items()} == {
        "digits ebgan seed 0": DONE,
        "digits dbn seed 0": DONE,
    }
    return shutil.copytree(folder / "home", elsewhere / "home")


@pytest.mark.slow
def test_a_pack_on_a_bare_machine_gives_the_bytes_of_the_stages(
    here: Path, stages: Path, home: Path
):
    lines = taken(home)
    assert lines == [
        ("digits ebgan seed 0: models/digits/ebgan/0, stage train@digits-ebgan-0", True),
        ("digits dbn seed 0: models/digits/dbn/0, stage pretrain@digits-0", True),
    ]
    for name in NAMES:
        found = trainings.outputs(trainings.out(here, name))
        assert found == trainings.outputs(trainings.out(stages, name))
        assert {"model.safetensors", "curves.csv", "run.json"} < set(found)
    told = [sorted(f.name for f in (p / ".ebmrepro/provenance").iterdir()) for p in (here, stages)]
    assert told[0] == told[1]


@pytest.mark.slow
def test_a_pack_whose_trainings_take_turns_gives_them_as_well(here: Path, stages: Path, bare: Path):
    folder = packed()
    told = sat(folder, bare, EBMREPRO_TOGETHER="2")
    assert [told[name]["how"] for name in ("together", "digits ebgan seed 0")] == [DONE, DONE]
    assert all(well for _, well in taken(folder))
    for name in NAMES:
        found = trainings.outputs(trainings.out(here, name))
        assert found == trainings.outputs(trainings.out(stages, name))


def test_one_of_those_that_take_turns_fails_or_is_put_aside_alone(
    here: Path, stages: Path, monkeypatch: pytest.MonkeyPatch
):
    tree = trainings.read_params(here)
    tree["digits"]["methods"]["ebgan"]["optim"]["D"]["lr"] = 1e12
    trainings.write_params(here, tree)
    broken, whole = (Training("digits", name, 0) for name in NAMES)
    asides = iter([("because ...", 75)])

    def reason(self: Deadline) -> Any:
        self.taken += 1
        return next(asides, None) if self.turn == 1 and self.taken == 15 else None

    monkeypatch.setattr(Deadline, "reason", reason)
    found = list(offloaded.train_together([broken, whole], 2, time.monotonic() + 100))
    assert [label for label, _ in found[:2]] == [broken.label, whole.label]
    assert {told["how"] for _, told in found[:2]} == {offloaded.LOST}
    ends = [(label, told["how"]) for label, told in found[2:]]
    assert ends[0][0] == broken.label and ends[0][1].startswith("failed: NotFinite: ebgan: ")
    aside = f"{whole.label}: stopped because ...; the last good checkpoint is that of step 15"
    assert ends[1][1].startswith(aside) and ends[2:] == [(whole.label, DONE)]
    assert found[-1][1]["cells"]["steps before"] == 15
    kept = (trainings.outputs(trainings.out(folder, "dbn")) for folder in (here, stages))
    assert len({tuple(each.items()) for each in kept}) == 1
    late = list(offloaded.train_together([broken, whole], 2, time.monotonic()))
    assert [told["how"] for _, told in late[2:]] == [NO_TIME, NO_TIME]


def test_a_process_that_can_compute_no_more_leaves_the_others_to_processes_of_their_own(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    broken = RuntimeError("CUDA error: an illegal memory access")

    def failing(more: Any, *_: object) -> Iterator[Any]:
        more(True)
        yield (0, True), broken

    def wait(_: object) -> None:
        raise broken

    first, second = (Training("digits", name, 0) for name in NAMES)
    how = {}
    monkeypatch.setattr(offloaded, "together", failing)
    monkeypatch.setattr(offloaded.device, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        for label, told in offloaded.train_together([first, second], 2, time.monotonic() + 100):
            how[label] = told["how"]
    assert how[first.label] == f"failed: RuntimeError: {broken}"
    assert how[second.label] == offloaded.LOST


@pytest.mark.slow
def test_what_does_not_fit_goes_on_in_a_later_pack_and_ends_with_the_same_bytes(
    here: Path, stages: Path, bare: Path
):
    first = packed("first")
    told = sat(first, bare, "-c", PUT_ASIDE)
    assert (
        "at its deadline; the last good checkpoint is that of step 30"
        in (told["digits ebgan seed 0"]["how"])
    )
    lines = [line for line, well in taken(first) if well]
    assert "digits ebgan seed 0: checkpoint of step 30 of 44" in lines
    assert not trainings.out(here, "ebgan").exists()
    second = packed("second")
    told = sat(second, bare)
    assert told["digits ebgan seed 0"]["cells"]["steps before"] == 30
    assert all(well for _, well in taken(second))
    for name in NAMES:
        assert trainings.outputs(trainings.out(here, name)) == trainings.outputs(
            trainings.out(stages, name)
        )
    assert not list((here / ".ebmrepro/checkpoints").glob("*/*/*.pt"))


OWN, OTHER = "a" * 64, "b" * 64  # fingerprints


def checkpoint(root: Path, step: int, fingerprint: str = OWN, made_with: str = "cpu") -> Path:
    """As a training leaves it in `root`; its folder."""
    folder = root / ".ebmrepro/checkpoints" / fingerprint / made_with
    folder.mkdir(parents=True, exist_ok=True)
    about = {"suite": "digits", "method": "ebgan", "seed": 0, "epochs": 4, "steps": 1044}
    (folder / "about.json").write_text(json.dumps(about))
    (folder / f"{step:012d}-{'c' * 64}.pt").write_text(f"step {step} in {root.name}")
    return folder


@pytest.mark.parametrize("own", [None, 990, 1010, 1020])
def test_a_checkpoint_is_taken_where_it_is_ahead_of_the_one_here_of_its_kind(
    own: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    monkeypatch.chdir(here)
    for root in (here, there):  # begun, and nothing saved
        next(checkpoint(root, 0).glob("*.pt")).unlink()
    checkpoint(here, 1040, made_with="cuda")  # which goes on with it on no CPU
    checkpoint(here, 1040, OTHER)
    checkpoint(there, 1030, OTHER, "cuda")
    assert take._put_aside(OWN, there) == "put aside before its first checkpoint"
    for step in (1000, 1010):  # of which the last goes on
        checkpoint(there, step)
    if own is not None:
        checkpoint(here, own)
    ahead = own is None or own < 1010
    before = {path for path in here.rglob("*.pt")}
    said = take._put_aside(OWN, there)
    taken = {path.relative_to(here): path.read_text() for path in {*here.rglob("*.pt")} - before}
    if ahead:
        assert said == "checkpoint of step 1,010 of 1,044"
        (path,) = (there / ".ebmrepro/checkpoints" / OWN / "cpu").glob("*1010-*")
        assert taken == {path.relative_to(there): "step 1010 in there"}
        assert (here / path.relative_to(there)).with_name("about.json").exists()
    else:
        assert said == "its checkpoint of step 1,010 is not ahead of the one here" and not taken


def test_a_checkpoint_that_says_not_whose_it_is_is_left_alone(here: Path, tmp_path: Path):
    settings, ebgan = params.load(), Training("digits", "ebgan", 0)
    splits = pack.training_images("digits", None)[0]["splits"]
    own = fingerprints.of(*ebgan, settings, splits)
    about = checkpoint(there := tmp_path / "there", 10, own) / "about.json"

    def why() -> str | None:
        return take._differs(ebgan, own, there, {"commit": None, "part": None}, settings)

    assert why() is None
    about.write_text("{")
    assert "about.json: not JSON" in str(why())
    about.unlink()
    assert why() == "about.json of its checkpoint: no such file"


@pytest.mark.slow
def test_results_of_a_part_of_the_data_say_so(here: Path, bare: Path):
    folder = packed(images=500)
    sat(folder, bare)
    marked = "of a part of the data (500 of 1,437 images), no stage's"
    assert [line.partition(", ")[2] for line, _ in taken(folder)] == [marked, marked]
    card = json.loads((trainings.out(here, "ebgan") / "run.json").read_text())
    assert card["images"] == {"run": 500, "of": 1437}
    budget = evaluate._budget("digits", "ebgan", params.load(), card["images"])
    assert budget["epoch_fraction"] == pytest.approx(0.05 * 500 / 1437)
    assert forms.Budget.held(budget, "metrics.json")  # which all that read it refused
    assert "a part of the data: 500 of 1,437 training images" in evaluate._trained(budget)


def test_the_part_has_each_class_in_its_share(here: Path):
    whole = data.describe("data/digits")
    dataset, x, y = pack.training_images("digits", 700)
    assert len(x) == len(y) == 700 and dataset["part"] == {"run": 700, "of": 1437}
    shares = 700 * np.array(whole["splits"]["train"]["per_class"]) / 1437
    assert np.abs(np.array(dataset["splits"]["train"]["per_class"]) - shares).max() < 1
    assert dataset["splits"]["test"] == whole["splits"]["test"]
    with pytest.raises(UserError, match="--images: found 1438; data/digits has 1 to 1437"):
        pack.training_images("digits", 1438)


def test_images_that_changed_on_the_way_are_not_trained_on(here: Path):
    dataset, x, y = pack.training_images("digits", 500)
    about = np.array(data.in_words(dataset))
    np.savez_compressed("there.npz", images=x, labels=y[::-1], about=about)
    with pytest.raises(UserError, match=r"there\.npz: labels: found sha256"):
        program.unpack(Path("there"))
    np.savez_compressed("there.npz", images=x, labels=y, about=np.array("{"))
    with pytest.raises(UserError, match=r"there\.npz: about: found nothing, want an object"):
        program.unpack(Path("there"))
    np.savez_compressed("there.npz", images=x, labels=y, about=about)
    program.unpack(Path("there"))
    for found, packed_ in zip(data.read("there", "train"), (x, y), strict=True):
        assert np.array_equal(found, packed_)


def test_a_pack_that_is_too_large_says_what_fits_and_leaves_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pack, "_packages", lambda archive, python: archive.write_bytes(b"none"))
    with pytest.raises(UserError, match=r"--size: the pack has .* allowed are 0.001"):
        packed(limit=1000)
    assert not (here / "offload").exists()
    limit = pack.size(packed()) - 20_000
    with pytest.raises(UserError, match=r"--images (\d+) fits") as error:
        packed(limit=limit)
    fits = int(str(error.value).split("--images ")[1].split()[0])
    assert pack.size(packed(limit=limit, images=fits)) <= limit


def test_a_folder_that_is_no_pack_or_holds_a_sitting_is_left_alone(here: Path):
    with pytest.raises(UserError, match="--out: data: is there and is no pack"):
        packed("data")
    brought = packed() / "home" / "home.000"
    brought.parent.mkdir()
    brought.write_text("hours of another machine")
    with pytest.raises(UserError, match="--out: offload: holds what a sitting left in home/"):
        packed()
    assert brought.read_text() == "hours of another machine"


@pytest.mark.slow
def test_other_parameters_than_those_here_are_not_taken(here: Path, home: Path):
    tree = trainings.read_params(here)
    tree["digits"]["methods"]["ebgan"]["batch_size"] = 64
    trainings.write_params(here, tree)
    (ebgan, well), (_, dbn) = taken(home)
    assert not well and dbn and "parameters, images or code differ" in ebgan
    assert not trainings.out(here, "ebgan").exists() and trainings.out(here, "dbn").exists()


@pytest.mark.slow
def test_a_training_whose_provenance_is_damaged_replaces_no_model(
    here: Path, home: Path, monkeypatch: pytest.MonkeyPatch
):
    unload = cargo.unload

    def damaged(folder: Path, into: Path) -> list[Any]:
        records = unload(folder, into)
        for path in (into / ".ebmrepro/provenance").iterdir():
            path.write_text("{}")
        return [*records, {"files": {}, "training": None}]  # and one of no training

    monkeypatch.setattr(cargo, "unload", damaged)
    with pytest.raises(UserError, match="device: this key is missing"):
        taken(home)
    assert not trainings.out(here, "ebgan").exists() and not trainings.out(here, "dbn").exists()


@pytest.mark.slow
def test_dvc_knows_what_was_placed_though_another_cannot_be(
    here: Path, home: Path, monkeypatch: pytest.MonkeyPatch
):
    plain, committed = take._place, list[str]()

    def place(training: Training, *rest: Any) -> None:
        if training.name == "dbn":
            raise Busy("digits dbn seed 0 is being trained here")
        plain(training, *rest)

    monkeypatch.setattr(take, "_place", place)
    monkeypatch.setattr(take, "_known", lambda stages: committed.extend(stages) or iter(()))
    with pytest.raises(Busy):
        taken(home)
    assert [stage for stage in committed if "ebgan" in stage] == committed != []


def test_another_python_is_told_which_pack_it_needs():
    wanted = {**start.here(), "python": "3.99"}
    assert "this pack is for Python 3.99" in str(start.why_not(wanted))
    assert start.why_not(start.here()) is None


@pytest.mark.parametrize("content", ["{", "[]", "{}", "[" * 100_000, "\xe9"])
def test_a_damaged_pack_is_named_in_a_line_by_the_standard_library_alone(
    tmp_path: Path, content: str
):
    shutil.copy(start.__file__, tmp_path / "run.py")
    about, archive = tmp_path / "pack.json", tmp_path / "packages.zip"

    def refused() -> str:
        done = run(tmp_path, None, "run.py", "--seconds", "5")
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    assert refused().startswith(f"{about}: not what `ebmrepro offload pack` writes")
    about.write_text(content, encoding="latin-1")
    assert refused().startswith(f"{about}: not what `ebmrepro offload pack` writes")
    about.write_text(json.dumps(start.here()))
    with pytest.raises(ValueError, match=r"packages\.zip: cannot be unpacked"):
        start.unpack(str(archive), str(tmp_path / "packages"))
    archive.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"packages\.zip: cannot be unpacked"):
        start.unpack(str(archive), str(tmp_path / "packages"))
    assert not (tmp_path / "packages").exists()
