"""MLflow's store fails: work goes on, one line says so, and the files make it whole again."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

import psutil
import pytest
from test_disk import small_disk
from tracked_runs import (
    FINGERPRINT,
    RUN,
    contents,
    mlflow_runs,
    points_in,
    pytestmark,
    python,
    train,
    write_run,
)
from waiting import until

from ebmrepro.config.params import Training
from ebmrepro.tracking import projection
from ebmrepro.tracking import store as connection
from ebmrepro.tracking.store import Store, TrackingError

__all__ = ["pytestmark"]

OTHER = Training("mnist", "ebgan", 2)  # of a suite that params.yaml no longer names


# --- what a rebuild brings back ------------------------------------------------------------------


@pytest.fixture
def logged(root):
    """A store with a finished run, and what a reader sees of it."""
    write_run(root)
    projection.sync_all(root, [RUN])
    return shown(root)


def shown(root):
    """As `contents`; every image and file must be there to be opened."""
    client = Store(root).client
    for run in mlflow_runs(root):
        folder = Path(unquote(urlparse(run.info.artifact_uri).path))
        images = client.list_artifacts(run.info.run_id, "images")
        files = [file for file in client.list_artifacts(run.info.run_id) if not file.is_dir]
        assert len(images) == 2 * (3 + 1) and len(files) == 3
        assert all((folder / file.path).stat().st_size for file in [*images, *files])
    return contents(root)


@pytest.fixture
def quick(empty_database, monkeypatch):
    """A new database is a copy of an empty one, not made by MLflow's many migrations."""
    monkeypatch.setattr(
        connection, "_create_database", lambda path: shutil.copy(empty_database, path)
    )


def test_a_rebuild_needs_no_database_no_images_and_no_params_yaml(root, logged, quick):
    write_run(root, OTHER, "beef")
    # A copy, since this process holds the database of the other open.
    copy = Path(shutil.copytree(root, root.with_name("copy")))
    for path in copy.glob("mlflow.db*"):
        path.unlink()
    shutil.rmtree(copy / "mlartifacts")
    assert sorted(projection.rebuild(copy)) == [RUN, OTHER]
    assert shown(copy) == logged
    (other,) = mlflow_runs(copy, OTHER.suite)
    assert other.data.metrics["eval/fd_dbn"] == 1.25


@pytest.mark.parametrize("how", ["garbage", "malformed", "another schema"])
def test_a_database_that_mlflow_cannot_use_is_set_aside_and_made_anew(root, how, capsys, quick):
    write_run(root)
    path = root / "mlflow.db"
    if how == "garbage":
        path.write_bytes(b"<html>not a database" * 1000)
    elif how == "malformed":
        content = bytearray(path.read_bytes())
        content[4096 : 4096 * 20] = os.urandom(4096 * 19)
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as database:
            database.execute("update alembic_version set version_num = 'of_2031'")
            database.commit()
    # Another folder for each command, as it would be another process: MLflow keeps connections.
    copy = Path(shutil.copytree(root, root.with_name("copy")))
    with pytest.raises(TrackingError, match=r"^tracking store .*track rebuild` sets") as e:
        projection.sync_all(copy, [RUN])
    assert "\n" not in str(e.value)
    before = path.read_bytes()
    assert projection.rebuild(root) == [RUN]
    assert len(shown(root)[f"{RUN.name}-0"]["points"]["energy/real"]) == 30
    aside = [p for p in root.glob("mlflow.db.bad-*") if not p.name.endswith(("-wal", "-shm"))]
    assert [p.read_bytes() for p in aside] == [before]
    err = capsys.readouterr().err
    assert f"set aside as {aside[0].name}" in err and len(err.splitlines()) == 1


def test_a_locked_database_is_not_taken_for_a_damaged_one(root):
    with closing(sqlite3.connect(root / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        connection.set_aside_unusable(root)
    assert (root / "mlflow.db").exists()


def test_images_and_files_that_are_gone_come_back_with_the_next_look(root, logged):
    shutil.rmtree(root / "mlartifacts")
    projection.sync_all(root, [RUN])
    assert shown(root) == logged


def test_what_another_person_keeps_in_the_same_database_survives_a_rebuild(root):
    store = Store(root)
    mine = store.client.create_run(store.client.create_experiment("mine"))
    projection.rebuild(root)
    assert store.client.get_run(mine.info.run_id).info.lifecycle_stage == "active"


# --- stores that fail and come back --------------------------------------------------------------


def test_a_locked_database_is_one_line_and_is_caught_up_with_later(root, monkeypatch):
    import sqlalchemy

    text = sqlalchemy.sql.text  # MLflow waits 20 s for a lock; so long need no test wait
    monkeypatch.setattr(sqlalchemy.sql, "text", lambda sql: text(sql.replace("20000", "200")))
    write_run(root)
    Store(root).experiment("digits")
    with closing(sqlite3.connect(root / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrackingError, match="database is locked") as error:
            projection.sync_all(root, [RUN])
        assert "\n" not in str(error.value) and "rebuild" not in str(error.value)
    projection.sync_all(root, [RUN])
    assert len(points_in(root)) == 30


def test_a_full_disk_is_one_line_and_is_caught_up_with_later(root):
    write_run(root)
    Store(root).experiment("digits")
    with small_disk(100_000), pytest.raises(TrackingError, match=r"disk|large|full") as e:
        projection.sync_all(root, [RUN])
    assert "\n" not in str(e.value)
    projection.sync_all(root, [RUN])
    assert len(points_in(root)) == 30
    (seen,) = contents(root).values()
    assert len(seen["images"]) == 2 * (3 + 1) and seen["status"] == "FINISHED"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("HTTPConnectionPool: Max retries exceeded", "catches up when it answers"),
        ("(sqlite3.OperationalError) database is locked", "catches up when it answers"),
        ("file is not a database", "track rebuild"),
        ("Detected out-of-date database schema", "track rebuild"),
        ("Tracking URI scheme 'ftp' is not supported", "once that is mended"),
        ("403 Forbidden", "once that is mended"),
    ],
)
def test_that_a_store_catches_up_is_said_only_of_one_that_may_answer(reason: str, said: str):
    assert said in connection.mended(reason)


def follower(script: str):
    """The follower's own loop, in its own process, over a store that is made up: no MLflow."""
    return python(
        """
        import os, sys, threading, time
        from pathlib import Path
        from ebmrepro.tracking import follower
        from ebmrepro.config.params import Training
        follower.POLL = 0.01
        follower.LONGEST_PAUSE = 0.05
        run = Training("digits", "began", 0)
        follower._signature = lambda *_: time.monotonic()  # the files always have news
        synced = []
        follower.Store = lambda root: object()
        follower.sync_claims = lambda store, suite: None
        """
        + script
        + """
        follower.sync = sync
        read, write = os.pipe()
        sys.stdin = os.fdopen(read)
        def end():
            time.sleep(1)
            os.write(write, b"finished")
            os.close(write)
        threading.Thread(target=end).start()
        follower._follow(Path("."), [run], 0, PATIENCE)
        print(len(synced), synced[-1:])
        """
    )


@pytest.mark.slow
@pytest.mark.parametrize(("fails", "last"), [("0.2 < age < 0.8", "finished"), ("True", "")])
def test_a_store_that_fails_again_and_again_is_warned_of_once(fails, last):
    child = follower(
        f"""
        def sync(store, run, follower, ended):
            age = time.monotonic() - BEGAN
            if {fails}:
                raise ConnectionError("http://me:hunter2@host is away" + chr(10) + "Traceback")
            synced.append(ended)
        BEGAN, PATIENCE = time.monotonic(), 60
        """
    )
    out, err = child.communicate(timeout=240)
    assert child.returncode == 0
    assert len(err.splitlines()) == 1 and "MLflow is behind" in err and "track sync" in err
    assert "Traceback" not in err and "hunter2" not in err
    if last:  # what it lacked came after all, the end of the training included
        assert out.endswith("['finished']\n")


@pytest.mark.slow
def test_a_store_that_hangs_holds_up_the_end_of_a_stage_no_longer_than_its_patience():
    child = follower(
        """
        def sync(store, run, follower, ended):
            if ended:
                time.sleep(200)
        PATIENCE = 0.5
        """
    )
    began = time.monotonic()
    _, err = child.communicate(timeout=240)
    assert time.monotonic() - began < 150
    assert len(err.splitlines()) == 1 and "took more than 0 s" in err


class Proxy:
    """A port of this machine that leads to another one, until it is `away`."""

    def __init__(self, port: int):
        self.to = port
        self.away = True
        self.port = 0
        self.back()

    def back(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = self.listener.getsockname()[1]
        self.away = False
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def leave(self) -> None:
        self.away = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while not self.away:
            try:
                here, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(here,), daemon=True).start()

    def _carry(self, here: socket.socket) -> None:
        with here, socket.create_connection(("127.0.0.1", self.to)) as there:
            ways = {here: there, there: here}
            while not self.away:
                for source in select.select(list(ways), [], [], 0.05)[0]:
                    try:
                        data = source.recv(1 << 16)
                    except OSError:
                        return
                    if not data:
                        return
                    ways[source].sendall(data)


def listening(process: psutil.Process) -> set[str]:
    """Addresses at which a process and its children wait for connections."""
    family = [process, *process.children(recursive=True)]
    found = [c for one in family for c in one.net_connections("inet") if c.status == "LISTEN"]
    return {c.laddr.ip for c in found}


@pytest.mark.slow
def test_a_server_that_goes_away_and_comes_back_misses_nothing_and_hears_this_machine_alone(
    fresh, server, monkeypatch
):
    folder, process, port = server
    assert listening(psutil.Process(process.pid)) == {"127.0.0.1"}
    proxy = Proxy(port)
    trainer = train(
        fresh,
        f"""
        server = Path({str(folder)!r})
        with follower:
            write_card(root, run, done=False)
            write_curves(root, range(1, 4), run)
            until(lambda: len(points_in(server)) == 3, "three points")
            Path("seen").touch()
            until(Path("away").exists, "the server's going")
            for last in (4, 5, 6):
                write_curves(root, range(1, last + 1), run)
                write_sample(root, 10 * last, run)
                time.sleep(3)
            Path("trained").touch()
            until(lambda: len(points_in(server)) == 6, "all points, before the end")
            write_run(root, run)
        """,
        MLFLOW_TRACKING_URI=f"http://127.0.0.1:{proxy.port}",
    )
    until(Path("seen").exists, "points on the server")
    proxy.leave()
    Path("away").touch()
    until(Path("trained").exists, "a training that goes on")
    assert len(points_in(folder)) == 3
    proxy.back()
    _, err = trainer.communicate(timeout=240)
    assert trainer.returncode == 0
    assert len(err.splitlines()) == 1 and "MLflow is behind" in err and "Traceback" not in err
    assert len(points_in(folder)) == 30
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    (seen,) = contents(fresh).values()
    assert seen["status"] == "FINISHED" and seen["tags"]["ebm.fingerprint"] == FINGERPRINT
    assert len(seen["images"]) == 2 * (3 + 3 + 1)
