"""What params.yaml says that the last commit does not: a report of it must not pass for that one.

Of parameters that the report shows, that is: of the suites, systems and studies that `run` names.
Results follow from params.yaml and code; only the first changes what a system *is*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ebmrepro.config.documents import ParamsError, parse, read_yaml
from ebmrepro.config.params import STUDIES, flatten
from ebmrepro.report import words
from ebmrepro.report.gather import differences
from ebmrepro.system import git

FILE = "params.yaml"
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
    for suite in run["suites"]:
        blocks = (now[suite], _block(before, suite))
        ours, theirs = ({"dbn": tree.get("dbn"), **_block(tree, "methods")} for tree in blocks)
        for name in ("dbn", *run["methods"], *run["variants"]):
            where = f"{words.system(name)} of {suite}: "
            yield from _differences(where, "", ours[name], theirs.get(name))
    studied = [suite for listed in STUDIES.values() for suite in run[listed]]
    for suite in dict.fromkeys([*run["suites"], *studied]):
        for key, block in now[suite].items():
            if key not in ("methods", "dbn") and suite in run[STUDIES.get(key, "suites")]:
                theirs = _block(before, suite)
                yield from _differences(f"{suite}: ", key, block, theirs.get(key))
    for key in ("run", "fundamentals"):
        yield from _differences("", key, now[key], before.get(key))


def _block(tree: Tree, key: str) -> Tree:
    """A block of what was committed, which nothing has checked."""
    return found if isinstance(found := tree.get(key), Mapping) else {}


def _differences(where: str, key: str, now: object, committed: object) -> Iterator[str]:
    """What stands under a key, or, without one, a block by itself."""
    if committed is None or isinstance(now, Mapping) != isinstance(committed, Mapping):
        yield f"{where}{key}".removesuffix(": ") + " is not in it."
        return
    for each, theirs, ours in differences(flatten(committed, key), flatten(now, key)):
        yield f"{where}{each} is {words.value(ours)}, committed is {words.value(theirs)}."
