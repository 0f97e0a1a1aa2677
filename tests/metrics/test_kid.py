"""The kernel distance: the definition summed pair by pair, blocks, expectation, refusals."""

import numpy as np
import pytest

from ebmrepro.metrics import kid
from ebmrepro.metrics.kid import kernel_distance


def by_pairs(x: np.ndarray, y: np.ndarray) -> float:
    def k(a, b):
        return (float(np.dot(a, b)) / len(a) + 1) ** 3

    within_x = [k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    within_y = [k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    across = [k(a, b) for a in x for b in y]
    return float(np.mean(within_x) + np.mean(within_y) - 2 * np.mean(across))


def test_two_points_against_two_points_match_a_value_worked_by_hand():
    # K = 1: k(0, 0) = 1, k(1, 1) = 8, k(0, 1) = 1, so 1 + 8 - 2 * 1.
    assert kernel_distance([[0.0], [0.0]], [[1.0], [1.0]]) == 7


def test_it_is_the_mean_over_pairs_of_different_samples():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(13, 5)), rng.normal(0.5, 2, size=(9, 5))
    assert kernel_distance(x, y) == pytest.approx(by_pairs(x, y), rel=1e-12)


def test_blocks_do_not_change_it(monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(50, 8)), rng.normal(1, 1, size=(37, 8))
    expected = kernel_distance(x, y)
    monkeypatch.setattr(kid, "BLOCK", 7)
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-12)


def test_it_is_zero_in_expectation_for_equal_distributions():
    rng = np.random.default_rng(2)
    draws = [kernel_distance(*rng.normal(size=(2, 20, 4))) for _ in range(2000)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))
    assert min(draws) < 0


def test_it_grows_as_distributions_part():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 4))
    distances = [kernel_distance(x, rng.normal(shift, 1, (300, 4))) for shift in (0, 1, 2)]
    assert distances == sorted(distances)


def test_bad_features_are_refused():
    good = np.eye(3)
    with pytest.raises(ValueError, match=r"fake features: .* not finite"):
        kernel_distance(good, np.full((3, 3), np.nan))
    with pytest.raises(ValueError, match="3 and of 2 dimensions"):
        kernel_distance(good, np.eye(2))
    with pytest.raises(ValueError, match="real features: 1 rows"):
        kernel_distance(good[:1], good)
