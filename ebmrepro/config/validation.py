"""A tree of values held to a model, and one line about the first that is wrong."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError

from ebmrepro.config.documents import FLOAT, INTEGER, ParamsError, dotted, nearest, shown

ELEVEN = {"y", "yes", "n", "no", "on", "off"}  # true or false in YAML 1.1
KINDS = {  # what pydantic calls by Python's names, in the words of a file
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
    first: Any = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    keys, message = _told(model, first)
    where = dotted([*place, *keys])
    raise ParamsError(f"{path}: {where}: {message}" if where else f"{path}: {message}")


def _told(model: type[Any], error: Any) -> tuple[list[str], str]:
    """The keys that lead to what an error is about, and the error in words."""
    kind, found = error["type"], error["input"]
    keys, there = _walk(model, error["loc"])
    if kind in ("missing", "extra_forbidden"):
        fields = _walk(model, error["loc"][:-1])[1].model_fields
        needed = ", ".join(key for key, field in fields.items() if field.is_required())
        optional = ", ".join(key for key, field in fields.items() if not field.is_required())
        more = optional and f"; optional: {optional}"
        if kind == "missing":
            return keys, f"this key is missing; needed are {needed}{more}"
        return keys, f"unknown key; allowed are {needed}{more}{nearest(keys[-1], fields)}"
    if kind.startswith("union_tag"):
        key = error["ctx"]["discriminator"].strip("'")
        members = typing.get_args(there)
        tags = [t for m in members for t in typing.get_args(m.model_fields[key].annotation)]
        allowed = f"allowed are {', '.join(tags)}"
        if kind == "union_tag_not_found":
            return [*keys, key], f"this key is missing; {allowed}"
        return [*keys, key], f"found {shown(found[key])}; {allowed}{nearest(found[key], tags)}"
    message = re.sub("^(Input|List|String|Value error,) ", "", error["msg"])
    # A `rule` begins with the key.
    if kind == "value_error" and (said := re.match(r"([\w.]+): (.*)", message)):
        return [*keys, *said[1].split(".")], said[2]
    message = f"should be {KINDS[kind]}" if kind in KINDS else message
    return keys, f"found {shown(found)}; it {message}{_hint(error, found)}"


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
        if re.fullmatch(f"{INTEGER}|{FLOAT}", found):
            return "; write it without quotes"
        if re.fullmatch(r"[0-9:.]*:[0-9:.]*", found):
            return "; YAML 1.2 has no numbers to the base of 60"
        if re.fullmatch(r"[0-9]*,[0-9]*", found):
            return "; write a decimal point"
    return ""


def _walk(model: Any, loc: Iterable[int | str]) -> tuple[list[str], Any]:
    """The keys of a place as they stand in the file, and the type of what stands there.

    Pydantic puts a union's tag into the place (`G.mlp.hidden`); the file has none.
    """
    keys: list[str] = []
    for key in loc:
        if key == "[key]":  # of a mapping: it has been said
            break
        arguments = typing.get_args(model)
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(key))
            model = field.annotation if field else None
        elif typing.get_origin(model) is dict:
            model = arguments[1]
        elif typing.get_origin(model) is list:
            model = arguments[0]
        else:
            model = next(a for a in arguments if key in _tags(a))
            continue
        keys.append(str(key))
        if typing.get_origin(model) is Annotated:
            model = typing.get_args(model)[0]
        some = [a for a in typing.get_args(model) if a is not type(None)]
        if len(some) == 1 < len(typing.get_args(model)):  # a block that may be absent
            model = some[0]
    return keys, model


def _tags(block: Any) -> list[Any]:
    """The words by which a block of a union may be told apart."""
    return [tag for f in block.model_fields.values() for tag in typing.get_args(f.annotation)]
