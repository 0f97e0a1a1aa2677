"""The least energy of a chain or a tree is found without looking at every labelling."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebmrepro.studies.tour import chain, factor_tree
from ebmrepro.studies.tour.chain import Chain
from ebmrepro.studies.tour.factor_tree import Factor, FactorTree


@st.composite
def chains(draw: st.DrawFn, integers: bool) -> Chain:
    """Up to six positions with one to four labels each; whole numbers make ties."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def table(*shape: int) -> np.ndarray:
        if integers:
            return random.integers(-2, 3, shape).astype(np.float64)
        return random.normal(size=shape)

    between = [table(a, b) for a, b in pairwise(sizes)]
    return Chain([table(n) for n in sizes], between)


@st.composite
def trees(draw: st.DrawFn) -> FactorTree:
    """A forest: factors of one to three variables; whole numbers make ties."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=7))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = [[v] for v in range(len(sizes))]
    factors: list[tuple[int, ...]] = [(0,)]
    for _ in range(draw(st.integers(0, 6))):
        count = int(random.integers(1, 4))
        chosen = random.permutation(len(groups))[:count]
        factors.append(tuple(int(random.choice(groups[g])) for g in chosen))
        joined = [v for g in chosen for v in groups[g]]
        groups = [g for i, g in enumerate(groups) if i not in chosen] + [joined]
    return FactorTree(
        sizes,
        [
            Factor(v, random.integers(-2, 3, [sizes[u] for u in v]).astype(np.float64))
            for v in factors
        ],
    )


def least(energy, sizes) -> float:
    """By the definition, labelling by labelling."""
    return min(energy(labels) for labels in product(*map(range, sizes)))


@pytest.mark.parametrize("search", [chain.brute_force, chain.viterbi, chain.min_sum])
@pytest.mark.parametrize("integers", [False, True])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_search_finds_the_least_energy_of_a_chain(
    search, integers: bool, data: st.DataObject
):
    posed = data.draw(chains(integers))
    found = search(posed)
    assert found.energy == posed.energy(found.labels)
    assert found.energy == pytest.approx(least(posed.energy, map(len, posed.unary)), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(chains(integers=False))
def test_without_ties_the_labels_are_the_same(posed: Chain):
    labels = {search(posed).labels for search in (chain.brute_force, chain.viterbi, chain.min_sum)}
    assert len(labels) == 1


@settings(max_examples=100, deadline=None)
@given(trees())
def test_min_sum_finds_the_least_energy_of_a_tree(tree: FactorTree):
    found = factor_tree.min_sum(tree)
    assert found.energy == tree.energy(found.labels) == least(tree.energy, tree.sizes)


def test_a_tie_between_whole_labellings_is_not_read_label_by_label():
    """Both (0, 0) and (1, 1) cost nothing; each label alone could be either."""
    same = Chain([np.zeros(2), np.zeros(2)], [1 - np.eye(2)])
    assert all(search(same).energy == 0 for search in (chain.viterbi, chain.min_sum))


def test_neighbours_decide_where_the_position_itself_cannot():
    unary = [np.array([0.0, 9.0]), np.array([1.0, 0.9]), np.array([0.0, 9.0])]
    alone = tuple(int(u.argmin()) for u in unary)
    together = chain.viterbi(Chain(unary, [1 - np.eye(2)] * 2)).labels
    assert (alone, together) == ((0, 1, 0), (0, 0, 0))


def test_the_cost_is_counted():
    posed = Chain([np.zeros(10)] * 4, [np.zeros((10, 10))] * 3)
    assert chain.brute_force(posed).evaluations == 10**4
    assert chain.viterbi(posed).evaluations == 10 + 3 * 10**2


def test_a_cycle_is_refused():
    pair = np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"factor 2 of variables \(2, 0\) closes a cycle"):
        FactorTree([2, 2, 2], [Factor((0, 1), pair), Factor((1, 2), pair), Factor((2, 0), pair)])


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"chain of 2 positions with \[2, 3\] labels"):
        Chain([np.zeros(2), np.zeros(3)], [np.zeros((3, 2))])
    with pytest.raises(ValueError, match=r"table \(3,\), expected \(2,\)"):
        FactorTree([2], [Factor((0,), np.zeros(3))])


def test_a_search_that_would_not_end_is_refused():
    with pytest.raises(ValueError, match="100000000 labellings, at most 10000000"):
        chain.brute_force(Chain([np.zeros(10)] * 8, [np.zeros((10, 10))] * 7))
