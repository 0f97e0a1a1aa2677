"""Neighbours of another class: by hand, and the two ends."""

import numpy as np
import pytest

from ebmrepro.metrics.neighbours import neighbour_error

LINE = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
LABELS = np.array([0, 0, 1, 1, 1, 0])


def test_the_error_by_hand_on_a_line():
    codes = np.array([[0.1], [1.9], [11.1], [11.9]])
    # nearest three: 0, 1, 2 -> 0 0 1; the same; 10, 11, 12 -> 1 1 0; the same
    assert neighbour_error(LINE, LABELS, codes, [0, 1, 1, 1], k=3) == pytest.approx(1 / 4)
    # nearest one: 0 -> 0; 2 -> 1; 11 -> 1; 12 -> 0
    assert neighbour_error(LINE, LABELS, codes, [0, 1, 1, 1], k=1) == pytest.approx(1 / 4)
    assert neighbour_error(LINE, LABELS, codes, [1, 0, 0, 1], k=1) == 1


def test_classes_that_lie_apart_have_no_error_and_labels_at_random_that_of_guessing():
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 10
    apart = np.stack([labels * 10.0, np.zeros(2000)], axis=1) + rng.normal(size=(2000, 2))
    assert neighbour_error(apart[:1000], labels[:1000], apart[1000:], labels[1000:], k=3) == 0
    blind = rng.normal(size=(2000, 2))
    error = neighbour_error(blind[:1000], labels[:1000], blind[1000:], labels[1000:], k=3)
    assert error == pytest.approx(0.9, abs=0.04)


def test_a_code_that_is_not_finite_and_too_few_neighbours_are_refused():
    with pytest.raises(ValueError, match="codes: 1 of 1 values are not finite"):
        neighbour_error(LINE, LABELS, [[np.nan]], [0], k=1)
    with pytest.raises(ValueError, match="codes seen: 6 rows, at least 7 needed"):
        neighbour_error(LINE, LABELS, LINE, LABELS, k=7)
