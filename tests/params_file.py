"""The shipped params.yaml, to be changed, and the line that a wrong one gets."""

import json
from pathlib import Path
from typing import Any

import pytest

from ebmrepro.config import documents, params

ROOT = Path(__file__).parents[1]
RAW = (ROOT / "params.yaml").read_bytes()
TREE = documents.read_yaml(ROOT / "params.yaml")


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
