"""One file from the first address that has it: resumed, retried with a pause, checked, kept.

pooch keeps the cache, and puts a file into it at once and only with the right checksum; the
transport is given to it here, since its own starts from the beginning after every break.
Connections and answers are retried by urllib3's `Retry`; a body that breaks off is gone on with
from its last byte, also by a later process, and also from another address: the checksum is of the
whole.
"""

from __future__ import annotations

import hashlib
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ebmrepro.system import atomic
from ebmrepro.system.redact import redact

if TYPE_CHECKING:
    from requests import Session

TIMEOUT = 30  # seconds without an answer
ATTEMPTS = 5  # breaks of one body, and answers that say to come again, before the next address
CONNECTIONS = 1  # further attempts to connect: a machine without a network is told soon
BACKOFF = 0.5  # seconds; doubled from one attempt to the next
COME_AGAIN = (408, 429, 500, 502, 503, 504)
CHUNK = 1 << 20
HEAD = 512  # bytes that tell a page from data


class Unavailable(Exception):
    """No address has the file; the message says what each gave instead, on one line."""


def download(name: str, folder: Path, sha256: str, urls: Sequence[str]) -> Path:
    """`folder`/`name` with the right content: what is there already, or a copy of an address's.

    `urls` end in a slash. A file with other content is set aside as `name.bad`, so that a person
    can look at it and nothing else will. Processes that want the same file wait for each other.

    Raises:
        Unavailable: no address has it.
        writing.CannotWrite: the machine refuses.
    """
    import pooch
    from filelock import FileLock

    with atomic.named_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    failures = []
    with FileLock(folder / f".{name}.lock"):
        if path.exists():
            if _sha256(path) == sha256:
                return path
            aside = _set_aside(path)
            print(f"{path}: not the published file: set aside as {aside.name}", file=sys.stderr)
        for url in urls:
            try:
                found = pooch.retrieve(
                    url + name,
                    known_hash=f"sha256:{sha256}",
                    fname=name,
                    path=folder,
                    # pooch's own class does not match pooch's protocol either
                    downloader=_Transport(folder / f"{name}.part", sha256),  # pyright: ignore[reportArgumentType]
                )
            except Unavailable as error:
                failures.append(f"{url}{name}: {error}")
            else:
                return Path(found)
    raise Unavailable(redact("; ".join(failures)))


def is_page(content: bytes) -> bool:
    """Whether a file begins as a web page does: a login, a licence to accept, an error."""
    start = content[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--"))


def differs(found: str, expected: str, head: bytes) -> str:
    """What to say of content with the checksum `found` that begins with `head`."""
    what = "an HTML page, " if is_page(head) else ""
    return f"found {what}sha256 {found}, expected {expected}"


class _Transport:
    """Pooch's downloader: `partial` grows until it is whole, then takes the name pooch gave."""

    def __init__(self, partial: Path, sha256: str):
        self.partial, self.sha256 = partial, sha256

    def __call__(self, url: str, output_file: str, _: object) -> None:
        resumed = self.partial.exists()
        self._fetch(url)
        found = _sha256(self.partial)
        if found != self.sha256 and resumed:
            # Begun from another address, or before the file was replaced there.
            self.partial.unlink()
            self._fetch(url)
            found = _sha256(self.partial)
        if found != self.sha256:
            with self.partial.open("rb") as file:
                reason = differs(found, self.sha256, file.read(HEAD))
            aside = _set_aside(self.partial)
            raise Unavailable(f"{reason}; set aside as {aside}")
        os.replace(self.partial, output_file)

    def _fetch(self, url: str) -> None:
        from urllib3.exceptions import HTTPError, MaxRetryError
        from urllib3.util import Retry

        breaks = Retry(ATTEMPTS, backoff_factor=BACKOFF)
        with _session() as session:
            while (reason := self._go_on(session, url)) is not None:
                try:
                    breaks = breaks.increment("GET", url, error=HTTPError(reason))
                except MaxRetryError:
                    raise Unavailable(reason) from None
                breaks.sleep()

    def _go_on(self, session: Session, url: str) -> str | None:
        """Append what is missing, or begin again where the server cannot go on.

        Returns:
            None when the answer came whole, else how it broke off.
        """
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        have = self.partial.stat().st_size if self.partial.exists() else 0
        headers = {"Accept-Encoding": "identity"}  # the file, not a compression of it
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            answer = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
            if have and answer.status_code == 416:  # nothing after it: the checksum decides
                return None
            answer.raise_for_status()
        except RequestException as error:
            raise Unavailable(_reason(error)) from error
        goes_on = answer.status_code == 206
        if goes_on and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            self.partial.unlink()
            return "the server answered with another part of the file"
        with (
            answer,
            atomic.named_errors(self.partial),
            self.partial.open("ab" if goes_on else "wb") as f,
        ):
            try:
                for chunk in answer.raw.stream(CHUNK, decode_content=False):
                    f.write(chunk)
            except HTTPError as error:
                return _reason(error)
        return None


def _session() -> Session:
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    # A server may not make us wait as long as it likes, hence not its Retry-After.
    retry = Retry(
        ATTEMPTS,
        connect=CONNECTIONS,
        redirect=5,
        backoff_factor=BACKOFF,
        status_forcelist=COME_AGAIN,
        respect_retry_after_header=False,
    )
    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _reason(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {textwrap.shorten(text, 160)}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name.removesuffix('.part')}.bad")
    os.replace(path, aside)
    return aside
