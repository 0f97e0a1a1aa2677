"""Question `pipeline`: what the pipeline costs besides its work.

A `repro` with nothing to do beside `dvc status`, here (where all results are up to date) and in
generated projects of 10 to 200 trivial stages; what `dvc status` spends its time on; the imports of
each stage, alone and forked from the server of `ebmrepro repro`; a training with and without the
follower that keeps MLflow up to date.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import imports
from benchmarks.page import Bar, number, paragraphs, seconds, spread, table
from benchmarks.timing import Block, Comparison, Spread, interleaved
from ebmrepro.config import documents
from ebmrepro.pipeline import forkserver

ROOT = Path(__file__).parents[1]
STATUS, REPRO, OURS = "dvc status", "dvc repro", "ebmrepro repro"
COMMANDS = {
    STATUS: ["-m", "dvc", "status"],
    REPRO: ["-m", "dvc", "repro"],
    OURS: ["-m", "ebmrepro", "repro"],
}
AIM_NOTHING = 1.5  # times dvc status
AIM_TRACKING = 0.02  # of the training
STAGES = (10, 50, 100, 200)
TRAINING = 26.0  # seconds, more than the 20 after which the follower loads MLflow
CALIBRATION = 10  # epochs whose time says how many that takes
ON, OFF = "with the follower", "without"


class Failed(RuntimeError):
    """A command did not end as it should; the message is its last line."""


def call(command: Sequence[str], folder: Path, **environment: str) -> str:
    """Run this Python on `command` and return what it printed.

    Raises:
        Failed: it ended with another status than 0.
    """
    own = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "EBMREPRO_", "MLFLOW"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    own |= {"PATH": path, "DVC_NO_ANALYTICS": "1", **environment}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=own, capture_output=True, text=True
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Failed(f"{' '.join(command)}: {lines[-1] if lines else done.returncode}")
    return done.stdout


def generate(folder: Path, stages: int) -> None:
    """A project of trivial stages: each reads one file and writes another, the last reads all."""
    folder.mkdir()
    if shutil.which("git"):
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    call(["-m", "dvc", "init", "--quiet", *([] if shutil.which("git") else ["--no-scm"])], folder)
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / ".gitignore").write_text("/out/\n")
    (folder / "in.txt").write_text("in\n")
    (folder / "out").mkdir()
    written = [f"out/{i}.txt" for i in range(stages - 1)]
    made: dict[str, Any] = {
        f"s{i}": {"cmd": f"echo {i} > {out}", "deps": ["in.txt"], "outs": [out]}
        for i, out in enumerate(written)
    }
    made["last"] = {"cmd": "echo last > out/last", "deps": written, "outs": ["out/last"]}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": made}))  # JSON is YAML


def nothing_to_do(title: str, folder: Path, commands: Sequence[str], repeats: int) -> Comparison:
    """The commands where everything is up to date."""
    run: dict[str, Callable[[], object]] = {
        name: lambda name=name: call(COMMANDS[name], folder) for name in commands
    }
    timed = interleaved(run, repeats, warm_up=False)
    return Comparison(title, "commands", 1, timed)


def compiled() -> bool:
    """Whether Python finds its libraries as bytecode; else each process compiles all it imports."""
    found = importlib.util.find_spec("dvc")
    assert found is not None and found.origin is not None
    return Path(importlib.util.cache_from_source(found.origin)).exists()


def up_to_date(folder: Path) -> bool:
    try:
        return "up to date" in call(COMMANDS[STATUS], folder)
    except Failed:
        return False


def profile(folder: Path) -> dict[str, Any]:
    """What `dvc status` spends its time on: packages by their own time, functions of DVC by all."""
    path = folder / "profile"
    call(["-m", "cProfile", "-o", path.name, *COMMANDS[STATUS]], folder)
    stats: Mapping[tuple[str, int, str], Any] = pstats.Stats(str(path)).stats  # pyright: ignore[reportAttributeAccessIssue]
    total = sum(own for _, _, own, _, _ in stats.values())
    packages: dict[str, float] = {}
    functions: dict[str, float] = {}
    for (file, _, function), (_, _, own, cumulative, _) in stats.items():
        package = _package(file, function)
        packages[package] = packages.get(package, 0.0) + own / total
        if "/site-packages/dvc" in file.replace(os.sep, "/") and function != "<module>":
            name = f"{file.replace(os.sep, '/').rpartition('/site-packages/')[2]}: {function}"
            functions[name] = max(functions.get(name, 0.0), cumulative / total)
    inner = {name: share for name, share in functions.items() if share <= WHOLE}
    # Of functions that only call each other, and so take the same time, one is enough.
    apart = {round(share, 3): name for name, share in inner.items()}
    named = {name: share for share, name in apart.items()}
    return {"packages": _largest(packages), "functions": _largest(named)}


WHOLE = 0.6  # of the time: what takes more is the command itself under another name


def _package(file: str, function: str) -> str:
    path = file.replace(os.sep, "/")
    if file == "~":
        return f"built-in {function.strip('<>').removeprefix('built-in method ')}"
    if path.startswith("<frozen importlib"):
        return "importlib"
    package = path.rpartition("/site-packages/")[2] if "/site-packages/" in path else ""
    if not package:
        return "Python's standard library"
    return package.partition("/")[0].removesuffix(".py")


def _largest(shares: Mapping[str, float], count: int = 8) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda item: -item[1])[:count]


def stage_imports(repeats: int, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Seconds of each stage's imports, cold and after those of the server, and what is loaded."""
    scripts = sorted(path for path in (ROOT / "stages").glob("*.py") if path.stem != "environment")
    scripts = [path for path in scripts if names is None or path.stem in names]
    sources = {path.stem: imports.statements(path) for path in scripts}
    found: dict[str, Any] = {stage: {"cold": [], "forked": [], "heavy": []} for stage in sources}

    def ask(ahead: Sequence[str], stages: Sequence[tuple[str, str]]) -> list[Any]:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.imports"],
            cwd=ROOT,
            input=json.dumps({"ahead": list(ahead), "stages": list(stages)}),
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout) if done.returncode == 0 else [None] * len(stages)

    for _ in range(repeats):
        for stage, source in sources.items():
            if (answer := ask([], [(stage, source)])[0]) is not None:
                found[stage]["cold"].append(answer[0])
                found[stage]["heavy"] = answer[1]
    for stage, answer in zip(
        list(sources) * repeats,
        ask(forkserver.LIBRARIES, list(sources.items()) * repeats),
        strict=True,
    ):
        if answer is not None:
            found[stage]["forked"].append(answer[0])
    return found


def tracked(repeats: int, length: float) -> dict[str, Any]:
    """A training of some seconds in a project of its own, with the follower and without."""
    with tempfile.TemporaryDirectory(prefix="ebmrepro-bench-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__py*"))
        shutil.copytree(
            ROOT / "ebmrepro", folder / "ebmrepro", ignore=shutil.ignore_patterns("__py*")
        )
        (folder / ".dvc").mkdir()
        settings: Any = documents.read_yaml(ROOT / "params.yaml")
        block = settings["digits"]["methods"]["ebgan"]
        block["hparams"]["epochs"] = CALIBRATION
        (folder / "params.yaml").write_text(json.dumps(settings))
        home = {"DVC_ROOT": str(folder)}
        call(["stages/data.py", "digits"], folder, **home, EBMREPRO_TRACKING="off")
        inner: dict[str, list[Block]] = {ON: [], OFF: []}

        def train(side: str) -> None:
            shutil.rmtree(folder / "models", ignore_errors=True)
            shutil.rmtree(folder / ".ebmrepro", ignore_errors=True)
            choice = "on" if side == ON else "off"
            seed = str(len(inner[side]) + 1)  # a new one each time: MLflow keeps what it has
            call(
                ["stages/train.py", "digits", "ebgan", seed],
                folder,
                **home,
                EBMREPRO_TRACKING=choice,
            )
            (provenance,) = (folder / ".ebmrepro" / "provenance").glob("*.json")
            inner[side].append(Block(json.loads(provenance.read_text())["seconds"]))

        train(OFF)  # how long its epochs take here
        call(["-m", "ebmrepro", "track", "sync"], folder, **home)  # makes MLflow's database
        block["hparams"]["epochs"] = max(1, round(CALIBRATION * length / inner[OFF].pop().seconds))
        (folder / "params.yaml").write_text(json.dumps(settings))
        run: dict[str, Callable[[], object]] = {
            side: lambda side=side: train(side) for side in (ON, OFF)
        }
        whole = interleaved(run, repeats, warm_up=False)
        for side, blocks in whole.items():
            inner[side] = [
                Block(own.seconds, all_of_it.others)
                for own, all_of_it in zip(inner[side], blocks, strict=True)
            ]
    title = "training of EBGAN on digits"
    return {
        "training": Comparison(title, "trainings", 1, inner).tree(),
        "stage": Comparison(f"stage of a {title}", "stages", 1, whole).tree(),
    }


def measure(quick: bool) -> dict[str, Any]:
    repeats, counts = (1, (3, 6)) if quick else (3, STAGES)
    generated, cold = [], []
    here: Any = None
    if not quick and up_to_date(ROOT):
        here = nothing_to_do("this project", ROOT, [STATUS, OURS], repeats).tree()
    with tempfile.TemporaryDirectory(prefix="ebmrepro-bench-") as name:
        folders = {count: Path(name) / str(count) for count in counts}
        for count, folder in folders.items():
            generate(folder, count)
            once = interleaved({REPRO: lambda f=folder: call(COMMANDS[REPRO], f)}, 1, warm_up=False)
            cold.append([count, once[REPRO][0].seconds])
            commands = [STATUS, OURS] if quick else list(COMMANDS)
            found = nothing_to_do(f"{count} stages", folder, commands, repeats)
            generated.append([count, found.tree()])
        profiled = profile(folders[counts[-1]])
    return {
        "compiled": compiled(),
        "here": here,
        "generated": generated,
        "cold": cold,
        "profile": {"stages": counts[-1], **profiled},
        "imports": stage_imports(repeats, ["data"] if quick else None),
        "tracking": tracked(repeats, 1.0 if quick else TRAINING),
    }


def page(numbers: dict[str, Any]) -> str:
    generated = [(count, Comparison.read(tree)) for count, tree in numbers["generated"]]
    everything = [one for _, one in generated]
    if numbers["here"]:
        everything.insert(0, Comparison.read(numbers["here"]))
    commands = [side for side in COMMANDS if side in generated[0][1].blocks]
    cold = dict(numbers["cold"])
    rows = []
    for one in everything:
        count = next((c for c, other in generated if other is one), None)
        times = [seconds(one.seconds(s)) if s in one.blocks else "" for s in commands]
        ratio = one.times_as_fast(STATUS, OURS)
        once = seconds(Spread.of([cold[count]])) if count in cold else ""
        rows.append([one.what + ("*" if one.disturbed else ""), *times, spread(ratio), once])
    judged = everything[0] if numbers["here"] else everything[-1]
    ratio = judged.times_as_fast(STATUS, OURS)
    met = "met" if ratio.median <= AIM_NOTHING else "not met"
    star = "\\* Other processes used the machine in some of the repeats that count."
    return paragraphs(
        "### Nothing to do",
        table(["project", *commands, f"`{OURS}` over `{STATUS}`", "cold `dvc repro`, once"], rows),
        star if any(one.disturbed for one in everything) else "",
        ""
        if numbers["compiled"]
        else "The installed libraries have no bytecode here (PYTHONDONTWRITEBYTECODE is set, or "
        "their folder cannot be written), so every process compiles what it imports.",
        ""
        if numbers["here"]
        else "This project's own pipeline was not run: its results are not up to date here, or "
        "another process works on them.",
        f"- {judged.what}: `{OURS}` takes {spread(ratio)} times as long as `{STATUS}`; the aim of "
        f"at most {AIM_NOTHING:g} is {met}.",
        *(_line(side, generated) for side in commands),
        _cold_line(numbers["cold"]),
        *_profile(numbers["profile"]),
        *_imports(numbers["imports"]),
        *_tracking(numbers["tracking"]),
        "A cold `make repro` is not timed here: it takes minutes. On a fresh clone: "
        "`make && time make repro`.",
    )


def _fit(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Seconds that any command takes, and seconds of a stage, by least squares."""
    x, y = np.array(points, dtype=float).T
    slope, start = np.polyfit(x, y, 1)
    return float(start), float(slope)


def _line(side: str, generated: Sequence[tuple[int, Comparison]]) -> str:
    points = [(count, one.seconds(side).median) for count, one in generated]
    start, slope = _fit(points)
    last, whole = points[-1]
    return (
        f"- `{side}` with nothing to do: {number(start)} s to start and "
        f"{number(1000 * slope)} ms a stage, so that at {last:.0f} stages "
        f"{number(100 * slope * last / whole)} % of it grows with their number."
    )


def _cold_line(cold: Sequence[tuple[int, float]]) -> str:
    start, slope = _fit([(count, taken) for count, taken in cold])
    return (
        f"- `{REPRO}` of stages that only write a word: {number(start)} s to start and "
        f"{number(1000 * slope)} ms a stage."
    )


def _profile(found: dict[str, Any]) -> list[str]:
    def shares(pairs: Sequence[tuple[str, float]]) -> str:
        return ", ".join(f"`{name}` {number(100 * share)} %" for name, share in pairs)

    return [
        f"What dominates `{STATUS}` at {found['stages']} stages, by a profile (which slows small "
        f"functions more than large ones). Own time by package: {shares(found['packages'])}.",
        f"Time within functions of DVC, with what they call: {shares(found['functions'])}.",
    ]


def _imports(found: dict[str, Any]) -> list[str]:
    rows = [
        [
            stage,
            seconds(Spread.of(of["cold"])) if of["cold"] else "failed",
            seconds(Spread.of(of["forked"])) if of["forked"] else "failed",
            ", ".join(of["heavy"]),
        ]
        for stage, of in found.items()
    ]
    headings = ["stage", "imports, alone", f"imports under `{OURS}`", "large packages loaded"]
    return [
        "### Imports of each stage",
        table(headings, rows),
        "Every import statement of the stage's script, also those inside its functions. Under "
        f"`{OURS}` a stage is a fork of a process that has the common libraries already.",
    ]


def _tracking(found: dict[str, Any]) -> list[str]:
    lines = []
    for key in ("training", "stage"):
        one = Comparison.read(found[key])
        cost = one.times_as_fast(OFF, ON)
        extra = Spread(*(100 * (v - 1) for v in (cost.median, cost.low, cost.high)))
        verdict = ""
        if key == "training":
            met = "met" if cost.median <= 1 + AIM_TRACKING else "not met"
            verdict = f"; the aim of at most {100 * AIM_TRACKING:g} % is {met}"
        lines.append(
            f"- {one.what}: {seconds(one.seconds(ON))} {ON}, {seconds(one.seconds(OFF))} {OFF}: "
            f"{spread(extra)} % more{verdict}."
        )
    return [
        "### Tracking",
        "A training a little longer than the 20 s before which nothing of MLflow is loaded; a "
        "longer one pays for loading it just once. The stage waits at its end until MLflow holds "
        "everything.",
        *lines,
    ]


def bars(numbers: dict[str, Any]) -> list[Bar]:
    del numbers  # costs, not speeds
    return []
