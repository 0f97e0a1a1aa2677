"""`ebmrepro bench`: measure every question in a process of its own, and write the page.

--quick         tiny repeats, to see that everything runs; the figures mean nothing
--only NAME     one question, such as step or rbm; figures of the others are kept; repeatable
--render        measure nothing: write the page again from the figures of the last time
--out FOLDER    where to; reports/ if not said
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import platform
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.page import Bar, number, paragraphs
from ebmrepro.system import atomic
from ebmrepro.system.errors import UserError

QUESTIONS = {  # module -> heading
    "limits": "The machine",
    "step": "A training step",
    "rbm": "Restricted Boltzmann machines",
    "evaluation": "Evaluation",
    "pipeline": "The pipeline",
    "gpu": "On a GPU",
}
ROOT = Path(__file__).parents[1]
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pytorch-fid", "dvc", "mlflow", "learnergy")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="ebmrepro bench", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="tiny repeats: figures mean nothing")
    parser.add_argument("--only", action="append", choices=QUESTIONS, help="measure just this one")
    parser.add_argument("--render", action="store_true", help="write the page from old figures")
    parser.add_argument("--out", type=Path, default=ROOT / "reports", help="folder to write to")
    asked = parser.parse_args(arguments)
    if not asked.out.is_dir():
        raise UserError(f"--out: found {str(asked.out)!r}; allowed is a folder that is there")
    stored = asked.out / "benchmarks.json"
    names = [] if asked.render else asked.only or list(QUESTIONS)
    whole = len(names) == len(QUESTIONS)
    if asked.render and not stored.exists():
        raise UserError(f"{stored}: not there; `make bench` writes it")
    found: dict[str, Any] = {"questions": {}}
    if stored.exists() and not whole:
        found = json.loads(stored.read_text())
    if names:
        found |= {"machine": machine(), "quick": asked.quick}
    start = time.monotonic()
    for name in names:
        print(f"{name} ...", end=" ", flush=True)
        clock = time.monotonic()
        found["questions"][name] = answer(name, asked.quick)
        print(f"{time.monotonic() - clock:.0f} s", flush=True)
        if whole:
            found["minutes"] = (time.monotonic() - start) / 60
        write(stored, json.dumps(found, indent=1).encode() + b"\n")  # what a later stop leaves
    from benchmarks import picture

    text, bars = render(found)
    write(asked.out / "benchmarks.png", picture.png(bars))
    write(asked.out / "benchmarks.md", text.encode())
    print(asked.out / "benchmarks.md")


def answer(name: str, quick: bool) -> dict[str, Any]:
    """The figures of one question, or why there are none; nothing of it stays in this process."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_answer, args=(name, quick, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        return {"failed": f"its process ended with code {process.exitcode}"}
    finally:
        process.join()


def _answer(name: str, quick: bool, sender: Any) -> None:
    try:
        sender.send({"figures": importlib.import_module(f"benchmarks.{name}").measure(quick)})
    except Exception as error:  # the others are worth having
        import traceback

        traceback.print_exc()
        lines = str(error).strip().splitlines() or [type(error).__name__]
        sender.send({"failed": lines[-1]})


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    import torch

    versions: dict[str, str] = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def render(found: Mapping[str, Any]) -> tuple[str, list[Bar]]:
    """The page, and the bars of its picture, from the figures alone."""
    bars: list[Bar] = []
    parts = []
    for name, heading in QUESTIONS.items():
        known = found["questions"].get(name)
        if known is None:
            text = f"Not measured: `ebmrepro bench --only {name}`."
        elif "failed" in known:
            text = f"Not measured: {known['failed']}."
        else:
            module = importlib.import_module(f"benchmarks.{name}")
            text = module.page(known["figures"])
            bars += module.bars(known["figures"])
        parts += [f"## {heading}", text]
    here = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
    took = f" It took {number(found['minutes'])} minutes." if "minutes" in found else ""
    text = paragraphs(
        "# Benchmarks",
        f"Written by `make bench` (`ebmrepro bench`); edits are lost.{took}",
        "**A quick run: these figures mean nothing.**" if found["quick"] else "",
        f"On {here['processor']}, {here['threads']} threads, {here['instructions']}; {versions}.",
        "Each figure is a median over repeats, with the least and the largest in brackets. The "
        "sides of a comparison take turns within a repeat, and ratios and shares are taken within "
        "it. Repeats in which other processes used the machine are left out where at least three "
        "quiet ones remain.",
        "![How many times as fast as others](benchmarks.png)" if bars else "",
        *parts,
    )
    return text + "\n", bars


def write(path: Path, content: bytes) -> None:
    with atomic.atomic_write(path) as partial:
        partial.write_bytes(content)
