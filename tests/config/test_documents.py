"""What a word of YAML means here, and what of YAML is refused in its line."""

import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from params_file import RAW, path, refused
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ebmrepro.config import documents
from ebmrepro.system.errors import UserError

__all__ = ["path"]  # fixtures, used by name


# What a word means is decided in documents.py: DVC's reader must agree wherever we accept.


def dvc_reads(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return [*one] == [*other] and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


NUMBERISH = st.text("0123456789_.+-eExobE:", min_size=1, max_size=9)
WORDISH = st.text("~=<>yYnNoOtTrRuUfFaAlLsSeEiI.", min_size=1, max_size=5)
SCALARS = st.one_of(
    NUMBERISH, WORDISH, NUMBERISH.map("'{}'".format), st.floats().map(repr), st.integers().map(str)
)


@given(SCALARS)
@example(".5")
@example("5.")
@example(".5e3")
@example("1_000")
@example("0777")
@example("1e-4")
@example("1E+3")
@example("-0")
@example("+.inf")
@example("2001-01-01")
@example("0o17")
@example("08")
@example("1:30")
@example("-_")
@example("._")
def test_a_word_that_is_accepted_is_what_dvc_takes_it_for(path: Path, scalar: str):
    path.write_text(f"a: {scalar}\n", encoding="utf-8")
    try:
        read = documents.read_yaml(path)
    except documents.ParamsError:
        return
    assert same(read, dvc_reads(f"a: {scalar}\n")), scalar


@given(st.integers(0, RAW.count(b"\n") - 12), st.integers(0, 400), st.text(max_size=3))
def test_a_block_that_is_accepted_is_what_dvc_takes_it_for(
    path: Path, line: int, where: int, new: str
):
    block = "\n".join(RAW.decode().split("\n")[line : line + 12])
    text = f"{block[:where]}{new}{block[where + len(new) :]}\n"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        read = documents.read_yaml(path)
    except documents.ParamsError:
        return
    try:
        theirs = dvc_reads(text)
    except YAMLError:
        return  # DVC refuses it by a message of its own
    assert same(read, theirs)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-4", 1e-4),
        (".5", 0.5),
        ("5.", 5.0),
        ("+3", 3),
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("~", None),
        ("1:30", "1:30"),
        ("-.inf", -math.inf),
        ("'0777'", "0777"),
        ("a:b", "a:b"),
    ],
)
def test_a_plain_word_is_read_as_yaml_1_2_has_it(path: Path, word: str, value: object):
    path.write_text(f"a: {word}\n", encoding="utf-8")
    assert same(documents.read_yaml(path), {"a": value})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"# nothing\n", "the file is empty"),
        (b"- a\n", "found no block of keys at the top"),
        (b"run\n", "found no block of keys at the top"),
        (b"\xef\xbb\xbfrun: 1\n", "begins with a byte order mark"),
        ("run: 1\n".encode("utf-16"), "line 1: found the byte 0xff; the file is to be UTF-8"),
        (b"a: 1\nb: caf\xe9\n", "line 2: found the byte 0xe9; the file is to be UTF-8"),
        (b"a:\n\tb: 1\n", "line 2: found a tab; write spaces"),
        (b"a: 1\na: 2\n", "a: found this key twice, in lines 1 and 2"),
        (b"a: {b: {c: 1, c: 2}}\n", "a.b.c: found this key twice, in lines 1 and 1"),
        (b"a: &x 1\n", "line 1: a: found an anchor &x"),
        (b"a: *x\n", "line 1: a: found an alias *x; write the value itself"),
        (b"a:\n  <<: {b: 1}\n", "line 2: a: found <<, which readers of YAML take differently"),
        (b"a: !!python/object:os.system x\n", "found a tag 'tag:yaml.org,2002:python/object:os"),
        (b"a: !!float 1\n", "found a tag"),
        (b"%YAML 1.1\n---\na: no\n", "line 1: found a directive"),
        (b"a: 1\n---\na: 2\n", "line 2: this is not YAML: expected a single document"),
        (b"a: 0777\n", "line 1: a: found 0777, which readers of YAML take differently"),
        (b"a: 1_000\n", "line 1: a: found 1_000, which readers of YAML take differently"),
        (b"a: 0x1F\n", "line 1: a: found 0x1F, which readers of YAML take differently"),
        (b"a: 2026-01-01\n", "line 1: a: found 2026-01-01, which readers of YAML take diff"),
        (b"1: a\n", "line 1: found 1 as a key; a key is a word, or stands in quotes"),
        (b"? [a]\n: 1\n", "line 1: found a block or list as a key"),
        (b"a: [1, 2\nb: 3\n", "line 2: this is not YAML"),
        (b"a: b: c\n", "line 1: this is not YAML: mapping values are not allowed"),
        (b"a: \x07\n", "line 1: found the sign U+0007; allowed are letters, digits and"),
        ("a: 1\n# \u2028\n".encode(), "line 2: found the sign U+2028"),
        (b"a: 1\rb: 2\n", "line 1: found the sign U+000D"),
        (b"a: " + b"9" * 10_000, "a number has at most 30 signs"),
    ],
)
def test_what_readers_take_differently_is_refused_in_its_line(
    path: Path, content: bytes, message: str
):
    found = refused(path, content)
    assert found is not None and message in found


def bomb() -> str:
    """Ten levels of ten aliases each: ten thousand million words from some 600 bytes."""
    lines = [
        "a0: &a0 [x]",
        *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11)),
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 500_000, "lie more than 20 deep"),
        ("{a: " * 200_000, "lie more than 20 deep"),
        ("- " * 400_000, "lie more than 20 deep"),
        ("? " * 400_000, "found a block or list as a key"),
        (bomb(), "found an anchor &a0"),
        ("x" * (documents.LARGEST + 1), "found 1,048,577 bytes; allowed are 1,048,576"),
    ],
    ids=["lists", "blocks", "items", "keys", "aliases", "size"],
)
def test_a_file_made_to_exhaust_the_reader_is_refused_at_once(
    path: Path, content: str, message: str
):
    start = time.process_time()
    found = refused(path, content)
    assert found is not None and message in found
    assert time.process_time() - start < 1


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="found a folder, want a file"):
        documents.read_yaml(tmp_path)
