"""No secret of the store's address is printed, written, or in a command line."""

from __future__ import annotations

import contextlib

import made_up
import pytest

from ebmrepro.config.params import Training
from ebmrepro.system.signals import Stopped
from ebmrepro.tracking import projection, server, store


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "uri", ["http://user:hunter2@127.0.0.1:9", "postgresql://user:hunter2@127.0.0.1:9/db"]
)
def test_no_secret_of_the_stores_address_is_printed_or_written(tmp_path, monkeypatch, capfd, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    made_up.results(tmp_path, made_up.params(methods=["ebgan"], variants=[], seeds=(0,)))
    run = Training("digits", "ebgan", 0)
    for action in (
        lambda: projection.sync_all(tmp_path, [run]),
        lambda: projection.rebuild(tmp_path),
        lambda: server.serve(tmp_path, [run], 5999),
    ):
        with pytest.raises(store.TrackingError) as error:
            action()
        assert "hunter2" not in str(error.value) and "\n" not in str(error.value)
    assert "hunter2" not in "".join(capfd.readouterr())
    for path in tmp_path.rglob("*"):
        assert "hunter2" not in path.name
        assert not path.is_file() or b"hunter2" not in path.read_bytes()


@pytest.mark.parametrize("uri", ["https://user:hunter2@host", "databricks://user:hunter2@host"])
def test_links_to_a_server_with_a_password_are_printed_without_it(
    tmp_path, monkeypatch, capsys, uri: str
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run = Training("digits", "ebgan", 0)
    monkeypatch.setattr(projection, "sync_all", lambda *_: [run])
    monkeypatch.setattr(store.Store, "__init__", lambda *_: None)
    monkeypatch.setattr(store.Store, "experiment", lambda *_: "7")
    monkeypatch.setattr(server.views, "prepare", lambda *_: {"k": "/#/experiments/7/runs?k"})
    assert server.serve(tmp_path, [run], 5999) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    links = 2 if uri.startswith("https") else 0  # of a profile nobody knows the address
    assert out.count("host/#/experiments/7") == links and (links or "ebmrepro/digits" in out)


@pytest.mark.parametrize("by", [KeyboardInterrupt, Stopped("stopped by SIGHUP", 129)])
def test_no_server_is_left_behind_however_it_is_stopped(tmp_path, monkeypatch, by):
    ended = []

    class Server:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            assert ended, "this would wait for the server to end by itself"

        def poll(self):
            return 0

        def wait(self):
            raise by

        def terminate(self):
            ended.append(True)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")
    monkeypatch.setattr(projection, "sync_all", lambda *_: [])
    monkeypatch.setattr(server, "answers", lambda _: False)
    monkeypatch.setattr(store.Store, "__init__", lambda *_: None)
    monkeypatch.setattr(server.signal, "signal", lambda *_: None)
    monkeypatch.setattr(server.subprocess, "Popen", Server)
    with contextlib.suppress(Stopped):
        assert server.serve(tmp_path, [], 5999) == 0
    assert ended


def test_the_servers_real_command_line_binds_to_this_machine_and_holds_no_secret(
    tmp_path, monkeypatch
):
    started = []

    class Server:
        def __init__(self, command, env):
            started.append((command, env))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def poll(self):
            return 0

        def wait(self):
            return 0

        def terminate(self):
            pass

    uri = "postgresql://user:hunter2@host/db"
    for name in ("MLFLOW_HOST", "HOST", "UVICORN_HOST"):
        monkeypatch.setenv(name, "0.0.0.0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(projection, "sync_all", lambda *_: [])
    monkeypatch.setattr(server, "answers", lambda _: False)
    monkeypatch.setattr(store.Store, "__init__", lambda *_: None)
    monkeypatch.setattr(server.signal, "signal", lambda *_: None)
    monkeypatch.setattr(server.subprocess, "Popen", Server)
    server.serve(tmp_path, [], 5999)
    ((command, environment),) = started
    assert command[command.index("--host") + 1] == "127.0.0.1" and command.count("--host") == 1
    assert not any(word.startswith("--host=") or "0.0.0.0" in word for word in command)
    assert "hunter2" not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == uri
