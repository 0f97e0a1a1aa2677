"""`make mutants`: break the code at places drawn by a seed, and run the tests that go there.

A mutant is killed when a test fails or takes too long, and survives when all pass. What was found
stands in `.ebmrepro/mutants/`, so that a run that was stopped goes on; a survivor is tried again
once the tests have changed. The checkout is never touched: everything runs in a copy.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import itertools
import json
import multiprocessing
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # a pool of threads does not outlive a fork

import numpy as np  # noqa: E402
from ruamel.yaml import YAML  # noqa: E402

from mutants import places, tests  # noqa: E402

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".ebmrepro" / "mutants"
LOG = KEPT / "results.jsonl"
HERE = Path(__file__).parent
EXPLAINED = YAML(typ="safe").load((HERE / "explained.yaml").read_text())
# Laws of the source itself execute none of it.
READERS = [
    "tests/test_security.py::test_every_reader_of_arrays_and_tensors_is_told_to_unpickle_nothing",
    "tests/test_source.py",
]
# Seconds of tests that a mutant gets, the fastest of each file first; one that survives them and
# that nobody explains gets all.
BUDGET = 60
OUTCOMES = (
    "killed",
    "time",
    "explained",
    "survived",
)  # by a test that fails, or by one that does not end
Coverage = dict[str, dict[str, Any]]


def digest(*files: Path) -> str:
    made = hashlib.sha256()
    for file in files:
        made.update(file.read_bytes())
    return made.hexdigest()[:16]


def copied(to: Path) -> Path:
    """The checkout as it is, without what git ignores, compiled so that a changed file is seen."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    # By content: a mutant has the length and the second of the file it replaces.
    compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
    subprocess.run([*compiling, str(to / "ebmrepro")], check=True)
    return to


def covered(copy: Path) -> Coverage:
    """What each file of tests executes; only of files that changed is it found anew."""
    (KEPT / "covered").mkdir(parents=True, exist_ok=True)
    helpers = sorted(p for p in (ROOT / "tests").glob("*.py") if not p.name.startswith("test_"))
    code = sorted((ROOT / "ebmrepro").rglob("*.py")) + sorted((ROOT / "ebmrepro").rglob("*.yaml"))
    common, found = digest(*helpers, *code), {}
    for file in sorted(
        f for room in places.ROOMS for f in (ROOT / "tests" / room).glob("test_*.py")
    ):
        name = file.relative_to(ROOT).as_posix()
        kept = KEPT / "covered" / f"{file.stem}-{common}-{digest(file)}.json"
        if not kept.exists():
            print(f"what does {name} execute?", flush=True)
            watched = tests.Watch(copy, name)
            tests.forked(lambda w=watched, k=kept: w.run(k), 900, KEPT / "told.txt")
            if not kept.exists():
                sys.exit(f"{name} did not come to an end: see {KEPT / 'told.txt'}")
        found[name] = json.loads(kept.read_text())
        for failed in found[name]["failed"]:
            print(f"  left out, because it fails without any mutant: {failed}")
    return found


def chosen(mutant: places.Mutant, coverage: Coverage) -> list[tuple[str, str]]:
    """Files and tests that execute the line: the file of the same name first, then the quickest.

    A line that is executed on import, whichever test came first, or by a fixture that a file's
    tests share, counts for each test of the file that executes any line of the module, or, of
    classes that run elsewhere, for all; a file that imports it by name counts as a whole.
    """
    found, on_import = {}, places.on_import((ROOT / mutant.file).read_text(), mutant.line)
    for file, what in coverage.items():
        lines, everything = what["lines"].get(mutant.file, {}), what["seconds"].keys()
        who = set(lines.get(str(mutant.line), []))
        if who and (on_import or "" in who):
            who |= {test for some in lines.values() for test in some if test} or everything
        # In processes that a test starts lines are executed unseen.
        if re.search(rf"import .*\b{Path(mutant.file).stem}\b", (ROOT / file).read_text()):
            who |= everything
        if asked := sorted(who & everything, key=what["seconds"].__getitem__):
            found[file] = asked
    own = f"test_{Path(mutant.file).stem}.py"

    def costs(file: str) -> tuple[bool, float]:
        return not file.endswith(own), sum(coverage[file]["seconds"][t] for t in found[file])

    return [(file, test) for file in sorted(found, key=costs) for test in found[file]]


def tried(mutant: places.Mutant, copy: Path, coverage: Coverage) -> dict[str, Any]:
    """What becomes of a mutant: by which test it is killed, or that none notices."""
    asked = chosen(mutant, coverage)
    seconds = np.cumsum([coverage[file]["seconds"][test] for file, test in asked])
    first = max(1, int(np.searchsorted(seconds, BUDGET)))
    parts = [asked[:first]] if mutant.name in EXPLAINED else [asked[:first], asked[first:]]
    whole, begun = (copy / mutant.file).read_text(), time.monotonic()
    (copy / mutant.file).write_text(mutant.text)
    output, code = copy.parent / "told.txt", 0
    output.write_text("")
    try:
        for part in filter(None, parts):
            cpu = sum(coverage[file]["seconds"][test] for file, test in part)
            code = code or tests.forked(lambda p=part: _run(copy, p), 15 + 4 * cpu, output)
    finally:
        (copy / mutant.file).write_text(whole)
    told = output.read_text(errors="replace")
    by = re.findall(r"^(?:FAILED|ERROR) (\S+)", told, re.M)
    return {
        "name": mutant.name,
        "line": mutant.line,
        "outcome": "survived" if code == 0 else "time" if code < 0 else "killed",
        "by": by[0] if by else told.strip().rpartition("\n")[2][-200:],
        "tests": len(asked),
        "seconds": round(time.monotonic() - begun, 1),
    }


def _run(copy: Path, asked: Iterable[tuple[str, str]]) -> int:
    """pytest's exit code of the first file that fails, or 0."""
    files = ([test for _, test in some] for _, some in itertools.groupby(asked, lambda a: a[0]))
    codes = (tests.in_copy(copy, ["-x", "-rfE", *some]) for some in (*files, READERS))
    return next(filter(None, codes), 0)


def summed(mutants: list[places.Mutant], results: dict[str, Any], counts: dict, seed: int) -> dict:
    """What is said of a run: counts, by room as well, and the names of those nobody explains."""
    rooms: dict[str, Counter] = defaultdict(Counter)
    unknown = []
    tried = [mutant for mutant in mutants if key(mutant) in results]
    for mutant in tried:
        outcome = results[key(mutant)]["outcome"]
        if outcome == "survived" and mutant.name in EXPLAINED:
            outcome = "explained"
        elif outcome == "survived":
            unknown.append(mutant.name)
        rooms[mutant.file.split("/")[1]][outcome] += 1
    total = sum(rooms.values(), Counter())
    return {
        "date": datetime.date.today().isoformat(),
        "seed": seed,
        "drawn": len(mutants),
        "sampled": len(tried),
        **{outcome: total[outcome] for outcome in OUTCOMES},
        **counts,
        "rooms": {room: {o: rooms[room][o] for o in OUTCOMES} for room in places.ROOMS},
        "unexplained": sorted(unknown),
    }


def key(mutant: places.Mutant) -> str:
    """What a result is kept under: another as soon as the file has changed."""
    place = f"{mutant.line}:{mutant.column} {mutant.operator}"
    return f"{digest(ROOT / mutant.file)} {place} {mutant.name}"


def known() -> dict[str, dict[str, Any]]:
    """What earlier runs found, by mutant."""
    lines = LOG.read_text().splitlines() if LOG.exists() else []
    return {(result := json.loads(line))["key"]: result for line in lines}


def work(part: list[places.Mutant], coverage: Coverage, state: str) -> None:
    """What becomes of these mutants, a line each, in a copy that no other process breaks."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = copied(Path(folder) / "checkout")
        for mutant in part:
            new = {"key": key(mutant), "state": state, **tried(mutant, copy, coverage)}
            with LOG.open("a") as file:
                file.write(json.dumps(new) + "\n")
            told = f"{new['outcome']:8} {new['seconds']:6.1f} s"
            print(told, new["name"], new["by"], sep="  ", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--size", type=int, default=400, help="how many places")
    parser.add_argument("--seed", type=int, default=20, help="which places")
    parser.add_argument("--at-once", type=int, default=1, help="how many mutants are tried at once")
    given = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    tests.import_libraries()
    mutants, counts = places.sample(ROOT, given.size, given.seed)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        coverage = covered(copied(Path(folder) / "checkout"))
    state, results = digest(*sorted((ROOT / "tests").rglob("*.py"))), known()
    # A test that failed will fail again; one that is new may see what others did not.
    done = {k for k, r in results.items() if r["outcome"] != "survived" or r["state"] == state}
    left = [mutant for mutant in mutants if key(mutant) not in done]
    print(f"{len(mutants)} mutants, {len(left)} of them to be tried", flush=True)
    fork = multiprocessing.get_context("fork")
    parts = (left[first :: given.at_once] for first in range(given.at_once))
    workers = [fork.Process(target=work, args=(part, coverage, state)) for part in parts]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    finally:  # Ctrl-C: what was found by then
        last = summed(mutants, known(), counts, given.seed)
        (HERE / "last.json").write_text(json.dumps(last, indent=1, ensure_ascii=False) + "\n")
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime / 60
    print(json.dumps({k: v for k, v in last.items() if k != "rooms"}, indent=1, ensure_ascii=False))
    print(f"{used:.0f} minutes of processor time in this run")
    return 0 if not last["unexplained"] else 1


if __name__ == "__main__":
    sys.exit(main())
