"""Downloads: retried with a pause, then from the next address, checked."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from loopback import raise_loopback

from ebmrepro.data import DataError, downloads, files

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """Answers with `content`, or as the next of `faults` says; counts what it is asked."""

    content: bytes = CONTENT
    faults: list[str] = field(default_factory=list)
    requests: int = 0
    url: str = ""
    unblock: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault.isdigit():
            request.send_response(int(fault))
            request.send_header("Content-Length", "0")
            request.send_header("Retry-After", "3600")
            request.end_headers()
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(self.content)))
        request.end_headers()
        if fault == "hang":
            request.wfile.write(self.content[:50_000])
            request.wfile.flush()
            self.unblock.wait(60)
            return
        half = len(self.content) // 2
        request.wfile.write(self.content[:half] if fault == "break" else self.content)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What pooch would wait, in seconds; it does not."""
    waits: list[float] = []
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=waits.append))
    return waits


@pytest.fixture
def serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> Iterator[type[Server]]:
    """Starts servers; the cache is a folder of the test, and nobody waits."""
    raise_loopback()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(files, "cache", lambda: tmp_path / "cache")
    running: list[tuple[Server, ThreadingHTTPServer]] = []

    def start(**settings) -> Server:
        server = Server(**settings)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        server.url = f"http://127.0.0.1:{http.server_port}/"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        running.append((server, http))
        return server

    yield start  # pyright: ignore[reportReturnType]
    for server, http in running:
        server.unblock.set()
        http.shutdown()
        http.server_close()


def obtain(*servers: Server, content: bytes = CONTENT) -> bytes:
    wanted = {"x.gz": hashlib.sha256(content).hexdigest()}
    return files.obtain(["set"], wanted, [server.url for server in servers])["x.gz"].read_bytes()


def left(tmp_path: Path) -> set[str]:
    return {p.name for p in (tmp_path / "cache/set").iterdir() if not p.name.endswith(".lock")}


def test_a_body_that_breaks_off_is_fetched_again(serve, tmp_path):
    server = serve(faults=["break", "break"])
    assert obtain(server) == CONTENT
    assert server.requests == 3
    assert left(tmp_path) == {"x.gz"}


def test_a_killed_download_leaves_nothing_under_the_files_name(serve, tmp_path):
    server = serve(faults=["hang"])
    script = f"""
from pathlib import Path
from ebmrepro.data import downloads
downloads.CHUNK = 10_000
downloads.download("x.gz", Path({str(tmp_path / "cache/set")!r}), {SHA256!r}, [{server.url!r}])
"""
    folder = tmp_path / "cache/set"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as child:
        while child.poll() is None and not any(p.stat().st_size for p in folder.glob("*")):
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    server.unblock.set()
    assert not (folder / "x.gz").exists()
    assert obtain(server) == CONTENT


def test_a_busy_server_is_asked_again_after_a_longer_and_longer_pause(serve, pauses):
    server = serve(faults=["503", "429"])
    assert obtain(server) == CONTENT
    assert pauses == [1, 2]  # not the hour that the server asks for


def test_a_busy_server_is_given_up_for_the_next(serve):
    busy, good = serve(faults=["503"] * 99), serve()
    assert obtain(busy, good) == CONTENT
    assert busy.requests == downloads.RETRIES + 1


def test_a_server_that_breaks_off_again_and_again_is_given_up(serve):
    server = serve(faults=["break"] * 99)
    with pytest.raises(DataError, match=r"missing x\.gz: .*x\.gz: IncompleteRead: .*150000 bytes"):
        obtain(server)
    assert server.requests == downloads.RETRIES + 1


def test_a_server_that_cannot_be_reached_is_told_by_its_first_cause(serve):
    server = Server(url="http://127.0.0.1:9/")  # "discard": nobody listens
    refused = (
        r"http://127\.0\.0\.1:9/x\.gz: ConnectionRefusedError: \[Errno 111\] Connection refused"
    )
    with pytest.raises(DataError, match=f"the network gave {refused}$"):
        obtain(server)


def test_a_page_in_place_of_the_file_is_called_a_page_and_not_kept(serve, tmp_path):
    server = serve(content=b"<!DOCTYPE html><html>Please log in</html>")
    with pytest.raises(DataError, match=r"x\.gz: Unavailable: found an HTML page$") as error:
        obtain(server)
    assert "\n" not in str(error.value) and server.requests == 1
    assert left(tmp_path) == set()
    server.content = CONTENT  # the next run fetches anew
    assert obtain(server) == CONTENT


def test_a_file_of_the_cache_that_has_changed_is_fetched_anew(serve, tmp_path):
    server = serve()
    obtain(server)
    (tmp_path / "cache/set/x.gz").write_bytes(CONTENT[:-1])
    assert obtain(server) == CONTENT
    assert left(tmp_path) == {"x.gz"}


def test_a_users_own_mirror_is_never_changed(serve, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    (mirror / "set").mkdir(parents=True)
    (mirror / "set/x.gz").write_bytes(b"<html>")
    monkeypatch.setenv(files.MIRROR, str(mirror))
    with pytest.raises(DataError, match=r"an HTML page.* the file is left as it is: replace or"):
        obtain(serve())
    assert (mirror / "set/x.gz").read_bytes() == b"<html>"


def test_a_cache_that_cannot_be_written_is_named(serve, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(ValueError, match=r"cache/set: cannot be written: Not a directory$"):
        obtain(serve())


def test_four_at_once_that_want_the_same_file_fetch_it_once(serve):
    server = serve()
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(obtain(server))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4 and server.requests == 1


def test_no_password_of_an_address_is_in_the_message(serve):
    server = serve(faults=["404"] * 9)
    server.url = server.url.replace("//", "//me:hunter2@")
    with pytest.raises(DataError) as error:
        obtain(server)
    assert "hunter2" not in str(error.value) and "me:***@" in str(error.value)
