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
import functools
import hashlib
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from pathlib import Path

import numpy as np
import PIL

from ebmrepro.config import forms
from ebmrepro.config.data import Image, Patch
from ebmrepro.config.params import digest
from ebmrepro.data import crops, files
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Listing
from ebmrepro.system import atomic, machine, progress
from ebmrepro.system.locks import Lock
from ebmrepro.system.reading import Damaged

VERSION = 1  # of the pixels that this module and `crops` make of the same bytes
CHUNK = 64  # images that a worker decodes at a time
WORTH = 4  # chunks for each process: to start one takes as long as to decode some hundred images
SAVE_EVERY = 10.0  # seconds; what a killed process loses
WORKERS = "EBMREPRO_WORKERS"
NAMED = 5  # broken images that a message names


@contextlib.contextmanager
def decoded(
    listing: Listing, spec: Image, seed: int, folder: Path, label: str
) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
    """The images of `listing`, which are forgotten once the block has succeeded.

    Until then they are kept beside `folder` (`.<name>.decoding`), where the next call finds what is
    done.

    Yields:
        Images, uint8 (N, C, H, W), mapped read-only, in the order of the listing; and place in the
        listing -> why that image is left out (it is black).

    Raises:
        DataError: more than `spec.broken` of the images are broken, or the machine refuses.
        locks.Busy: another process decodes for the same folder.
        atomic.CannotWrite: the machine refuses.
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
        n = len(listing.names)
        if len(broken) > spec.broken * n:
            named = files.named([f"{listing.names[i]!r} {broken[i]}" for i in broken], NAMED, "; ")
            raise DataError(
                f"{label}: {len(broken):,} of {n:,} images are broken, and params.yaml allows a "
                f"share of {spec.broken} (data.image.broken): {named}"
            )
        shape = (n, spec.channels, spec.size, spec.size)
        yield np.memmap(work / "images", np.uint8, "r", shape=shape), broken
        shutil.rmtree(work)


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
    note, done, broken = work / "state.json", 0, {}
    if note.exists() and path.exists() and path.stat().st_size == size:
        with contextlib.suppress(Damaged):  # what is not known to be done is done again
            state = forms.Decoding.read(note)
            if max([state["done"], *(int(i) + 1 for i in state["broken"])]) > len(listing.names):
                raise Damaged(f"{note}: found more images than there are")
            done, broken = state["done"], {int(i): why for i, why in state["broken"].items()}
    names = listing.names[done:]
    if not names:
        return broken
    if done:
        print(f"{label}: {done:,} of {len(listing.names):,} images are decoded already", flush=True)
    else:
        note.unlink(missing_ok=True)  # of a file that is gone: the next has its size at once
    job = functools.partial(_chunk, listing.read, spec, seed, listing.upright)
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
                    atomic.write_json(note, {"done": done, "broken": broken})
                    saved = time.monotonic()
    return broken


def _allocate(file: int, size: int) -> None:
    """Ask for the whole file at once, so that a disk that is too small says so now."""
    if hasattr(os, "posix_fallocate"):  # macOS has none
        try:
            return os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that cannot
                raise
    os.ftruncate(file, size)


# --- workers -------------------------------------------------------------------------------------


Job = Callable[[Sequence[str]], list[bytes | str]]  # `_chunk` with all but the names


def _chunk(
    read: Callable[[str], bytes], spec: Image, seed: int, upright: bool, names: Sequence[str]
) -> list[bytes | str]:
    """Of each image its bytes (C, H, W), or why it is broken."""
    rows: list[bytes | str] = []
    for name in names:
        with files.readable(Path(name)):  # or it would be told as a refusal to write
            content = read(name)
        try:
            rows.append(crops.decode(content, name, spec, seed, upright).tobytes())
        except crops.Broken as error:
            rows.append(str(error))
        except MemoryError:  # else a good image would be left out
            raise DataError(f"{name}: not enough memory to decode it") from None
    return rows


_job: Job  # of a worker process


def _begin(job: Job) -> None:
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
    return _job(names)


def _rows(job: Job, names: Sequence[str]) -> Generator[bytes | str]:
    """Each image in turn; a few chunks per worker are under way, so that memory stays bounded.

    There are as many workers as EBMREPRO_WORKERS says, else one per core that we may use.
    """
    workers = int(os.environ.get(WORKERS) or machine.cores())
    chunks = (names[i : i + CHUNK] for i in range(0, len(names), CHUNK))
    count = min(workers, len(names) // (WORTH * CHUNK))
    if count <= 1:
        for chunk in chunks:
            yield from job(chunk)
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
