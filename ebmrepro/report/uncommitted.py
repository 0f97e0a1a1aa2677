"""What params.yaml says that the last commit does not: a report of it must not pass for that one.

Of parameters that the report shows, that is: of the suites, systems and studies that `run` names.
Results follow from params.yaml and code; only the first changes what a system *is*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ebmrepro.config.documents import ParamsError, parse, read_yaml
from ebmrepro.config.params import flatten
from ebmrepro.report import words
from ebmrepro.system import git

FILE = "params.yaml"
# Blocks of a suite that are run where this list of `run` names it.
STUDIES = {"grid": "grids", "classifiers": "classifiers", "linear_codes": "linear_codes"}
Tree = Mapping[str, Any]


class Uncommitted(NamedTuple):
    commit: str  # short
    lines: Sequence[str]  # what differs, each a sentence


def find(root: Path) -> Uncommitted | None:
    """What differs under `root`; None where nothing does, or git does not know the file."""
    committed = git.ask(root, "show", f"HEAD:./{FILE}")
    if committed is None or not (root / FILE).exists():
        return None
    now = read_yaml(root / FILE)
    try:
        before = parse(committed.decode(), f"{FILE} of the last commit")
    except (ParamsError, UnicodeDecodeError):
        return None
    lines = list(_lines(now, before))
    return Uncommitted(git.line(root, "rev-parse", "--short", "HEAD"), lines) if lines else None


def _lines(now: Tree, before: Tree) -> Iterator[str]:
    """Systems first: what they are is what a name says."""
    run = now["run"]
    names = [*run["methods"], *run["variants"]]
    for suite in run["suites"]:
        ours, theirs = now[suite], _block(before, suite)
        systems: dict[str, tuple[Tree, Any]] = {"dbn": (ours["dbn"], theirs.get("dbn"))}
        methods = _block(theirs, "methods")
        systems |= {name: (ours["methods"][name], methods.get(name)) for name in names}
        for name, (block, committed) in systems.items():
            told = f"{words.system(name)} of {suite}"
            if not _alike(block, committed):
                yield f"{told} is not in it."
            else:
                yield from _differences(f"{told}: ", block, committed)
    studied = [suite for listed in STUDIES.values() for suite in run[listed]]
    parts: list[tuple[str, Tree, Tree]] = [
        (f"{suite}: ", {key: block}, {key: _block(before, suite).get(key)})
        for suite in dict.fromkeys([*run["suites"], *studied])
        for key, block in now[suite].items()
        if key not in ("methods", "dbn") and suite in run[STUDIES.get(key, "suites")]
    ]
    parts += [("", {key: now[key]}, {key: before.get(key)}) for key in ("run", "fundamentals")]
    for where, own, committed in parts:
        ((key, block),) = own.items()
        if not _alike(block, committed[key]):
            yield f"{where}{key} is not in it."
        else:
            yield from _differences(where, own, committed)


def _block(tree: Tree, key: str) -> Tree:
    """A block of what was committed, which nothing has checked."""
    return found if isinstance(found := tree.get(key), Mapping) else {}


def _alike(now: object, committed: object) -> bool:
    """Whether something stands there, and of a block a block."""
    if committed is None:
        return False
    return isinstance(now, Mapping) == isinstance(committed, Mapping)


def _differences(where: str, now: Tree, before: Tree) -> Iterator[str]:
    ours, theirs = flatten(now), flatten(before)
    for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key):
            own, committed = words.value(ours.get(key)), words.value(theirs.get(key))
            yield f"{where}{key} is {own}, committed is {committed}."
