"""Every measure of metrics.json in words: its label, unit, direction and protocol, for tables.

A metric is a file of this folder: its computation, and under `MEASURES` the words of what it
measures. These are read without running the file, for some import torch. What a method or a study
computes itself has its words in measures.yaml.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from ebmrepro import metrics
from ebmrepro.config.documents import read_yaml

WORDS = Path(__file__).with_name("measures.yaml")
# The order of tables, by file and by section of measures.yaml; any other file comes last.
ORDER = (
    *("fid", "fid_infinity", "inception_score", "kid", "precision_recall", "density_coverage"),
    *("memorisation", "pulling_away", "coverage"),
    *("separation", "final_state", "reconstruction", "neighbours", "classification"),
    *("free_energy", "likelihood", "r_hat", "modified_inception_score"),
)
LAYER = "{layer}"  # in a name of measures.yaml: one measure per weight layer, counted from 1


Scale = Literal["linear", "log", "logit", "atanh"]
# The scale on which the spread over seeds does not depend on the size, by unit. It also says what a
# number can be: on the log scale not under 0, on the logit scale from 0 to 1.
SCALES: dict[str, Scale] = {
    "squared distance": "log",
    "squared error per image": "log",
    "pixel value in [-1, 1]": "log",
    "share": "logit",
    "probability": "logit",
    "mean squared cosine": "logit",
    **dict.fromkeys(("AUROC", "ECE", "mean probability"), "logit"),  # of the tour
    **dict.fromkeys(("share of pairs", "share of sequences"), "logit"),
    "tau": "atanh",
}


@dataclass(frozen=True)
class Measure:
    """What a number means to someone who sees it for the first time."""

    label: str
    protocol: str  # one sentence; counts, seeds and hashes of a run are in its metrics.json
    unit: str = ""  # "" for a pure number
    better: Literal["lower", "higher"] | None = None  # None: neither, or it depends on the aim
    digits: int = 3  # decimals to print
    inception: bool = False  # taken in Inception features: first in tables, null without weights


KIND_IN_WORDS = {
    "train": "training images",
    "test": "test images",
    "generated": "generated images",
    "noise": "uniform noise",
    "shuffled": "test images with their pixels shuffled",
    "patches": "patches of natural photographs",
}
KINDS = tuple(KIND_IN_WORDS)  # of image, whose energies are measured
OTHERS = KINDS[2:]  # held against test

ENERGY_UNIT = "energy"  # differs between methods: a norm, a sum, a mean, nats
DBN = "features in the last hidden layer of the suite's DBN classifier"
CLASSIFIER = "class probabilities of the suite's DBN classifier on generated images"
INCEPTION = "the features that FID is taken in"


def files() -> Iterator[Path]:
    """Of all metrics, by name."""
    for folder in metrics.__path__:
        yield from sorted(Path(folder).glob("*.py"))


def read() -> dict[str, Measure]:
    """The measures of all files, in the order of tables."""
    of = {path.stem: _declared(path) for path in files()}
    for section, words in read_yaml(WORDS).items():
        own = {name: Measure(**told) for name, told in words.items()}
        of[section] = of.get(section, {}) | own
    places = sorted(of, key=lambda file: ORDER.index(file) if file in ORDER else len(ORDER))
    measures = {name: measure for file in places for name, measure in of[file].items()}
    return dict(sorted(measures.items(), key=lambda item: not item[1].inception))


def _declared(path: Path) -> dict[str, Measure]:
    """`MEASURES` of a file, made of the names of this module alone."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="MEASURES")], value=ast.Dict()):
                names = dict(globals())
                exec(compile(ast.Module([node], []), str(path), "exec"), names)
                return names["MEASURES"]
    return {}


MEASURES = read()


def scale(name: str) -> Scale:
    """On which a measure spreads over seeds; KeyError as `describe`."""
    return SCALES.get(describe(name).unit, "linear")


def in_dbn(name: str) -> bool:
    """Whether the suite's DBN is what measures; those of two DBNs do not compare."""
    return "_dbn" in name or name == "classes_covered"


def describe(name: str) -> Measure:
    """The measure of a name in metrics.json; KeyError with the nearest names if there is none."""
    if name in MEASURES and LAYER not in name:
        return MEASURES[name]
    if (layer := re.search(r"(?<=_)[1-9]\d*$", name)) and (
        family := MEASURES.get(name[: layer.start()] + LAYER)
    ):
        label, protocol = (
            told.replace(LAYER, layer[0]) for told in (family.label, family.protocol)
        )
        return replace(family, label=label, protocol=protocol)
    near = get_close_matches(name, [known.replace(LAYER, "1") for known in MEASURES], n=3)
    raise KeyError(f"no measure {name!r}" + (f": did you mean {', '.join(near)}?" if near else ""))
