"""A process with torch imported, from which the stages of one `ebmrepro repro` are forked.

Importing torch takes seconds and a stage of the digits suite little more, so that a pipeline of
forty stages spends half its time on imports. `ebmrepro repro` starts this server, and the stage
scripts (see `environment.py`) hand themselves over: their arguments, folder, environment and
standard streams. What runs in the fork is the stage script itself, so a stage cannot tell the
difference; plain `dvc repro` works without a server.

Only libraries are imported ahead, never ebmrepro: each fork reads the code of its own checkout. For
the same reason this file is run by its path, as no part of the package.
Nothing here computes with torch, because threads and CUDA do not survive a fork.

The conversation, on a Unix socket that only its owner can reach:

    client -> server   one message with the three streams attached: JSON {argv, cwd, environment}
    client -> server   one byte per signal that the stage received
    server -> client   two bytes: 0 and the exit status, or 1 and the signal that ended the fork

A client that goes away has been killed: its fork gets SIGTERM, and SIGKILL if it does not go.

Where trainings are to take turns in one process (EBMREPRO_TOGETHER), they get one fork for all that
are at work at once and have the same folder and environment: the server hands their connections on
to it, with the request and the streams, and hears a byte as each ends. See `gathered.py`.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

# What some stage imports besides the standard library, the costliest first.
LIBRARIES = (
    "torch",
    "numpy",
    "typer",
    "pydantic",
    "yaml",
    "scipy.linalg",
    "scipy.special",
    "safetensors.torch",
    "PIL.PngImagePlugin",
    "PIL.JpegImagePlugin",
    "rich.progress",
    "filelock",
    "jinja2",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
)
TRAININGS = {"train.py": 3, "pretrain.py": 2}  # stages that may take turns, and their arguments
GRACE = 20.0  # seconds between SIGTERM and SIGKILL for a fork whose client was killed
MESSAGE = 1 << 20  # bytes of the longest first message


class Crew:
    """A fork that trains for several clients."""

    def __init__(self, key: str, link: socket.socket, child: int):
        self.key, self.link, self.child = key, link, child
        self.clients = 0  # for whom it trains


class Server:
    """Forks a process per client, passes signals on and reports how the process ended."""

    def __init__(self, address: str):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(address)
        self.listener.listen(64)  # clients wait here while the libraries are being imported
        self.clients: dict[socket.socket, int] = {}  # connection -> its fork
        self.abandoned: dict[int, float] = {}  # fork whose client is gone -> when to kill it
        self.crews: dict[str, Crew] = {}
        self.selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Until standard input ends: then `ebmrepro repro` is over, or was killed."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # without it there is no wake-up
        for readable in (self.listener, woken, sys.stdin):
            self.selector.register(readable, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select(timeout=1.0 if self.abandoned else None):
                if key.fileobj is sys.stdin:
                    crews = (crew.child for crew in self.crews.values())
                    for child in (*self.clients.values(), *self.abandoned, *crews):
                        _kill(child, signal.SIGTERM)  # what a killed `ebmrepro repro` has left
                    return
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj == woken:
                    os.read(woken, 4096)
                elif isinstance(key.data, Crew):
                    self._hear(key.data)
                elif isinstance(key.fileobj, socket.socket):
                    self._listen(key.fileobj)
            self._reap()

    def _accept(self) -> None:
        client, _ = self.listener.accept()
        message, streams, _, _ = socket.recv_fds(client, MESSAGE, 3)
        if len(streams) != 3:  # killed before it could ask
            for stream in streams:
                os.close(stream)
            client.close()
            return
        request = json.loads(message)
        key = _crew(request)
        if key is not None:
            crew = self.crews.get(key) or self._made(key, request, client, streams)
            with contextlib.suppress(OSError):  # it has just died, and the client hears of its end
                socket.send_fds(crew.link, [message], [*streams, client.fileno()])
            crew.clients += 1
            client.close()
        elif child := os.fork():
            self.clients[client] = child
            self.selector.register(client, selectors.EVENT_READ)
        else:
            self._leave(client)
            _run(request, lambda: _become(request, streams))
        for stream in streams:
            os.close(stream)

    def _made(
        self, key: str, request: dict[str, Any], client: socket.socket, streams: list[int]
    ) -> Crew:
        """A new crew, for the first of its clients."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = os.fork()
        if not child:
            self._leave(client, here)
            for stream in streams:
                os.close(stream)
            _run(request, lambda: _gather(request, there))
        there.close()
        crew = self.crews[key] = Crew(key, here, child)
        self.selector.register(here, selectors.EVENT_READ, crew)
        return crew

    def _leave(self, *others: socket.socket) -> None:
        """In a fork: keep nothing of the server."""
        links = (crew.link for crew in self.crews.values())
        for connection in (self.listener, *others, *self.clients, *links):
            connection.close()
        self.selector.close()

    def _hear(self, crew: Crew) -> None:
        """Of trainings that have ended; a crew that trains for nobody ends."""
        try:
            ended = len(crew.link.recv(1))
        except ConnectionError:
            ended = 0
        crew.clients -= ended
        if crew.clients and ended:
            return
        self.selector.unregister(crew.link)
        crew.link.close()
        del self.crews[crew.key]
        self.abandoned[crew.child] = time.monotonic() + GRACE

    def _listen(self, client: socket.socket) -> None:
        """A signal to pass on, or the end of the client."""
        child = self.clients.get(client)
        if child is None:  # reaped a moment ago
            return
        try:
            message = client.recv(1)
        except ConnectionError:
            message = b""
        if message:
            _kill(child, message[0])
            return
        self._forget(client)
        self.abandoned[child] = time.monotonic() + GRACE
        _kill(child, signal.SIGTERM)

    def _reap(self) -> None:
        for client, child in list(self.clients.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                killed = os.WIFSIGNALED(status)
                how = os.WTERMSIG(status) if killed else os.WEXITSTATUS(status)
                with contextlib.suppress(OSError):
                    client.send(bytes([killed, how]))
                self._forget(client)
        for child, deadline in list(self.abandoned.items()):
            if os.waitpid(child, os.WNOHANG)[0]:
                del self.abandoned[child]
            elif time.monotonic() > deadline:
                _kill(child, signal.SIGKILL)

    def _forget(self, client: socket.socket) -> None:
        del self.clients[client]
        self.selector.unregister(client)
        client.close()


def _kill(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _crew(request: dict[str, Any]) -> str | None:
    """What trainings that take turns have in common; None if it is none of them."""
    script, *words = request["argv"]
    environment = {k: v for k, v in request["environment"].items() if k != "DVC_STAGE"}
    if TRAININGS.get(Path(script).name) != len(words) or not words[-1].isdecimal():
        return None
    together = environment.get("EBMREPRO_TOGETHER") or "1"
    if not together.isdecimal() or int(together) < 2:
        return None
    return json.dumps([request["cwd"], str(Path(script).parent), environment], sort_keys=True)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Run the client's script as if Python had just been started with it."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = request["argv"]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    runpy.run_path(sys.argv[0], run_name="__main__")


def _gather(request: dict[str, Any], link: socket.socket) -> None:
    """Train for all who come on `link`, with the code of the first one's checkout."""
    sys.path.insert(0, str(Path(request["argv"][0]).resolve().parents[1]))
    importlib.import_module("ebmrepro.pipeline.gathered").serve(link)


def _run(request: dict[str, Any], life: Callable[[], None]) -> NoReturn:
    """In the fork: what it is there for, in the client's folder and environment."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)  # signals come from the client alone, not from the terminal as well
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        life()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def main(address: str) -> None:
    server = Server(address)
    readable, _, _ = select.select([server.listener, sys.stdin], [], [])
    if server.listener not in readable:  # everything was up to date
        return
    for name in LIBRARIES:
        importlib.import_module(name)
    # A thread would not exist in a fork, and what it holds would stay locked there.
    assert threading.active_count() == 1, threading.enumerate()
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1])
