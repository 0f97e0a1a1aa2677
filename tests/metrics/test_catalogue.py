"""The catalogue: every measure that stages write has words."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from params_file import shipped

from ebmrepro import metrics
from ebmrepro.claims import claims_file
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.catalogue import KIND_IN_WORDS, LAYER, MEASURES, Measure, describe
from ebmrepro.metrics.measurement import measure
from ebmrepro.metrics.separation import KINDS
from ebmrepro.report import numbers
from ebmrepro.report.gather import Run, System

ROOT = Path(__file__).parents[2]
SETTINGS = shipped()


def test_every_measure_has_a_label_and_a_protocol_in_words():
    """Sentences, unless a formula comes first; no name of code, but the symbols of papers."""
    for name in MEASURES:
        found = describe(name.replace(LAYER, "1"))
        assert re.match(r"[A-Z]|log Z", found.label), name
        assert "_" not in re.sub("M_global|C_T", "", found.label), name
        assert re.match(r"[A-Z(]|exp of |log[ (]|z-score ", found.protocol), name
        assert found.protocol.endswith(".") and LAYER not in found.label + found.protocol, name
        assert found.better in ("lower", "higher", None) and 0 <= found.digits <= 4, name


def test_every_measure_that_was_ever_written_has_words():
    files = [*(ROOT / "results").glob("*/*/*/metrics.json")]
    written = {name for file in files for name in json.loads(file.read_text())["values"]}
    assert len(written) > 100
    for name in (*written, "fid_published"):  # for which someone must have brought statistics
        describe(name)


def test_labels_are_not_shared():
    labels = [each.label for each in MEASURES.values()]
    assert len(set(labels)) == len(labels)


def test_every_kind_of_image_has_words():
    assert tuple(KIND_IN_WORDS) == KINDS


def test_layers_of_a_family_differ_in_label():
    assert describe("grad_norm_random_1").label != describe("grad_norm_random_2").label
    assert describe("grad_norm_random_1").label != describe("grad_norm_pretrained_1").label


@pytest.mark.parametrize("name", ["fd_dnb", "grad_norm_random_0", "grad_norm_random_x"])
def test_an_unknown_name_is_refused_with_the_nearest(name):
    with pytest.raises(KeyError, match=f"no measure '{name}'.*did you mean") as error:
        describe(name)
    assert error.value.args[0].count(", ") <= 2  # three names at most


def test_of_many_near_names_three_are_offered_and_decimals_are_three_unless_it_says_otherwise():
    with pytest.raises(KeyError) as error:
        describe("energy_tset")
    assert error.value.args[0].count(", ") == 2
    assert Measure("Some label", "Some protocol.").digits == 3


ADDED = '''
"""How bright generated images are, beside real ones."""

from ebmrepro.metrics.catalogue import DBN, Measure
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "brightness": Measure("Brightness", f"Mean pixel; {DBN} are not asked.", unit="grey levels"),
    "steps_of_energy": Measure("Steps of energy", "Energies of test images.", better="higher"),
}


def of_images(real, fake, settings):
    return Measurement({"brightness": float(fake.mean())}, protocol={"brightness": "of all"})


def of_energies(energies):
    return Measurement({"steps_of_energy": len(energies["test"])})
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric more, which is one file and nothing else."""
    (tmp_path / "brightness.py").write_text(ADDED)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    monkeypatch.setattr(catalogue, "MEASURES", catalogue.read())
    monkeypatch.delitem(sys.modules, "ebmrepro.metrics.brightness", raising=False)


@pytest.mark.usefixtures("added")
def test_a_metric_is_one_file():
    settings = SETTINGS.suite("digits").evaluate
    real, fake = (np.full((5, 1, 2, 2), grey, np.uint8) for grey in (9, 7))
    found = measure("of_images", real, fake, settings) | measure("of_energies", {"test": [1, 2]})
    document = found.document()
    assert document["values"]["brightness"] == 7 and document["values"]["steps_of_energy"] == 2
    assert document["protocol"]["brightness"] == "of all"
    claims_file._check_measure("brightness", "claims.yaml: a claim")
    run = Run(0, None, {}, document, {}, None)
    system = System("dcgan", "DCGAN", "dcgan", {}, [], [run])
    assert numbers.measures([system])[-2:] == ["brightness", "steps_of_energy"]
    assert numbers.column("brightness").title == "Brightness"


def test_a_value_without_words_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "wordless.py").write_text(ADDED.replace("MEASURES", "WORDS"))
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    with pytest.raises(KeyError, match="no measure 'steps_of_energy'"):
        measure("of_energies", {"test": [1, 2]})
    monkeypatch.delitem(sys.modules, "ebmrepro.metrics.wordless")


def test_a_measure_is_of_inception_only_where_it_says_so():
    of_inception = {name for name, words in MEASURES.items() if words.inception}
    assert {"fid", "kid", "authenticity_inception"} <= of_inception
    assert not {"fd_dbn", "energy_test", "log_likelihood", "error_pretrained"} & of_inception
