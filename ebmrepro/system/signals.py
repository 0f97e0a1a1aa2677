"""Why a training should stop between two steps: a signal, or a parent that is gone.

DVC ended by SIGTERM leaves its stage alive, which would then write into outputs that the next
`dvc repro` deletes. So a stage remembers its parent and stops when it has another one.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any, ClassVar, Self

Reason = tuple[str, int] | None  # to stop, in words, and an exit code
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A training was asked to end, and did.

    `code` is what its process exits with, `way_on` what goes on from there, in words.
    """

    def __init__(self, message: str, code: int, way_on: str | None = None):
        super().__init__(message)
        alone = os.environ.get("WORLD_SIZE", "1") == "1"  # ranks have checkpoints of their own
        again = "`dvc repro`" if alone else "the same command with as many ranks"
        self.code = code
        self.way_on = f"{again} goes on from there" if way_on is None else way_on


def stoppable() -> None:
    """From here on SIGTERM and SIGHUP are `Stopped`, so that nothing half-written stays behind.

    A signal that was ignored before (`nohup`) stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(f"stopped by {signal.Signals(number).name}", 128 + number, way_on="")

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


class Watch:
    """Knows whether this process was asked to stop; make it as early in the process as can be.

    Within its `with` block a first signal only asks, and a second one ends the process at once. A
    signal that was ignored before (a job in the background, `nohup`) stays ignored. Blocks of
    several may begin and end in any order: a signal asks all of them.
    """

    _within: ClassVar[list[Watch]] = []  # those whose block has begun
    _before: ClassVar[dict[signal.Signals, Any]] = {}  # handlers, outside of all blocks

    def __init__(self, parent: bool = True) -> None:
        self.parent = os.getppid() if parent else None
        self._signal: signal.Signals | None = None

    def __enter__(self) -> Self:
        if self._within:
            self._signal = self._within[0]._signal
        else:
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)
        self._within.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._within.remove(self)
        while self._before and not self._within:
            signal.signal(*self._before.popitem())

    def reason(self) -> Reason:
        """Why to stop, in words, and the exit code that says so; None to go on."""
        if self._signal is not None:
            return f"by {self._signal.name}", 128 + self._signal
        if self.parent not in (None, os.getppid()):
            return "because its parent process is gone", 128 + signal.SIGTERM
        return None

    @classmethod
    def _ask(cls, number: int, frame: FrameType | None) -> None:
        for each in cls._within:
            each._signal = signal.Signals(number)
        for each in cls._before:
            signal.signal(each, signal.SIG_DFL)


def lives(pid: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
