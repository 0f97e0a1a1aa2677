"""EBGAN's grid from its first configuration to its files, whatever happens between."""

from __future__ import annotations

import csv
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from scipy import stats
from small_grid import GRID, SHIPPED, alone, digits, here, pictures, small, whole, with_grid

from ebmrepro import data
from ebmrepro.config.grid import Grid
from ebmrepro.runs import layout
from ebmrepro.studies.grid import configurations, play, results, workers
from ebmrepro.studies.grid.score import Judge
from ebmrepro.system import atomic
from ebmrepro.system.signals import Stopped, Watch

__all__ = ["alone", "digits", "here"]  # fixtures, used by name

PLACE = layout.results("digits", results.SYSTEM, 0)


def tree(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


@pytest.mark.slow
def test_a_grid_killed_between_configurations_ends_as_one_that_nobody_disturbed(alone: Path):
    asked_for = with_grid(small())
    asked = workers.work("digits", 0, asked_for)
    todo = configurations.chosen(asked.grid, 0)
    results.write("digits", 0, asked_for, Watch())
    whole = tree(PLACE)
    trained = {asked.path(each): asked.path(each).stat().st_mtime_ns for each in todo}
    assert len(trained) == 7

    lost = [asked.path(each) for each in todo[1:4]]
    for path in lost:
        path.unlink()
    results.write("digits", 0, asked_for, Watch())
    assert tree(PLACE) == whole
    again = {path: path.stat().st_mtime_ns for path in trained}
    assert {path for path in trained if again[path] != trained[path]} == set(lost)

    lost[0].write_bytes(b"half of someth")  # a disk's doing: trained again
    results.write("digits", 0, asked_for, Watch())
    assert tree(PLACE) == whole


@pytest.mark.slow
def test_a_larger_draw_trains_only_what_it_adds(alone: Path):
    asked_for = with_grid(small())
    results.write("digits", 0, asked_for, Watch())
    fewer = rows("scores.csv")
    before = {p: p.stat().st_mtime_ns for p in (alone / ".ebmrepro").rglob("*.npz")}
    draw = {"ebgan": 3, "gan": 3, "ebgan_pt": 1, "matched": False}
    results.write("digits", 0, with_grid(small(draw=draw)), Watch())
    after = {p: p.stat().st_mtime_ns for p in (alone / ".ebmrepro").rglob("*.npz")}
    assert {p: after[p] for p in before} == before
    assert len(after) == len(before) + 2
    more = rows("scores.csv")
    for kind in results.KINDS:
        a, b = ([row for row in found if row["kind"] == kind] for found in (fewer, more))
        assert b[: len(a)] == a


def rows(name: str) -> list[dict[str, str]]:
    with (PLACE / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_folder_holds_a_row_per_configuration_and_what_they_amount_to(alone: Path):
    document = results.write("digits", 0, with_grid(small()), Watch())
    assert (PLACE / "metrics.json").read_text() == atomic.json_text(document)
    there = rows("scores.csv")
    assert [row["kind"] for row in there] == ["ebgan", "gan", "ebgan", "gan", "ebgan_pt"]
    assert [row["margin"] for row in rows("margin.csv")] == ["1", "10"]
    score = {k: [float(r["score"]) for r in there if r["kind"] == k] for k in results.KINDS}
    wins = [(e > g) + (e == g) / 2 for e in score["ebgan"] for g in score["gan"]]
    assert document["values"]["grid_auroc"] == pytest.approx(sum(wins) / 4)
    assert {"score", "score_squared"} <= set(there[0])
    assert document["values"]["grid_auroc_pt_squared"] is not None
    low, high = document["intervals"]["grid_auroc"]
    assert 0 <= low <= document["values"]["grid_auroc"] <= high <= 1
    assert document["counts"]["gan"] == {"drawn": 2, "of": 1536, "diverged": 0}
    assert document["step"] == {int(row["steps"]) for row in there}.pop() == 4
    made = {path.name for path in PLACE.glob("*.png")}
    best = {f"best_{kind}.png" for kind in results.KINDS}
    assert made == best | {"margin_1.png", "margin_10.png"}


def test_padding_is_black_and_around(here: Path):
    images = pictures()
    around = play.padded(images, small(padding=2))
    assert around.shape == (32, 1, 12, 12) and around.dtype == np.uint8
    assert np.array_equal(around[:, :, 2:-2, 2:-2], images)
    assert around.sum(dtype=int) == images.sum(dtype=int)


def test_padded_images_are_what_is_learnt_drawn_and_judged_by_a_network_of_choice(alone: Path):
    """8 + 2 x 4 = 16 pixels, of which three layers of stride 2 leave 2 x 2."""
    tree = small(padding=4).model_dump()
    conv = {"kind": "conv", "channels": [2, 3, 4], "activation": "relu", "batch_norm": False}
    tree["classifier"] |= {"network": conv, "epochs": 1}
    asked_for = with_grid(Grid.model_validate(tree))
    document = results.write("digits", 0, asked_for, Watch())
    kept = [workers.kept(path) for path in (alone / ".ebmrepro").rglob("*.npz")]
    assert {one.generated.shape[1:] for one in kept if one} == {(1, 16, 16)}
    told = document["protocol"]
    assert told["images"] == "as the suite has them, with 4 black pixels added on each side"
    assert told["classifier"].startswith("a ConvNet of ours (2, 3, 4 channels, a linear layer), 1 ")
    judge = Judge("digits", asked_for.grid("digits"), "test")
    assert [part.in_channels for part in judge.network if hasattr(part, "in_channels")] == [1, 2, 3]
    assert judge.reference == document["reference"]


def test_a_grid_is_scored_adam_against_adam_and_beside_that_in_all_pairs():
    """By hand: of the GANs 1 (sgd) and 3 (adam), EBGANs 2 and 4 are above 3 of 4 pairs, and with
    adam above 1 of 2. Squared, 2 falls below 1: it is above 2 of 4.
    """

    def row(kind: str, optimD: str, score: float, squared: float) -> results.Row:
        both = {"optimG": "adam", "optimD": optimD}
        return {"kind": kind, **both, "score": score, "score_squared": squared}

    rows = [
        *(row("ebgan", "adam", 2.0, 1.0), row("ebgan", "adam", 4.0, 16.0)),
        *(row("gan", "sgd", 1.0, 2.0), row("gan", "adam", 3.0, 9.0)),
    ]
    found = results._amount(rows, 0)
    values = found["values"]
    assert (values["grid_auroc"], values["grid_auroc_adam"]) == (0.75, 0.5)
    assert (values["grid_auroc_squared"], values["grid_auroc_adam_squared"]) == (0.5, 0.5)
    assert values["grid_auroc_pt"] is None and found["reasons"]["grid_auroc_pt"]
    values = results._amount(rows[:-1], 0)
    assert values["values"]["grid_auroc_adam"] is None
    assert values["reasons"]["grid_auroc_adam"].startswith("of GANs or EBGANs, none")


def test_the_interval_of_an_auroc_is_the_percentile_bootstraps():
    """Beside SciPy's 95 %, which draws both sides anew; they mirror each other, so that each has
    half of the variance.
    """
    low = np.random.default_rng(0).normal(0, 1, 40)
    high = 1 - low

    def above(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return (x[..., :, None] < y[..., None, :]).mean((-2, -1))

    theirs = stats.bootstrap(
        (low, high), above, n_resamples=2000, method="percentile", rng=1
    ).confidence_interval
    ours = results.bootstrap(low, high, 0)
    width = theirs.high - theirs.low
    assert 0.1 < width < 0.3
    assert ours == pytest.approx(list(theirs), abs=0.1 * width)
    assert ours[1] - ours[0] == pytest.approx(width, rel=0.1)


def test_the_interval_of_scores_that_never_meet_is_a_point():
    low, high = np.zeros(3), np.ones(4)
    assert results.bootstrap(low, high, 0) == [1, 1]
    assert results.bootstrap(high, low, 0) == [0, 0]
    assert results.bootstrap(low, low, 0) == [0.5, 0.5]


def test_the_shipped_grid_is_trained_for_long_enough_to_be_judged():
    steps = GRID.epochs * GRID.epoch_fraction * (60_000 // GRID.batch_size)
    assert SHIPPED.suites["mnist"].budget * steps >= 2000


def test_workers_train_all_that_is_left_and_end(here: Path, capsys: pytest.CaptureFixture[str]):
    asked = workers.work("digits", 0, with_grid(small()))
    todo = configurations.chosen(asked.grid, 0)
    workers.take(asked, todo[:4], Watch())
    workers.finish(asked, todo, Watch())
    told = capsys.readouterr().out
    assert "4 of 7 are trained already" in told
    assert "digits grid seed 0: 3 configurations in" in told
    assert {path.stem for path in asked.folder.glob("*.npz")} == {f"{e.name}-seed0" for e in todo}
    assert not multiprocessing.active_children()
    images, _ = data.read(Path("data/digits"), "train")  # what another process trained is the same
    again = whole(todo[5], asked.grid, images, 0, asked.steps, torch.device("cpu"), Watch())
    kept = workers.kept(asked.path(todo[5]))
    assert kept is not None
    assert np.array_equal(kept.generated, again.generated)


def test_configurations_that_take_turns_leave_what_each_leaves_alone(
    alone: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(play, "LOOK", 2)
    asked = workers.work("digits", 0, with_grid(small()))
    todo = configurations.chosen(asked.grid, 0)
    asked.folder.mkdir(parents=True)
    found = []
    for places in ("1", "3"):
        monkeypatch.setenv("EBMREPRO_TOGETHER", places)
        workers.take(asked, todo, Watch())
        played = [workers.kept(asked.path(each)) for each in todo]
        found.append([(one.generated.tobytes(), one.real, one.fake) for one in played if one])
        for each in todo:
            asked.path(each).unlink()
    assert len(found[0]) == 7 and found[0] == found[1]


def test_what_a_worker_has_is_left_to_it(alone: Path):
    asked = workers.work("digits", 0, with_grid(small()))
    todo = configurations.chosen(asked.grid, 0)[:2]
    asked.folder.mkdir(parents=True)
    watch = Asked(asked.path(todo[1]))
    with FileLock(asked.path(todo[0]).with_suffix(".lock")), pytest.raises(Stopped):
        workers.take(asked, todo, watch)
    assert not asked.path(todo[0]).exists()
    assert asked.path(todo[1]).exists()
    assert watch.before == 1 + asked.steps  # at the one that is held, and at every step
    assert watch.after == 2  # and where it waits


class Asked(Watch):
    """Counts looks before and after `path` is there, and is asked to stop at the second after."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.before, self.after = path, 0, 0

    def reason(self) -> tuple[str, int] | None:
        if not self.path.exists():
            self.before += 1
            return None
        self.after += 1
        return ("by SIGTERM", 143) if self.after > 1 else None
