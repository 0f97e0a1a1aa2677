"""MLflow as a view of the result files: one idempotent projection, live, afterwards, or to rebuild.

Files are the truth. `Store.sync` reads what a run has written so far and brings its MLflow run to
the same state, logging only what the store lacks. It asks the store what that is, not its own
memory, so it may be repeated, killed, or run by several processes at once. A training is followed
from a child process, which imports mlflow (4 s) beside the training; nothing that goes wrong there
reaches the training.

Environment: `EBMREPRO_TRACKING=off` follows nothing; `MLFLOW_TRACKING_URI` replaces our own
`mlflow.db`, which lies under `DVC_ROOT`.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import math
import os
import platform
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ebmrepro.system import locks
from ebmrepro.system.errors import UserError
from ebmrepro.system.redact import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

POLL = 2.0  # seconds between looks at the files of a training
SHORT = 20.0  # seconds; a training that ends before is logged by the report's follower
PATIENCE = 60.0  # seconds a finished stage waits for its follower to catch up
GRACE = 10.0  # seconds more, after which the follower itself is stuck
LONGEST_PAUSE = 60.0  # seconds between attempts on a silent store, or for another process to finish
METRICS_A_CALL = 1000  # MLflow's limits for one log_batch
PARAMS_A_CALL = 100
LONGEST_PARAM = 500  # characters; older servers refuse longer values
CHARTS = "compareRunsMode=CHART&workflowType=machine_learning"  # else the page opens on GenAI
UNUSABLE = ("not a database", "malformed", "database schema")  # SQLite's and MLflow's words
SMALLEST_GRID = 256  # pixels; MLflow smooths thumbnails of anything smaller


class TrackingError(UserError):
    """The view cannot be brought up to date; the message is one line and holds no password."""


class Run(NamedTuple):
    """One method (with its variant, as named in params.yaml) on one suite from one seed."""

    suite: str
    name: str
    seed: int

    def models(self, root: Path) -> Path:
        return root / "models" / self.suite / self.name / str(self.seed)

    def results(self, root: Path) -> Path:
        return root / "results" / self.suite / self.name / str(self.seed)


class _HalfWritten(ValueError):
    """A file does not parse: being written at this moment, or damaged."""


# --- where ---------------------------------------------------------------------------------------


def home(root: Path) -> Path:
    """Folder of the store: `DVC_ROOT`, which stays the original checkout in a temporary workspace
    of `dvc exp run --temp`; else the nearest folder with `.dvc` above `root`; else `root`."""
    if given := os.environ.get("DVC_ROOT"):
        return Path(given).resolve()
    root = root.resolve()
    return next((p for p in (root, *root.parents) if (p / ".dvc").is_dir()), root)


def tracking_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or our own SQLite file. May hold a password: print `masked` of it."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home(root) / 'mlflow.db'}"


def _own(uri: str, root: Path) -> bool:
    return uri == f"sqlite:///{home(root) / 'mlflow.db'}"


# --- reading a run's files -----------------------------------------------------------------------


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _HalfWritten(f"{path}: {error}") from error


class _Files(NamedTuple):
    """What one run has on disk. A run known only by its evaluation (a fresh clone holds results,
    but no models) has no training; an evaluation of another training is left out."""

    fingerprint: str
    training: dict[str, Any]
    evaluation: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def complete(self) -> bool:
        return not self.training or "steps" in self.training

    @property
    def started(self) -> int | None:
        """Milliseconds since 1970, where the provenance says so."""
        text = self.provenance.get("started")
        return round(datetime.fromisoformat(text).timestamp() * 1000) if text else None

    @property
    def duration(self) -> int | None:
        """Milliseconds."""
        seconds = self.provenance.get("seconds")
        return None if seconds is None else round(seconds * 1000)


def _read(root: Path, run: Run) -> _Files | None:
    training = _json(run.models(root) / "run.json") or {}
    evaluation = _json(run.results(root) / "metrics.json") or {}
    known = training or evaluation
    if not known:
        return None
    fingerprint = str(known["fingerprint"])
    if evaluation.get("fingerprint") != fingerprint:
        evaluation = {}
    provenance = _json(home(root) / ".ebmrepro" / "provenance" / f"{fingerprint}.json") or {}
    return _Files(fingerprint, training, evaluation, provenance)


def _curves(path: Path) -> list[dict[str, str]]:
    """Measured cells of each complete row, of a file that another process may be appending to."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    rows = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    return [{key: cell for key, cell in row.items() if cell} for row in rows]


def _verdicts(document: Mapping[str, Any], suite: str) -> dict[str, list[Any]] | None:
    """The claims that the suite decides, or that no suite does, as MLflow keeps a table."""
    rows = [
        [
            claim["id"],
            judgement["verdict"],
            claim["claim"],
            claim["paper_title"],
            claim["published_in_words"],
            "; ".join(part["estimate_in_words"] for part in judgement["parts"]),
            "; ".join(part["effect_in_words"] for part in judgement["parts"]),
            "; ".join(f"{part['statistic']}: {part['rule']}" for part in judgement["parts"]),
            judgement["reason"],
        ]
        for claim in document["claims"]
        for judgement in claim["judgements"]
        if judgement["suite"] in (suite, "fundamentals")
    ]
    columns = ["id", "verdict", "claim", "paper", "published", "here", "effect", "rule", "reason"]
    return {"columns": columns, "data": rows} if rows else None


def _digest(rows: Sequence[Mapping[str, str]]) -> str:
    """How many rows were logged, and which: `31:2c26b46b68ffc68f`. Columns may move or be added."""
    text = json.dumps(rows, sort_keys=True)
    return f"{len(rows)}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _replaces(rows: Sequence[Mapping[str, str]], logged: str | None) -> bool:
    """Whether `rows` differ from the ones that were logged, as far as those went."""
    count = int(logged.partition(":")[0]) if logged else 0
    return 0 < count <= len(rows) and _digest(rows[:count]) != logged


def _images(folder: Path) -> dict[int, Path]:
    found = ((re.fullmatch(r"step_(\d+)\.png", p.name), p) for p in folder.glob("step_*.png"))
    return {int(match[1]): path for match, path in sorted(found, key=lambda f: f[1]) if match}


def _flat(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and printable values, as they are addressed in params.yaml."""
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"{prefix}{key}", text[:LONGEST_PARAM]


def _signature(root: Path, run: Run) -> tuple[tuple[int, int] | None, ...]:
    """Changes when any file of the run that is projected here changes."""
    models, results = run.models(root), run.results(root)
    stats = []
    for path in (
        models / "run.json",
        models / "curves.csv",
        models / "samples",
        results / "metrics.json",
        results / "samples.png",
    ):
        try:
            stat = path.stat()
            stats.append((stat.st_mtime_ns, stat.st_size))
        except FileNotFoundError:
            stats.append(None)
    return tuple(stats)


# --- the projection ------------------------------------------------------------------------------


def _silence_mlflow() -> None:
    # Telemetry off is a promise of ours; the level, because MLflow prints what it raises.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


def _create_database(path: Path) -> None:
    """Make our SQLite file whole or not at all: a process killed amid MLflow's migrations would
    leave a schema that no later start can repair."""
    from mlflow import MlflowClient

    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    MlflowClient(f"sqlite:///{fresh}").search_experiments(max_results=1)
    with contextlib.closing(sqlite3.connect(fresh)) as database:
        database.execute("PRAGMA journal_mode=wal")  # halves the wait of concurrent writers
    for suffix in ("-wal", "-shm"):  # of a deleted predecessor: SQLite would replay them into this
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(fresh, path)


class Store:
    """The MLflow store that belongs to a checkout, with its schema in place.

    Raises whatever MLflow or its back end raises when the store cannot be reached.
    """

    def __init__(self, root: Path) -> None:
        from filelock import FileLock

        _silence_mlflow()
        self.root = root
        self.uri = tracking_uri(root)
        self._locks = home(root) / ".ebmrepro" / "tracking"
        self._locks.mkdir(parents=True, exist_ok=True)
        # Processes that create one schema, or one experiment, at the same time crash each other.
        self._creation = FileLock(self._locks / "creation.lock", timeout=LONGEST_PAUSE)
        self._experiments: dict[str, str] = {}
        with self._creation:
            if _own(self.uri, root) and not (home(root) / "mlflow.db").exists():
                _create_database(home(root) / "mlflow.db")
            from mlflow import MlflowClient

            self.client: MlflowClient = MlflowClient(self.uri)

    def experiment(self, suite: str) -> str:
        """Id of the experiment `ebmrepro/<suite>`, made if missing and restored if deleted."""
        if suite not in self._experiments:
            with self._creation:
                self._experiments[suite] = self._find_or_create(f"ebmrepro/{suite}")
        return self._experiments[suite]

    def _find_or_create(self, name: str) -> str:
        # A server keeps artifacts where it likes; a database has no place for them but ours.
        remote = self.uri.startswith(("http:", "https:", "databricks"))
        location = None if remote else (home(self.root) / "mlartifacts" / name).as_uri()
        found = self.client.get_experiment_by_name(name)
        if found and _own(self.uri, self.root) and found.artifact_location != location:
            # The checkout was moved or copied with its store. MLflow fixes the place of images for
            # good, so old runs stay, aside, and those that have files are logged anew.
            aside = f"{name} (moved {time.strftime('%Y-%m-%d %H:%M:%S')})"
            self.client.rename_experiment(found.experiment_id, aside)
            found = None
        if found is None:
            return self.client.create_experiment(name, artifact_location=location)
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def sync(self, run: Run, *, follower: str | None = None, ended: str | None = None) -> bool:
        """Bring the MLflow run of `run` up to its files; false if it has none yet.

        `follower` is `host:pid` of a process that watches the training, `ended` is how that
        training ended (finished, failed, killed) as far as its files do not say so themselves.
        """
        from filelock import FileLock

        files = _read(self.root, run)
        if files is None:
            return False
        if not files.fingerprint.isalnum():
            raise TrackingError(f"{run.models(self.root)}: fingerprint {files.fingerprint!r}")
        with FileLock(self._locks / f"{files.fingerprint}.lock", timeout=LONGEST_PAUSE):
            _Projection(self, run, files, follower, ended).apply()
        return True

    def sync_claims(self, suite: str) -> bool:
        """Bring the table of verdicts in the suite's run `report` up to reports/claims.json; false
        if there is none, or none of its claims concerns the suite."""
        from filelock import FileLock

        document = _json(self.root / "reports" / "claims.json")
        table = _verdicts(document, suite) if document else None
        if table is None:
            return False
        with FileLock(self._locks / f"report-{suite}.lock", timeout=LONGEST_PAUSE):
            found = self.client.search_runs(
                [self.experiment(suite)], "tags.`ebm.kind` = 'report'", max_results=1
            )
            run = found[0] if found else self._create_report(suite)
            content = hashlib.sha256(json.dumps(table).encode()).hexdigest()[:16]
            if _logged(run).get("claims.json") != content:
                self.client.log_dict(run.info.run_id, table, "claims.json")
                noted = json.dumps({"claims.json": content})
                self.client.set_tag(run.info.run_id, "ebm.logged", noted)
                self.client.set_terminated(run.info.run_id)
        return True

    def _create_report(self, suite: str) -> MlflowRun:
        # `log_table` would add rows to a report before; this tag makes a file a table.
        table = json.dumps([{"path": "claims.json", "type": "table"}])
        tags = {"suite": suite, "ebm.kind": "report", "mlflow.loggedArtifacts": table}
        return self.client.create_run(self.experiment(suite), run_name="report", tags=tags)

    def find(self, suite: str, fingerprint: str) -> MlflowRun | None:
        """The run of a training, by fingerprint."""
        found = self.client.search_runs(
            [self.experiment(suite)], f"tags.`ebm.fingerprint` = '{fingerprint}'", max_results=1
        )
        return found[0] if found else None

    def end_abandoned(self, suite: str) -> None:
        """Mark as killed what is said to run although its follower, on this host, is gone."""
        running = self.client.search_runs([self.experiment(suite)], "attributes.status = 'RUNNING'")
        for run in running:
            host, _, pid = run.data.tags.get("ebm.follower", "").rpartition(":")
            if not pid or (host == platform.node() and not locks.lives(int(pid))):
                self.client.set_terminated(run.info.run_id, "KILLED")


class _Projection:
    """One pass from the files of a run to its MLflow run, which may be behind in any way."""

    def __init__(
        self, store: Store, run: Run, files: _Files, follower: str | None, ended: str | None
    ) -> None:
        self.store, self.client, self.run, self.files = store, store.client, run, files
        self.models, self.results = run.models(store.root), run.results(store.root)
        self.ended = ended
        self.live = follower is not None and ended is None and not files.complete
        self.follower = follower if self.live else None
        self.rows = _curves(self.models / "curves.csv") if files.training else []

    def apply(self) -> None:
        self.mlflow_run = self._open()
        self.run_id = self.mlflow_run.info.run_id
        self.logged = _logged(self.mlflow_run)
        self._points()
        self._samples()
        self._evaluation()
        if not self.live:
            self._artifacts()
        self._tags()
        self._status()  # last: FINISHED means that everything is there

    def _open(self) -> MlflowRun:
        found = self.store.find(self.run.suite, self.files.fingerprint)
        if found and _replaces(self.rows, _logged(found).get("curves")):
            # Same parameters, other numbers: a training repeated where arithmetic is not
            # deterministic. MLflow cannot take points back, so the old run goes to its trash.
            self.client.delete_run(found.info.run_id)
            found = None
        if found is None:
            found = self.client.create_run(
                self.store.experiment(self.run.suite),
                start_time=None if self.live else self.files.started,
                run_name=f"{self.run.name}-{self.run.seed}",
                tags={
                    "suite": self.run.suite,
                    "method": self.run.name.partition("__")[0],
                    "seed": str(self.run.seed),
                    "ebm.name": self.run.name,
                    "ebm.fingerprint": self.files.fingerprint,
                    "ebm.source": "live" if self.live else "files",
                    **({"ebm.follower": self.follower} if self.follower else {}),
                },
            )
        self._params(found)
        return found

    def _params(self, found: MlflowRun) -> None:
        from mlflow.entities import Param

        block = {
            **self.files.training.get("params", {}),
            **{k: self.files.training[k] for k in ("parameters",) if k in self.files.training},
        }
        new = [Param(k, v) for k, v in _flat(block) if k not in found.data.params]
        for i in range(0, len(new), PARAMS_A_CALL):
            self.client.log_batch(found.info.run_id, params=new[i : i + PARAMS_A_CALL])

    def _points(self) -> None:
        from mlflow.entities import Metric

        if not self.rows:
            return
        # `epoch` is in every row, and a row goes into the store whole: its history is the record
        # of what was logged, exact even after a kill between two calls.
        logged = {m.step for m in self.client.get_metric_history(self.run_id, "epoch")}
        last = int(self.rows[-1]["step"])
        batch: list[Metric] = []
        for row in self.rows:
            step = int(row["step"])
            if step in logged:
                continue
            when = self._moment(step / last)
            points = [Metric(k, float(v), when, step) for k, v in row.items() if k != "step"]
            if len(batch) + len(points) > METRICS_A_CALL:
                self.client.log_batch(self.run_id, metrics=batch)
                batch = []
            batch += points
        if batch:
            self.client.log_batch(self.run_id, metrics=batch)
        self._note("curves", _digest(self.rows))

    def _moment(self, share: float) -> int:
        """When a point was measured, milliseconds: now in a run that was followed, else by the
        training's own clock, which its provenance holds."""
        started, duration = self.files.started, self.files.duration
        followed = self.mlflow_run.data.tags.get("ebm.source") == "live"
        if followed or started is None or duration is None:
            return round(time.time() * 1000)
        return started + round(share * duration)

    def _samples(self) -> None:
        images = _images(self.models / "samples") if self.files.training else {}
        if not images:
            return
        logged = self._shown("samples")
        for step, path in images.items():
            if step not in logged:
                self.client.log_image(self.run_id, _grid(path), key="samples", step=step)

    def _shown(self, key: str) -> set[int]:
        """Steps of the images that the store has under `key`, asked of the store itself."""
        stored = (f.path for f in self.client.list_artifacts(self.run_id, "images"))
        # The thumbnail is what log_image writes last.
        names = (re.search(rf"{key}\+step\+(\d+)\+.*\+compressed\.webp$", p) for p in stored)
        return {int(match[1]) for match in names if match}

    def _evaluation(self) -> None:
        from mlflow.entities import Metric

        evaluation, provenance = self.files.evaluation, self.files.provenance
        values = {f"eval/{k}": v for k, v in evaluation.get("values", {}).items()}
        for key in ("seconds", "images_per_second"):
            values[f"time/{key}"] = provenance.get(key)
        step = evaluation.get("step") or self.files.training.get("steps") or 0
        stored, now = self.mlflow_run.data.metrics, round(time.time() * 1000)
        new = [
            Metric(k, float(v), now, step)
            for k, v in values.items()
            if v is not None and not _same(float(v), stored.get(k))
        ]
        if new:
            self.client.log_batch(self.run_id, metrics=new)
        picture = self.results / "samples.png"
        if not evaluation or not picture.exists():
            return
        if self.logged.get("generated") != _sha256(picture) or step not in self._shown("generated"):
            self.client.log_image(self.run_id, _grid(picture), key="generated", step=step)
            self._note("generated", _sha256(picture))

    def _artifacts(self) -> None:
        files = [self.models / "run.json", self.models / "curves.csv"] if self.rows else []
        if self.files.evaluation:
            files.append(self.results / "metrics.json")
        stored = {f.path for f in self.client.list_artifacts(self.run_id)} if files else set()
        for path in files:
            if self.logged.get(path.name) != _sha256(path) or path.name not in stored:
                self.client.log_artifact(self.run_id, str(path))
                self._note(path.name, _sha256(path))

    def _note(self, what: str, digest: str) -> None:
        """Remember, in the store, which content was logged. A kill before this is harmless: the
        curves are known by their points, and a file is stored again under its own name."""
        self.logged[what] = digest
        self._tag({"ebm.logged": json.dumps(self.logged, sort_keys=True)})

    def _tags(self) -> None:
        evaluation, provenance = self.files.evaluation, self.files.provenance
        prose = {
            **{f"ebm.reason.{k}": v for k, v in evaluation.get("reasons", {}).items()},
            **{f"ebm.flag.{k}": v for k, v in evaluation.get("flags", {}).items()},
            **{f"protocol.{k}": v for k, v in _flat(evaluation.get("protocol", {}))},
        }
        named = {
            "device": provenance.get("device"),
            "git.commit": provenance.get("commit"),
            "dvc.stage": provenance.get("stage"),
            "dvc.exp_name": provenance.get("experiment"),
            "ebm.follower": self.follower,
            **{f"version.{k}": v for k, v in provenance.get("versions", {}).items()},
        }
        self._tag({k: str(v) for k, v in {**prose, **named}.items() if v is not None})
        if evaluation:  # a reason of an earlier evaluation must not outlive it
            for key in self.mlflow_run.data.tags:
                if key.startswith(("ebm.reason.", "ebm.flag.", "protocol.")) and key not in prose:
                    self.client.delete_tag(self.run_id, key)

    def _tag(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        stored = self.mlflow_run.data.tags
        new = [RunTag(k, v) for k, v in tags.items() if stored.get(k) != v]
        if new:
            self.client.log_batch(self.run_id, tags=new)

    def _status(self) -> None:
        if self.files.complete:
            status = "FINISHED"
        elif self.ended:
            status = self.ended.upper()
        elif self.live:
            status = "RUNNING"
        else:
            return  # someone else may be training it; `end_abandoned` tells
        if self.mlflow_run.info.status == status:
            return
        if status == "RUNNING":
            self.client.update_run(self.run_id, status=status)
        else:
            self.client.set_terminated(self.run_id, status, end_time=self._moment(1.0))


def _logged(run: MlflowRun) -> dict[str, str]:
    return json.loads(run.data.tags.get("ebm.logged", "{}"))


def _same(value: float, stored: float | None) -> bool:
    if stored is None:
        return False
    return math.isclose(value, stored, rel_tol=1e-12) or (math.isnan(value) and math.isnan(stored))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _grid(path: Path) -> Any:
    """The image at `path`, with whole pixels repeated until MLflow's thumbnail need not blur it."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            pixels = image.convert("RGB")
    except OSError as error:
        raise _HalfWritten(f"{path}: {error}") from error
    times = -(-SMALLEST_GRID // max(pixels.size))
    size = (pixels.width * times, pixels.height * times)
    return pixels.resize(size, Image.Resampling.NEAREST)


# --- all at once ---------------------------------------------------------------------------------


def _checked(runs: Iterable[tuple[str, str, int]]) -> list[Run]:
    return [Run(*run) for run in runs]


@contextlib.contextmanager
def _one_line(uri: str) -> Iterator[None]:
    """Turn whatever the store or a damaged file raises into one printable line."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        line = f"tracking store {redact(uri)}: {_first_line(error)}"
        if any(word in line for word in UNUSABLE):
            line += "; `ebmrepro track rebuild` sets our own aside and makes it anew from the files"
        raise TrackingError(line) from error


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # SQLAlchemy puts where it was before what happened.
    told = [line for line in lines if not line.startswith("(raised as a result of")]
    return redact((told or lines)[0].strip())


def sync_all(root: Path, runs: Iterable[tuple[str, str, int]]) -> list[Run]:
    """Project every run of `runs` that has files; returns these. Changes nothing that is current.

    Raises TrackingError when the store cannot be reached or a file is damaged.
    """
    runs = _checked(runs)
    with _one_line(tracking_uri(root)):
        store = Store(root)
        done = [run for run in runs if store.sync(run)]
        for suite in sorted({run.suite for run in runs}):
            store.end_abandoned(suite)
            store.sync_claims(suite)
    return done


def on_disk(root: Path) -> list[Run]:
    """Every run that has files, also those that params.yaml no longer names."""
    found = [*root.glob("models/*/*/*/run.json"), *root.glob("results/*/*/*/metrics.json")]
    keys = {path.parent.parts[-3:] for path in found}
    return sorted(Run(suite, name, int(seed)) for suite, name, seed in keys if seed.isdigit())


def rebuild(root: Path) -> list[Run]:
    """Project every run on disk anew; what the store holds of them goes to MLflow's trash first.

    Our own database, where MLflow cannot use it, is set aside, and an empty one takes its place.
    """
    runs = on_disk(root)
    with _one_line(tracking_uri(root)):
        if _own(tracking_uri(root), root):
            _set_aside_unusable(home(root) / "mlflow.db")
        store = Store(root)
        for run in runs:
            files = _read(root, run)
            found = files and store.find(run.suite, files.fingerprint)
            if found:
                store.client.delete_run(found.info.run_id)
    return sync_all(root, runs)


def _set_aside_unusable(path: Path) -> None:
    reason = _unusable(path) if path.exists() else None
    if reason is None:
        return
    aside = path.with_name(f"{path.name}.bad-{time.strftime('%Y%m%d-%H%M%S')}")
    for suffix in ("-wal", "-shm", ""):  # the database last: until then it is still unusable
        with contextlib.suppress(FileNotFoundError):
            os.replace(path.with_name(path.name + suffix), aside.with_name(aside.name + suffix))
    print(f"{path}: {reason}: set aside as {aside.name}", file=sys.stderr, flush=True)


def _unusable(path: Path) -> str | None:
    """Why MLflow cannot use this database: no database, damaged, or of another MLflow's schema."""
    _silence_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            return str(found).splitlines()[0]
        # By another spelling of its name: MLflow keeps connections by name, and one to the file
        # that is set aside must not be used for the one that takes its place.
        MlflowClient(f"sqlite:///{path.parent}/./{path.name}").search_experiments(max_results=1)
    except sqlite3.OperationalError:
        raise  # locked, or not to be opened: nothing is known of its content
    except (sqlite3.DatabaseError, MlflowException) as error:
        return _first_line(error)
    return None


# --- beside a stage ------------------------------------------------------------------------------


class Follower:
    """A child process that keeps the MLflow runs of `runs` up to date while a stage works.

    Start it before the imports of the stage, so that mlflow loads beside them. The child learns of
    the end through its standard input: a word from `close`, or, if this process dies, nothing. It
    is in a session of its own, so that Ctrl-C reaches the stage alone. Whatever happens to it, the
    stage goes on; what it missed is in the files, for `sync_all` or the next follower.
    """

    def __init__(self, root: Path, runs: Sequence[tuple[str, str, int]], after: float = 0) -> None:
        self._child: subprocess.Popen[str] | None = None
        if not _enabled():
            return
        words = [str(word) for run in _checked(runs) for word in run]
        command = [sys.executable, "-W", "ignore", "-m", "ebmrepro.tracking.store"]
        command += ["follow", str(root), str(after), str(PATIENCE), *words]
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                text=True,
            )
        except OSError as error:
            _warn(_first_line(error))

    def close(self, status: str) -> None:
        """Say how the stage ended (finished, failed, killed) and let the child catch up."""
        if self._child is None:
            return
        child, self._child = self._child, None
        try:
            # A child that is gone has said why; one that outlasts our patience leaves by itself.
            child.communicate(status, timeout=PATIENCE + GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            _warn(f"its follower did not end within {PATIENCE + GRACE:.0f} s")

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close("finished")
        else:
            self.close("failed" if issubclass(kind, Exception) else "killed")


def following(root: Path, runs: Sequence[tuple[str, str, int]], after: float = 0) -> Follower:
    """Keep MLflow up to date on `runs` within a `with` block; see Follower.

    What ends well in under `after` seconds is left to a later follower: importing mlflow takes as
    much of the machine as a short training.
    """
    return Follower(root, runs, after)


def _enabled() -> bool:
    choice = os.environ.get("EBMREPRO_TRACKING", "on")
    if choice not in ("on", "off"):
        raise TrackingError(f"EBMREPRO_TRACKING is {choice!r}: on or off")
    return choice == "on"


def _warn(reason: str) -> None:
    print(
        f"ebmrepro: MLflow is behind ({reason}); work goes on and results are safe in their files; "
        "it catches up when it answers again, or by `ebmrepro ui` or `ebmrepro track sync`",
        file=sys.stderr,
        flush=True,
    )


def _follow(root: Path, runs: Sequence[Run], after: float, patience: float) -> None:
    """The child's life: look, project, wait, until standard input ends. Never raises.

    It warns once, whatever happens and however often; what it could log later is logged.
    """
    words: list[str] = []
    ended = threading.Event()
    warned = threading.Event()

    def warn_once(reason: str) -> None:
        if not warned.is_set():
            warned.set()
            _warn(reason)

    def listen() -> None:
        words.append(sys.stdin.read())
        ended.set()
        time.sleep(patience)  # the stage is waiting
        warn_once(f"the store took more than {patience:.0f} s")
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    if ended.wait(after) and words[0] == "finished" and after:
        return
    # Our loop is the retry; a server that hangs must not hold up the end of a stage.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    me = f"{platform.node()}:{os.getpid()}"
    store: Store | None = None
    seen: dict[Run, object] = {}
    pause, failures, over = 0.0, 0, False
    while not over:
        over = ended.wait(pause)
        status = (words[0] or "killed") if over else None
        try:
            store = store or Store(root)
            for run in runs:
                now = _signature(root, run)
                if over or seen.get(run) != now:
                    with contextlib.suppress(*() if over else (_HalfWritten,)):
                        store.sync(run, follower=me, ended=status)
                        seen[run] = now
            for suite in sorted({run.suite for run in runs}) if over else ():
                store.sync_claims(suite)
            failures = 0
        except Exception as error:
            failures, store = failures + 1, None
            warn_once(_first_line(error))
            over = over or ended.is_set()  # the stage is waiting: no second attempt
        pause = min(LONGEST_PAUSE, POLL * 2**failures)


# --- the user interface --------------------------------------------------------------------------


def ui_command(root: Path, port: int) -> list[str]:
    """Command line of MLflow's server on this machine alone. The store's address goes through the
    environment (`MLFLOW_BACKEND_STORE_URI`), since a command line is there for all to read."""
    artifacts = (home(root) / "mlartifacts").as_uri()
    options = {"--default-artifact-root": artifacts, "--host": "127.0.0.1", "--port": str(port)}
    command = [sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--workers", "1"]
    command += ["--uvicorn-opts", "--log-level warning"]
    return command + [word for option in options.items() for word in option]


def held(done: Sequence[object], runs: Sequence[object]) -> str:
    """How many of the runs of params.yaml are in MLflow, in words."""
    rest = "" if len(done) == len(runs) else "; the others have no files yet"
    return f"MLflow holds {len(done)} of {len(runs)} runs{rest}"


def serve(root: Path, runs: Iterable[tuple[str, str, int]], port: int) -> int:
    """Bring MLflow up to date, start its server, say where the charts are, and stay until Ctrl-C.

    With a tracking server elsewhere, only say where the charts are. Returns the exit code.
    """
    runs = _checked(runs)
    uri = tracking_uri(root)
    remote = uri.startswith(("http:", "https:"))
    if not remote and _answers(port):
        raise TrackingError(f"port {port} is in use: choose another with --port")
    done = sync_all(root, runs)
    print(held(done, runs), flush=True)
    suites = list(dict.fromkeys(run.suite for run in done))
    with _one_line(uri):
        store = Store(root)
        pages = {
            suite: f"/#/experiments/{store.experiment(suite)}/runs?{CHARTS}" for suite in suites
        }
    if remote:
        _print_links(redact(uri).rstrip("/"), pages)
        return 0
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_REGISTRY_STORE_URI": uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # of use to GenAI projects only
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
    }
    # A plain kill of this process must not leave the server behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen(ui_command(root, port), env=environment) as server:
        try:
            while server.poll() is None and not _answers(port):
                time.sleep(0.3)
            if server.poll() is None:
                _print_links(f"http://127.0.0.1:{port}", pages)
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            return 0


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _print_links(server: str, pages: Mapping[str, str]) -> None:
    for suite, page in pages.items():
        print(f"  {suite}: {server}{page}", flush=True)


if __name__ == "__main__":
    _, _verb, _root, _after, _patience, *_words = sys.argv
    _triples = zip(_words[0::3], _words[1::3], _words[2::3], strict=True)
    _runs = [Run(suite, name, int(seed)) for suite, name, seed in _triples]
    _follow(Path(_root), _runs, float(_after), float(_patience))
    # The stage is waiting, everything is committed, and to take 1,800 modules apart lasts 0.9 s.
    os._exit(0)
