"""Commands of `ebmrepro` by what they are about, a file each; cli.py puts them together."""

from __future__ import annotations

from pathlib import Path

from ebmrepro.system.errors import UserError


def in_project() -> None:
    """Refuse to look at another folder's files as if they were the project's; params.yaml may be
    wrong, or of another version."""
    if not Path("params.yaml").exists():
        raise UserError(f"{Path.cwd()}: no params.yaml here; run in the project's folder")
