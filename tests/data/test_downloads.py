"""Downloads: gone on with after a break, retried with a pause, from the next address, checked."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_data import raise_loopback

from ebmrepro.data import DataError, downloads, files

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """Answers with `content`, or as the next of `faults` says; keeps what it was asked."""

    content: bytes = CONTENT
    faults: list[str] = field(default_factory=list)
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)
    url: str = ""
    unblock: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.headers.get("Range"))
        fault = self.faults.pop(0) if self.faults else ""
        if fault.isdigit():
            request.send_response(int(fault))
            request.send_header("Content-Length", "0")
            request.send_header("Retry-After", "3600")
            request.end_headers()
            return
        start = 0
        if self.ranges and (asked := re.fullmatch(r"bytes=(\d+)-", self.asked[-1] or "")):
            start = int(asked[1])
        if start >= len(self.content) > 0:
            request.send_error(416)
            return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        shown = 0 if fault == "lie" else start
        if start:
            end = f"{len(self.content) - 1}/{len(self.content)}"
            request.send_header("Content-Range", f"bytes {shown}-{end}")
        request.end_headers()
        if fault == "break":
            body = body[: len(body) // 2]
        if fault == "hang":
            request.wfile.write(body[:50_000])
            request.wfile.flush()
            self.unblock.wait(60)
            return
        request.wfile.write(body)


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    """Starts servers; the cache is a folder of the test, and pauses are short."""
    raise_loopback()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(files, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(downloads, "BACKOFF", 0.001)
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
    return files.obtain(["set"], wanted, [server.url for server in servers])["x.gz"]


def left(tmp_path: Path) -> set[str]:
    return {p.name for p in (tmp_path / "cache/set").iterdir() if not p.name.endswith(".lock")}


def test_a_body_that_breaks_off_is_gone_on_with_from_its_last_byte(serve, tmp_path):
    server = serve(faults=["break", "break"])
    assert obtain(server) == CONTENT
    assert server.asked == [None, "bytes=150000-", "bytes=225000-"]
    assert left(tmp_path) == {"x.gz"}


def test_a_server_that_cannot_go_on_is_asked_for_the_whole_again(serve):
    server = serve(faults=["break"], ranges=False)
    assert obtain(server) == CONTENT
    assert len(server.asked) == 2


def test_another_part_than_the_one_asked_for_is_not_appended(serve):
    server = serve(faults=["break", "lie"])
    assert obtain(server) == CONTENT
    assert server.asked == [None, "bytes=150000-", None]


def test_what_a_killed_process_had_is_gone_on_with(serve, tmp_path):
    server = serve(faults=["hang"])
    script = f"""
from pathlib import Path
from ebmrepro.data import downloads
downloads.CHUNK = 10_000
downloads.download("x.gz", Path({str(tmp_path / "cache/set")!r}), {SHA256!r}, [{server.url!r}])
"""
    partial = tmp_path / "cache/set/x.gz.part"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as child:
        while child.poll() is None and not (partial.exists() and partial.stat().st_size == 50_000):
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    server.unblock.set()
    assert not (tmp_path / "cache/set/x.gz").exists()
    assert obtain(server) == CONTENT
    assert server.asked == [None, "bytes=50000-"]


def test_a_whole_file_that_was_not_yet_checked_is_not_fetched_again(serve, tmp_path):
    server = serve()
    (tmp_path / "cache/set").mkdir(parents=True)
    (tmp_path / "cache/set/x.gz.part").write_bytes(CONTENT)
    assert obtain(server) == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_beginning_of_another_file_is_thrown_away(serve, tmp_path):
    server = serve()
    (tmp_path / "cache/set").mkdir(parents=True)
    (tmp_path / "cache/set/x.gz.part").write_bytes(b"of yesterday")
    assert obtain(server) == CONTENT
    assert server.asked == ["bytes=12-", None]


def test_a_busy_server_is_asked_again_after_a_pause_that_doubles(serve, monkeypatch):
    pauses = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", pauses.append)
    monkeypatch.setattr(downloads, "BACKOFF", 0.5)
    server = serve(faults=["503", "429", "500"])
    assert obtain(server) == CONTENT
    assert pauses == [1, 2]  # at once, then these; not the hour that the server asks for


def test_a_busy_server_is_given_up_for_the_next(serve):
    busy, good = serve(faults=["503"] * 99), serve()
    assert obtain(busy, good) == CONTENT
    assert len(busy.asked) == downloads.ATTEMPTS + 1


def test_what_one_address_began_the_next_one_ends(serve):
    first, second = serve(faults=["break", *["404"] * 9]), serve()
    assert obtain(first, second) == CONTENT
    assert second.asked == ["bytes=150000-"]


def test_a_server_that_breaks_off_again_and_again_is_given_up(serve):
    server = serve(faults=["break"] * 99)
    with pytest.raises(DataError, match=r"missing x\.gz: put them in .*x\.gz: ProtocolError"):
        obtain(server)
    assert len(server.asked) == downloads.ATTEMPTS + 1


def test_a_page_in_place_of_the_file_is_called_a_page_and_set_aside(serve, tmp_path):
    page = b"<!DOCTYPE html><html>Please log in</html>"
    server = serve(content=page)
    with pytest.raises(DataError) as error:
        obtain(server)
    found = hashlib.sha256(page).hexdigest()
    assert f"x.gz: found an HTML page, sha256 {found}, expected {SHA256}; set aside as" in str(
        error.value
    )
    assert "\n" not in str(error.value)
    assert left(tmp_path) == {"x.gz.bad"}
    assert (tmp_path / "cache/set/x.gz.bad").read_bytes() == page
    server.content = CONTENT  # the next run fetches anew
    assert obtain(server) == CONTENT


def test_a_file_of_the_cache_that_has_changed_is_set_aside_and_fetched_anew(
    serve, tmp_path, capsys
):
    server = serve()
    obtain(server)
    (tmp_path / "cache/set/x.gz").write_bytes(CONTENT[:-1])
    assert obtain(server) == CONTENT
    assert left(tmp_path) == {"x.gz", "x.gz.bad"}
    assert "x.gz: not the published file: set aside as x.gz.bad" in capsys.readouterr().err


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


def test_two_processes_that_want_the_same_file_fetch_it_once(serve):
    server = serve()
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(obtain(server))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4 and server.asked == [None]


def test_no_password_of_an_address_is_in_the_message(serve):
    server = serve(faults=["404"])
    server.url = server.url.replace("//", "//me:hunter2@")
    with pytest.raises(DataError) as error:
        obtain(server)
    assert "hunter2" not in str(error.value) and "me:***@" in str(error.value)
