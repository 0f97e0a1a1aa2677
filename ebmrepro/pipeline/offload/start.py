"""Trains what this folder holds, on a machine with torch and numpy: python run.py --seconds 540

This file keeps to the standard library and to syntax that Python 3.6 reads: a machine's own Python
gets as far as saying what is missing.
"""

import importlib.util
import json
import os
import platform
import sys
import zipfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDED = ("torch", "numpy")


def here():
    """Python and platform, which compiled packages are for."""
    return {
        "python": "{}.{}".format(*sys.version_info[:2]),
        "platform": f"{sys.platform}-{platform.machine()}",
    }


def about(path):
    """What pack.json says; ValueError where it cannot be read or says nothing of this kind."""
    try:
        with open(path, encoding="utf-8") as file:
            pack = json.load(file)
        return {key: pack[key] for key in here()}
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not what `ebmrepro offload pack` writes: {error!r}") from error


def why_not(wanted):
    """Why this Python cannot run a pack for the one that is wanted, in one line; None if it can."""
    found = here()
    if found != wanted:
        return (
            "run.py: found Python {python} on {platform}; this pack is for Python ".format(**found)
            + "{python} on {platform}: `ebmrepro offload pack --python ".format(**wanted)
            + "{}` makes one for this".format(found["python"])
        )
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return "run.py: {} has no {}; it needs {}".format(
            sys.executable, ", ".join(missing), " and ".join(NEEDED)
        )
    return None


def unpack(archive, folder):
    """The packages that come along, once; a folder that has its name holds all of them."""
    if not os.path.isdir(folder):
        partial = f"{folder}.partial-{os.getpid()}"
        try:
            with zipfile.ZipFile(archive) as packages:
                packages.extractall(partial)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ValueError(f"{archive}: cannot be unpacked: {error!r}") from error
        os.rename(partial, folder)


if __name__ == "__main__":
    packages = os.path.join(HERE, "packages")
    try:
        problem = why_not(about(os.path.join(HERE, "pack.json")))
        if not problem:
            unpack(packages + ".zip", packages)
    except ValueError as error:
        problem = str(error)
    if problem:
        sys.stderr.write(problem + "\n")
        sys.exit(2)
    sys.path[:0] = [HERE, packages]
    from ebmrepro.pipeline.offload import program

    program.main(HERE, sys.argv[1:])
