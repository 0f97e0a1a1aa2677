"""What a store takes from files of others: a clone, another machine, the plane."""

import shutil

from test_verdicts import claims
from tracked_runs import RUN, mlflow_runs, pytestmark, write_card, write_curves, write_run

from ebmrepro.runs import layout
from ebmrepro.tracking import projection, verdicts
from ebmrepro.tracking.store import Store

__all__ = ["pytestmark"]


def test_a_rebuild_of_a_fresh_clone_needs_no_models(root):
    write_run(root)
    models, kept = root / layout.folder(*RUN), root / layout.results(*RUN)
    shutil.copy(models / "curves.csv", kept)
    shutil.copy(models / "run.json", kept / "training.json")
    shutil.rmtree(root / "models")
    assert projection.rebuild(root) == [RUN]


def test_a_run_that_another_machine_follows_is_left_running(root):
    write_card(root, done=False)
    write_curves(root, range(1, 4))
    projection.sync(Store(root), RUN, follower="another-machine:999999999")
    projection.sync_all(root, [RUN])
    assert mlflow_runs(root)[0].info.status == "RUNNING"


def test_a_claim_of_the_plane_is_in_every_suites_table():
    told = claims("holds")
    (claim,) = told["claims"]
    claim["judgements"].append({**claim["judgements"][0], "suite": "fundamentals"})
    assert len(verdicts.table(told, "digits")["data"]) == 2
