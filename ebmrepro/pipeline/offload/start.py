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

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDED = ("torch", "numpy")


def here():
    """Python and platform, which compiled packages are for."""
    return {
        "python": "{}.{}".format(*sys.version_info[:2]),
        "platform": f"{sys.platform}-{platform.machine()}",
    }


def why_not(pack):
    """Why this Python cannot run the pack, in one line; None if it can."""
    found, wanted = here(), {key: pack[key] for key in here()}
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
        with zipfile.ZipFile(archive) as packages:
            packages.extractall(partial)
        os.rename(partial, folder)


if __name__ == "__main__":
    with open(os.path.join(HERE, "pack.json"), encoding="utf-8") as about:
        problem = why_not(json.load(about))
    if problem:
        sys.stderr.write(problem + "\n")
        sys.exit(2)
    packages = os.path.join(HERE, "packages")
    unpack(packages + ".zip", packages)
    sys.path[:0] = [HERE, packages]
    from ebmrepro.pipeline.offload import program

    program.main(HERE, sys.argv[1:])
