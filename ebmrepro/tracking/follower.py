"""A child process that keeps MLflow up to date beside a stage.

It imports mlflow (4 s) beside the training, and nothing that goes wrong there reaches the training.
`EBMREPRO_TRACKING=off` follows nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ebmrepro.config.params import Training
from ebmrepro.runs import layout
from ebmrepro.system.errors import UserError
from ebmrepro.tracking.projection import sync, sync_claims
from ebmrepro.tracking.store import Store, first_line, mended

POLL = 2.0  # seconds between looks at the files of a training
SHORT = 20.0  # seconds; a training that ends before is logged by the report's follower
PATIENCE = 60.0  # seconds a finished stage waits for its follower to catch up
GRACE = 10.0  # seconds more, after which the follower itself is stuck
LONGEST_PAUSE = 60.0  # seconds between attempts on a silent store

_warned = threading.Event()


@contextlib.contextmanager
def following(root: Path, trainings: Sequence[Training], after: float = 0) -> Iterator[None]:
    """Keep the MLflow runs of `trainings` up to date within a `with` block.

    Enter it before the imports of the stage, so that mlflow loads beside them. The child learns of
    the end through its standard input: how the block ended, or, if this process dies, nothing. It
    is in a session of its own, so that Ctrl-C reaches the stage alone. Whatever happens to it, the
    stage goes on; what it missed is in the files, for `sync_all` or the next follower.

    What ends well in under `after` seconds is left to a later follower: importing mlflow takes as
    much of the machine as a short training.
    """
    child, status = _start(root, trainings, after), "killed"
    try:
        yield
        status = "finished"
    except Exception:
        status = "failed"
        raise
    finally:
        if child is not None:
            _end(child, status)


def _start(root: Path, trainings: Sequence[Training], after: float) -> subprocess.Popen[str] | None:
    if os.environ.get("EBMREPRO_TRACKING") == "off":
        return None
    task = json.dumps([str(root), list(trainings), after, PATIENCE])
    command = [sys.executable, "-W", "ignore", "-m", "ebmrepro.tracking.follower", task]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    try:
        return subprocess.Popen(command, **pipes, start_new_session=True, text=True)
    except OSError as error:
        _warn(first_line(error))
        return None


def _end(child: subprocess.Popen[str], status: str) -> None:
    """Say how the stage ended (finished, failed, killed) and let the child catch up."""
    try:
        # A child that is gone has said why; one that outlasts our patience leaves by itself.
        child.communicate(status, timeout=PATIENCE + GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        _warn(f"its follower did not end within {PATIENCE + GRACE:.0f} s")


def _warn(reason: str) -> None:
    """Once in a process, whatever happens and however often."""
    if _warned.is_set():
        return
    _warned.set()
    print(
        f"ebmrepro: MLflow is behind ({reason}); work goes on and results are safe in their files; "
        f"{mended(reason)}",
        file=sys.stderr,
        flush=True,
    )


# --- in the child --------------------------------------------------------------------------------


def _follow(root: Path, runs: Sequence[Training], after: float, patience: float) -> None:
    """The child's life: look, project, wait, until standard input ends. Never raises."""
    words: list[str] = []
    ended = threading.Event()

    def listen() -> None:
        words.append(sys.stdin.read())
        ended.set()
        time.sleep(patience)  # the stage is waiting
        _warn(f"the store took more than {patience:.0f} s")
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    if ended.wait(after) and words[0] == "finished" and after:
        return
    # A server that hangs must not hold up the end of a stage; our loop is the retry.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    me = f"{platform.node()}:{os.getpid()}"
    store: Store | None = None
    seen: dict[Training, object] = {}
    pause, failures, over = 0.0, 0, False
    while not over:
        over = ended.wait(pause)
        status = (words[0] or "killed") if over else None
        try:
            store = store or Store(root)
            for run in runs:
                now = _signature(root, run)
                if over or seen.get(run) != now:
                    # A file that does not parse may be written at this moment; at the end, not.
                    with contextlib.suppress(*() if over else (UserError,)):
                        sync(store, run, follower=me, ended=status)
                        seen[run] = now
            for suite in sorted({run.suite for run in runs}) if over else ():
                sync_claims(store, suite)
            failures = 0
        except Exception as error:
            failures, store = failures + 1, None
            _warn(first_line(error))
            over = over or ended.is_set()  # the stage is waiting: no second attempt
        pause = min(LONGEST_PAUSE, POLL * 2**failures)


def _signature(root: Path, run: Training) -> list[tuple[int, int] | None]:
    """Changes when any file of the run that is projected changes."""
    models, results = root / layout.folder(*run), root / layout.results(*run)
    paths = [models / name for name in ("run.json", "curves.csv", "samples")]
    paths += [results / name for name in ("metrics.json", "samples.png")]
    stats = [path.stat() if path.exists() else None for path in paths]
    return [stat and (stat.st_mtime_ns, stat.st_size) for stat in stats]


if __name__ == "__main__":
    _root, _trainings, _after, _patience = json.loads(sys.argv[1])
    _follow(Path(_root), [Training(*training) for training in _trainings], _after, _patience)
    # The stage is waiting, everything is committed, and to take 1,800 modules apart lasts 0.9 s.
    os._exit(0)
