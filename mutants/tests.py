"""The fast tests, each file in a process of its own that has the libraries imported already."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coverage  # pyright: ignore[reportMissingImports]
import pytest

FAST = "not slow and not hostile"
MEMORY = 12 << 30  # bytes: a mutant may ask for any amount
# What takes seconds to import. Nothing of the project is among it: each process has that anew.
LIBRARIES = """hypothesis hypothesis.strategies matplotlib.pyplot numpy pandas PIL.Image pydantic
pytorch_fid.inception rich.console ruamel.yaml safetensors.torch scipy.linalg scipy.optimize
scipy.special scipy.stats sklearn.linear_model sklearn.metrics sklearn.neighbors torch torch._dynamo
torch.utils.data torchvision.models torchvision.transforms"""


def import_libraries() -> None:
    for name in LIBRARIES.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # pytest collects garbage at its end, which among torch's objects takes a second


def forked(work: Callable[[], int], cpu: float, told: Path) -> int:
    """The exit code of `work` in a process of its own; below 0 the signal that ended it.

    Args:
        cpu: seconds of processor time that it may take. It may sleep six times as long and two
            minutes; it may wait for a busy machine as long as that takes.
        told: the file that has what it prints.
    """
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 5))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            code = int(work())
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    asleep = 0.0
    try:
        while asleep < 6 * cpu + 120:
            done, how = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(how)
            time.sleep(0.02)
            asleep += 0.02 * (state(child) not in "RD")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return -int(signal.SIGKILL)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # it, if we were stopped, and what it started


def state(process: int) -> str:
    """The letter that the kernel has for what a process does: R, where it works or would."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def in_copy(copy: Path, arguments: list[str], plugins: list[Any] | None = None) -> int:
    """pytest in a copy of the checkout, which is all of the project that it can import."""
    # Processes that tests begin import what their parent was started with: here that is us.
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    os.environ["TMPDIR"] = str(copy.parent)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.path.insert(0, str(copy))
    # hypothesis is imported before pytest can rewrite what it asserts.
    quiet = [
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "-q",
        "-p",
        "_hypothesis_pytestplugin",
        "-p",
        "no:cacheprovider",
        f"--basetemp={copy.parent}/pytest",
    ]
    return int(pytest.main([*quiet, "-m", FAST, *arguments], plugins=plugins))


class Watch:
    """What one file of tests executes, and how long each of its tests takes."""

    def __init__(self, copy: Path, file: str):
        self.file, self.context, self.copy = file, "", copy
        self.coverage = coverage.Coverage(
            data_file=None, source=[str(copy / "ebmrepro")], config_file=False
        )
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @contextlib.contextmanager
    def of(self, context: str) -> Iterator[None]:
        before, self.context = self.context, context
        self.coverage.switch_context(context)
        try:
            yield
        finally:
            self.context = before
            self.coverage.switch_context(before)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        begun = time.process_time()
        with self.of(item.nodeid):
            result = yield
        self.seconds[item.nodeid] = round(time.process_time() - begun, 3)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[Any]:
        """A fixture that several tests share runs with the first; it counts for all of the file."""
        with self.of(self.context if fixturedef.scope == "function" else ""):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def run(self, to: Path) -> int:
        with self.coverage.collect():
            code = in_copy(self.copy, [self.file], [self])
        data, lines = self.coverage.get_data(), {}
        for path in data.measured_files():
            name = Path(path).relative_to(self.copy).as_posix()
            lines[name] = {line: sorted(who) for line, who in data.contexts_by_lineno(path).items()}
        passed = {test: s for test, s in self.seconds.items() if test not in self.failed}
        to.write_text(
            json.dumps({"seconds": passed, "failed": sorted(self.failed), "lines": lines})
        )
        return code
