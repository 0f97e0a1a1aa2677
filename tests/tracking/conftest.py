"""Stores of MLflow, and a server of one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess

import pytest
from loopback import raise_loopback
from waiting import until

from ebmrepro.tracking.server import answers
from ebmrepro.tracking.server import command as server_command
from ebmrepro.tracking.store import Store


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
    folder = tmp_path / "my chéckout"
    (folder / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def server(tmp_path, empty_database):
    """A tracking server started as `ebmrepro ui` starts it; its folder, process and port."""
    raise_loopback()
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db"}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with subprocess.Popen(server_command(folder, port), env=environment) as process:
        try:
            until(lambda: answers(port), "a server that answers")
            yield folder, process, port
        finally:
            process.terminate()
