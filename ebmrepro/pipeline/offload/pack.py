"""Writes the folder that a bare machine is given: run.py, code, parameters, images, packages.

run.py         `start.py`
pack.json      the trainings, the most worth first, and what the folder was made for
params.yaml    as it is
data/          of each suite the training images, compressed, and its dataset.json
ebmrepro/      the package
packages.zip   installed distributions that a training imports and torch does not bring
.ebmrepro/     checkpoints of those trainings that were begun
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ebmrepro import data
from ebmrepro.config.documents import ParamsError
from ebmrepro.config.params import Params, Training
from ebmrepro.data.splits import stratified
from ebmrepro.pipeline.offload import start
from ebmrepro.runs import checkpoints, fingerprints, layout, provenance
from ebmrepro.system import atomic
from ebmrepro.system.errors import UserError

SCHEMA = 1
MEGABYTE = 10**6
LOCK = fingerprints.PACKAGE.parent / "requirements.lock"
# What a training imports besides torch, numpy and what these bring. Two that torch brings are among
# them, since pydantic and our locks may want newer ones.
PACKAGES = (
    "annotated-types",
    "filelock",
    "pillow",
    "pydantic",
    "pydantic-core",
    "pyyaml",
    "safetensors",
    "threadpoolctl",
    "typing-extensions",
    "typing-inspection",
)
Part = dict[str, int]  # how many of how many training images: run, of


def write(
    suite: str,
    names: Sequence[str],
    seeds: Sequence[int],
    settings: Params,
    out: Path,
    limit: int,
    images: int | None = None,
    python: str | None = None,
) -> None:
    """Write a pack of a suite's trainings.

    Trainings are in the order of the seeds, and of the names within a seed.

    Args:
        limit: bytes of the folder, and of what comes home of it.
        images: of the training split, each class in its share; all if none.
        python: of the machine, such as 3.12, whose packages are fetched as requirements.lock pins
            them; if none, those installed here go along.

    Raises:
        UserError: the folder would be larger, is somebody else's, holds what a sitting left, or
            lacks data or packages.
    """
    if out.exists() and not (out / "pack.json").exists() and any(out.iterdir()):
        raise UserError(f"--out: {out}: is there and is no pack; name a new folder")
    if (out / "home").exists():
        raise UserError(
            f"--out: {out}: holds what a sitting left in home/; "
            "take it, then remove the folder, or name a new one"
        )
    dataset, x, y = training_images(suite, images)
    trainings = [Training(suite, name, seed) for seed in seeds for name in names]
    about: dict[str, Any] = {
        "schema": SCHEMA,
        **start.here(),
        **({"python": python} if python else {}),
        "commit": provenance.commit(),
        "part": dataset.get("part"),
        "size": limit,
        "trainings": trainings,
    }
    with atomic.atomic_folder(out) as folder:
        shutil.copyfile(start.__file__, folder / "run.py")
        shutil.copyfile("params.yaml", folder / "params.yaml")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(fingerprints.PACKAGE, folder / "ebmrepro", ignore=ignored)
        (folder / "data").mkdir()
        packed = folder / "data" / f"{suite}.npz"
        np.savez_compressed(packed, images=x, labels=y, about=np.array(data.in_words(dataset)))
        _packages(folder / "packages.zip", python)
        atomic.write_json(folder / "pack.json", about)
        _fits(folder, limit, packed, len(x))
        _checkpoints(folder, trainings, settings, dataset["splits"], limit)


def training_images(suite: str, count: int | None) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """dataset.json, images and labels of a suite's training split, or of a part of it: each class
    in its share, drawn by a seed of its own, in their order.

    Raises:
        ParamsError: there are fewer images.
        DataError: the suite's data are not there.
    """
    folder = Path("data") / suite
    dataset = data.describe(folder)
    x, y = data.read(folder, "train")
    if count is None or count == len(x):
        return dataset, x, y
    if not 0 < count < len(x):
        raise ParamsError(f"--images: found {count}; data/{suite} has 1 to {len(x)} to train on")
    rows = np.flatnonzero(stratified(y, count, 0, "part"))
    x, y = x[rows], y[rows]
    splits = {**dataset["splits"], "train": data.card(x, y, dataset)}
    part: Part = {"run": count, "of": dataset["splits"]["train"]["count"]}
    return {**dataset, "splits": splits, "part": part}, x, y


def size(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _fits(folder: Path, limit: int, packed: Path, count: int) -> None:
    found = size(folder)
    if found <= limit:
        return
    rest = limit - (found - packed.stat().st_size)
    fits = int(0.9 * count * rest / packed.stat().st_size)  # some bytes are no images'
    hint = f"; --images {fits} fits" if fits > 0 else ""
    raise UserError(
        f"--size: the pack has {found / MEGABYTE:.1f} MB, {count:,} images among it; "
        f"allowed are {limit / MEGABYTE:g}{hint}"
    )


def _checkpoints(
    folder: Path, trainings: Sequence[Training], settings: Params, splits: Any, limit: int
) -> None:
    """Take along what was begun, as long as it fits; what does not begins anew there."""
    stored = checkpoints.stored(layout.root())
    for training in trainings:
        name = fingerprints.of(*training, settings, splits)
        for file in (f for s in stored if s.fingerprint == name for f in checkpoints.portable(s)):
            if size(folder) + file.stat().st_size <= limit:
                to = folder / file.relative_to(layout.root())
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, to)


def _packages(archive: Path, python: str | None) -> None:
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed,
        tempfile.TemporaryDirectory() as place,
    ):
        ours = python in (None, start.here()["python"])
        for name, path in _installed() if ours else _fetched(Path(place), str(python)):
            packed.write(path, name)


def _installed() -> Iterable[tuple[str, Path]]:
    """(name below site-packages, file) of the distributions, as they are installed here."""
    for name in PACKAGES:
        try:
            files = metadata.distribution(name).files or []
        except metadata.PackageNotFoundError:
            raise UserError(f"{name}: not installed for {sys.executable}; run `make`") from None
        for file in files:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                yield str(file), Path(str(file.locate()))


def _fetched(folder: Path, python: str) -> Iterable[tuple[str, Path]]:
    """The same for another Python, from uv's cache or the registry, held to requirements.lock."""
    text = LOCK.read_text(encoding="utf-8")
    entries = [entry for entry in _entries(text) if entry.partition("==")[0] in PACKAGES]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.writelines(entries)
        wanted.flush()
        target = f"{platform.machine()}-manylinux_2_28"
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", folder]
        command += ["--python-version", python, "--python-platform", target, "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "-r", wanted.name]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:]
        raise UserError(f"--python {python}: uv cannot fetch what requirements.lock pins: {said}")
    return [(str(path.relative_to(folder)), path) for path in sorted(folder.rglob("*"))]


def _entries(lock: str) -> list[str]:
    """Each package's lines: `name==version ... \\` and the hashes that follow, indented."""
    found: list[str] = []
    for line in lock.splitlines(keepends=True):
        if line[:1].isalnum():
            found.append(line)
        elif found:
            found[-1] += line
    return found
