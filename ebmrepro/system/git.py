"""What the repository knows, by git's own command."""

from __future__ import annotations

import subprocess
from pathlib import Path

HOME = "refs/exps"  # where DVC keeps experiments: HOME/<2 digits>/<38 digits of the base>/<name>
ASIDE = "refs/ebmrepro/aside"  # the last of a name, likewise, while another of that name is run


def ask(root: Path, *words: str) -> bytes | None:
    """What `git WORDS` prints in a folder; None where it fails, or there is no git."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def line(root: Path, *words: str) -> str:
    """The same of a command that prints a line; empty where it fails."""
    return (ask(root, *words) or b"").decode(errors="replace").strip()


def commit(root: Path, name: str) -> str:
    """The full hash of a revision; empty where git knows none of this name."""
    return line(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def experiments(root: Path) -> dict[str, list[str]]:
    """DVC's experiments by name: their commits, one that stands on HEAD first, else the newest.

    Of a name whose new experiment was killed it is the one that was put aside.
    """
    return _experiments(root, ASIDE) | _experiments(root, HOME)


def _experiments(root: Path, home: str) -> dict[str, list[str]]:
    head, found = commit(root, "HEAD"), dict[str, list[str]]()
    told = line(
        root, "for-each-ref", "--sort=-creatordate", "--format=%(objectname) %(refname)", home
    )
    for each in told.splitlines():
        sha, _, ref = each.partition(" ")
        *_, front, rest, name = ref.split("/")
        if "exps" in (front, rest):  # refs/exps/exec/..., HOME/stash: DVC's own
            continue
        place = 0 if front + rest == head else len(found.get(name, []))
        found.setdefault(name, []).insert(place, sha)
    return found


def experiment(head: str, name: str, home: str = HOME) -> str:
    """The ref under which DVC keeps an experiment on a commit."""
    return f"{home}/{head[:2]}/{head[2:]}/{name}"
