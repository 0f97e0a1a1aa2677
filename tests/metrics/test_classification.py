"""The error rate."""

import numpy as np
import pytest

from ebmrepro.metrics.classification import error_rate


def test_it_is_the_share_of_wrong_predictions():
    assert error_rate([0, 1, 2, 3], [0, 1, 2, 4]) == 0.25
    assert error_rate(np.arange(3), np.arange(3)) == 0
    assert type(error_rate([1], [0])) is float


@pytest.mark.parametrize(
    ("predicted", "labels"),
    [([0, 1], [0]), ([[0], [1]], [0, 1]), ([], []), ([0.2, 0.8], [0, 1])],
)
def test_what_does_not_line_up_is_refused(predicted, labels):
    with pytest.raises(ValueError, match="predicted"):
        error_rate(predicted, labels)
