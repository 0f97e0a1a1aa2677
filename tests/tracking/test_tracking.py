"""MLflow shows what the files hold, once, whatever happens on the way."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from PIL import Image

from ebmrepro.config.params import Training
from ebmrepro.runs import layout
from ebmrepro.system.errors import UserError
from ebmrepro.system.redact import redact
from ebmrepro.tracking import follower as beside
from ebmrepro.tracking import projection, server, verdicts, views
from ebmrepro.tracking.store import Store

pytestmark = [
    # Raised inside libraries that MLflow loads, by no line of ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

RUN = Training("digits", "began__gamma_05", 0)
FINGERPRINT = "0123abcd"
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """MLflow's tables, which take a second to make, without a run."""
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DVC_ROOT", raising=False)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        Store(folder)
    return folder / "mlflow.db"


@pytest.fixture
def root(fresh, empty_database):
    """A checkout whose store is empty."""
    shutil.copy(empty_database, fresh / "mlflow.db")
    return fresh


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A checkout without a store, with a space and an accent in its path."""
    for name in ("DVC_ROOT", "MLFLOW_TRACKING_URI", "EBMREPRO_TRACKING"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "my chéckout"
    (folder / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


# --- made-up runs --------------------------------------------------------------------------------


def dump(path: Path, block: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(block, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_card(root, run=RUN, fingerprint=FINGERPRINT, done=True):
    card = {"suite": run.suite, "method": run.name, "seed": run.seed, "fingerprint": fingerprint}
    card["params"] = {"hparams": {"gamma": 0.5}, "optim": {"D": {"lr": 1e-3, "betas": [0.5, 0.9]}}}
    if done:
        card |= {"epochs": 30, "steps": 300, "parameters": {"D": 10, "G": 20}}
    dump(root / layout.folder(*run) / "run.json", card)


def curve(epochs, offset=0.0):
    rows = [f"{e},{10 * e},{20 - e / 10 + offset:.7g},{e if e % 5 == 0 else ''}" for e in epochs]
    return "".join(row + "\n" for row in rows)


def write_curves(root, epochs, run=RUN, offset=0.0):
    path = root / layout.folder(*run) / "curves.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("epoch,step,energy/real,magan/margin\n" + curve(epochs, offset))


def write_sample(root, step, run=RUN):
    path = root / layout.folder(*run) / "samples" / f"step_{step:07d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 24), step % 256, np.uint8)).save(path)


def write_results(root, values, run=RUN, fingerprint=FINGERPRINT, reasons=None):
    block = {"schema": 1, "suite": run.suite, "method": run.name, "seed": run.seed}
    block |= {"fingerprint": fingerprint, "step": 300, "values": values}
    block |= {"reasons": reasons or {}, "flags": {}, "protocol": {"reference": "test, 360 images"}}
    dump(root / layout.results(*run) / "metrics.json", block)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / layout.results(*run) / "samples.png")


def write_run(root, run=RUN, fingerprint=FINGERPRINT):
    write_card(root, run, fingerprint)
    write_curves(root, range(1, 31), run)
    for step in (100, 200, 300):
        write_sample(root, step, run)
    write_results(
        root, {"fd_dbn": 1.25, "fid": None}, run, fingerprint, reasons={"fid": "no weights"}
    )
    dump(
        root / ".ebmrepro" / "provenance" / f"{fingerprint}.json",
        {
            "device": "cpu",
            "threads": 1,
            "seconds": 60.0,
            "images_per_second": 900.0,
            "started": "2026-01-02T03:04:05+00:00",
            "commit": "c0ffee",
            "versions": {"torch": "2.15.0"},
        },
    )


# --- what a store holds --------------------------------------------------------------------------


def mlflow_runs(root, suite="digits"):
    store = Store(root)
    return list(store.client.search_runs([store.experiment(suite)]))


def contents(root):
    """Everything a reader of MLflow could see of its runs, by run name, without ids and times."""
    client = Store(root).client
    seen = {}
    for run in mlflow_runs(root):
        run_id = run.info.run_id
        points = {
            key: [(m.step, m.value) for m in client.get_metric_history(run_id, key)]
            for key in run.data.metrics
        }
        images = [f.path.split("+timestamp")[0] for f in client.list_artifacts(run_id, "images")]
        files = [f.path for f in client.list_artifacts(run_id) if not f.is_dir]
        tags = {k: v for k, v in run.data.tags.items() if k not in ("ebm.source", "ebm.follower")}
        seen[run.info.run_name] = {
            "points": points,
            "images": sorted(images),
            "files": files,
            "params": dict(run.data.params),
            "tags": tags,
            "status": run.info.status,
        }
    return seen


def wait_until(true, what, seconds=200.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def points_in(root, key="energy/real"):
    """Steps of one metric, read past MLflow so that waiting for them disturbs nobody."""
    path = root / "mlflow.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        return [s for (s,) in database.execute("select step from metrics where key = ?", [key])]


def python(script, **environment):
    """A process in a session of its own, in which this file can be imported."""
    first = environment.pop("PYTHONPATH", "")
    path = os.pathsep.join(filter(None, [first, str(HERE), str(HERE.parents[1])]))
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        env={**os.environ, **environment, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


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


# --- the projection ------------------------------------------------------------------------------


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


def test_colours_are_those_of_the_report():
    from ebmrepro.report import figures

    for name in ("dbn", "dcgan", "ebgan", "ebgan_pt", "began", "magan", "autoencoder", "mine"):
        assert views.colour(name) == figures.colour(name)
        assert views.colour(f"{name}__other") in figures.IN_THE_DARK


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


def test_views_hold_the_runs_they_are_named_for(root):
    runs = [Training("digits", name, seed) for name in ("began", "magan") for seed in (3, 4)]
    for i, run in enumerate(runs):
        write_run(root, run, f"{i}beef")
    projection.sync_all(root, runs)
    store = Store(root)
    pages = views.prepare(store, "digits", 3)
    assert set(pages) == {"leaderboard", "energies", "margin"}  # no curve here has a k
    experiment = store.client.get_experiment(store.experiment("digits"))
    states = {name: json.loads(experiment.tags[views.TAG + name]) for name in pages}
    found = {
        name: store.client.search_runs([experiment.experiment_id], state["searchFilter"])
        for name, state in states.items()
    }
    assert {name: len(own) for name, own in found.items()} == {
        "leaderboard": 4,
        "energies": 2,
        "margin": 4,
    }
    assert {run.data.tags["seed"] for run in found["energies"]} == {"3"}
    assert states["leaderboard"]["groupBy"]["groupByKeys"] == [views.SYSTEM]
    assert all(f"viewStateShareKey={name}&" in page for name, page in pages.items())


def test_a_leaderboard_of_more_runs_than_a_page_forms_no_means_of_some(root, monkeypatch):
    monkeypatch.setattr(views, "PAGE", 1)
    runs = [Training("digits", "magan", seed) for seed in (3, 4)]
    for i, run in enumerate(runs):
        write_run(root, run, f"{i}beef")
    projection.sync_all(root, runs)
    store = Store(root)
    views.prepare(store, "digits", 3)
    tags = store.client.get_experiment(store.experiment("digits")).tags
    state = json.loads(tags[f"{views.TAG}leaderboard"])
    assert "groupBy" not in state and state["orderByKey"] == "metrics.`eval/fd_dbn`"


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
        from test_tracking import *
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


def test_other_numbers_from_the_same_parameters_replace_the_run(root):
    write_run(root)
    projection.sync_all(root, [RUN])
    write_curves(root, range(1, 31), offset=1.0)
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


def claims(verdict: str) -> dict[str, object]:
    part = {"statistic": "ratio", "rule": "1 ± 0.05", "estimate_in_words": "1.01, n = 3"}
    part |= {"effect_in_words": "20 % of tolerance"}
    judgements = [
        {"suite": suite, "verdict": verdict, "reason": "", "carried": "", "parts": [part]}
        for suite in ("digits", "mnist")
    ]
    claim = {"id": "began-ratio", "claim": "It settles.", "paper": "began", "paper_title": "BEGAN"}
    claim |= {"published_in_words": "shape only", "judgements": judgements}
    return {"schema": 2, "level": 0.95, "count": {}, "claims": [claim]}


def test_verdicts_are_one_table_of_one_run_and_follow_their_file(root):
    dump(root / "reports" / "claims.json", claims("holds"))
    write_card(root)
    for verdict in ("holds", "holds", "fails"):
        dump(root / "reports" / "claims.json", claims(verdict))
        projection.sync_all(root, [RUN])
    client = Store(root).client
    found = client.get_experiment_by_name("ebmrepro/digits")
    assert found is not None
    experiment = found.experiment_id
    (run,) = client.search_runs([experiment], "tags.`ebm.kind` = 'report'")
    assert run.info.status == "FINISHED"
    rows = client.load_table(experiment, "claims.json", [run.info.run_id])
    assert rows[["id", "verdict", "here"]].values.tolist() == [
        ["began-ratio", "fails", "1.01, n = 3"]
    ]


def test_a_note_says_what_became_of_the_claims_of_the_runs_paper(root):
    other = Training("digits", "magan", 1)
    write_run(root)
    write_run(root, other, "beef")
    dump(root / "reports" / "claims.json", claims("fails"))
    projection.sync_all(root, [RUN, other])
    store, line = Store(root), "- **fails**: It settles. *1.01, n = 3*"
    notes = {run.info.run_name: run.data.tags.get(verdicts.NOTE) for run in mlflow_runs(root)}
    assert notes == {f"{RUN.name}-0": line, "magan-1": None, "report": None}
    tags = store.client.get_experiment(store.experiment("digits")).tags
    assert tags[verdicts.NOTE] == f"Claims decided here: 1 fails.\n{line}"


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


# --- beside a training ---------------------------------------------------------------------------


def train(root, script, run=RUN, **environment):
    """A stage in a process of its own: follows `run`, and calls what is defined in this file."""
    head = f"""
        from test_tracking import *
        beside.PATIENCE = 200.0  # four imports of mlflow on a busy machine outlast the usual
        root, run = Path({str(root)!r}), Training({run.suite!r}, {run.name!r}, {run.seed!r})
        follower = beside.following(root, [run])
    """
    return python(textwrap.dedent(head) + textwrap.dedent(script), **environment)


@pytest.mark.slow
def test_a_training_is_seen_while_it_runs_and_finished_when_it_is(root):
    trainer = train(
        root,
        """
        with follower:
            write_card(root, run, done=False)
            write_curves(root, range(1, 4), run)
            write_sample(root, 30, run)
            wait_until(lambda: len(points_in(root)) == 3, "three points")
            write_run(root, run)
        assert "mlflow" not in sys.modules and "torch" not in sys.modules
        """,
    )
    _, err = trainer.communicate(timeout=240)
    assert (trainer.returncode, err) == (0, "")
    (seen,) = contents(root).values()
    (run,) = mlflow_runs(root)
    assert run.data.tags["ebm.source"] == "live" and seen["status"] == "FINISHED"
    assert [step for step, _ in seen["points"]["energy/real"]] == list(range(1, 31))
    assert seen["points"]["eval/fd_dbn"] == [(30, 1.25)]


@pytest.mark.slow
def test_four_trainings_at_once_in_a_fresh_store_all_arrive_whole_with_their_ends(fresh):
    root = fresh
    script = """
        with follower:
            write_card(root, run, run.name.encode().hex(), done=False)
            write_curves(root, range(1, 31), run)
            write_sample(root, 300, run)
            print("ready", flush=True)
            {end}
    """
    ends = {
        "done": "write_card(root, run, run.name.encode().hex())",
        "raised": "raise ArithmeticError",
        "shot": "os.kill(os.getpid(), signal.SIGKILL)",
        "interrupted": "time.sleep(60)",
    }
    trainers = {
        name: train(root, script.format(end=end), Training("digits", name, 0))
        for name, end in ends.items()
    }
    for trainer in trainers.values():
        assert trainer.stdout is not None and trainer.stdout.readline() == "ready\n"
    os.killpg(trainers["interrupted"].pid, signal.SIGINT)  # Ctrl-C goes to a whole group
    for trainer in trainers.values():
        _, err = trainer.communicate(timeout=240)  # until its follower is gone, too
        assert "MLflow" not in err
    seen = contents(root)
    ended = {"done-0": "FINISHED", "raised-0": "FAILED"}
    ended |= {"shot-0": "KILLED", "interrupted-0": "KILLED"}
    assert {name: run["status"] for name, run in seen.items()} == ended
    for run in seen.values():
        assert len(run["points"]["energy/real"]) == 30 and len(run["images"]) == 2
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.slow
def test_a_store_that_does_not_answer_costs_one_line(root):
    trainer = train(
        root,
        """
        with follower:
            write_run(root, run)
            time.sleep(8)
            began = time.monotonic()
        print(time.monotonic() - began)
        """,
        MLFLOW_TRACKING_URI="http://me:hunter2@127.0.0.1:9",
    )
    out, err = trainer.communicate(timeout=240)
    assert trainer.returncode == 0 and float(out) < 10
    assert len(err.splitlines()) == 1 and "track sync" in err and "hunter2" not in err


def test_without_mlflow_training_goes_on(root, tmp_path):
    (tmp_path / "broken" / "mlflow").mkdir(parents=True)
    (tmp_path / "broken" / "mlflow" / "__init__.py").write_text("raise ImportError('no mlflow')")
    trainer = train(
        root,
        """
        with follower:
            write_run(root, run)
        """,
        PYTHONPATH=str(tmp_path / "broken"),
    )
    _, err = trainer.communicate(timeout=240)
    assert trainer.returncode == 0 and "no mlflow" in err and len(err.splitlines()) == 1


def test_tracking_can_be_switched_off(fresh, monkeypatch):
    root = fresh
    monkeypatch.setenv("EBMREPRO_TRACKING", "off")
    write_run(root)
    with beside.following(root, [RUN]):
        pass
    assert not (root / "mlflow.db").exists()


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:p@ss/w:rd@host/db", "postgresql://me:***@host/db"),
        ("https://sometoken@host/path", "https://***@host/path"),
        ("mysql://host/db?user=me&password=hunter2", "mysql://host/db?user=me&password=***"),
        ("sqlite:////work/mlflow.db", "sqlite:////work/mlflow.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_a_password_is_never_shown(uri, shown):
    assert redact(f"cannot reach {uri}") == f"cannot reach {shown}"


def test_the_server_is_for_this_machine_alone_and_its_command_line_holds_no_secret(
    root, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:hunter2@host/db")
    command = " ".join(server.command(root, 5000))
    assert "--host 127.0.0.1" in command and "hunter2" not in command
