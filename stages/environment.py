"""Imported by every stage before ebmrepro: says what to do where ebmrepro is not installed.

DVC starts `python stages/<stage>.py` with whichever Python is first on PATH. Outside the project's
environment that is the system's, possibly an old one, so this file keeps to the standard library
and to syntax that Python 3.6 reads, and stage scripts keep to syntax that Python 3.7 reads: a file
is parsed whole before its first line runs.
"""

import importlib.util
import os
import platform
import sys

# The package beside this file, also in the temporary workspace of `dvc exp run --temp`, where the
# installed one is that of the original checkout.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(main):
    """Run a stage from its command line.

    At its end the process is left at once: to take the modules of torch apart lasts as long as a
    fifth of importing them, and everything is written by then.
    """
    import typer

    try:
        typer.run(main)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
    except OSError as error:
        from ebmrepro import writing

        line = writing.refused(error)
        if line is None:
            raise
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
        os._exit(2)


if importlib.util.find_spec("typer") is None:  # the first thing that a stage needs besides
    sys.stderr.write(
        f"ebmrepro is not installed for {sys.executable} (Python {platform.python_version()}): "
        "run `make`, then `source .venv/bin/activate` and `dvc repro`; or `make repro` instead\n"
    )
    sys.exit(2)
