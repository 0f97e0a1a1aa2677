"""The shipped params.yaml, whole or in part, to be changed, and the line that a wrong one gets."""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ebmrepro.config import documents, params
from ebmrepro.config.campaign import FURTHER

ROOT = Path(__file__).parents[1]
PATH = ROOT / "params.yaml"
RAW = PATH.read_bytes()
TEXT = RAW.decode()
TREE = documents.parse(TEXT, PATH)
SUITES = [name for name in TREE if name not in params.OWN]


@functools.cache
def shipped() -> params.Params:
    """The shipped file as read, once for all files of tests that only look at it."""
    return params.load(PATH)


# A suite is right or wrong whatever the others are, and they take most of the time to read.


def part(tree: Mapping[str, Any], *suites: str) -> dict[str, Any]:
    """A tree without the suites that neither `run` nor any of these needs."""
    needed = _needed(suites)
    found = {key: value for key, value in tree.items() if key not in SUITES or key in needed}
    if isinstance(asked := found.get("campaign"), Mapping):
        found["campaign"] = {key: asked[key] for key in asked if _whose(key) in needed}
    return found


def part_of_text(*suites: str) -> str:
    """The shipped file's text without the suites that neither `run` nor any of these needs."""
    needed = _needed(suites)
    head, blocks = _blocks(TEXT, "")
    told = [head]
    for name, block in blocks:
        if name == "campaign":
            first, campaigns = _blocks(block, "  ")
            block = "".join([first, *(c for key, c in campaigns if _whose(key) in needed)])
        if name in needed or name in params.OWN:
            told.append(block)
    return "".join(told)


def _needed(suites: Iterable[str]) -> set[str]:
    """Suites of `run`, these, and those that their tours name."""
    found = {*TREE["run"]["suites"], *suites}
    return found.union(*(TREE[name]["tour"]["others"] for name in found))


def _whose(campaign: str) -> str:
    return campaign.removesuffix(FURTHER)


def _blocks(text: str, pad: str) -> tuple[str, list[tuple[str, str]]]:
    """What stands before the first key of this depth, and each key with its lines."""
    starts = re.finditer(rf"(?m)^(?:{pad}#.*\n)*{pad}(\w+):", text)
    places = [(found.start(), found[1]) for found in starts]
    ends = [place for place, _ in places[1:]] + [len(text)]
    blocks = ((name, text[at:end]) for (at, name), end in zip(places, ends, strict=True))
    return text[: places[0][0]], list(blocks)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("params") / "params.yaml"


def refused(path: Path, content: bytes | str) -> str | None:
    """The one line that the file gets, or None when it is right."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        settings = params.load(path)
    except documents.ParamsError as error:
        message = str(error)
        assert len(message.splitlines()) == 1, message
        assert message.startswith(f"{path}: ") and message.isprintable(), message
        assert len(message) < 1000, message
        return message.removeprefix(f"{path}: ")
    for suite in settings.suites:
        for _, name, _ in settings.suite(suite).blocks:
            settings.block(suite, name)
    return None


def at(tree: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        tree = tree[key]
    return tree


def written(tree: Any) -> str:
    """JSON, which is YAML 1.2 but for the names of what JSON has not."""
    text = json.dumps(tree, indent=1)
    for name, yaml in (("NaN", ".nan"), ("-Infinity", "-.inf"), ("Infinity", ".inf")):
        text = text.replace(f": {name}", f": {yaml}")
    return text
