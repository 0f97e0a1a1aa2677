"""YAML files that people write: read strictly, and one line about what is wrong with them.

Read is the part of YAML 1.2 on which DVC's reader and this one agree: blocks, lists, words, numbers
in decimals, `true` and `false`. What YAML 1.1 and 1.2 or two readers would take differently is
refused (`0777`, `1_000`, a tab), and so is what builds more than it says (tags, anchors, aliases).
libyaml finds the tokens, thirty times as fast as a parser in Python; what a word means is decided
here, and tests hold it to DVC's reader.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml  # noqa: TID251 (its tokens only: what it would make of them is YAML 1.1)
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ebmrepro.system.errors import UserError

LARGEST = 1 << 20  # bytes of a file
DEEPEST = 20  # blocks inside one another
DIGITS = 30  # of a number
SHOWN = 60  # characters of a wrong value in a message

CONSTANTS = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], float("inf")),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], float("-inf")),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], float("nan")),
}
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+)")
# Numbers, dates and signs in some reader's eyes, and other numbers or words in another's.
DISPUTED = re.compile(
    r"(?=[-+.0-9])[-+]?(?=[_.]*[0-9])[0-9_]*\.?[0-9_]*([eE][-+]?[0-9]+)?|[-+]?0[box][0-9a-fA-F_]*"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s]+[0-9:.]+\s*(Z|[-+][0-9:]+)?)?|=|<<"
)
# Signs that readers of YAML forbid or take for the end of a line, or not; and tabs.
ODD = re.compile(
    "\r(?!\n)|[^\r\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
ELEVEN = {"y", "yes", "n", "no", "on", "off"}  # true or false in YAML 1.1

# What pydantic calls by Python's names, in the words of a file.
KINDS = {
    "bool_type": "true or false",
    "dict_type": "a block of keys",
    "float_type": "a number",
    "int_from_float": "an integer",
    "int_type": "an integer",
    "list_type": "a list",
    "model_attributes_type": "a block of keys",
    "model_type": "a block of keys",
    "string_type": "a word",
}

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
    path = Path(path)
    text = _text(path)
    try:
        # A fallback for the rare Python without libyaml; its tokens are the same.
        events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _Builder(path).build(events)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        where = f"{path}: line {mark.line + 1}" if mark else f"{path}"
        raise ParamsError(f"{where}: this is not YAML: {words}") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: this is not YAML: {' '.join(str(error).split())}") from None


def validate(
    model: type[Any], tree: object, path: str | Path, place: tuple[str, ...] = ()
) -> typing.Any:
    """`tree`, found at `place` of the file, as a `model`.

    Raises:
        ParamsError: one line: file, key, what was found, what is allowed, the nearest name.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    # A misspelt key is missing under its right name as well; what stands in the file is said first.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    keys, found = _keys(first["loc"], tree), first["input"]
    context = first.get("ctx", {})
    where = [*place, *keys]
    if first["type"] == "missing":
        raise _refusal(path, where, f"this key is missing{_needed(model, first['loc'])}")
    if first["type"] == "extra_forbidden":
        allowed = _siblings(model, first["loc"])
        hint = nearest(str(first["loc"][-1]), allowed)
        raise _refusal(path, where, f"unknown key; allowed are {', '.join(allowed)}{hint}")
    if first["type"].startswith("union_tag"):
        key = context["discriminator"].strip("'")
        tags = _tags(model, first["loc"], key)
        listed = f"allowed are {', '.join(tags)}"
        if first["type"] == "union_tag_not_found":
            raise _refusal(path, [*where, key], f"this key is missing; {listed}")
        tag = found[key]
        raise _refusal(path, [*where, key], f"found {shown(tag)}; {listed}{nearest(tag, tags)}")
    message = re.sub("^(Input|List|Value error,) ", "", first["msg"])
    # A `rule` begins with the key.
    if first["type"] == "value_error" and (said := re.match(r"([\w.]+): (.*)", message)):
        key, message = said.groups()
        raise _refusal(path, [*where, *key.split(".")], message)
    if first["type"] in KINDS:
        message = f"should be {KINDS[first['type']]}"
    raise _refusal(path, where, f"found {shown(found)}; it {message}{_hint(first, found)}")


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
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def dotted(keys: Iterable[object]) -> str:
    """A place in a file: `digits.methods.began`."""
    words = (str(key) for key in keys)
    return ".".join(word if re.fullmatch(r"[\w-]+", word) else shown(word) for word in words)


class _Builder:
    """Plain values from a parser's events, without recursion, so that depth is no danger."""

    def __init__(self, path: Path):
        self.path = path
        self.open: list[dict[str, Any] | list[Any]] = []
        self.keys: list[Any] = []  # per open collection: the key that awaits a value, or None
        self.lines: list[dict[str, int]] = []  # per open collection: where its keys stand

    def build(self, events: Iterable[Any]) -> dict[str, Any]:
        documents, top = 0, None
        for event in events:
            line = event.start_mark.line + 1
            self._refuse_cleverness(event, line)
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise self._wrong(line, "a second document begins; there may be one")
                case yaml.ScalarEvent():
                    self._take(_scalar(event, lambda w, n=line: self._wrong(n, w)), line)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    new = {} if isinstance(event, yaml.MappingStartEvent) else []
                    if self.open:
                        self._take(new, line)
                    else:
                        top = new
                    if len(self.open) == DEEPEST:
                        raise self._wrong(line, f"blocks lie more than {DEEPEST} deep")
                    self.open.append(new)
                    self.keys.append(None)
                    self.lines.append({})
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    for stack in (self.open, self.keys, self.lines):
                        stack.pop()
                    self._taken()
        if documents == 0:
            raise ParamsError(f"{self.path}: the file is empty")
        if not isinstance(top, dict):
            raise ParamsError(f"{self.path}: found no block of keys at the top")
        return top

    def _take(self, value: Any, line: int) -> None:
        """A value for the innermost collection, or its next key."""
        if not self.open:
            return  # a lone word is no block at the top
        inner = self.open[-1]
        if isinstance(inner, list):
            self.keys[-1] = len(inner)
            inner.append(value)
        elif self.keys[-1] is None:
            self._take_key(value, line)
            return
        else:
            inner[self.keys[-1]] = value
        if not isinstance(value, dict | list):
            self._taken()

    def _taken(self) -> None:
        """The innermost collection has its value: what comes next is a key or an item."""
        if self.keys:
            self.keys[-1] = None

    def _take_key(self, key: Any, line: int) -> None:
        if not isinstance(key, str):
            what = "a block or list" if isinstance(key, dict | list) else shown(key)
            raise self._wrong(line, f"found {what} as a key; a key is a word, or stands in quotes")
        if key in self.open[-1]:
            where = dotted([*self._place(), key])
            before = self.lines[-1][key]
            raise ParamsError(
                f"{self.path}: {where}: found this key twice, in lines {before} and {line}; "
                "allowed is once"
            )
        self.keys[-1] = key
        self.lines[-1][key] = line

    def _refuse_cleverness(self, event: Any, line: int) -> None:
        if getattr(event, "version", None) or getattr(event, "tags", None):
            raise self._wrong(line, "found a directive (%YAML, %TAG); there may be none")
        if isinstance(event, yaml.AliasEvent):
            raise self._wrong(line, f"found an alias *{event.anchor}; write the value itself")
        if getattr(event, "anchor", None):
            raise self._wrong(line, f"found an anchor &{event.anchor}; there may be none")
        if getattr(event, "tag", None):
            raise self._wrong(line, f"found a tag {shown(event.tag)}; there may be none")

    def _place(self) -> list[Any]:
        return [key for key in self.keys if key is not None]

    def _wrong(self, line: int, message: str) -> ParamsError:
        place = dotted(self._place())
        return ParamsError(f"{self.path}: line {line}: {place and f'{place}: '}{message}")


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ParamsError(f"{path}: found {size:,} bytes; allowed are {LARGEST:,}")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run in the project's folder") from None
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}") from None
    if raw.startswith(b"\xef\xbb\xbf"):
        raise ParamsError(f"{path}: begins with a byte order mark; save it as UTF-8 without one")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
        raise ParamsError(
            f"{path}: line {line}: found the byte 0x{byte:02x}; the file is to be UTF-8"
        ) from None
    if odd := ODD.search(text):
        line, sign = text.count("\n", 0, odd.start()) + 1, odd[0]
        what = f"the sign U+{ord(sign):04X}; allowed are letters, digits and what prints"
        what = "a tab; write spaces" if sign == "\t" else what
        raise ParamsError(f"{path}: line {line}: found {what}")
    return text


def _scalar(event: Any, wrong: typing.Callable[[str], ParamsError]) -> Any:
    """What a word means: that of YAML 1.2, where no reader disputes it."""
    word = event.value
    if not event.implicit[0]:  # in quotes, or a block of text
        return word
    if word in CONSTANTS:
        return CONSTANTS[word]
    if INTEGER.fullmatch(word) or FLOAT.fullmatch(word):
        if len(word) > DIGITS:
            raise wrong(f"found {word[:DIGITS]}...; a number has at most {DIGITS} signs")
        return int(word) if INTEGER.fullmatch(word) else float(word)
    if DISPUTED.fullmatch(word):
        raise wrong(
            f"found {word[:DIGITS]}, which readers of YAML take differently; write a number in "
            "decimals, like 1000 or 0.5e-3, and anything else in quotes"
        )
    return word


def _refusal(path: str | Path, keys: Iterable[object], message: str) -> ParamsError:
    where = dotted(keys)
    return ParamsError(f"{path}: {where}: {message}" if where else f"{path}: {message}")


def _hint(error: Any, found: object) -> str:
    """What a person who wrote this may have meant."""
    kind, expected = error["type"], str(error.get("ctx", {}).get("expected", ""))
    if kind == "literal_error":
        return nearest(found, re.findall(r"'([^']*)'", expected))
    if kind == "string_type" and isinstance(found, bool | int | float):
        return "; write it in quotes"
    if not isinstance(found, str):
        return ""
    if kind == "bool_type" and found.lower() in ELEVEN | {"true", "false"}:
        return "; YAML 1.2: write true or false, without quotes"
    if kind in ("int_type", "float_type"):
        if INTEGER.fullmatch(found) or FLOAT.fullmatch(found):
            return "; write it without quotes"
        if re.fullmatch(r"[0-9:.]*:[0-9:.]*", found):
            return "; YAML 1.2 has no numbers to the base of 60"
        if re.fullmatch(r"[0-9]*,[0-9]*", found):
            return "; write a decimal point"
    return ""


def _keys(loc: Iterable[int | str], tree: object) -> list[str]:
    """The keys of a place as they stand in the file.

    Pydantic puts a union's tag into the place (`G.mlp.hidden`); the file has none.
    """
    kept: list[str] = []
    loc = list(loc)
    if not loc:
        return kept
    for key in loc[:-1]:
        inside = _get(tree, key)
        if inside is not tree:
            tree = inside
            kept.append(str(key))
    is_tag = isinstance(tree, Mapping) and loc[-1] not in tree and loc[-1] in tree.values()
    return kept if is_tag else [*kept, str(loc[-1])]


def _get(tree: Any, key: int | str) -> Any:
    """What lies at a key, or `tree` itself where it has no such key."""
    try:
        return tree[key]
    except (LookupError, TypeError):
        return tree


def _siblings(model: type[Any], loc: Iterable[int | str]) -> list[str]:
    """The keys allowed at the place where an unknown one was found, or a known one is missing."""
    kind: Any = model
    for key in list(loc)[:-1]:
        kind = _child(kind, key)
    return list(kind.model_fields)


def _needed(model: type[Any], loc: Iterable[int | str]) -> str:
    return f"; needed are {', '.join(_siblings(model, loc))}"


def _tags(model: type[Any], loc: Iterable[int | str], discriminator: str) -> list[str]:
    """The values that the key may have by which a union of blocks is told apart."""
    kind: Any = model
    for key in loc:
        kind = _child(kind, key)
    fields = [member.model_fields[discriminator] for member in typing.get_args(kind)]
    return [tag for field in fields for tag in typing.get_args(field.annotation)]


def _child(kind: Any, key: Any) -> Any:
    """The type at a key of a type, without what Annotated adds, and without None."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        kind = kind.model_fields[key].annotation
    else:
        arguments = [a for a in typing.get_args(kind) if a is not type(None)]
        if typing.get_origin(kind) is dict:
            kind = arguments[1]
        elif typing.get_origin(kind) in (list, tuple):
            kind = arguments[0]
        else:  # a union of blocks: the key is the tag
            kind = next(
                a
                for a in arguments
                if any(key in typing.get_args(f.annotation) for f in a.model_fields.values())
            )
    if typing.get_origin(kind) is Annotated:
        return typing.get_args(kind)[0]
    some = [a for a in typing.get_args(kind) if a is not type(None)]
    optional = len(some) == 1 < len(typing.get_args(kind))  # a block that may be absent
    return some[0] if optional else kind
