"""Several trainings at once, each in a niced process of one thread, in the order of the plan."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ebmrepro.config.params import Params, Training
from ebmrepro.pipeline.campaign import plan
from ebmrepro.runs.carried import counted
from ebmrepro.system.signals import Stopped, Watch

LOGS = Path(".ebmrepro") / "campaign"
WAY_ON = "the same command goes on from there"
GLANCE = 0.5  # seconds between looks at what has ended


def drive(settings: Params, jobs: int, note: str, watch: Watch, say: Callable[[str], None]) -> bool:
    """Have all that is not carried trained, measured and carried; whether none failed.

    One that fails does not hold up the others, but where it was for want of its suite's data.

    Raises:
        signals.Stopped: `watch` had a reason to stop; what was running has saved its checkpoint.
    """
    there = plan.items(Path(), settings)
    say(plan.in_words(there, jobs))
    waiting = [item.training for item in there if item.state != plan.CARRIED]
    running: dict[Training, subprocess.Popen[bytes]] = {}
    failed = 0
    with watch:
        while waiting or running:
            while waiting and len(running) < jobs:
                training = waiting.pop(0)
                running[training] = _start(training, note)
                say(f"{training.label}: begun; {_log(training)}")
            time.sleep(GLANCE)
            if reason := watch.reason():
                _stop(running)
                raise Stopped(f"campaign: stopped {reason[0]}", reason[1], WAY_ON)
            for training, process in list(running.items()):
                if process.poll() is None:
                    continue
                del running[training]
                failed += process.returncode != 0
                say(_ended(training, process.returncode))
                if process.returncode and not plan.has_data(training.suite):
                    _leave_out(training.suite, waiting, say)
                say(plan.in_words(plan.items(Path(), settings), jobs))
    return failed == 0


def _start(training: Training, note: str) -> subprocess.Popen[bytes]:
    LOGS.mkdir(parents=True, exist_ok=True)
    which = "/".join(map(str, training))
    command = ["nice", "-n", "19", sys.executable, "-m", "ebmrepro", "campaign", which]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    environment.setdefault("OMP_NUM_THREADS", "1")
    with _log(training).open("ab") as log:
        return subprocess.Popen(
            [*command, "--note", note],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C is for the campaign, which asks once
        )


def _leave_out(suite: str, waiting: list[Training], say: Callable[[str], None]) -> None:
    lacking = [each for each in waiting if each.suite == suite]
    for each in lacking:
        waiting.remove(each)
    if lacking:
        say(f"{suite}: {counted(len(lacking), 'training')} more left out, for want of data")


def _log(training: Training) -> Path:
    return LOGS / f"{'-'.join(map(str, training))}.log"


def _ended(training: Training, code: int) -> str:
    """What became of it, with the last thing that it said."""
    said = _log(training).read_text(encoding="utf-8", errors="replace").splitlines()
    last = f"{training.label}: {said[-1] if said else 'said nothing'}"
    return last if code == 0 else f"{last} (exit {code}; {_log(training)})"


def _stop(running: dict[Training, subprocess.Popen[bytes]]) -> None:
    for process in running.values():
        process.terminate()
    for process in running.values():
        process.wait()
