"""Many images decoded at once, on all cores, into one array that a killed process goes on with.

Processes, not threads: Pillow lets others run while it decodes a JPEG or scales, but not while it
decodes WebP (LSUN) or while Python opens a file. Chunks of images go out to the workers and are
written in the order of the listing, so one number says how far a decoding is; what was written
is on the disk before that number is. Decoding has no state besides, hence the bytes do not depend
on the number of workers, or on how often it was stopped.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path

import numpy as np
import PIL

from ebmrepro.config.data import Image, Patch
from ebmrepro.config.params import digest
from ebmrepro.data import crops
from ebmrepro.data.encoded import Decoded, Listing, Reader
from ebmrepro.data.files import DataError
from ebmrepro.system import atomic, progress
from ebmrepro.system.locks import Lock

VERSION = 1  # of the pixels that this module and `crops` make of the same bytes
CHUNK = 64  # images that a worker decodes at a time
WORTH = 4  # chunks for each process: to start one takes as long as to decode some hundred images
SAVE_EVERY = 10.0  # seconds; what a killed process loses
WORKERS = "EBMREPRO_WORKERS"
NAMED = 5  # broken images that a message names


@contextlib.contextmanager
def decoded(
    listing: Listing, spec: Image, seed: int, folder: Path, label: str
) -> Iterator[Decoded]:
    """The images of `listing`, which are forgotten once the block has succeeded.

    Until then they are kept beside `folder` (`.<name>.decoding`), where the next call finds what is
    done.

    Raises:
        DataError: more than `spec.broken` of the images are broken, or the machine refuses.
        locks.Busy: another process decodes for the same folder.
        writing.CannotWrite: the machine refuses.
    """
    place = folder.with_name(f".{folder.name}.decoding")
    with atomic.named_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    with Lock(place / "decoding", str(place)):
        work = place / _identity(listing, spec, seed)
        for other in place.iterdir():  # of other parameters, or of other files
            if other.is_dir() and other != work:
                shutil.rmtree(other)
        with atomic.named_errors(work):
            work.mkdir(exist_ok=True)
        broken = _decode(listing, spec, seed, work, label)
        shape = (len(listing.names), spec.channels, spec.size, spec.size)
        _refuse_too_many(listing, spec, broken, label)
        yield Decoded(np.memmap(work / "images", np.uint8, "r", shape=shape), broken)
        shutil.rmtree(work)


def workers() -> int:
    """EBMREPRO_WORKERS if set, else one per core that this process may use."""
    return int(os.environ.get(WORKERS) or len(os.sched_getaffinity(0)))


def _identity(listing: Listing, spec: Image, seed: int) -> str:
    names = hashlib.sha256("\0".join(listing.names).encode())
    names.update(listing.labels.tobytes())
    key = {
        "version": [VERSION, PIL.__version__],
        "names": names.hexdigest(),
        "bytes": listing.identity,
        "spec": spec.model_dump(exclude={"broken"}),
        "seed": seed if isinstance(spec.crop, Patch) else None,
        "upright": listing.upright,
    }
    return digest(key)[:16]


def _decode(listing: Listing, spec: Image, seed: int, work: Path, label: str) -> dict[int, str]:
    """Append to `work`/images what is not there yet; which images are broken, and why."""
    row = spec.channels * spec.size * spec.size
    path, size = work / "images", len(listing.names) * row
    if path.exists() and path.stat().st_size == size:
        done, broken = _state(work / "state.json")
    else:
        done, broken = 0, {}
    names = listing.names[done:]
    if not names:
        return broken
    if done:
        print(f"{label}: {done:,} of {len(listing.names):,} images are decoded already", flush=True)
    job = _Job(listing.reader, spec, seed, listing.upright)
    saved = time.monotonic()
    with atomic.named_errors(path), path.open("r+b" if done else "wb") as file:
        _allocate(file.fileno(), size)
        file.seek(done * row)
        rows = _rows(job, names)
        with contextlib.closing(rows):
            for image in progress.follow(rows, len(names), label, "images"):
                if isinstance(image, str):
                    broken[done] = image
                    image = bytes(row)
                file.write(image)
                done += 1
                if done == len(listing.names) or time.monotonic() - saved >= SAVE_EVERY:
                    file.flush()
                    os.fsync(file.fileno())
                    with atomic.atomic_write(work / "state.json") as partial:
                        partial.write_text(json.dumps({"done": done, "broken": broken}))
                    saved = time.monotonic()
    return broken


def _allocate(file: int, size: int) -> None:
    """Ask for the whole file at once, so that a disk that is too small says so now."""
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that cannot
            raise
        os.ftruncate(file, size)


def _state(path: Path) -> tuple[int, dict[int, str]]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0, {}
    return state["done"], {int(place): reason for place, reason in state["broken"].items()}


def _refuse_too_many(listing: Listing, spec: Image, broken: dict[int, str], label: str) -> None:
    n = len(listing.names)
    if len(broken) <= spec.broken * n:
        return
    named = "; ".join(f"{listing.names[i]!r} {broken[i]}" for i in sorted(broken)[:NAMED])
    more = "; ..." if len(broken) > NAMED else ""
    raise DataError(
        f"{label}: {len(broken):,} of {n:,} images are broken, and params.yaml allows a share of "
        f"{spec.broken} (data.image.broken): {named}{more}"
    )


# --- workers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """What a worker needs to know once."""

    reader: Reader
    spec: Image
    seed: int
    upright: bool

    def chunk(self, names: Sequence[str]) -> list[bytes | str]:
        """Of each image its bytes (C, H, W), or why it is broken."""
        return [self.one(name) for name in names]

    def one(self, name: str) -> bytes | str:
        try:
            content = self.reader.read(name)
            return crops.decode(content, name, self.spec, self.seed, self.upright).tobytes()
        except crops.Broken as error:
            return str(error)


_job: _Job  # of a worker process


def _begin(job: _Job) -> None:
    """Of a worker: it ends with the process that it works for, which alone is asked to stop."""
    global _job
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _work(names: Sequence[str]) -> list[bytes | str]:
    return _job.chunk(names)


def _rows(job: _Job, names: Sequence[str]) -> Generator[bytes | str]:
    """Each image in turn; a few chunks per worker are under way, so that memory stays bounded."""
    chunks = (names[i : i + CHUNK] for i in range(0, len(names), CHUNK))
    count = min(workers(), len(names) // (WORTH * CHUNK))
    if count <= 1:
        for chunk in chunks:
            yield from job.chunk(chunk)
        return
    # Not forked: the progress bar has a thread.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(job,))
    under_way: deque[Future[list[bytes | str]]] = deque()
    try:
        for chunk in chunks:
            under_way.append(pool.submit(_work, chunk))
            if len(under_way) > 3 * count:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            f"a process that decodes images was killed; is there too little memory for {count}? "
            f"{WORKERS}=1 decodes in one process, and the next run goes on from here"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
