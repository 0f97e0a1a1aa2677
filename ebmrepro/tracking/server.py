"""`ebmrepro ui`: MLflow's own server on this machine, and where its charts are."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ebmrepro.config.params import Training
from ebmrepro.system.redact import redact
from ebmrepro.tracking import projection, views
from ebmrepro.tracking.store import (
    Store,
    TrackingError,
    as_tracking_error,
    home,
    is_remote,
    tracking_uri,
)

CHARTS = "compareRunsMode=CHART&workflowType=machine_learning"  # else the page opens on GenAI


def serve(root: Path, trainings: Iterable[Training], port: int) -> int:
    """Bring MLflow up to date, start its server, say where the charts are, and stay until Ctrl-C.

    With a tracking server elsewhere, only say where the charts are. Returns the exit code.
    """
    trainings, uri = list(trainings), tracking_uri(root)
    remote = is_remote(uri)
    if not remote and answers(port):
        raise TrackingError(f"port {port} is in use: choose another with --port")
    synced = projection.sync_all(root, trainings)
    print(projection.in_words(synced, trainings), flush=True)
    suites = list(dict.fromkeys(run.suite for run in synced))
    with as_tracking_error(root):
        store = Store(root)
        first = {run.suite: run.seed for run in reversed(synced)}
        pages = {
            suite: {
                "all runs": f"/#/experiments/{store.experiment(suite)}/runs?{CHARTS}",
                **views.prepare(store, suite, first[suite]),
            }
            for suite in suites
        }
    if remote and not uri.startswith("http"):  # a profile says not where
        print(f"  {redact(uri)}: experiments {', '.join(f'ebmrepro/{suite}' for suite in pages)}")
        return 0
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
    with subprocess.Popen(command(root, port), env=environment) as server:
        try:
            while server.poll() is None and not answers(port):
                time.sleep(0.3)
            if server.poll() is None:
                _print_links(f"http://127.0.0.1:{port}", pages)
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()  # nothing, of one that has ended


def command(root: Path, port: int) -> list[str]:
    """Command line of MLflow's server on this machine alone. The store's address goes through the
    environment (`MLFLOW_BACKEND_STORE_URI`), since a command line is there for all to read."""
    artifacts = (home(root) / "mlartifacts").as_uri()
    options = ["--default-artifact-root", artifacts, "--host", "127.0.0.1", "--port", str(port)]
    options += ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    return [sys.executable, "-W", "ignore", "-m", "mlflow", "server", *options]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _print_links(server: str, pages: Mapping[str, Mapping[str, str]]) -> None:
    for suite, named in pages.items():
        for name, page in named.items():
            print(f"  {suite}, {name}: {server}{page}", flush=True)
