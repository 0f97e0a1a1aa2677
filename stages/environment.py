"""Imported by every stage before ebmrepro: says what to do where ebmrepro is not installed.

DVC starts `python stages/<stage>.py` with whichever Python is first on PATH. Outside the project's
environment that is the system's, possibly an old one, so this file keeps to the standard library
and to syntax that Python 3.6 reads, and stage scripts keep to syntax that Python 3.7 reads: a file
is parsed whole before its first line runs.
"""

import importlib.util
import os
import platform
import signal
import sys

if os.name != "posix":
    sys.stderr.write("ebmrepro runs on Linux and macOS, and on Windows inside WSL\n")
    sys.exit(2)

# The package beside this file, also in the temporary workspace of `dvc exp run --temp`, where the
# installed one is that of the original checkout.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def leave(number, _):
    """Before anything is begun; once it is, `cli.run` says how to go on."""
    os.write(2, b"stopped before it began; `dvc repro` begins it again\n")
    os._exit(128 + number)


for each in (signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(each) is signal.SIG_DFL:  # one that is ignored, by nohup, stays ignored
        signal.signal(each, leave)


def hand_over(address):
    """Let a process with torch imported run this stage: see `ebmrepro/pipeline/forkserver.py`.

    Returns when there is none at `address`, so that the stage starts as it would without. Otherwise
    this process stays as the stage's face: it passes signals on and ends as the fork ends.
    """
    import contextlib
    import json
    import socket

    request = {"argv": sys.argv, "cwd": os.getcwd(), "environment": dict(os.environ)}
    try:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server.connect(address)
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
    except OSError:
        return

    def tell(number, _):
        with contextlib.suppress(OSError):  # it is gone, which the answer says
            server.send(bytes([number]))

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    try:
        answer = server.recv(2)
    except OSError:  # reset: it was killed with a signal unread
        answer = b""
    if not answer:
        sys.stderr.write("the process that ran this stage is gone; `ebmrepro repro` goes on\n")
        os._exit(1)
    killed, how = answer
    if killed:
        if how != signal.SIGKILL:
            signal.signal(how, signal.SIG_DFL)
        os.kill(os.getpid(), how)
    os._exit(how)


def run(main):
    """Run a stage from its command line.

    At its end the process is left at once: to take the modules of torch apart lasts as long as a
    fifth of importing them, and everything is written by then.
    """
    import typer

    from ebmrepro import cli

    stage = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    stage.command()(main)
    try:
        cli.run(stage)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


if importlib.util.find_spec("typer") is None:  # the first thing that a stage needs besides
    sys.stderr.write(
        f"ebmrepro is not installed for {sys.executable} (Python {platform.python_version()}): "
        "run `make`, then `source .venv/bin/activate` and `dvc repro`; or `make repro` instead\n"
    )
    sys.exit(2)

if "EBMREPRO_WARM" in os.environ:
    hand_over(os.environ.pop("EBMREPRO_WARM"))
