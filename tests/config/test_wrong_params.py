"""Whatever is done to params.yaml, it is right or gets one line: hypothesis mutates the real file.

EBMREPRO_SOAK=1 tries thousands of mutations instead of hundreds; see tests/conftest.py.
"""

import copy
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ebmrepro.config import documents, params
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[2]
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


# Mutations of the tree: a place is the keys that lead to it.


def places(tree: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = []
    for key, child in pairs:
        found.append((*here, key))
        if isinstance(child, dict | list):
            found += places(child, (*here, key))
    return found


PLACES = places(TREE)
WORDS = st.sampled_from(["no", "on", "yes", "0", "1e-4", "adam", "mlp", "norm", "ebgan", "", "é\n"])
SIGNS = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])  # JSON escapes them singly
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3) | st.integers(-(10**29), 10**29),
    st.floats(),
    WORDS,
    st.text(SIGNS, max_size=20),
    st.lists(st.integers(-1, 2), max_size=2),
    st.dictionaries(WORDS, st.integers(0, 1), max_size=2),
)
KEYS = st.text(SIGNS, min_size=1, max_size=12) | st.sampled_from(
    ["G", "D", "lr", "run", "epochs", "a.b"]
)


def at(tree: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        tree = tree[key]
    return tree


def word(place: tuple[Any, ...]) -> str:
    """The last key of a place that is a word: a list is named by its key."""
    return next(key for key in reversed(place) if isinstance(key, str))


class Mutation:
    """What was done to the tree, and the words of which its refusal must name one."""

    def __init__(self, what: str, words: list[str], tree: dict[str, Any]):
        self.what, self.words, self.tree = what, words, tree

    def __repr__(self) -> str:
        return f"{self.what}: {self.words}"  # the tree itself has some thousand values


@st.composite
def mutations(draw: st.DrawFn) -> Mutation:
    tree = copy.deepcopy(TREE)
    place = draw(st.sampled_from(PLACES))
    *front, last = place
    parent, words = at(tree, tuple(front)), [word(place)]
    what = draw(st.sampled_from(["delete", "rename", "change", "swap", "add", "copy"]))
    match what:
        case "delete":
            del parent[last]
        case "rename" if isinstance(parent, dict):
            new = draw(KEYS | st.just(f"{last}s") | st.just(str(last)[1:]))
            items = [(new if key == last else key, value) for key, value in parent.items()]
            parent.clear()
            parent.update(items)
            words.append(new)
        case "swap":
            other = draw(st.sampled_from(PLACES))
            if place[: len(other)] != other and other[: len(place)] != place:
                theirs = at(tree, other[:-1])
                parent[last], theirs[other[-1]] = theirs[other[-1]], parent[last]
                words.append(word(other))
        case "add" if isinstance(parent, dict):
            new = draw(KEYS)
            parent[new] = draw(VALUES)
            words.append(new)
        case "copy":
            parent[last] = copy.deepcopy(at(tree, draw(st.sampled_from(PLACES))))
        case _:
            parent[last] = draw(VALUES)
    return Mutation(f"{what} {place}", words, tree)


def written(tree: Any) -> str:
    """JSON, which is YAML 1.2 but for the names of what JSON has not."""
    text = json.dumps(tree, indent=1)
    for name, yaml in (("NaN", ".nan"), ("-Infinity", "-.inf"), ("Infinity", ".inf")):
        text = text.replace(f": {name}", f": {yaml}")
    return text


@given(mutations())
def test_a_mutated_tree_is_right_or_its_refusal_names_the_key(path: Path, mutation: Mutation):
    message = refused(path, written(mutation.tree))
    if message is not None:
        keys = [documents.dotted([key]).strip("'\"")[:40] for key in mutation.words]
        assert any(key in message for key in keys), f"{mutation}: {message}"


@given(st.data())
def test_a_file_with_mutated_bytes_is_right_or_gets_one_line(path: Path, data: st.DataObject):
    raw = bytearray(RAW)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(raw) - 1))
        end = min(len(raw), start + data.draw(st.sampled_from([0, 1, 1, 2, 8, 40, 400])))
        piece = data.draw(st.sampled_from(["bytes", "signs", "splice", "cut"]))
        match piece:
            case "bytes":
                raw[start:end] = data.draw(st.binary(min_size=1, max_size=3))
            case "signs":
                raw[start:end] = data.draw(
                    st.text("\t\n :-#'\"[]{}&*!|>%@`?,.é\x85\u2028\ufeff09aefnoty_", max_size=4)
                ).encode()
            case "splice":
                other = data.draw(st.integers(0, len(RAW) - 1))
                raw[start:end] = RAW[other : other + data.draw(st.integers(0, 800))]
            case "cut":
                del raw[start:end]
    refused(path, bytes(raw))


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


# What is right key by key and contradicts itself.


def changed(path: Path, changes: dict[str, Any]) -> str | None:
    tree = copy.deepcopy(TREE)
    for place, value in changes.items():
        *front, last = place.split(".")
        parent = at(tree, tuple(front))
        if value is ...:
            del parent[last]
        else:
            parent[last] = value
    return refused(path, written(tree))


INCEPTION = {"split": "train", "images": 50000, "splits": 10}
CONV = {"kind": "conv", "channels": [8, 8, 8, 8], "activation": "relu", "batch_norm": False}
EBGAN, PT, MAGAN = (f"digits.methods.{m}" for m in ("ebgan", "ebgan_pt", "magan"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({f"{EBGAN}.optim.X": TREE["digits"]["methods"]["ebgan"]["optim"]["G"]},
         f"{EBGAN}.optim.X: unknown player; the players of ebgan are G, D"),
        ({f"{EBGAN}.optim.D": ...}, f"{EBGAN}.optim.D: this key is missing; the players of ebgan"),
        ({"digits.dbn.optim.classifer": TREE["digits"]["dbn"]["optim"]["scratch"]},
         "digits.dbn.optim.classifer: unknown player; the players of dbn are rbms, classifier, "
         "scratch, small; did you mean 'classifier'?"),
        ({f"{EBGAN}.hparams.reduction": ...}, f"{EBGAN}.hparams.reduction: this key is missing"),
        ({f"{EBGAN}.hparams.objective": "no-hinge"},
         "objective: found 'no-hinge'; it should be 'hinge', 'no_hinge', 'real_only' or 'noise'; "
         "did you mean 'no_hinge'?"),
        ({f"{PT}.batch_size": 1},
         f"{PT}.batch_size: found 1; at least 2, because ebgan_pt compares the images of a batch"),
        ({f"{EBGAN}.batch_size": 1},
         f"{EBGAN}.batch_size: found 1; at least 2, because hparams.G.batch_norm takes statistics"),
        ({f"{EBGAN}.batch_size": 1438}, "batch_size: found 1438; there are 1437 training images"),
        ({"digits.data.validation": 1400}, "batch_size: found 64; there are 37 training images"),
        ({f"{EBGAN}.hparams.G": CONV},
         f"{EBGAN}.hparams.G.channels: found 4 layers of stride 2; images of 8x8 allow 3"),
        ({f"{MAGAN}.hparams.pretrain_epochs": 0, f"{MAGAN}.hparams.margin_moves": False},
         f"{MAGAN}.hparams.margin_moves: found False with pretrain_epochs 0"),
        ({"digits.dbn.hparams.warmup_epochs": 40},
         "digits.dbn.hparams.warmup_epochs: found 40; it is a part of the 40 finetune_epochs"),
        ({"digits.dbn.hparams.layers": []}, "digits.dbn.hparams.layers: found []; it should"),
        ({"digits.data.test": 1797}, "digits.data.test: found 1797; there are 1797 images to"),
        ({"digits.data.validation": 1437},
         "digits.data.validation: found 1437; there are 1437 images to draw from, so at most 1436"),
        ({"mnist.data.test": 5000}, "mnist.data.test: found 5000; mnist has an official test"),
        ({"digits.evaluate.split": "validation"},
         "digits.evaluate.split: found 'validation', but data.validation holds out no image"),
        ({"digits.evaluate.generated": 3, "digits.evaluate.neighbours": 3},
         "digits.evaluate.neighbours: found 3; 3 generated images have at most 2 neighbours each"),
        ({"digits.evaluate.neighbours": 360},
         "digits.evaluate.neighbours: found 360; 360 images in data.test have at most 359"),
        ({"digits.evaluate.inception": {**INCEPTION, "splits": 361}},
         "digits.evaluate.inception.splits: found 361; there are 360 images in data.test"),
        ({"digits.evaluate.inception": {**INCEPTION, "splits": 2001}},
         "digits.evaluate.inception.splits: found 2001; there are 2000 generated images"),
        ({"digits.evaluate.inception": {**INCEPTION, "split": "validation"}},
         "digits.evaluate.inception.split: found 'validation', but data.validation holds out no"),
        ({"digits.evaluate.inception": {**INCEPTION, "split": "all"}},
         "digits.evaluate.inception.split: found 'all'; it should be 'train', 'test' or"),
        ({"digits.evaluate.inception": {**INCEPTION, "statistics": "../cifar10.npz"}},
         "digits.evaluate.inception.statistics: found '../cifar10.npz'; it lies below"),
        ({"digits.evaluate.inception": {"split": "train", "images": 50000}},
         "digits.evaluate.inception.splits: this key is missing"),
        ({"digits.methods.began.hparams.gamma": 1.5},
         "digits.methods.began.hparams.gamma: found 1.5; it should be less than or equal to 1"),
        ({"digits.methods.dbn": TREE["digits"]["dbn"]},
         "digits.methods.dbn: the DBN's block stands beside `methods`, not in it"),
        ({"digits.methods.began__": TREE["digits"]["methods"]["began"]},
         "digits.methods.began__: found no name of a variant after `__`"),
        ({"digits.methods.bgan": TREE["digits"]["methods"]["began"]},
         "digits.methods.bgan: no method 'bgan'; there are"),
        ({"Mnist": TREE["mnist"]}, "Mnist: a name has small letters, digits and _, and"),
        ({"run.seeds": [2**32]}, "run.seeds.0: found 4294967296; it should be less than"),
        ({"run.seeds": 3}, "run.seeds: found 3; it should be a list"),
        ({f"{EBGAN}.hparams.bounded": "no"},
         "bounded: found 'no'; it should be true or false; YAML 1.2: write true or false"),
        ({f"{EBGAN}.hparams.margin": "1:30"}, "YAML 1.2 has no numbers to the base of 60"),
        ({f"{EBGAN}.hparams.margin": "2.0"}, "it should be a number; write it without quotes"),
        ({f"{EBGAN}.hparams.margin": "2,5"}, "it should be a number; write a decimal point"),
        ({f"{EBGAN}.hparams.margin": None}, "hparams.margin: found nothing; it should be a number"),
        ({f"{EBGAN}.hparams.margin": math.inf}, "hparams.margin: found inf; it should be a finite"),
        ({f"{EBGAN}.optim.G": {"lr": 1}}, f"{EBGAN}.optim.G.name: this key is missing; allowed"),
        ({f"{EBGAN}.optim.G": 3}, f"{EBGAN}.optim.G: found 3; it should be a block of keys"),
        ({f"{EBGAN}.hparams": [1]}, f"{EBGAN}.hparams: found [1]; it should be a block of keys"),
        ({"digits": 3}, "digits: found 3; it should be a block of keys"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_named(path: Path, changes: dict[str, Any], message: str):
    found = changed(path, changes)
    assert found is not None and message in found


def test_a_wrong_file_stops_dvc_before_any_stage_has_touched_anything(tmp_path: Path):
    """`ebmrepro repro` looks first; the output of a stage that would run is still there."""
    (tmp_path / "params.yaml").write_bytes(RAW.replace(b"lr: 0.1", b"lr: fast", 1))
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    kept = tmp_path / "models" / "digits" / "dbn" / "0" / "model.safetensors"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weights")
    before = sorted(tmp_path.rglob("*"))
    for command in (["-m", "ebmrepro", "repro"], [str(ROOT / "stages/pretrain.py"), "digits", "0"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2 and done.stdout == ""
        assert done.stderr == (
            "params.yaml: digits.dbn.optim.rbms.lr: found 'fast'; it should be a number\n"
        )
    assert sorted(tmp_path.rglob("*")) == before and kept.read_bytes() == b"weights"
