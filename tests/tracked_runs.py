"""Made-up runs, what MLflow shows of them, and processes that are followed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ebmrepro.config.params import Training
from ebmrepro.runs import layout
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


def points_in(root, key="energy/real"):
    """Steps of one metric, read past MLflow so that waiting for them disturbs nobody."""
    path = root / "mlflow.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        return [s for (s,) in database.execute("select step from metrics where key = ?", [key])]


def python(script, **environment):
    """A process in a session of its own, in which this module can be imported."""
    first = environment.pop("PYTHONPATH", "")
    path = os.pathsep.join(filter(None, [first, str(HERE), str(HERE.parent)]))
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        env={**os.environ, **environment, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def train(root, script, run=RUN, **environment):
    """A stage in a process of its own: follows `run`, and calls what is defined in this module."""
    head = f"""
        import os, signal, sys, time
        from tracked_runs import *
        from waiting import until
        from ebmrepro.tracking import follower as beside
        beside.PATIENCE = 200.0  # four imports of mlflow on a busy machine outlast the usual
        root, run = Path({str(root)!r}), Training({run.suite!r}, {run.name!r}, {run.seed!r})
        follower = beside.following(root, [run])
    """
    return python(textwrap.dedent(head) + textwrap.dedent(script), **environment)
