"""The catalogue: every measure that stages write has words."""

import pytest

from ebmrepro.metrics.catalogue import KIND_IN_WORDS, MEASURES, describe
from ebmrepro.metrics.separation import KINDS, of_energies

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
    "mean_image_sum_sq",
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
    measure = describe(name)
    assert measure.label[0].isupper()
    assert "_" not in measure.label.replace("M_global", "")
    assert measure.protocol.endswith(".")
    assert measure.protocol[0] == measure.protocol[0].upper() or measure.protocol.startswith("exp")
    assert measure.better in ("lower", "higher", None)
    assert 0 <= measure.digits <= 4


def test_labels_are_not_shared():
    labels = [measure.label for measure in MEASURES.values()]
    assert len(set(labels)) == len(labels)


def test_every_kind_of_image_has_words():
    assert tuple(KIND_IN_WORDS) == KINDS


def test_layers_of_a_family_differ_in_label():
    assert describe("grad_norm_random_1").label != describe("grad_norm_random_2").label
    assert describe("grad_norm_random_1").label != describe("grad_norm_pretrained_1").label


@pytest.mark.parametrize("name", ["fd_dnb", "grad_norm_random_0", "grad_norm_random_x"])
def test_an_unknown_name_is_refused_with_the_nearest(name):
    with pytest.raises(KeyError, match=f"no measure '{name}'.*did you mean"):
        describe(name)
