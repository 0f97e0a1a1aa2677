"""EBGAN's I', by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebmrepro.metrics.inception_score import inception_score
from ebmrepro.metrics.modified_inception_score import modified_inception_score


def test_two_classes_by_hand():
    """p(y|x) = (0.9, 0.1) and (0.1, 0.9), so p(y) = (0.5, 0.5) and both divergences are
    0.5 log(0.5 / 0.9) + 0.5 log(0.5 / 0.1) = log(5 / 3).
    """
    p = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert modified_inception_score(np.log(p)) == pytest.approx(np.log(5 / 3))
    assert modified_inception_score(np.log(p), power=2) == pytest.approx(np.log(5 / 3) ** 2)


def test_the_square_is_inside_the_mean():
    """p(y) = (1/2, 1/2); KL(p(y) || p(y|x)) is 0 for the third image and log(5 / 3) for two."""
    p = np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
    assert modified_inception_score(np.log(p)) == pytest.approx(2 / 3 * np.log(5 / 3))
    squared = modified_inception_score(np.log(p), power=2)
    assert squared == pytest.approx(2 / 3 * np.log(5 / 3) ** 2)


def test_the_marginal_comes_first():
    """Of the two orders, only KL(p(y) || p(y|x)) grows without bound as a class is left out."""
    scores, standard = [], []
    for rare in (1e-2, 1e-4, 1e-8):
        p = np.array([[1 - rare, rare], [rare, 1 - rare]])
        scores.append(modified_inception_score(np.log(p)))
        standard.append(inception_score(p, splits=1)[0])
    assert scores[0] * 2 < scores[1] < scores[2] / 1.5
    assert max(standard) < 2 + 1e-9
    assert scores[0] == pytest.approx(0.5 * np.log(0.25 / (0.01 * 0.99)))


def test_it_is_0_where_every_image_gets_the_same_distribution():
    p = np.tile([0.7, 0.2, 0.1], (5, 1))
    assert modified_inception_score(np.log(p)) == pytest.approx(0, abs=1e-20)


@given(st.integers(2, 6), st.integers(1, 20), st.integers(0, 1000))
def test_it_is_what_the_formula_says(classes: int, n: int, seed: int):
    p = np.random.default_rng(seed).dirichlet(np.ones(classes), n) + 1e-9
    p /= p.sum(1, keepdims=True)
    marginal = p.mean(0)
    kl = [sum(m * np.log(m / q) for m, q in zip(marginal, row, strict=True)) for row in p]
    for power in (1, 2):
        by_hand = np.mean(np.array(kl) ** power)
        assert modified_inception_score(np.log(p), power) == pytest.approx(by_hand, abs=1e-12)


def test_a_probability_too_small_for_a_float_still_counts():
    log_p = np.array([[0.0, -800.0], [-800.0, 0.0]])
    assert modified_inception_score(log_p) == pytest.approx(np.log(0.5) + 400)


@pytest.mark.parametrize("wrong", [[[0.0, -np.inf]], [[0.5, 0.5]], [0.0, 0.0]])
def test_what_is_no_logarithm_of_a_distribution_is_refused(wrong: list[float]):
    with pytest.raises(ValueError, match="probabilities"):
        modified_inception_score(wrong)
