"""Where the stages of `ebmrepro repro --jobs` run: on this machine, or on a Dask cluster.

A place takes one stage command at a time. Each command runs under `launch.py`, writes what it says
to a file, and gets one GPU of its machine where there are several.

Threads: sums are split among them, so the last bits of measures follow from their number. On this
machine each command has as many as under `dvc repro`, whose bytes are to come out; what the user
has set in OMP_NUM_THREADS holds for both, and small networks compute with one
(`networks/threads.py`). On a cluster each command has its share of the cores, unless the user has
set a number.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from ebmrepro.config import environment as settings
from ebmrepro.system.machine import cores

LAUNCH = Path(__file__).with_name("launch.py").read_text()
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
TRAININGS = ("python stages/train.py ", "python stages/pretrain.py ")  # stages that take turns
LOOK = 0.5  # seconds between two looks at whether a command on a cluster is still wanted


@dataclass(frozen=True)
class Command:
    """What a place is to run: DVC's command line and environment of a stage, and where it talks."""

    line: list[str]
    folder: str
    environment: Mapping[str, str]
    log: str | None  # a file; None: where this process talks


class Lost(Exception):
    """A command whose end nobody will hear of."""


class Here:
    """`number` places on this machine; the commands may be forks of a server: see forkserver.py.

    Trainings that take turns in one process (EBMREPRO_TOGETHER) have places of their own: as many
    on each GPU.
    """

    def __init__(self, number: int):
        self.number, self.shared = number, 0
        self.together = together(os.environ) if "EBMREPRO_WARM" in os.environ else 1
        if self.together > 1:
            self.shared = self.together * max(1, len(gpus(os.environ)))
        self.running: set[subprocess.Popen[bytes]] = set()
        self.signal = 0  # the last one

    @property
    def alone(self) -> bool:
        """Whether commands run one by one, so that each may talk for itself."""
        return self.number == 1 and not self.shared

    def shares(self, line: object) -> bool:
        """Whether a command has one of the places of trainings."""
        return self.shared > 0 and isinstance(line, str) and line.startswith(TRAININGS)

    def count(self) -> dict[bool, int]:
        """How many commands can run at once, at this moment: by `shares`."""
        return {False: self.number, True: self.shared}

    def run(self, command: Command) -> int:
        """Wait for a command's end and return its exit status, 128 + n after signal n."""
        environment = dict(command.environment)
        beside = self.number + self.shared
        with own_gpu(environment, beside), launched(command, environment, LAUNCH) as process:
            self.running.add(process)
            try:
                if self.signal:  # while this one was being started
                    _tell(process, self.signal)
                return process.wait()
            finally:
                self.running.discard(process)

    def stop(self, number: int) -> None:
        """Pass a signal on to every command that runs."""
        self.signal = number
        for process in list(self.running):
            _tell(process, number)


class Cluster:
    """The threads of the workers of a Dask cluster, which see this file system; used as `Here` is.

    Raises `Lost` where the scheduler, and so every place, or a command's worker is gone. A command
    is tied to one worker: Dask would start it again elsewhere when that worker dies, at once, and
    without removing what the first has written; here the stage counts as failed.
    """

    def __init__(self, address: str, limit: int | None):
        import cloudpickle
        import distributed

        for name in (__name__, cores.__module__):  # workers may have another ebmrepro, or none
            cloudpickle.register_pickle_by_value(sys.modules[name])
        self.client: Any = distributed.Client(  # whose calls may also be coroutines
            address, timeout=20, name="ebmrepro", set_as_default=False
        )
        self.limit = limit
        self.lock = threading.Lock()
        self.workers: dict[str, int] = {}  # address -> its threads
        self.seen = float("-inf")
        self.running: dict[Any, str] = {}  # future -> address of its worker
        self.stopped = self.gone = self.waited = False

    @property
    def alone(self) -> bool:
        return False

    def shares(self, line: object) -> bool:
        return False

    def count(self) -> dict[bool, int]:
        self._look()
        if self.gone:
            raise Lost("the scheduler is gone")
        number = sum(self.workers.values())
        if not number and not self.waited:
            self.waited = True
            print("waiting for workers", flush=True)
        return {False: number if self.limit is None else min(number, self.limit)}

    def run(self, command: Command) -> int:
        from distributed import CancelledError

        while (task := self._submitted(command)) is None:  # a worker has gone since `count`
            time.sleep(LOOK)
            self._look()
        future, worker = task
        try:
            while True:
                try:
                    return future.result(timeout=LOOK)
                except CancelledError as cancelled:
                    raise Lost(f"cancelled, {cancelled}") from None
                except TimeoutError:
                    self._look()
                    if worker not in self.workers:
                        future.cancel()
                        raise Lost(f"its worker {worker} is gone") from None
        finally:
            with self.lock:
                del self.running[future]

    def stop(self, number: int) -> None:
        self.stopped = True
        for future in list(self.running):
            future.cancel()  # its worker then ends the command; see on_worker

    def _submitted(self, command: Command) -> tuple[Any, str] | None:
        """The command's future, at the worker with most free threads; None if all are taken."""
        with self.lock:
            if self.stopped or self.gone:
                raise Lost("stopped" if self.stopped else "the scheduler is gone")
            taken = Counter(self.running.values())
            free = {worker: n - taken[worker] for worker, n in self.workers.items()}
            worker = max(free, key=free.__getitem__, default="")
            if free.get(worker, 0) < 1:
                return None
            host = worker.rpartition(":")[0]
            beside = sum(n for each, n in self.workers.items() if each.rpartition(":")[0] == host)
            tied = {"workers": [worker], "allow_other_workers": False, "pure": False}
            future = self.client.submit(on_worker, command, LAUNCH, beside, **tied)
            self.running[future] = worker
            return future, worker

    def _look(self) -> None:
        """Ask the scheduler for its workers, unless that was a moment ago."""
        with self.lock:
            if time.monotonic() - self.seen < LOOK:
                return
            try:
                self.workers = dict(self.client.nthreads())
            except (OSError, RuntimeError):
                self.workers, self.gone = {}, True
            self.seen = time.monotonic()


def on_worker(command: Command, launch: str, beside: int) -> int:
    """What a worker does: run the command, and end it when nobody waits for it any more.

    Dask does not interrupt a task, but marks it as cancelled, also when the driver's connection to
    the scheduler ends because the driver was killed.

    Args:
        launch: text of launch.py.
        beside: commands that may run on this worker's machine at once, with this one.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"

    if not Path(command.folder).is_dir():
        raise FileNotFoundError(
            f"{command.folder}: not seen by {worker.address}; a cluster needs one file system"
        )
    environment = {
        **{name: value for name, value in os.environ.items() if name not in THREADS},  # the nanny's
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    for name, value in command.environment.items():
        if name in THREADS or name.startswith("DVC_"):
            environment[name] = value
        elif name.startswith(("EBMREPRO_", "MLFLOW_")) and name != "EBMREPRO_WARM":
            environment.setdefault(name, value)  # a machine's own device or mirror comes first
    environment.setdefault("OMP_NUM_THREADS", str(max(1, cores() // beside)))
    with own_gpu(environment, beside), launched(command, environment, launch) as process:
        while process.poll() is None and wanted():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK)
    return process.wait()


def launched(
    command: Command, environment: Mapping[str, str], launch: str
) -> subprocess.Popen[bytes]:
    """A command at work; the end of its input, as at that of a `with` block, ends it as well."""
    with contextlib.nullcontext() if command.log is None else open(command.log, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", launch, *command.line],
            bufsize=0,
            cwd=command.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is the driver's to pass on
        )


def _tell(process: subprocess.Popen[bytes], number: int) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):  # it has just ended
        process.stdin.write(bytes([number]))


@contextlib.contextmanager
def own_gpu(environment: dict[str, str], beside: int) -> Iterator[None]:
    """Leave a command, one of `beside` on its machine, one of the GPUs that it would see.

    That is the one which the fewest have: the first free lock of `beside` rounds over the GPUs. Any
    process on the machine respects the locks, and each ends with its holder.
    """
    names = gpus(environment)
    if len(names) < 2 or (environment.get("EBMREPRO_DEVICE") or "cuda") != "cuda":
        yield
        return
    folder = Path(tempfile.gettempdir()) / f"ebmrepro-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for path, gpu in ((folder / f"{gpu}.{n}", gpu) for n in range(beside) for gpu in names):
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            environment["CUDA_VISIBLE_DEVICES"] = gpu
            yield
            return
    yield  # others than ours hold them all; the stage takes the first, as it would alone


def together(environment: Mapping[str, str]) -> int:
    """How many trainings take turns in a process: as many as a GPU is for if there is one."""
    wanted = environment.get("EBMREPRO_DEVICE") or "cuda"
    return settings.together(environment, wanted != "cpu" and bool(gpus(environment)))


def gpus(environment: Mapping[str, str]) -> list[str]:
    """Names of the GPUs that a command with this environment would see, without importing torch."""
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return []
    query = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    here = answer.stdout.split() if answer.returncode == 0 else []
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return here
    # CUDA's own reading of the list ends at what is no GPU, such as -1.
    words = (name.strip() for name in visible.split(","))
    names = takewhile(lambda n: n.isdecimal() or n.startswith(("GPU-", "MIG-")), words)
    # Numbers count the machine's GPUs, or those that a batch system has left of them.
    return [here[int(n)] if n.isdecimal() and int(n) < len(here) else n for n in names]
