"""Energy statistics: values by hand, AUROC against scikit-learn, refusals."""

import numpy as np
import pytest

from ebmrepro.metrics.separation import (
    KINDS,
    MEASURES,
    OTHERS,
    auroc,
    hinge_active,
    of_energies,
    ratio,
)


def test_statistics_match_values_worked_by_hand():
    values = of_energies({"test": [1.0, 3.0], "noise": [2.0, 4.0, 6.0]}).values
    assert values == {
        "energy_test": 2,
        "energy_sd_test": pytest.approx(np.sqrt(2)),
        "energy_noise": 4,
        "energy_sd_noise": 2,
        "gap_noise": 2,
        "auroc_noise": pytest.approx(5 / 6),  # of 3 * 2 pairs, only (2, 3) is the wrong way round
    }


def test_every_kind_has_a_mean_and_a_spread_and_the_others_a_gap_and_a_detection():
    energies = {kind: np.arange(4.0) for kind in KINDS}
    expected = {f"{name}_{kind}" for name in ("energy", "energy_sd") for kind in KINDS}
    expected |= {f"{name}_{kind}" for name in ("gap", "auroc") for kind in OTHERS}
    values = of_energies(energies).values
    assert values.keys() == expected
    assert all(type(value) is float for value in values.values())
    assert all(values[f"gap_{kind}"] == 0 for kind in OTHERS)
    assert all(values[f"auroc_{kind}"] == 0.5 for kind in OTHERS)


def test_means_of_single_precision_energies_are_taken_in_double():
    energies = np.full(1_000_003, 0.1, dtype=np.float32)
    assert of_energies({"test": energies}).values["energy_test"] == pytest.approx(
        float(energies[0]), rel=1e-12
    )


def test_an_unknown_kind_a_missing_test_set_or_a_bad_energy_is_refused():
    with pytest.raises(KeyError, match="no kind of image 'fake'"):
        of_energies({"test": [1.0, 2.0], "fake": [1.0, 2.0]})
    with pytest.raises(KeyError, match="test are missing"):
        of_energies({"train": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"energies on noise: 1 of 2 .* not finite"):
        of_energies({"test": [1.0, 2.0], "noise": [1.0, np.nan]})
    with pytest.raises(ValueError, match="energies on test: 1 values, at least 2"):
        of_energies({"test": [1.0]})


@pytest.mark.parametrize("levels", [3, 10, 10**9])
def test_auroc_agrees_with_scikit_learn(levels):
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(levels)
    negatives = rng.integers(0, levels, 200).astype(np.float32)  # few levels: many ties
    positives = rng.integers(levels // 3, levels, 130).astype(np.float32)
    labels = np.repeat([0, 1], [200, 130])
    expected = roc_auc_score(labels, np.concatenate([negatives, positives]))
    assert auroc(negatives, positives) == pytest.approx(expected, rel=1e-12)


def test_auroc_is_one_half_or_zero_where_it_should_be():
    assert auroc([0.0, 1.0], [2.0, 3.0]) == 1
    assert auroc([2.0, 3.0], [0.0, 1.0]) == 0
    assert auroc([1.0, 1.0], [1.0]) == 0.5


def test_auroc_sees_only_the_order():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=50), rng.normal(1, 1, size=40)
    assert auroc(np.exp(a), np.exp(b)) == auroc(a, b) == pytest.approx(1 - auroc(b, a))


def test_auroc_of_nothing_or_of_nan_is_refused():
    with pytest.raises(ValueError, match="positives: 0 values"):
        auroc([1.0], [])
    with pytest.raises(ValueError, match=r"negatives: .* not finite"):
        auroc([np.nan], [1.0])


def test_the_hinge_is_active_strictly_under_the_margin():
    assert hinge_active([0.5, 1.0, 1.5, 2.0], margin=1.5) == 0.5
    assert hinge_active([3.0], margin=1.5) == 0
    with pytest.raises(ValueError, match="margin"):
        hinge_active([1.0], margin=float("nan"))


def test_the_ratio_is_one_of_means():
    assert ratio(fake=[1.0, 2.0], real=[2.0, 4.0]) == 0.5
    with pytest.raises(ValueError, match="mean real energy: -1, a ratio needs one above 0"):
        ratio(fake=[1.0], real=[-1.0])


def test_a_high_energy_is_good_of_all_but_what_the_system_itself_draws():
    """Generated images that cannot be told from real ones are no failure of the energy."""
    for measure in ("gap", "auroc"):
        better = {kind: MEASURES[f"{measure}_{kind}"].better for kind in OTHERS}
        assert better.pop("generated") is None
        assert set(better.values()) == {"higher"}
