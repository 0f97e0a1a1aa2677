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

    Where the new one of a name was killed, the last one on that commit is the one put aside.
    """
    head, found = commit(root, "HEAD"), dict[str, dict[str, str]]()
    for home in (HOME, ASIDE):
        form = ("--sort=-creatordate", "--format=%(objectname) %(refname)")
        for each in line(root, "for-each-ref", *form, home).splitlines():
            sha, _, ref = each.partition(" ")
            *_, front, rest, name = ref.split("/")
            if "exps" not in (front, rest):  # HOME/exec/..., HOME/stash: DVC's own
                found.setdefault(name, {}).setdefault(front + rest, sha)
    return {
        name: [on[base] for base in sorted(on, key=lambda base: base != head)]
        for name, on in found.items()
    }


def experiment(head: str, name: str, home: str = HOME) -> str:
    """The ref under which DVC keeps an experiment on a commit."""
    return f"{home}/{head[:2]}/{head[2:]}/{name}"
