"""Beside a training: what it leaves is in MLflow while it runs, and it never waits."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing

import pytest
from tracked_runs import RUN, contents, mlflow_runs, pytestmark, train, write_run

from ebmrepro.config.params import Training
from ebmrepro.tracking import follower as beside

__all__ = ["pytestmark"]


@pytest.mark.slow
def test_a_training_is_seen_while_it_runs_and_finished_when_it_is(root):
    trainer = train(
        root,
        """
        with follower:
            write_card(root, run, done=False)
            write_curves(root, range(1, 4), run)
            write_sample(root, 30, run)
            until(lambda: len(points_in(root)) == 3, "three points")
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
