"""The Inception score: its bounds, a value worked by hand, splits, refusals."""

import numpy as np
import pytest

from ebmrepro.metrics.inception_score import inception_score


def test_certain_and_equally_frequent_classes_score_their_number():
    p = np.tile(np.eye(10), (20, 1))
    assert inception_score(p, 1) == (pytest.approx(10), 0)


def test_one_class_or_no_certainty_scores_one():
    assert inception_score(np.tile([1.0, 0, 0], (7, 1)), 1) == (pytest.approx(1), 0)
    assert inception_score(np.full((7, 3), 1 / 3), 1) == (pytest.approx(1), 0)


def test_two_images_match_a_value_worked_by_hand():
    # p(y) = (1/2, 1/2); KL of (3/4, 1/4) from it is log 2 - H(3/4), for both.
    kl = np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25)
    mean, _ = inception_score([[0.75, 0.25], [0.25, 0.75]], 1)
    assert mean == pytest.approx(np.exp(kl))


def test_splits_are_contiguous_and_each_has_its_own_marginal():
    collapsed, diverse = np.tile([1.0, 0], (4, 1)), np.tile(np.eye(2), (2, 1))
    assert inception_score(np.vstack([collapsed, diverse]), 2) == (
        pytest.approx(1.5),  # scores 1 and 2
        pytest.approx(0.5),
    )


def test_splits_that_do_not_divide_the_images_use_them_all():
    p = np.random.default_rng(0).dirichlet(np.ones(4), 11)
    parts = [inception_score(p[a:b], 1)[0] for a, b in ((0, 3), (3, 7), (7, 11))]
    assert inception_score(p, 3) == (pytest.approx(np.mean(parts)), pytest.approx(np.std(parts)))


@pytest.mark.parametrize("splits", [0, 3])
def test_splits_outside_of_one_to_n_are_refused(splits):
    with pytest.raises(ValueError, match="splits"):
        inception_score(np.eye(2), splits)


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([[0.5, 0.6]], "sums to 1.1"),
        ([[0.5, 0.5], [0.1, 0.2], [0.5, 0.6]], "row 1 sums to 0.3"),
        ([[1.5, -0.5]], "at least 0"),
        ([[np.nan, 1.0]], "not finite"),
        ([1.0, 0.0], "expected"),
    ],
)
def test_rows_that_are_no_distribution_are_refused(p, message):
    with pytest.raises(ValueError, match=message):
        inception_score(p, 1)
