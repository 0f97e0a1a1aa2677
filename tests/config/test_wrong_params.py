"""Whatever is done to params.yaml, it is right or gets one line: hypothesis mutates the real file.

EBMREPRO_SOAK=1 tries thousands of mutations instead of hundreds; see tests/conftest.py.
"""

import copy
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from params_file import RAW, SUITES, TREE, at, part, part_of_text, path, refused, written

from ebmrepro.config import documents

__all__ = ["path"]  # fixtures, used by name

ROOT = Path(__file__).parents[2]


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


def moved(tree: dict[str, Any]) -> dict[str, Any]:
    """What a mutation can have made wrong: suites as shipped are only there where others ask."""
    if any(tree.get(key) != TREE[key] for key in ("run", "campaign")):  # which name suites
        return tree
    return part(tree, *(name for name in SUITES if tree.get(name) != TREE[name]))


@given(mutations())
def test_a_mutated_tree_is_right_or_its_refusal_names_the_key(path: Path, mutation: Mutation):
    message = refused(path, written(moved(mutation.tree)))
    if message is not None:
        keys = [documents.dotted([key]).strip("'\"")[:40] for key in mutation.words]
        assert any(key in message for key in keys), f"{mutation}: {message}"


@given(st.data())
def test_a_file_with_mutated_bytes_is_right_or_gets_one_line(path: Path, data: st.DataObject):
    shipped = part_of_text(data.draw(st.sampled_from(SUITES))).encode()
    raw = bytearray(shipped)
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
                other = data.draw(st.integers(0, len(shipped) - 1))
                raw[start:end] = shipped[other : other + data.draw(st.integers(0, 800))]
            case "cut":
                del raw[start:end]
    refused(path, bytes(raw))


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
    return refused(
        path, written(part(tree, *{place.split(".")[0] for place in changes} & {*SUITES}))
    )


INCEPTION = {"split": "train", "images": 50000, "splits": 10}
CONV = {"kind": "conv", "channels": [8, 8, 8, 8], "activation": "relu", "batch_norm": False}
EBGAN, PT, MAGAN = (f"digits.methods.{m}" for m in ("ebgan", "ebgan_pt", "magan"))
OTHERS = "digits.classifiers"


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
        ({f"{OTHERS}.one_layer.batch_size": 1198},
         f"{OTHERS}.one_layer.batch_size: found 1198; held_out, 240, leaves 1197 of the 1437"),
        ({f"{OTHERS}.two_layers.held_out": 1437},
         "held_out, 1437, leaves 0 of the 1437 training images that data.test and data.validation"),
        ({f"{OTHERS}.selected.first": 1198},
         f"{OTHERS}.selected: found first 1198 and held_out 240; there are 1437 training images"),
        ({"digits.methods.dbn_updown": ..., "run.methods": ["ebgan"], "run.variants": []},
         f"{OTHERS}: no block 'dbn_updown'"),
        ({f"{OTHERS}.selected.first": 10}, "selected.first: found 10; a batch of dbn_updown has"),
        ({"faces.evaluate.paths.between": 1}, "evaluate.paths.between: found 1; it should be"),
        ({"run.suites": ["digits__seeds"]}, "run.suites: no suite 'digits__seeds'"),
        ({"digits.tour.others": ["digits__seeds"]}, "tour.others: no suite 'digits__seeds'"),
        ({"digits.data.validation": 1400}, "batch_size: found 64; there are 37 training images"),
        ({f"{EBGAN}.hparams.G": CONV},
         f"{EBGAN}.hparams.G.channels: found 4 layers of stride 2; images of 8x8 allow 3"),
        ({"lsun.data.image.size": 3}, "images of 3x3 allow 1; data.image.size is 3"),
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
        ({"fundamentals.dials.gamma.batch_size": 2},
         "fundamentals.dials.points: found 1000; gamma makes 60 in each of 50 moments of 1500 "
         "steps by batch_size 2"),
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
