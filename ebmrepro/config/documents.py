"""Files that people write: strict models, YAML that every reader takes alike, one line if not.

What YAML 1.1 and 1.2 or two readers would take differently is refused (`0777`, `1_000`, a tab), and
so is what builds more than it says (tags, anchors, aliases). Tests hold the rest to DVC's reader.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml  # noqa: TID251 (with the words of YAML 1.2, see WORDS)
from pydantic import BaseModel, ConfigDict, model_validator
from yaml.composer import Composer  # noqa: TID251

from ebmrepro.system.errors import UserError, brief
from ebmrepro.system.reading import opened

LARGEST = 1 << 20  # bytes of a file
DEEPEST = 20  # blocks inside one another
DIGITS = 30  # of a number

INTEGER = r"[-+]?(0|[1-9][0-9]*)"
FLOAT = r"[-+]?([0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+)"
TAG = "tag:yaml.org,2002:"
WORDS = {  # tag -> the plain words that have it; the first that fits counts, all others are text
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": INTEGER,
    "float": rf"{FLOAT}|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN",
    # Numbers, dates and signs to some readers, other numbers or words to others.
    "disputed": r"(?=[-+.0-9])[-+]?(?=[_.]*[0-9_])[0-9_]*\.?[0-9_]*([eE][-+]?[0-9]+)?"
    r"|[-+]?0[box][0-9a-fA-F_]*|=|<<"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s]+[0-9:.]+\s*(Z|[-+][0-9:]+)?)?",
}
# Signs that readers of YAML forbid or take for the end of a line, or not; and tabs.
ODD = re.compile(
    "\r(?!\n)|[^\r\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

rule = model_validator(mode="after")
"""Marks a method of a `Strict` model that checks several keys against one another.

It returns the model, or raises a ValueError that begins with a key: "margin: found 3; ...".
"""


class ParamsError(UserError):
    """A wrong file that people write, or a wrong command line."""


class Strict(BaseModel):
    """No unknown keys, no coercion, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The block at the top of a YAML 1.2 file, of dict, list, str, int, float, bool and None.

    Raises:
        ParamsError: the file cannot be read, or is not YAML that every reader takes alike.
    """
    return parse(read_text(path), path)


def parse(text: str, path: str | Path) -> dict[str, Any]:
    """What `read_yaml` makes of the file's text."""
    return _Loader("", path).construct_document(compose(text, path))


def compose(text: str, path: str | Path) -> yaml.MappingNode:
    """The block at the top with the place in the text of every key and value."""
    try:
        top = _Loader(text, path).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        where = f"{path}: line {mark.line + 1}" if mark else f"{path}"
        raise ParamsError(f"{where}: this is not YAML: {words}") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: this is not YAML: {' '.join(str(error).split())}") from None
    if top is None:
        raise ParamsError(f"{path}: the file is empty")
    if not isinstance(top, yaml.MappingNode):
        raise ParamsError(f"{path}: found no block of keys at the top")
    return top


def nearest(found: object, allowed: Iterable[str]) -> str:
    """`; did you mean 'X'?` when some allowed name is close, else nothing."""
    close = difflib.get_close_matches(str(found), list(allowed), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def known(found: str, allowed: Iterable[str], where: str, kind: str) -> str:
    """`found` itself when it is among the allowed names.

    Raises:
        ParamsError: it is not; `where` and `kind` say what it was to name.
    """
    allowed = list(allowed)
    if found in allowed:
        return found
    listed = ", ".join(allowed) or "none"
    hint = nearest(found, allowed)
    raise ParamsError(f"{where}: no {kind} {shown(found)}; there are {listed}{hint}")


def shown(value: object) -> str:
    """A wrong value in a message: short, on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, BaseModel | Mapping):
        return "a block of keys"
    return brief(value)


def dotted(keys: Iterable[object]) -> str:
    """A place in a file: `digits.methods.began`."""
    words = (str(key) for key in keys)
    return ".".join(word if re.fullmatch(r"[\w-]+", word) else shown(word) for word in words)


class _Loader(Composer, yaml.CSafeLoader):
    """libyaml's events and PyYAML's safe values, with the words of YAML 1.2.

    The composer is the one in Python, whose steps can be refused before they are taken.
    """

    def __init__(self, text: str, path: str | Path):
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)
        self.path = path
        self.place: list[Any] = []  # keys and numbers of items that lead to the node

    def compose_document(self):
        start: Any = self.peek_event()
        if start.version or start.tags:
            raise self.refusal(start, "found a directive (%YAML, %TAG); there may be none")
        return super().compose_document()

    def compose_node(self, parent, index):
        event: Any = self.peek_event()
        if index is not None:
            self.place.append(index.value if isinstance(index, yaml.Node) else index)
        is_key = isinstance(parent, yaml.MappingNode) and index is None
        if isinstance(event, yaml.AliasEvent):
            raise self.refusal(event, f"found an alias *{event.anchor}; write the value itself")
        if event.anchor:
            raise self.refusal(event, f"found an anchor &{event.anchor}; there may be none")
        if event.tag:
            raise self.refusal(event, f"found a tag {shown(event.tag)}; there may be none")
        if is_key and not isinstance(event, yaml.ScalarEvent):
            raise self._wrong_key(event, "a block or list")
        if len(self.place) == DEEPEST and isinstance(event, yaml.CollectionStartEvent):
            raise self.refusal(event, f"blocks lie more than {DEEPEST} deep")
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode):
            self._check_word(node)
            if is_key and node.tag != f"{TAG}str":
                raise self._wrong_key(event, node.value or "nothing")
        if index is not None:
            self.place.pop()
        return node

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise ParamsError(
                    f"{self.path}: {dotted([*self.place, key.value])}: found this key twice, in "
                    f"lines {lines[key.value]} and {line}; allowed is once"
                )
            lines[key.value] = line
        return node

    def _check_word(self, node: yaml.ScalarNode) -> None:
        word = node.value[:DIGITS]
        if node.tag in (f"{TAG}int", f"{TAG}float") and len(node.value) > DIGITS:
            raise self.refusal(node, f"found {word}...; a number has at most {DIGITS} signs")
        if node.tag == f"{TAG}disputed":
            raise self.refusal(
                node,
                f"found {word}, which readers of YAML take differently; write a number in "
                "decimals, like 1000 or 0.5e-3, and anything else in quotes",
            )

    def _wrong_key(self, event: Any, what: str) -> ParamsError:
        return self.refusal(event, f"found {what} as a key; a key is a word, or stands in quotes")

    def refusal(self, event: Any, message: str) -> ParamsError:
        place = dotted(self.place)
        line = event.start_mark.line + 1
        return ParamsError(f"{self.path}: line {line}: {place and f'{place}: '}{message}")


_Loader.yaml_implicit_resolvers = {}  # those of YAML 1.1 are not inherited
for _tag, _words in WORDS.items():
    _Loader.add_implicit_resolver(f"{TAG}{_tag}", re.compile(rf"({_words})\Z"), None)


def read_text(path: str | Path) -> str:
    """A file's text, where it is UTF-8 of signs that every reader takes alike."""
    path = Path(path)
    if not path.exists():
        raise ParamsError(f"{path}: no such file; run in the project's folder")
    with opened(path) as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        size = path.stat().st_size
        raise ParamsError(f"{path}: found {size:,} bytes; allowed are {LARGEST:,}")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise ParamsError(f"{path}: begins with a byte order mark; save it as UTF-8 without one")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line, byte = raw.count(b"\n", 0, error.start) + 1, f"0x{raw[error.start]:02x}"
        said = f"line {line}: found the byte {byte}; the file is to be UTF-8"
        raise ParamsError(f"{path}: {said}") from None
    if odd := ODD.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        sign = f"the sign U+{ord(odd[0]):04X}; allowed are letters, digits and what prints"
        found = "a tab; write spaces" if odd[0] == "\t" else sign
        raise ParamsError(f"{path}: line {line}: found {found}")
    return text
