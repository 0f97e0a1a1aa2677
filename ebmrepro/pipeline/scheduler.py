"""`dvc repro` with independent stages at once: decides and commits; `executors.py` runs commands.

DVC goes through its stages one by one and waits for each command. Here each stage gets a thread
that does with it what DVC does, by DVC's own code, one thread at a time; only the waiting is done
side by side, in `Driver.cmd_run`. So a stage is skipped, taken from the run cache, run and
committed exactly as by `dvc repro`, all of whose options hold. What differs: after a failure all
stages go on that do not depend on it, as with `dvc repro --keep-going`; and dvc.lock is written at
less cost (`LockFile`).

It is run by its path, in a process of its own (see `repro.py`); no module imports it, so the
package does not import DVC.
"""

from __future__ import annotations

import argparse
import copy
import logging
import os
import queue
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

# The package beside this file, whichever is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import dvc.dependency.param
import dvc.repo.reproduce
import dvc.stage.run
import networkx
from dvc.cli import main as dvc_command
from dvc.config import ConfigError
from dvc.exceptions import ReproductionError
from dvc.log import logger
from dvc.stage.exceptions import StageCmdFailedError

from ebmrepro.pipeline import executors
from ebmrepro.pipeline.lockfile import LockFile
from ebmrepro.pipeline.outlook import Outlook
from ebmrepro.pipeline.progress import Progress
from ebmrepro.system.errors import one_line

if TYPE_CHECKING:
    from dvc.stage import Stage

LOGS = Path(".ebmrepro/jobs")  # what stages say while they run, under DVC's root
LOOK = 1.0  # seconds between two looks at how many places a cluster has


class Driver:
    """Goes through DVC's plan, with as many stages at work as there are places."""

    def __init__(self, at: executors.Here | executors.Cluster, told: Progress):
        self.places, self.told = at, told
        self.dvc = threading.Lock()  # held by the one thread that is inside DVC
        self.ended: queue.SimpleQueue[tuple[Stage, Stage | None, Exception | None]]
        self.ended = queue.SimpleQueue()
        self.signal = 0  # the first that asked the driver to stop
        self.broken = ""  # why there are no places any more

    def reproduce(
        self,
        stages: list[Stage],
        graph: Any = None,
        force_downstream: bool = False,
        on_error: str = "fail",
        force: bool = False,
        repro_fn: Callable[..., Stage | None] | None = None,
        **options: Any,
    ) -> list[Stage]:
        """In place of `dvc.repo.reproduce._reproduce`, with its arguments and its result."""
        if not stages:
            return []
        repo = stages[0].repo
        lock = LockFile(stages, Path(repo.tmp_dir) / "ebmrepro-jobs.json")
        forced = dict.fromkeys(stages, force)
        waiting, working, skipped = list(stages), set[Any](), set[Any]()
        done, failed = [], []
        self.told.plan([stage.addressing for stage in stages])

        def work(stage: Stage) -> None:
            upstream = list(graph.successors(stage)) if graph else []
            with self.inside(repo):
                try:
                    asked = {"upstream": upstream, "force": forced[stage], **options}
                    if repro_fn is not None:  # of an experiment, which writes dvc.lock as well
                        result = repro_fn(stage, **asked)
                    elif (result := stage.reproduce(**asked)) and not options.get("dry"):
                        lock.put(result)
                except Exception as error:
                    self.ended.put((stage, None, error))
                else:
                    self.ended.put((stage, result, None))

        # DVC has locked the project for this thread; from here on, for whoever is inside.
        self.dvc.acquire()
        try:
            while waiting or working:
                with self.outside(repo):
                    free = self._free(working)
                self.told.at_once = len(working) + sum(free.values())
                for stage in _ready(waiting, working, graph):
                    kind = self.places.shares(stage.cmd)
                    if free.get(kind, 0) < 1:
                        continue
                    free[kind] -= 1
                    waiting.remove(stage)
                    working.add(stage)
                    threading.Thread(target=work, args=(stage,), daemon=True).start()
                if (self.signal or self.broken) and not working:
                    break
                try:
                    with self.outside(repo):
                        stage, result, error = self.ended.get(timeout=LOOK)
                except queue.Empty:
                    self.told.still()
                    continue
                working.remove(stage)
                self.told.ended(stage.addressing, error is None, dry=bool(options.get("dry")))
                if error is not None:
                    failed.append(stage)
                    if not self.signal:
                        logger.warning("'%s': %s", stage.addressing, error)
                    if graph and on_error != "ignore":
                        above = networkx.ancestors(graph, stage).intersection(waiting)
                        waiting = [each for each in waiting if each not in above]
                        skipped |= above
                elif force_downstream and graph and (result or forced[stage]):
                    forced.update(dict.fromkeys(graph.predecessors(stage), True))
                if result:
                    done.append(result)
        finally:
            lock.close(complete=not (waiting or working or failed or skipped))
            self.told.close()
            self.dvc.release()
        if self.signal:
            name = signal.Signals(self.signal).name
            print(f"stopped by {name}; run it again to go on", file=sys.stderr)
            raise SystemExit(128 + self.signal)
        if self.broken:
            raise ReproductionError(f"{self.broken}; run it again to go on")
        if failed and on_error != "ignore":
            names = ", ".join(f"'{stage.addressing}'" for stage in failed)
            logs = f"; what they said is in {LOGS}/" if LOGS.is_dir() else ""
            rest = f"; {len(skipped)} that depend on them were not run" if skipped else ""
            raise ReproductionError(f"failed to reproduce {names}{rest}{logs}")
        return done

    def cmd_run(self, stage: Stage, dry: bool = False, run_env: Any = None) -> None:
        """In place of `dvc.stage.run.cmd_run`: the same command line and environment, elsewhere."""
        settings = dvc.stage.run.prepare_kwargs(stage, run_env=run_env)
        name, shell = stage.addressing, dvc.stage.run.get_executable()
        if dry:
            dvc.stage.run.logger.info("Running stage '%s':", name)
        log = Path(stage.repo.root_dir) / LOGS / f"{re.sub('[/:]', '_', name)}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        self.told.begun(name, dry)
        try:
            for line in dvc.stage.run._enforce_cmd_list(stage.cmd):
                if dry or self.places.alone:
                    dvc.stage.run.display_command(line)
                if dry:
                    continue
                words, folder = dvc.stage.run._make_cmd(shell, line), str(settings["cwd"])
                told = None if self.places.alone else str(log)
                command = executors.Command(words, folder, settings["env"], told)
                try:
                    with self.outside(stage.repo):
                        status = self.places.run(command)
                except executors.Lost as lost:
                    raise StageCmdFailedError(line, f"no status: {lost}") from None
                if status:
                    raise StageCmdFailedError(line, status)
        finally:
            self.told.said[name] = log.read_text(errors="replace") if log.exists() else ""
        log.unlink(missing_ok=True)  # that of a failed one stays

    @contextmanager
    def inside(self, repo: Any) -> Iterator[None]:
        """Alone inside DVC, and DVC's lock keeps other processes out."""
        with self.dvc:
            repo.lock.lock()
            try:
                yield
            finally:
                repo.lock.unlock()

    @contextmanager
    def outside(self, repo: Any) -> Iterator[None]:
        """Within `inside`: let others in for a while."""
        repo.lock.unlock()
        self.dvc.release()
        try:
            yield
        finally:
            self.dvc.acquire()
            repo.lock.lock()

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Signals reach the commands at work; no stage is begun after the first."""
        self.signal = self.signal or number
        self.places.stop(number)

    def _free(self, working: Collection[Any]) -> dict[bool, int]:
        """Stages that can be begun; each at work has its place, also before its command runs."""
        if self.signal or self.broken:
            return {}
        taken = Counter(self.places.shares(stage.cmd) for stage in working)
        try:
            return {kind: number - taken[kind] for kind, number in self.places.count().items()}
        except executors.Lost as lost:
            self.broken = str(lost)
            return {}


def _ready(waiting: Sequence[Any], working: Collection[Any], graph: Any) -> list[Any]:
    """Stages that wait for none before them, in DVC's order; without a graph, the next alone."""
    if graph is None:
        return [] if working else list(waiting[:1])
    unfinished = {*waiting, *working}
    return [s for s in waiting if unfinished.isdisjoint(graph.successors(s))]


def remembering(load: Callable[..., Any]) -> Callable[..., Any]:
    """DVC parses params.yaml three times a stage; the same file need not be parsed again.

    Each stage gets values of its own: YAML would write a list that two of them share as an alias.
    """
    known: dict[Any, Any] = {}

    def loaded(path: str, fs: Any, **options: Any) -> Any:
        if fs.protocol != "local" or not os.path.exists(path):
            return load(path, fs, **options)
        file = os.stat(path)
        key = (path, file.st_mtime_ns, file.st_size, file.st_ino, *sorted(options.items()))
        if key not in known:
            known[key] = load(path, fs, **options)
        return copy.deepcopy(known[key])

    return loaded


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--scheduler")
    own, arguments = parser.parse_known_args()
    if own.scheduler is None:
        at = executors.Here(own.jobs)
    else:
        try:
            at = executors.Cluster(own.scheduler, own.jobs)
        except (OSError, ValueError) as error:
            said = " ".join(str(error).split())
            print(f"--scheduler: no Dask scheduler at {own.scheduler!r}: {said}", file=sys.stderr)
            sys.stderr.flush()
            os._exit(2)  # Dask would wait at the exit for what has not begun
    told = Progress(Outlook(Path.cwd()))
    for name in ("dvc.stage", "dvc.stage.cache"):
        logging.getLogger(name).addFilter(told)
    driver = Driver(at, told)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, driver.stop)
    dvc.repo.reproduce._reproduce = driver.reproduce
    dvc.stage.run.cmd_run = driver.cmd_run
    dvc.stage.run.unlocked_repo = lambda run: run  # cmd_run lets others in by itself
    dvc.dependency.param.load_path = remembering(dvc.dependency.param.load_path)
    try:
        return dvc_command(["--wait-for-lock", *arguments])
    except ConfigError as error:  # of a file that is none, which DVC itself does not catch
        print(f".dvc/config or .dvc/config.local: {one_line(error)}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
