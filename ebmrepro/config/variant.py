"""A new variant in params.yaml: the block of its method with other numbers, and its name.

The file is edited as text, so that every other line of it, comments too, stays as it is. It must
then be read as the tree that was meant, and pass the checks of every params.yaml.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ebmrepro.config.documents import (
    ParamsError,
    compose,
    known,
    parse,
    read_text,
    read_yaml,
    shown,
)
from ebmrepro.config.params import OWN, Params, check
from ebmrepro.config.types import NAME, NOT_A_NAME
from ebmrepro.system import atomic

WIDTH = 80
UNUSUAL = "found no block in lines of its own; write the variant by hand"


def write(
    suite: str, method: str, name: str, changes: Sequence[str], path: str | Path = "params.yaml"
) -> str:
    """Write the block `<method>__<name>`, and list it where every suite of `run` has one.

    `changes` are KEY=VALUE: a dotted key in the block, and a value as YAML has it. Returns what was
    done.

    Raises:
        ParamsError: a name or a change is wrong; the file is as it was.
    """
    path, new = Path(path), f"{method}__{name}"
    text = read_text(path)
    tree = parse(text, path)
    check(tree, path)
    suites = [key for key in tree if key not in OWN]
    methods = tree[known(suite, suites, str(path), "suite")]["methods"]
    own = ["dbn", *(each for each in methods if "__" not in each)]
    known(method, own, f"{path}: {suite}.methods", "method")
    if not NAME.fullmatch(name):
        raise ParamsError(f"{shown(name)}: found no name of a variant; {NOT_A_NAME}")
    if new in methods:
        raise ParamsError(f"{path}: {suite}.methods.{new}: a block of this name stands there")

    before = tree[suite]["dbn"] if method == "dbn" else methods[method]
    methods[new] = changed(before, changes, f"{path}: {place_of(suite, method)}")
    block, column = _block(text, path, suite, method)
    for keys, value in map(_pair, changes):
        block = _replaced(block, keys, value)
    block = re.sub(r"\w+", new, block, count=1)
    run = tree["run"]
    everywhere = all(new in tree[each]["methods"] for each in run["suites"])
    if lists := everywhere and new not in run["variants"]:
        run["variants"].append(new)
    check(tree, path)

    top = compose(text, path)
    key, home = _at(top, suite, "methods")
    place = key.start_mark if method == "dbn" else end_of(_at(home, method)[1])
    block = re.sub("(?m)^(?=.)", " " * (home.start_mark.column - column), block)
    edits = [(_line_end(text, place.index), f"\n{block}")]
    if lists:
        edits.append(_entry(text, _at(top, "run", "variants")[1], new))
    for edit in sorted(edits, reverse=True):
        text = _inserted(text, *edit)
    if parse(text, path) != tree:
        raise ParamsError(f"{path}: {place_of(suite, method)}: {UNUSUAL}")
    atomic.write(Path(path).resolve(), text)  # a link to it stays one
    told = f"{path}: {suite}.methods.{new} is written"
    if lists:
        return f"{told}, and listed under run.variants"
    return f"{told}; run it by -S 'run.suites=[{suite}]' -S 'run.variants=[{new}]'"


def place_of(suite: str, system: str) -> str:
    """The keys of its block."""
    return f"{suite}.dbn" if system == "dbn" else f"{suite}.methods.{system}"


def tried(changes: Sequence[str], path: str | Path = "params.yaml") -> Params:
    """What the whole file says with other values, KEY=VALUE as `dvc exp run -S` takes them, if any.

    Raises:
        ParamsError: a key or value is wrong, in the words of params.yaml.
    """
    path = Path(path)
    tree = read_yaml(path)
    for (first, *_), _ in map(_pair, changes):
        known(first, tree, str(path), "block")
    return check(changed(tree, changes, str(path)) if changes else tree, path)


def changed(before: Mapping[str, Any], changes: Sequence[str], where: str) -> dict[str, Any]:
    """A block with other values, each a KEY=VALUE; ParamsError where nothing is another."""
    block = copy.deepcopy(dict(before))
    pairs = [*map(_pair, changes)]
    for keys, value in pairs:
        if sum(other == keys for other, _ in pairs) > 1:
            raise ParamsError(f"{where}.{'.'.join(keys)}: given more than once")
        _set(block, keys, parse(f"value: {value}", f"{'.'.join(keys)}={value}")["value"])
    if block == before:
        raise ParamsError(f"{where}: has these values already")
    return block


def end_of(node: Any) -> Any:
    """Where the text of a node ends, without the comments and empty lines that follow."""
    if isinstance(node.value, str) or node.flow_style or not node.value:
        return node.end_mark
    last = node.value[-1]
    return end_of(last[1] if isinstance(last, tuple) else last)


def _pair(change: str) -> tuple[list[str], str]:
    """The keys and the text of the value of KEY=VALUE."""
    said = re.fullmatch(r"([\w-]+(?:\.[\w-]+)*)=(\S.*)", change)
    if not said or not change.isprintable() or "#" in change:
        raise ParamsError(f"{shown(change)}: should be KEY=VALUE")
    return said[1].split("."), said[2]


def _set(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    *front, last = keys
    for key in front:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[last] = value


def _block(text: str, path: Path, suite: str, method: str) -> tuple[str, int]:
    """The lines of a method's block, and the column at which they begin."""
    keys = (suite, "dbn") if method == "dbn" else (suite, "methods", method)
    key, node = _at(compose(text, path), *keys)
    begin, end = key.start_mark, end_of(node).index
    first, line_end = begin.index - begin.column, _line_end(text, end)
    if text[first : begin.index].strip() or not re.fullmatch(r"\s*(#.*)?", text[end:line_end]):
        raise ParamsError(f"{path}: {place_of(suite, method)}: {UNUSUAL}")
    return text[first:line_end], begin.column


def _replaced(block: str, keys: list[str], value: str) -> str:
    """A block's lines with another value at a key, which may be new."""
    ((_, node),) = compose(block, "block").value
    for i, key in enumerate(keys):
        rest = keys[i + 1 :]
        words = f"{key}: {''.join(f'{{{k}: ' for k in rest)}{value}{'}' * len(rest)}"
        there = next((pair for pair in node.value if pair[0].value == key), None)
        if there is None:
            return _inserted(block, *_entry(block, node, words))
        if not rest or there[1].id != "mapping" or not there[1].value:
            start, end = there[0].start_mark.index, end_of(there[1]).index
            return f"{block[:start]}{words}{block[end:]}"
        node = there[1]
    raise AssertionError


def _entry(text: str, node: Any, words: str) -> tuple[int, str]:
    """Where a map or a list takes one more entry, and the text that goes there."""
    end, margin = end_of(node), " " * node.start_mark.column
    if not node.flow_style:
        dash = "- " if node.id == "sequence" else ""
        return _line_end(text, end.index), f"\n{margin}{dash}{words}"
    space = " " if end.column + len(words) < WIDTH else f"\n{margin}"
    comma = "," if node.value and not text[: end.index - 1].rstrip().endswith(",") else ""
    return end.index - 1, f"{comma}{space}{words}" if node.value else words


def _inserted(text: str, at: int, words: str) -> str:
    return f"{text[:at]}{words}{text[at:]}"


def _at(node: Any, *keys: str) -> tuple[Any, Any]:
    """The last of some keys that lead into a block, and what stands there."""
    last = None
    for key in keys:
        last, node = next(pair for pair in node.value if pair[0].value == key)
    return last, node


def _line_end(text: str, index: int) -> int:
    """Where the line ends in which a place lies."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end
