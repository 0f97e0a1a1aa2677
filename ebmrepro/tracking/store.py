"""The MLflow store of a checkout: its address, its database made whole, an experiment per suite.

`MLFLOW_TRACKING_URI` replaces our own `mlflow.db`, which lies under `DVC_ROOT`. Our own database is
never repaired: where MLflow cannot use it, every command says so in one line, and `ebmrepro track
rebuild` sets it aside and makes it anew from the files.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ebmrepro.system import signals
from ebmrepro.system.errors import UserError
from ebmrepro.system.locks import Lock
from ebmrepro.system.redact import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, LoggedModel
    from mlflow.entities import Run as MlflowRun

LONGEST_PATH = 500  # bytes; SQLite opens no file whose path has over 511
LONGEST_WAIT = 60.0  # seconds for another process to finish
SILENT = ("timed out", "locked", "Max retries", "refused", "unreachable", "took more", "written by")
UNUSABLE = ("not a database", "malformed", "database schema")  # SQLite's and MLflow's words


class TrackingError(UserError):
    """The view cannot be brought up to date; the message is one line and holds no password."""


def home(root: Path) -> Path:
    """Folder of the store: `DVC_ROOT`, which stays the original checkout in a temporary workspace
    of `dvc exp run --temp`; else the nearest folder with `.dvc` above `root`; else `root`."""
    if path := os.environ.get("DVC_ROOT"):
        return Path(path).resolve()
    root = root.resolve()
    return next((p for p in (root, *root.parents) if (p / ".dvc").is_dir()), root)


def place(root: Path) -> Path:
    """Our own database.

    Raises:
        TrackingError: it would lie where MLflow's SQLite cannot have it, or would put it elsewhere.
    """
    path = home(root) / "mlflow.db"
    name, because = str(path), ""
    if len(os.fsencode(path)) > LONGEST_PATH:
        because = f"its path has over {LONGEST_PATH} bytes"
    elif "?" in name:
        because = "its path holds a ?"
    elif "'" in name and '"' in name:
        because = "its path holds quotes of both kinds"
    if because:
        raise TrackingError(
            f"{name[:60]}...: MLflow can keep no database here, {because}; move the checkout, or "
            "set EBMREPRO_TRACKING=off"
        )
    return path


def own_uri(root: Path) -> str:
    return f"sqlite:///{home(root) / 'mlflow.db'}"


def tracking_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or our own SQLite file. May hold a password: print `redact` of it."""
    return os.environ.get("MLFLOW_TRACKING_URI") or own_uri(root)


def is_remote(uri: str) -> bool:
    """Whether it is that of a server, and not of a database here."""
    return uri.startswith(("http:", "https:", "databricks"))


@contextlib.contextmanager
def as_tracking_error(root: Path) -> Iterator[None]:
    """Turn whatever the store or a damaged file raises into one printable line."""
    try:
        yield
    except UserError:  # of a result file, or said already
        raise
    except Exception as error:
        line = f"tracking store {redact(tracking_uri(root))}: {first_line(error)}"
        if any(words in line for words in UNUSABLE):
            line += f"; {mended(line)}"
        raise TrackingError(line) from error


def mended(reason: str) -> str:
    """What brings a store up to date, in words, that could not be reached for a reason."""
    if any(words in reason for words in UNUSABLE):
        return "`ebmrepro track rebuild` sets our own aside and makes it anew from the files"
    if any(words in reason for words in SILENT):
        return "it catches up when it answers again, or by `ebmrepro ui` or `ebmrepro track sync`"
    return "once that is mended, `ebmrepro ui` or `ebmrepro track sync` brings it up to date"


def first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # SQLAlchemy puts where it was before what happened.
    what = [line for line in lines if not line.startswith("(raised as a result of")]
    return redact((what or lines)[0].strip())


def _silence_mlflow() -> None:
    # Telemetry off is a promise of ours; the level, because MLflow prints what it raises.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # A server that does not answer is said within half a minute; MLflow's own are seven attempts
    # of two minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


class Store:
    """The MLflow store that belongs to a checkout, with its schema in place.

    Raises whatever MLflow or its back end raises when the store cannot be reached.
    """

    def __init__(self, root: Path) -> None:
        _silence_mlflow()
        self.root, self.uri = root, tracking_uri(root)
        self._locks = home(root) / ".ebmrepro" / "tracking"
        self._locks.mkdir(parents=True, exist_ok=True)
        self._experiments: dict[str, str] = {}
        with self.lock("creation"):
            if self.uri == own_uri(root) and not place(root).exists():
                _create_database(place(root))
            from mlflow import MlflowClient

            self.client: MlflowClient = MlflowClient(self.uri)

    def lock(self, name: str) -> Lock:
        """One process at a time: two that create one schema, experiment or run crash each other, or
        make it twice."""
        return Lock(self._locks / name, f"the MLflow store ({name[:12]})", LONGEST_WAIT)

    def experiment(self, suite: str) -> str:
        """Id of the experiment `ebmrepro/<suite>`, made if missing and restored if deleted."""
        if suite not in self._experiments:
            with self.lock("creation"):
                self._experiments[suite] = self._find_or_create(f"ebmrepro/{suite}")
        return self._experiments[suite]

    def _find_or_create(self, name: str) -> str:
        # A server keeps artifacts where it likes; a database has no place for them but ours.
        location = (
            None if is_remote(self.uri) else (home(self.root) / "mlartifacts" / name).as_uri()
        )
        stored = self.client.get_experiment_by_name(name)
        if stored and self.uri == own_uri(self.root) and stored.artifact_location != location:
            self._move(stored, location or "")
        if stored is None:
            return self.client.create_experiment(name, artifact_location=location)
        if stored.lifecycle_stage == "deleted":
            self.client.restore_experiment(stored.experiment_id)
        return stored.experiment_id

    def _move(self, experiment: Experiment, location: str) -> None:
        """The checkout was moved or copied with its store: images of the experiment and its runs
        lie elsewhere now. MLflow has no word for that, and the database is our own."""
        old, new = experiment.artifact_location, location
        path = home(self.root) / "mlflow.db"
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                database.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) "
                    f"where experiment_id = ? and substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, int(experiment.experiment_id), len(old), old),
                )

    def find(self, suite: str, tag: str, value: str) -> MlflowRun | None:
        """The suite's run with this tag."""
        words = f"tags.`{tag}` = '{value}'"
        runs = self.client.search_runs([self.experiment(suite)], words, max_results=1)
        return runs[0] if runs else None

    def runs(self, suite: str) -> Iterator[MlflowRun]:
        """All of a suite, page by page."""
        token = None
        while True:
            page = self.client.search_runs([self.experiment(suite)], page_token=token)
            yield from page
            if not (token := page.token):
                return

    def models(self, run: MlflowRun) -> Sequence[LoggedModel]:
        """Those that MLflow has of a run."""
        words = f"source_run_id = '{run.info.run_id}'"
        return self.client.search_logged_models([run.info.experiment_id], words)

    def end_abandoned(self, suite: str) -> None:
        """Mark as killed what is said to run although its follower, on this host, is gone."""
        running = self.client.search_runs([self.experiment(suite)], "attributes.status = 'RUNNING'")
        for run in running:
            host, _, pid = run.data.tags.get("ebm.follower", "").rpartition(":")
            if not pid or (host == platform.node() and not signals.lives(int(pid))):
                self.client.set_terminated(run.info.run_id, "KILLED")


def logged(run: MlflowRun) -> dict[str, str]:
    """What of its files a run in the store has: name -> digest."""
    return json.loads(run.data.tags.get("ebm.logged", "{}"))


def _create_database(path: Path) -> None:
    """Make our SQLite file whole or not at all: a process killed amid MLflow's migrations would
    leave a schema that no later start can use."""
    from mlflow import MlflowClient

    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    MlflowClient(f"sqlite:///{fresh}").search_experiments(max_results=1)
    with contextlib.closing(sqlite3.connect(fresh)) as database:
        database.execute("PRAGMA journal_mode=wal")  # halves the wait of concurrent writers
    for suffix in ("-wal", "-shm"):  # of a deleted predecessor: SQLite would replay them into this
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(fresh, path)


def set_aside_unusable(root: Path) -> None:
    """Rename our own database, and say so, where MLflow cannot use it: it is no database, damaged,
    or of another MLflow's schema."""
    path = home(root) / "mlflow.db"
    if tracking_uri(root) != own_uri(root) or not path.exists():
        return
    _silence_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            (reason,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if reason == "ok":
            # By another spelling of its name: MLflow keeps connections by name, and one to the file
            # that is set aside must not be used for the one that takes its place.
            MlflowClient(f"sqlite:///{path.parent}/./{path.name}").search_experiments(max_results=1)
            return
    except sqlite3.OperationalError:
        raise  # locked, or not to be opened: nothing is known of its content
    except (sqlite3.DatabaseError, MlflowException) as error:
        reason = first_line(error)
    aside = f"{path.name}.bad-{time.strftime('%Y%m%d-%H%M%S')}"
    for suffix in ("-wal", "-shm", ""):  # the database last: until then it is still unusable
        with contextlib.suppress(FileNotFoundError):
            os.replace(path.with_name(path.name + suffix), path.with_name(aside + suffix))
    print(f"{path}: {reason.splitlines()[0]}: set aside as {aside}", file=sys.stderr, flush=True)
