"""A training that was killed and resumed is one run in MLflow, like one that nobody disturbed."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import pytest
import trainings

from ebmrepro.config.params import Training
from ebmrepro.tracking import projection
from ebmrepro.tracking.store import Store

pytestmark = [
    # Raised inside libraries that MLflow loads, by no line of ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_a_resumed_run_keeps_its_id_and_has_every_point_once(tmp_path: Path):
    folder = trainings.project(tmp_path / "project", ["began"])
    trainings.train(folder, "began", seconds=1000)
    calls = trainings.calls(folder)
    store, run = Store(folder), Training("digits", "began", 0)
    ids = set()
    # First without a checkpoint, so that MLflow is ahead of what is trained next; then with some.
    for kill_at, seconds in ((round(0.7 * calls), 1000), (round(0.6 * calls), 0), (0, 0)):
        trainings.clear(folder, "began")
        child = trainings.start(folder, "began", seconds=seconds, kill_at=kill_at)
        assert trainings.finish(child) == (-signal.SIGKILL if kill_at else 0)
        assert projection.sync(store, run)
        (found,) = store.client.search_runs([store.experiment("digits")])
        ids.add(found.info.run_id)
    assert len(ids) == 1 and "going on after step" in trainings.said(folder)
    with (trainings.out(folder, "began") / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for column in set(rows[0]) - {"epoch"}:
        history = store.client.get_metric_history(ids.copy().pop(), column)
        points = sorted((point.step, point.value) for point in history)
        assert points == [(int(row["epoch"]), float(row[column])) for row in rows], column
