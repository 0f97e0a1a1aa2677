"""One file from the first address that has it, by pooch: retried, checked, kept in a cache."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from ebmrepro.system import atomic
from ebmrepro.system.redact import redact

TIMEOUT = 30  # seconds without an answer
RETRIES = 2  # of one address, after pooch's pauses of 1 and 2 seconds, before the next one
CHUNK = 1 << 20
HEAD = 512  # bytes that tell a page from data


class Unavailable(Exception):
    """A file cannot be had; the message says what each address gave instead, on one line."""


def download(name: str, folder: Path, sha256: str, urls: Sequence[str]) -> Path:
    """`folder`/`name` with the right content: what is there already, or a copy of an address's.

    `urls` end in a slash. Processes that want the same file wait for each other.

    Raises:
        Unavailable: no address has it.
        atomic.CannotWrite: the machine refuses.
    """
    from filelock import FileLock
    from pooch import Pooch
    from requests.exceptions import RequestException

    failures = []
    with atomic.named_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{name}.lock"):
            for url in urls:
                registry, addresses = {name: f"sha256:{sha256}"}, {name: url + name}
                store = Pooch(folder, "", registry, addresses, retry_if_failed=RETRIES)
                try:
                    # pooch's own class does not match pooch's protocol either
                    return Path(store.fetch(name, downloader=_fetch))  # pyright: ignore[reportArgumentType]
                except (RequestException, ValueError, Unavailable) as error:  # ValueError: the hash
                    failures.append(f"{url}{name}: {_first(error)}")
    raise Unavailable(redact("; ".join(failures)))


def _first(error: BaseException) -> str:
    """What went wrong first: the libraries around it tell the address again, each in its way."""
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {textwrap.shorten(str(error), 300)}"


def _fetch(url: str, output_file: str, store: object) -> None:
    """A downloader for pooch, which asks once only where the answer is a page."""
    from pooch import HTTPDownloader

    headers = {"Accept-Encoding": "identity"}  # the file, not a compression of it
    HTTPDownloader(chunk_size=CHUNK, timeout=TIMEOUT, headers=headers)(url, output_file, store)
    with open(output_file, "rb") as file:
        if is_page(file.read(HEAD)):
            raise Unavailable("found an HTML page")


def is_page(content: bytes) -> bool:
    """Whether a file begins as a web page does: a login, a licence to accept, an error."""
    start = content[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--"))
