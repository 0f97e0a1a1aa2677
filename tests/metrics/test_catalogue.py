"""The catalogue: every measure that stages write has words."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ebmrepro import metrics
from ebmrepro.claims import claims_file
from ebmrepro.config import params
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.catalogue import KIND_IN_WORDS, MEASURES, Measure, describe
from ebmrepro.metrics.measurement import measure
from ebmrepro.metrics.separation import KINDS, of_energies
from ebmrepro.report import numbers
from ebmrepro.report.gather import Run, System

SETTINGS = params.load(Path(__file__).parents[2] / "params.yaml")
NAMES = [
    "fid",
    "fid_published",
    "inception_score",
    "inception_score_sd",
    "kid",
    "precision_inception",
    "recall_inception",
    "fd_dbn",
    "fd_dbn_untrained",
    "is_dbn",
    "kd_dbn",
    "precision_dbn",
    "recall_dbn",
    "cos2_dbn",
    "cos2_code",
    "classes_covered",
    "ratio",
    "hinge_active",
    "k",
    "margin",
    "M_global",
    "reconstruction",
    "reconstruction_sum_sq",
    "reconstruction_sum_sq_random",
    "pca_sum_sq",
    "pca_sum_sq_wide",
    "logistic_pca_sum_sq",
    "logistic_pca_sum_sq_wide",
    "mean_image_sum_sq",
    "total_variance",
    "neighbour_error_code",
    "neighbour_error_pca",
    "error_pretrained",
    "error_random",
    "error_greedy",
    "error_updown",
    "error_updown_averaged",
    "error_updown_sampled",
    "free_energy_train",
    "free_energy_test",
    "free_energy_gap",
    "pseudo_likelihood_test",
    "grad_norm_pretrained_1",
    "grad_norm_pretrained_12",
    "grad_norm_random_3",
]


@pytest.mark.parametrize("name", [*NAMES, *of_energies({kind: [0, 1] for kind in KINDS}).values])
def test_every_measure_has_a_label_and_a_protocol_in_words(name):
    found = describe(name)
    assert found.label[0].isupper()
    assert "_" not in found.label.replace("M_global", "")
    assert found.protocol.endswith(".")
    assert found.protocol[0] == found.protocol[0].upper() or found.protocol.startswith("exp")
    assert found.better in ("lower", "higher", None)
    assert 0 <= found.digits <= 4


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
