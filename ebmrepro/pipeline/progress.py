"""What `ebmrepro repro` says of its stages: a line for each that has run, and how long to go."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from ebmrepro.pipeline.outlook import Outlook
from ebmrepro.runs.carried import counted, duration
from ebmrepro.system import progress

SILENCE = 60.0  # seconds after which is said what is still at work


class Progress(logging.Filter):
    """As a filter of DVC's log it takes over what DVC says of stages that it need not run."""

    UNCHANGED, CACHED = "didn't change, skipping", "is cached - skipping run"

    def __init__(self, outlook: Outlook):
        super().__init__()
        self.outlook = outlook
        self.waiting: dict[str, None] = {}
        self.number = self.at_once = self.unchanged = 0
        self.foretold = False
        self.at_work: dict[str, float] = {}  # since when
        self.said: dict[str, str] = {}  # by commands whose stages have not ended
        self.cached = set[str]()
        self.heard = time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        if self.CACHED in record.msg and isinstance(record.args, tuple):
            self.cached.add(str(record.args[0]))
        return self.UNCHANGED not in record.msg and self.CACHED not in record.msg

    def plan(self, stages: Sequence[str]) -> None:
        self.waiting, self.number = dict.fromkeys(stages), len(stages)

    def begun(self, stage: str, dry: bool) -> None:
        if not self.foretold and not dry:
            self.foretold = True
            left = self.outlook.left(self.waiting, self.at_once)
            about = "" if left is None else f", about {duration(left)}"
            print(f"{counted(len(self.waiting), 'stage')} to run at most{about}", flush=True)
            self.heard = time.monotonic()
        self.at_work[stage] = time.monotonic()

    def ended(self, stage: str, well: bool, *, dry: bool) -> None:
        began = self.at_work.pop(stage, None)
        if began is None and stage not in self.cached and well:
            self.unchanged += 1
        elif not dry:
            self._unchanged()
        self.waiting.pop(stage, None)
        if dry or self.unchanged:
            return
        took = "taken from DVC's cache"
        if began is not None:
            took = duration(seconds := time.monotonic() - began)
            if well:
                self.outlook.ended(stage, seconds)
        print(f"{self._count()} {stage}: {took if well else 'failed'}{self._left()}", flush=True)
        said = self.said.pop(stage, "").splitlines()
        for line in (line for line in said if not line.endswith(progress.TO_GO)):  # it has ended
            print(f"    {line}", flush=True)
        self.heard = time.monotonic()

    def still(self) -> None:
        """What is at work, where nothing has been said for long."""
        now = time.monotonic()
        if self.at_work and now - self.heard > SILENCE:
            each = (f"{name} for {duration(now - since)}" for name, since in self.at_work.items())
            print(f"{self._count()} at work: {', '.join(each)}{self._left()}", flush=True)
            self.heard = now

    def close(self) -> None:
        self._unchanged()
        self.outlook.keep()

    def _unchanged(self) -> None:
        if self.unchanged:
            print(f"{self._count()} {counted(self.unchanged, 'stage')} unchanged", flush=True)
            self.unchanged = 0

    def _count(self) -> str:
        width = len(str(self.number))
        return f"{self.number - len(self.waiting):>{width}}/{self.number}"

    def _left(self) -> str:
        since = {stage: time.monotonic() - began for stage, began in self.at_work.items()}
        left = self.outlook.left(self.waiting, self.at_once, since)
        return f", about {duration(left)} left" if left and left >= 1 else ""
