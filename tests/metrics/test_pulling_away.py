"""The pulling-away term as a measure: four inputs on which implementations differ, its bounds."""

import numpy as np
import pytest

from ebmrepro.metrics.pulling_away import pulling_away


def by_pairs(codes: np.ndarray) -> float:
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    pairs = [(a @ b) ** 2 for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j]
    return float(np.mean(pairs))


def test_equal_codes_are_full_collapse():
    assert pulling_away(
        np.tile(np.random.default_rng(0).normal(size=32), (64, 1))
    ) == pytest.approx(1)


def test_opposite_codes_are_full_collapse_too():
    a = np.random.default_rng(1).normal(size=32)
    assert pulling_away(np.vstack([np.tile(a, (32, 1)), np.tile(-a, (32, 1))])) == pytest.approx(1)


def test_orthogonal_codes_are_zero():
    assert pulling_away(np.eye(32)) == pytest.approx(0, abs=1e-15)


def test_random_codes_are_near_one_over_their_width():
    # E cos^2 = 1 / s for directions drawn uniformly.
    assert pulling_away(np.random.default_rng(2).normal(size=(64, 32))) == pytest.approx(
        1 / 32, abs=0.002
    )


@pytest.mark.parametrize("shape", [(10, 4), (4, 10), (5, 5)])
def test_it_is_the_mean_over_pairs_of_different_samples(shape):
    codes = np.random.default_rng(3).normal(size=shape)
    assert pulling_away(codes) == pytest.approx(by_pairs(codes), rel=1e-12)


def test_more_codes_than_dimensions_cannot_go_under_the_welch_bound():
    n, s = 64, 32
    floor = (n - s) / (s * (n - 1))
    assert floor == pytest.approx(0.0159, abs=1e-4)
    assert pulling_away(np.random.default_rng(4).normal(size=(n, s))) > floor
    # Two orthonormal bases reach it: of each code's n - 1 partners, one is parallel to it.
    assert pulling_away(np.vstack([np.eye(s), np.eye(s)])) == pytest.approx(floor)


def test_the_length_and_sign_of_codes_do_not_matter():
    rng = np.random.default_rng(5)
    codes = rng.normal(size=(20, 8))
    scaled = codes * rng.choice([-1, 1], (20, 1)) * 10.0 ** rng.integers(-200, 200, (20, 1))
    assert pulling_away(scaled) == pytest.approx(pulling_away(codes), rel=1e-12)


def test_a_zero_code_contributes_nothing():
    # Of 3 * 2 ordered pairs, the two between the equal codes count 1.
    assert pulling_away([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]]) == pytest.approx(1 / 3)
    assert pulling_away(np.zeros((4, 3))) == 0


def test_bad_codes_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        pulling_away([[1.0, np.nan], [1.0, 0.0]])
    with pytest.raises(ValueError, match="1 rows, at least 2"):
        pulling_away([[1.0, 2.0]])


def test_rounding_takes_it_below_nought_for_no_orthogonal_codes():
    for seed in range(50):
        codes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))
        assert 0 <= pulling_away(codes) < 1e-12
