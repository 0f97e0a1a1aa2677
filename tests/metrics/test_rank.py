"""Agreement of orders, held to SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from ebmrepro.metrics import rank

rankings = st.integers(2, 7).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 3)
)


@given(rankings)
def test_kendalls_tau_is_that_of_scipy(three: tuple[list[int], list[int], list[int]]):
    truth, *others = three
    found = rank.kendall_tau(truth, others)
    for tau, other in zip(found, others, strict=True):
        if len({*truth}) == 1 or len({*other}) == 1:
            assert np.isnan(tau)
        else:
            assert tau == pytest.approx(kendalltau(truth, other)[0])


def test_the_share_of_ordered_pairs_by_hand():
    """Of (0, 1), (0, 2), (1, 2): all; two and a tie; none."""
    values = [[1, 2, 3], [1, 1, 3], [3, 2, 1]]
    np.testing.assert_allclose(rank.ordered_share([0, 1, 2], values), [1, 2.5 / 3, 0])


def test_without_ties_the_share_and_tau_say_the_same():
    values = np.random.default_rng(0).normal(size=(20, 6))
    share, tau = rank.ordered_share(range(6), values), rank.kendall_tau(range(6), values)
    np.testing.assert_allclose(2 * share - 1, tau)


def test_a_truth_without_order_is_refused():
    with pytest.raises(ValueError, match="no order to agree with"):
        rank.ordered_share([1, 1], [[1, 2]])


def test_rankings_of_different_length_are_refused():
    with pytest.raises(ValueError, match="rankings of 3 and of 2"):
        rank.kendall_tau([1, 2, 3], [[1, 2]])
