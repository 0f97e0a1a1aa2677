"""Probabilities from energies, and whether they mean what they say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from ebmrepro.metrics import calibration
from ebmrepro.networks.energies import LabelledRBM


def energies(seed: int, n: int = 200, classes: int = 5, scale: float = 1.0):
    """Energies that prefer the label, not always."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    e = scale * random.normal(size=(n, classes))
    e[np.arange(n), labels] -= scale
    return e, labels


def test_conditional_density_is_that_of_enumeration_over_hidden_units():
    """p(y|x) from free energies equals sum_h exp(-E(x, y, h)) / sum_y',h, counted one by one."""
    torch.manual_seed(0)
    rbm = LabelledRBM(features=4, classes=3, hidden=5, std=1.0).double()
    with torch.no_grad():
        rbm.b.normal_()
        rbm.c.normal_()
        x = torch.rand(6, 4, dtype=torch.float64)
        states = torch.tensor(np.indices((2,) * 5).reshape(5, -1).T, dtype=torch.float64)
        weights = torch.empty(6, 3, dtype=torch.float64)
        for y in range(3):
            v = rbm.join(x, torch.full((6,), y))
            E = -(v @ rbm.W @ states.T) - (v @ rbm.b)[:, None] - states @ rbm.c  # (6, 2^5)
            weights[:, y] = torch.exp(-E).sum(1)
        expected = weights / weights.sum(1, keepdim=True)
        found = calibration.conditional(rbm.free_energies(x))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_log_loss_is_that_of_scikit_learn():
    e, y = energies(0)
    expected = metrics.log_loss(y, calibration.conditional(e, 1.7))
    assert calibration.log_loss(e, y, 1.7) == pytest.approx(expected, rel=1e-12)
    assert calibration.log_loss(e, y) == calibration.log_loss(e, y, 1.0)


@given(st.integers(0, 1000), st.floats(0.05, 20))
def test_a_temperature_moves_no_argmin_and_the_fitted_one_is_no_worse(seed: int, scale: float):
    e, y = energies(seed, scale=scale)
    T = calibration.fit_temperature(e, y)
    assert (calibration.conditional(e, T).argmax(1) == e.argmin(1)).all()
    best = calibration.log_loss(e, y, T)
    for other in (1.0, 0.9 * T, 1.1 * T):
        assert best <= calibration.log_loss(e, y, other) + 1e-9


def test_the_fitted_temperature_follows_the_scale():
    e, y = energies(1, n=2000)
    assert calibration.fit_temperature(7 * e, y) == pytest.approx(
        7 * calibration.fit_temperature(e, y), rel=1e-6
    )


def test_probabilities_drawn_from_the_model_need_no_temperature():
    random = np.random.default_rng(0)
    e = 2 * random.normal(size=(20_000, 4))
    p = calibration.conditional(e)
    y = (random.random((len(p), 1)) > p.cumsum(1)).sum(1).clip(0, 3)
    assert calibration.fit_temperature(e, y) == pytest.approx(1, abs=0.03)
    assert calibration.expected_calibration_error(p, y, 10) < 0.01


def test_where_all_is_right_the_temperature_is_the_coldest():
    e, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    assert calibration.fit_temperature(e, y) == pytest.approx(calibration.COLDEST)


def test_the_calibration_error_by_hand():
    """Bins of width 1/2: two images at 0.8 and 0.9, one right; one at 0.5, wrong."""
    p = np.array([[0.8, 0.2], [0.1, 0.9], [0.5, 0.5]])
    y = np.array([0, 0, 1])
    found = calibration.reliability(p, y, 2)
    np.testing.assert_allclose(found.confidence, [0.5, 0.85])
    np.testing.assert_allclose(found.accuracy, [0.0, 0.5])
    assert found.images.tolist() == [1, 2]
    expected = (1 * 0.5 + 2 * 0.35) / 3
    assert calibration.expected_calibration_error(p, y, 2) == pytest.approx(expected)


def test_an_empty_bin_counts_for_nothing():
    p, y = np.array([[1.0, 0.0]]), np.array([0])
    assert np.isnan(calibration.reliability(p, y, 10).confidence[:9]).all()
    assert calibration.expected_calibration_error(p, y, 10) == 0


@pytest.mark.parametrize("labels", [[0, 5], [0], [0.0, 1.0], [-1, 0]])
def test_labels_that_name_no_class_are_refused(labels: list):
    with pytest.raises(ValueError, match=r"labels .*: expected \(2,\) of 0\.\.4"):
        calibration.log_loss(np.zeros((2, 5)), labels)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="temperature: 0, allowed: above 0"):
        calibration.conditional(np.zeros((1, 2)), 0)
