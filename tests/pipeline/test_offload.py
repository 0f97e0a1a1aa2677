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
import trainings
from packaging.requirements import Requirement

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.config.params import Training
from ebmrepro.evaluation import evaluate
from ebmrepro.pipeline.offload import cargo, pack, parts, program, start, take
from ebmrepro.pipeline.offload import trainings as offloaded
from ebmrepro.pipeline.offload.cargo import Cargo
from ebmrepro.pipeline.offload.parts import DONE, NO_TIME, Part, Told
from ebmrepro.pipeline.offload.trainings import Deadline
from ebmrepro.system.errors import UserError

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


def test_a_folder_that_is_no_pack_is_left_alone(here: Path):
    with pytest.raises(UserError, match="--out: data: is there and is no pack"):
        packed("data")


@pytest.mark.slow
def test_other_parameters_than_those_here_are_not_taken(here: Path, home: Path):
    tree = trainings.read_params(here)
    tree["digits"]["methods"]["ebgan"]["batch_size"] = 64
    trainings.write_params(here, tree)
    (ebgan, well), (_, dbn) = taken(home)
    assert not well and dbn and "parameters, images or code differ" in ebgan
    assert not trainings.out(here, "ebgan").exists() and trainings.out(here, "dbn").exists()


def test_another_python_is_told_which_pack_it_needs():
    wanted = {**start.here(), "python": "3.99"}
    assert "this pack is for Python 3.99" in str(start.why_not(wanted))
    assert start.why_not(start.here()) is None


# The way home ----------------------------------------------------------------------------------


def loaded(folder: Path, limit: int = 10**9) -> Cargo:
    """Two trainings, of which one is cut into pieces."""
    for seed, size in ((0, 40), (1, 2 * cargo.PIECE)):
        path = folder / f"models/digits/ebgan/{seed}/model.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(size))
    board = Cargo(folder / "home", limit)
    for seed in (0, 1):
        files = [Path(f"models/digits/ebgan/{seed}/model.safetensors")]
        record = {"training": ["digits", "ebgan", seed]}
        assert board.add(folder, files, f"record-digits-ebgan-{seed}.json", record) == (
            board.size <= limit and limit > 10**6
        )
    return board


def test_no_piece_is_larger_than_may_come_back_and_all_come_back(tmp_path: Path):
    loaded(tmp_path)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "home").iterdir())]
    assert sizes[:2] == [cargo.PIECE] * 2 and 0 < sizes[2] < cargo.PIECE and len(sizes) == 3
    back = tmp_path / "back"
    back.mkdir()
    assert [r["training"][2] for r in cargo.unload(tmp_path / "home", back)] == [0, 1]
    for name in ("0", "1"):
        place = f"models/digits/ebgan/{name}/model.safetensors"
        assert (back / place).read_bytes() == (tmp_path / place).read_bytes()


@pytest.mark.parametrize("cut", [600, cargo.PIECE, 2 * cargo.PIECE])
def test_what_a_sudden_end_cut_short_is_not_there_and_the_rest_is(tmp_path: Path, cut: int):
    loaded(tmp_path)
    pieces = sorted((tmp_path / "home").iterdir())
    for piece in reversed(pieces):
        size = piece.stat().st_size
        os.truncate(piece, max(0, size - cut))
        cut = max(0, cut - size)
    back = tmp_path / "back"
    back.mkdir()
    assert [r["training"][2] for r in cargo.unload(tmp_path / "home", back)] == [0]


def test_a_changed_byte_is_named_and_a_missing_piece_as_well(tmp_path: Path):
    loaded(tmp_path)
    back = tmp_path / "back"
    back.mkdir()
    piece = tmp_path / "home/home.001"
    content = bytearray(piece.read_bytes())
    content[1000] ^= 1
    piece.write_bytes(content)
    with pytest.raises(UserError, match=r"ebgan/1/model\.safetensors: found sha256"):
        cargo.unload(tmp_path / "home", back)
    piece.unlink()
    with pytest.raises(UserError, match=r"found home.000, home.002; a sitting leaves home.000"):
        cargo.unload(tmp_path / "home", back)


@pytest.mark.parametrize("name", ["../x", "models/a/b/0/../../x", "/etc/x", "ebmrepro/cli.py"])
def test_nothing_is_written_but_what_a_training_writes(tmp_path: Path, name: str):
    board = Cargo(tmp_path / "home", 10**6)
    board._append(cargo._member(name, b"evil"))
    with pytest.raises(UserError, match="which no training writes"):
        cargo.unload(tmp_path / "home", tmp_path)


def test_past_the_limit_nothing_is_added(tmp_path: Path):
    board = Cargo(tmp_path / "home", 3000)
    (tmp_path / "pack.json").write_text("{}")
    assert board.add(tmp_path, [Path("pack.json")], "record-pack.json", {})
    before = board.size
    (tmp_path / "pack.json").write_bytes(bytes(3000))
    assert not board.add(tmp_path, [Path("pack.json")], "record-pack.json", {})
    assert board.size == before == (tmp_path / "home/home.000").stat().st_size


# The plan ---------------------------------------------------------------------------------------


class Clock:
    """A clock that work moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def nothing(_: float) -> Iterator[tuple[str, Any]]:
    yield from ()


def played(lengths: dict[str, float], seconds: float, each: float | None = None) -> dict[str, Told]:
    """Parts that would take so long each, stopped at their deadlines."""
    clock, told = Clock(), dict[str, Told]()

    def run(part: Part, deadline: float, cell: Any) -> str:
        left = deadline - clock.now
        if lengths[part.name] < 0:
            clock.now -= lengths[part.name]
            return "failed: RuntimeError: broken"
        cell("deadline", deadline - 1000)
        clock.now += min(left, lengths[part.name])
        return DONE if lengths[part.name] <= left else "stopped"

    made = [Part(name, nothing, each) for name in lengths]
    parts.play(made, 1000 + seconds, told, run, lambda: None, clock)
    return told


def test_a_part_that_fails_or_overruns_leaves_the_rest_its_time():
    told = played({"a": 10, "b": -5, "c": 1000, "d": 10}, 540, each=25)
    assert [part.how for part in told.values()] == [
        DONE,
        "failed: RuntimeError: broken",
        "stopped",
        DONE,
    ]
    assert [part.seconds for part in told.values()] == [10, 5, 25, 10]


def test_no_part_is_begun_without_time_and_none_goes_past_the_end():
    told = played({"a": 50, "b": 20, "c": 5}, 60)
    assert [part.how for part in told.values()] == [DONE, "stopped", NO_TIME]
    assert told["b"].cells["deadline"] == 60


def test_what_was_put_aside_goes_on_after_all_that_fit():
    a, b = Training("digits", "ebgan", 0), Training("digits", "dbn", 0)
    told: dict[str, Told] = {}
    order = []
    for part in offloaded.schedule([a, b], told):
        order.append(part.name)
        stopped = part.name == a.label
        how = f"{a.label}: stopped because ..." if stopped else DONE
        told[part.name] = Told(how, 1.0, {"steps before": 0})
    assert order == [a.label, b.label, a.label]


def test_what_a_broken_process_leaves_is_trained_by_itself():
    those = [Training("digits", "ebgan", seed) for seed in range(5)]
    hows = [DONE, f"{those[1].label}: stopped at ...", "failed: NotFinite: ...", offloaded.LOST]
    told: dict[str, Told] = {}
    order = []
    for part in offloaded.schedule(those, told, places=3):
        order.append(part.name)
        if part.name == offloaded.TOGETHER:
            for training, how in zip(those, hows, strict=False):
                told[training.label] = Told(how, 1.0, {"steps before": 0})
        else:
            told[part.name] = Told(DONE)
    labels = [training.label for training in those]
    assert order == [offloaded.TOGETHER, labels[3], labels[4], labels[1]]


def test_the_least_worth_gives_way_and_the_others_are_foreseen_anew():
    clock, turns = Clock(), {0, 1}
    first, last = (Deadline(1100, 50_000, clock, turn, turns) for turn in (0, 1))
    while not (reason := last.reason()):
        clock.now += 0.01
        assert first.reason() is None
    assert "it would take" in reason[0]
    turns.remove(1)
    gone = clock.now
    while not (reason := first.reason()):
        clock.now += 0.01
    assert "it would take" in reason[0] and clock.now - gone >= offloaded.LOOK


def watched(speed: float, steps: int | None, deadline: float) -> str | None:
    """Why a training of so many steps a second is stopped, if it is."""
    clock = Clock()
    watch = Deadline(1000 + deadline, steps, clock)
    for _ in range(steps or 10**6):
        clock.now += 1 / speed
        if reason := watch.reason():
            return reason[0]
    return None


def test_a_training_is_stopped_at_its_deadline_or_when_it_cannot_make_it():
    assert watched(100, 10_000, 101) is None  # just fits
    assert watched(100, 10_000, 95) == "at its deadline"  # a little too long: it may speed up
    assert "it would take 493 s more" in str(watched(100, 50_000, 100))
    assert watched(100, None, 100) == "at its deadline"  # to be gone on with


@pytest.mark.slow
def test_a_process_that_dies_or_hangs_is_named(tmp_path: Path):
    code = """
import os, sys, time
from functools import partial
from pathlib import Path
from ebmrepro.pipeline.offload.parts import Part, alone

def dies(_):
    yield "cell", 1
    os.kill(os.getpid(), 9)

def hangs(_):
    yield "cell", 2
    time.sleep(100)

def raises(_):
    yield "cell", 3
    raise RuntimeError("CUDA error: an illegal memory access\\nand more")

for work in (dies, hangs, raises):
    print(alone(Part("p", work), time.monotonic(), print, 0.5, Path("log")), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "cell 1",
        "failed: its process ended with code -9",
        "cell 2",
        "failed: still at work 0 s after its deadline; its process was ended",
        "cell 3",
        "failed: RuntimeError: CUDA error: an illegal memory access",
    ]
    assert "Traceback" in (tmp_path / "log").read_text()
