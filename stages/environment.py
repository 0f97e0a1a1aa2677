"""Imported by every stage before ebmrepro: says what to do where ebmrepro is not installed.

DVC starts `python stages/<stage>.py` with whichever Python is first on PATH. Outside the project's
environment that is the system's, possibly an old one, so this file keeps to the standard library
and to syntax that Python 3.6 reads, and stage scripts keep to syntax that Python 3.7 reads: a file
is parsed whole before its first line runs.
"""

import importlib.util
import platform
import sys

# typer as well: PYTHONPATH can make ebmrepro importable without anything it needs
if any(importlib.util.find_spec(name) is None for name in ("ebmrepro", "typer")):
    sys.stderr.write(
        f"ebmrepro is not installed for {sys.executable} (Python {platform.python_version()}): "
        "run `make`, then `source .venv/bin/activate` and `dvc repro`; or `make repro` instead\n"
    )
    sys.exit(2)
