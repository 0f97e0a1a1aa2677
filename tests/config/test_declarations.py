"""What a method's file declares is read without what needs torch."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from ebmrepro.config import declarations
from ebmrepro.config.documents import ParamsError

ROOT = Path(__file__).parents[2]
FAMILY = """
import torch
from ebmrepro.config.documents import Strict
from ebmrepro.config.types import Count, Epochs

Widths = list[Count]


class Rests(Strict):
    every: Count


class FamilyHparams(Strict):
    epochs: Epochs
    rests: Rests | None


class Family(torch.nn.Module):
    pass
"""
METHOD = """
import math
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.types import Positive
from ebmrepro.methods.base.made_up import Family, FamilyHparams, Widths as Layers
from ebmrepro.networks import layers

LEAST = math.ceil(0.5)
Tops = Annotated[list[float], Field(min_length=LEAST)]
Kind = Literal["a", "b"]
Either = Kind | None
DEVICE = torch.device("cpu")


class Step(Strict):
    size: Positive


class Stairs(Strict):
    steps: list[Step]
    tops: Tops

    @rule
    def _rises(self):
        if any(a >= b for a, b in pairwise(self.tops)):
            raise ValueError(f"tops: found {self.tops}; they rise")
        return self


class Paper(Family):
    players = ("D",)
    smallest_batch = 2

    class Hparams(FamilyHparams):
        widths: Layers
        kind: Either
        stairs: Stairs
"""


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    methods = tmp_path / "ebmrepro" / "methods"
    (methods / "base").mkdir(parents=True)
    (methods / "base" / "made_up.py").write_text(FAMILY)
    (methods / "made_up_paper.py").write_text(METHOD)
    monkeypatch.setattr(declarations, "PACKAGE", tmp_path / "ebmrepro")
    monkeypatch.setattr(declarations, "METHODS", methods)
    return "made_up_paper"


RIGHT = {
    "epochs": 3,
    "rests": {"every": 2},
    "widths": [8],
    "kind": "a",
    "stairs": {"steps": [{"size": 0.5}], "tops": [1.0, 2.0]},
}


def test_a_file_may_use_classes_and_aliases_of_its_own_and_of_its_family(made_up: str):
    hparams = declarations.hparams_class(made_up)
    assert hparams.model_validate(RIGHT).model_dump() == RIGHT
    assert declarations.declared(made_up) == {"players": ("D",), "smallest_batch": 2}
    for key, value in {
        "rests": {"evry": 2},
        "widths": [0],
        "kind": "c",
        "stairs": {"steps": [{"size": 0.5}], "tops": [2.0, 1.0]},
    }.items():
        with pytest.raises(ValidationError):
            hparams.model_validate({**RIGHT, key: value})


def test_reading_all_methods_imports_no_torch():
    code = (
        "import sys; from ebmrepro.config import declarations as d\n"
        "[d.hparams_class(name) for name in d.available_methods()]; print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("name", ["dgits", "../digits", ""])
def test_facts_of_a_source_that_is_not_there_name_those_that_are(name: str):
    with pytest.raises(
        ParamsError, match=r"ebmrepro/data/sources: no source .*; there are .*digits"
    ):
        declarations.source_facts(name)
