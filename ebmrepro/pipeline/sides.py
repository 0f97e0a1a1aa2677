"""What `ebmrepro compare` holds against each other: results here, of a revision or an experiment.

    digits/magan            a system's results, as they stand in this folder
    digits/magan@NAME       the same of a revision of git, or of a DVC experiment by its name
    NAME, workspace         everything there; what differs from the other side is compared

A stage's results are files in git, and so are those of an experiment, so that nothing is checked
out: they are read from git into a folder that is removed afterwards.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ebmrepro.config.documents import known, nearest, shown
from ebmrepro.config.training import base
from ebmrepro.runs import carried, layout
from ebmrepro.system import git
from ebmrepro.system.errors import UserError

HERE = "workspace"
FORM = re.compile(r"([a-z]\w*)/([a-z]\w*)(?:@(.+))?")


class Side(NamedTuple):
    """A system's results, or, as long as none is named, all of a revision or of this folder."""

    root: Path  # of the results/ that hold them
    place: str  # a revision or experiment as it was named; empty for this folder
    suite: str = ""
    system: str = ""

    def of(self, suite: str, system: str) -> Side:
        """One system of these; UserError where it has no results."""
        where = f"results/{suite}{self.place and f' at {self.place}'}"
        known(system, carried.systems(self.root, suite), where, "results of")
        return self._replace(suite=suite, system=system)


def pairs(a: str, b: str, root: Path, into: Path) -> list[tuple[Side, Side]]:
    """The systems that two words name, side by side; `into` takes what is read from git.

    Raises:
        UserError: a word names nothing, or two things that have nothing to compare.
    """
    first, second = (_named(said, root, into) for said in (a, b))
    if first.suite and second.suite and first.suite != second.suite:
        raise UserError(
            f"{a}, {b}: found two suites; allowed are systems of one, on the same images"
        )
    if suite := first.suite or second.suite:
        one, other = first.system or second.system, second.system or first.system
        return [(first.of(suite, one), second.of(suite, other))]
    found = [pair for suite in _suites(second.root) for pair in _differing(first, second, suite)]
    if not found:
        raise UserError(f"{a}, {b}: every result that both have is the same; nothing to compare")
    return found


def _named(said: str, root: Path, into: Path) -> Side:
    named = FORM.fullmatch(said)
    # With a revision after it, its suite need not have results here.
    here = named and (root / "results" / named[1]).is_dir()
    if named and (here or (named[3] and not git.commit(root, said))):
        place = _read(named[3] or HERE, root, into)
        return place._replace(suite=named[1], system=named[2])
    return _read(said, root, into)


def _read(revision: str, root: Path, into: Path) -> Side:
    """The results of a revision or experiment, out of git."""
    if revision == HERE:
        return Side(root, "")
    experiments = git.experiments(root)
    commit = experiments.get(revision, [""])[0] or git.commit(root, revision)
    if not commit:
        listed = ", ".join(experiments) or "none"
        here = [
            f"{suite}/{each}" for suite in _suites(root) for each in carried.systems(root, suite)
        ]
        raise UserError(
            f"{shown(revision)}: no such system (SUITE/SYSTEM), revision of git or experiment; "
            f"experiments are {listed}{nearest(revision, [*here, *experiments])}"
        )
    folder = into / commit
    if not folder.exists():
        packed = git.ask(root, "archive", "--format=tar", commit, "results")
        if packed is None:
            raise UserError(f"{shown(revision)}: this revision holds no results/")
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            # Python has it from 3.11.4 on; what git packed is ours.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(folder)
    return Side(folder, revision)


def _suites(root: Path) -> Sequence[str]:
    return sorted(path.name for path in (root / "results").glob("*") if path.is_dir())


def _differing(a: Side, b: Side, suite: str) -> list[tuple[Side, Side]]:
    """Systems whose measures differ, and variants that only b has, each held to its method."""
    ours, theirs = (carried.systems(each.root, suite) for each in (a, b))
    found = []
    for name, seeds in theirs.items():
        files = [layout.results(suite, name, seed) / "metrics.json" for seed in seeds]
        if name not in ours:
            if base(name) != name and base(name) in theirs:
                found.append((b.of(suite, base(name)), b.of(suite, name)))
        elif seeds != ours[name] or any(
            (a.root / file).read_bytes() != (b.root / file).read_bytes() for file in files
        ):
            found.append((a.of(suite, name), b.of(suite, name)))
    return found
