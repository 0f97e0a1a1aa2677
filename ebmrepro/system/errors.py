"""What a person can mend, said in one line, however long or deep the value that it is about."""

from __future__ import annotations

import reprlib

LONGEST = 300  # characters of what a library says
SHOWN = 60  # characters of a wrong value


class UserError(ValueError):
    """What a person can mend; the message is one line that names the place and what is allowed."""


def one_line(error: BaseException) -> str:
    """The first line of what a library says, or the name of its exception."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return first if len(first) <= LONGEST else f"{first[:LONGEST]}..."


def brief(value: object) -> str:
    """A wrong value in a message: no more of it is put into words than is shown."""
    text = _BRIEF.repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


class _Brief(reprlib.Repr):
    """Of what holds itself, or its like many times over, the whole text would have no end."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = SHOWN // 3
        self.maxstring = self.maxother = 4 * SHOWN

    def repr_int(self, x: int, level: int) -> str:
        bits = x.bit_length()
        return repr(x) if bits < 4 * SHOWN else f"an integer of {bits:,} bits"  # Python may refuse


_BRIEF = _Brief()
