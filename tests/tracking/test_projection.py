"""MLflow shows what the files hold, once, whatever happens on the way."""

from __future__ import annotations

import json
import math
import platform
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from tracked_runs import (
    FINGERPRINT,
    RUN,
    contents,
    dump,
    mlflow_runs,
    points_in,
    pytestmark,
    python,
    write_card,
    write_curves,
    write_results,
    write_run,
    write_sample,
)

from ebmrepro.config.params import Training
from ebmrepro.runs import layout
from ebmrepro.system.errors import UserError
from ebmrepro.tracking import projection
from ebmrepro.tracking.store import Store

__all__ = ["pytestmark"]


def weigh(root, digest):
    (root / "models" / RUN.suite / RUN.name / str(RUN.seed) / "model.sha256").write_text(
        f"{digest}  model.safetensors\n"
    )


def test_a_model_of_mlflow_says_where_the_weights_are_and_holds_none(root):
    write_run(root)
    projection.sync_all(root, [RUN])
    store, (run,) = Store(root), mlflow_runs(root)
    assert not store.models(run)  # as in a fresh clone
    weigh(root, "ab" * 32)
    for _ in range(2):
        projection.sync_all(root, [RUN])
    (model,) = store.models(run)
    assert model.name == f"{RUN.name}-{RUN.seed}" and model.status == "READY"
    place = f"models/{RUN.suite}/{RUN.name}/{RUN.seed}/model.safetensors"
    assert model.tags["weights"] == place and model.tags["sha256"] == "ab" * 32
    (run,) = mlflow_runs(root)
    assert run.outputs is not None
    assert [each.model_id for each in run.outputs.model_outputs] == [model.model_id]
    assert not list((root / "mlartifacts").rglob("*.safetensors"))
    weigh(root, "cd" * 32)  # trained again
    projection.sync_all(root, [RUN])
    (model,) = store.models(run)
    assert model.tags["sha256"] == "cd" * 32
    projection.sync_all(root, [RUN], anew=True)
    assert not store.models(run) and len(store.models(*mlflow_runs(root))) == 1


def test_everything_on_disk_is_in_the_store(root):
    write_run(root)
    assert projection.sync_all(root, [RUN, Training("digits", "magan", 7)]) == [RUN]
    (seen,) = contents(root).values()
    assert seen["points"]["energy/real"] == [(e, 20 - e / 10) for e in range(1, 31)]
    assert [step for step, _ in seen["points"]["magan/margin"]] == [5, 10, 15, 20, 25, 30]
    assert seen["points"]["eval/fd_dbn"] == [(30, 1.25)]
    assert "eval/fid" not in seen["points"] and seen["tags"]["ebm.reason.fid"] == "no weights"
    assert len(seen["images"]) == 2 * (3 + 1)  # full size and thumbnail; three samples, one result
    assert seen["files"] == ["curves.csv", "metrics.json", "run.json"]
    assert seen["params"]["hparams.gamma"] == "0.5" and seen["params"]["parameters.G"] == "20"
    named = {"suite": "digits", "method": RUN.name, "seed": "0", "ebm.base": "began"}
    named |= {"ebm.fingerprint": FINGERPRINT, "git.commit": "c0ffee", "device": "cpu"}
    named |= {"protocol.reference": "test, 360 images"}
    assert named.items() <= seen["tags"].items()
    assert seen["status"] == "FINISHED"
    (run,) = mlflow_runs(root)
    assert (run.info.start_time, run.info.end_time) == (1767323045_000, 1767323105_000)


def test_a_variant_is_not_averaged_into_its_method(root):
    """Whoever groups by any tag that names systems gets one system a group."""
    names = ("ebgan", "ebgan__no_hinge", "ebgan__real_only")
    runs = [Training("digits", name, 0) for name in names]
    for i, run in enumerate(runs):
        write_run(root, run, f"{i}beef")
    projection.sync_all(root, runs)
    tags = [run.data.tags for run in mlflow_runs(root)]
    assert {tag["method"] for tag in tags} == set(names)
    assert {run.info.run_name for run in mlflow_runs(root)} == {f"{name}-0" for name in names}
    assert {tag["ebm.base"] for tag in tags} == {"ebgan"}


def test_a_run_of_an_earlier_version_gets_todays_tags_and_epochs(root):
    write_run(root)
    projection.sync_all(root, [RUN])
    (run,) = mlflow_runs(root)
    client = Store(root).client
    client.set_tag(run.info.run_id, "method", "began")
    client.set_tag(run.info.run_id, "ebm.logged", json.dumps({"curves": "30:0123456789abcdef"}))
    projection.sync_all(root, [RUN])
    (seen,) = contents(root).values()
    assert seen["tags"]["method"] == RUN.name and seen["points"]["energy/real"][-1][0] == 30


def test_images_stand_at_their_epochs(root):
    write_run(root)
    write_sample(root, 295)  # within the last epoch, whose end has one of its own
    write_sample(root, 310)  # of an epoch that has not ended
    projection.sync_all(root, [RUN])
    (seen,) = contents(root).values()
    steps = sorted({int(path.split("+step+")[1].split("+")[0]) for path in seen["images"]})
    assert steps == [10, 20, 30]


def test_the_data_set_is_known_by_the_digest_of_its_training_images(root):
    write_run(root)
    split = {"count": 3, "per_class": [1, 2], "sha256": "ab" * 32, "labels_sha256": "cd" * 32}
    told = {"source": "digits", "name": "Digits", "licence": "", "citation": ""}
    told |= {"classes": ["0", "1"], "shape": [1, 8, 8], "splits": {"train": split}}
    dump(root / "data" / "digits" / "dataset.json", told)
    for _ in range(2):
        projection.sync_all(root, [RUN])
    (run,) = mlflow_runs(root)
    assert run.inputs is not None
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("digits", "ab" * 18)
    assert json.loads(used.dataset.profile or "")["train"] == 3
    assert used.tags[0].value == "train"


def test_a_fresh_clone_shows_curves_without_models(root):
    write_run(root)
    models, kept = root / layout.folder(*RUN), root / layout.results(*RUN)
    shutil.copy(models / "curves.csv", kept)
    shutil.copy(models / "run.json", kept / "training.json")
    shutil.rmtree(models)
    projection.sync_all(root, [RUN])
    (seen,) = contents(root).values()
    assert len(seen["points"]["energy/real"]) == 30 and seen["params"]["hparams.gamma"] == "0.5"
    assert seen["status"] == "FINISHED"


def test_nothing_is_logged_twice(root):
    write_run(root)
    projection.sync_all(root, [RUN])
    once = contents(root)
    for _ in range(3):
        projection.sync_all(root, [RUN])
    assert contents(root) == once


def test_a_kill_between_two_calls_duplicates_nothing(root):
    write_run(root)
    projection.sync_all(root, [RUN])
    once = contents(root)
    store = Store(root)
    (run,) = mlflow_runs(root)
    # As if the process had died after its points were stored and before it could note so.
    store.client.delete_tag(run.info.run_id, "ebm.logged")
    (root / "results/digits/began__gamma_05/0/samples.png").unlink()
    projection.sync_all(root, [RUN])
    again = contents(root)["began__gamma_05-0"]
    assert again["points"] == once["began__gamma_05-0"]["points"]
    assert again["images"] == once["began__gamma_05-0"]["images"]


def test_a_growing_curve_is_followed_row_by_row(root):
    store = Store(root)
    write_card(root, done=False)
    for last in (3, 4, 9):
        write_curves(root, range(1, last + 1))
        with (root / layout.folder(*RUN) / "curves.csv").open("a") as file:
            file.write(f"{last + 1},{10 * last + 10},1")  # a row that is being written
        projection.sync(store, RUN, follower="host:1")
        assert points_in(root) == list(range(1, last + 1))
    assert mlflow_runs(root)[0].info.status == "RUNNING"


def test_a_column_that_appears_later_does_not_start_a_new_run(root):
    store = Store(root)
    write_card(root, done=False)
    write_curves(root, range(1, 4))
    projection.sync(store, RUN, follower="host:1")
    rows = ["epoch,step,pretrain/loss,energy/real,magan/margin"]
    rows += [f"{e},{10 * e},,{20 - e / 10:.7g}," for e in range(1, 5)]
    rows[-1] = "4,40,0.5,19.6,"
    (root / layout.folder(*RUN) / "curves.csv").write_text("\n".join(rows) + "\n")
    projection.sync(store, RUN, follower="host:1")
    assert len(mlflow_runs(root)) == 1
    assert points_in(root) == [1, 2, 3, 4] and points_in(root, "pretrain/loss") == [4]


def test_a_long_curve_needs_several_calls_and_loses_no_point(root):
    write_card(root)
    write_curves(root, range(1, 1235))
    projection.sync_all(root, [RUN])
    assert points_in(root) == list(range(1, 1235))


@pytest.mark.slow
def test_a_deleted_database_comes_back_from_the_files(root):
    other = Training("digits", "magan", 1)
    write_run(root)
    write_run(root, other, "beef")
    projection.sync_all(root, [RUN, other])
    before = contents(root)
    # In a copy and another process, since this one holds the database open. Only the one file is
    # deleted, as a person would; its write-ahead log stays and must not be replayed.
    root = Path(shutil.copytree(root, root.with_name("copy")))
    assert (root / "mlflow.db-wal").stat().st_size > 0
    (root / "mlflow.db").unlink()
    script = f"""
        from tracked_runs import *
        from ebmrepro.tracking import projection
        root = Path({str(root)!r})
        projection.sync_all(root, {[RUN, other]!r})
        experiments = Store(root).client.search_experiments()
        print(json.dumps([contents(root), sorted(e.name for e in experiments)]))
    """
    again = python(script)
    out, err = again.communicate(timeout=240)
    assert (again.returncode, err) == (0, "")
    after, experiments = json.loads(out)
    assert after == json.loads(json.dumps(before))
    assert experiments == ["Default", "ebmrepro/digits"]  # nothing of the deleted one
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_rebuilding_replaces_what_is_there(root):
    write_run(root)
    projection.sync_all(root, [RUN])
    before = contents(root)
    assert projection.rebuild(root) == [RUN]
    assert contents(root) == before


def test_a_moved_checkout_gets_its_images_in_the_new_place(root):
    write_run(root)
    projection.sync_all(root, [RUN])
    before = contents(root)
    (run,) = mlflow_runs(root)
    moved = root.rename(root.parent / "elsewhere")
    projection.sync_all(moved, [RUN])
    assert contents(moved) == before
    assert not root.exists()
    # One experiment, with the run that was there, whose files lie in the new place.
    store = Store(moved)
    named = [each.name for each in store.client.search_experiments()]
    assert sorted(named) == ["Default", "ebmrepro/digits"]
    (again,) = mlflow_runs(moved)
    assert again.info.run_id == run.info.run_id
    assert "elsewhere" in str(again.info.artifact_uri)
    (local,) = (moved / "mlartifacts").rglob("curves.csv")
    assert Path(unquote(urlparse(again.info.artifact_uri).path)) in local.parents


def test_other_parameters_make_another_run(root):
    write_run(root)
    projection.sync_all(root, [RUN])
    write_run(root, fingerprint="feed")
    projection.sync_all(root, [RUN])
    prints = {run.data.tags["ebm.fingerprint"] for run in mlflow_runs(root)}
    assert prints == {FINGERPRINT, "feed"}


@pytest.mark.parametrize("last", [30, 40], ids=["as many", "more"])
def test_other_numbers_from_the_same_parameters_replace_the_run(root, last):
    write_run(root)
    projection.sync_all(root, [RUN])
    write_curves(root, range(1, last + 1), offset=1.0)
    projection.sync_all(root, [RUN])
    (seen,) = contents(root).values()
    assert seen["points"]["energy/real"][0] == (1, 20.9)


def test_a_new_evaluation_is_logged_and_an_equal_one_is_not(root):
    write_run(root)
    projection.sync_all(root, [RUN])
    write_results(root, {"fd_dbn": 1.25, "fid": 30.0})
    projection.sync_all(root, [RUN])
    (seen,) = contents(root).values()
    assert seen["points"]["eval/fd_dbn"] == [(30, 1.25)]
    assert seen["points"]["eval/fid"] == [(30, 30.0)]
    assert "ebm.reason.fid" not in seen["tags"]
    write_results(root, {"fd_dbn": 1.125, "fid": 30.0})
    projection.sync_all(root, [RUN])
    (run,) = mlflow_runs(root)
    assert run.data.metrics["eval/fd_dbn"] == 1.125  # the latest of two points at one step


def test_what_was_measured_once_and_is_not_any_more_is_no_number(root):
    write_run(root)
    before: dict[str, float | None] = {"fid": 30.0, "kid": 2.0, "fd_dbn": 1.0}
    for values in (before, {"fid": None, "fd_dbn": 1.0}):
        write_results(root, values)
        for _ in range(2):
            projection.sync_all(root, [RUN])
    (run,) = mlflow_runs(root)
    ends = run.data.metrics
    assert (
        math.isnan(ends["eval/fid"]) and math.isnan(ends["eval/kid"]) and ends["eval/fd_dbn"] == 1
    )
    shutil.rmtree(root / ".ebmrepro" / "provenance")  # of another machine's checkout
    projection.sync_all(root, [RUN])
    (run,) = mlflow_runs(root)
    assert run.data.metrics["time/seconds"] == ends["time/seconds"] > 0
    assert len(Store(root).client.get_metric_history(run.info.run_id, "eval/fid")) == 2


def test_an_evaluation_of_another_training_is_left_out(root):
    write_run(root)
    write_results(root, {"fd_dbn": 9.0}, fingerprint="feed")
    projection.sync_all(root, [RUN])
    (seen,) = contents(root).values()
    assert "eval/fd_dbn" not in seen["points"]


def test_results_without_models_are_shown_and_later_completed(root):
    write_results(root, {"fd_dbn": 1.25})
    projection.sync_all(root, [RUN])
    assert contents(root)["began__gamma_05-0"]["points"] == {"eval/fd_dbn": [(0, 1.25)]}
    write_run(root)
    projection.sync_all(root, [RUN])
    (seen,) = contents(root).values()
    assert len(seen["points"]["energy/real"]) == 30 and seen["params"]["hparams.gamma"] == "0.5"


def test_a_run_whose_follower_is_gone_is_not_shown_as_running(root):
    write_card(root, done=False)
    write_curves(root, range(1, 4))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    store = Store(root)
    projection.sync(store, RUN, follower=f"{platform.node()}:{gone.pid}")
    assert mlflow_runs(root)[0].info.status == "RUNNING"
    projection.sync_all(root, [RUN])
    assert mlflow_runs(root)[0].info.status == "KILLED"


def test_a_damaged_file_is_named(root):
    write_run(root)
    (root / layout.folder(*RUN) / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json: not JSON"):
        projection.sync_all(root, [RUN])


def test_the_store_stays_home_when_the_workspace_is_temporary(root, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(root))
    workspace = tmp_path / "experiment"
    write_run(workspace)
    projection.sync_all(workspace, [RUN])
    assert len(mlflow_runs(root)) == 1
    assert not list(workspace.glob("mlflow*")) and (root / "mlartifacts").is_dir()
