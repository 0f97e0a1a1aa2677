"""Decision: the label, or the sequence of labels, of least energy.

A small label set is searched whole: y* = argmin_y F(x, y), and no probability is needed. A sequence
of T images has C^T labellings; with a chain energy

    E(y_1 .. y_T | x_1 .. x_T) = sum_t F(x_t, y_t) + sum_t V(y_t, y_t+1),  V(y, y') = -log P(y' | y)

the least is found by dynamic programming (see `chain`). The sequences are drawn from P, a chain
that counts up with slips, so that V is right by construction and should help where images are
doubtful. F comes without a scale and V is in nats, so F / T is tried beside F, T fitted on noisy
training images. In sequences of labels in random order, asked as well, V is wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from ebmrepro.config import tour
from ebmrepro.data import corruptions
from ebmrepro.methods.base.method import Method
from ebmrepro.metrics import calibration, classification
from ebmrepro.networks import images
from ebmrepro.studies.tour import chain
from ebmrepro.studies.tour.answer import Answer
from ebmrepro.studies.tour.chain import Chain
from ebmrepro.studies.tour.material import Energies, Material, label_energies

SHOWN = 3  # sequences in the report: the first


@dataclass(frozen=True)
class Sequences:
    """S sequences of T labels and the images of them."""

    labels: np.ndarray  # (S, T)
    pictures: np.ndarray  # uint8 (S, T, C, H, W)


@dataclass(frozen=True)
class Question:
    asked: tour.Decision
    clean: np.ndarray  # test images, uint8 (N, C, H, W)
    noisy: np.ndarray
    labels: np.ndarray  # (N,)
    fitted_on: np.ndarray  # noisy training images
    fitted_labels: np.ndarray
    V: np.ndarray  # (classes, classes), nats
    counting: Sequences
    random: Sequences


def transitions(counting: tour.Counting, classes: int) -> np.ndarray:
    """P(y' | y) of labels that count up with slips, (classes, classes), rows summing to 1."""
    slip = (1 - counting.next - counting.same) / classes
    following = np.roll(np.eye(classes), 1, axis=1)
    return slip + counting.next * following + counting.same * np.eye(classes)


def draw_labels(P: np.ndarray, count: int, length: int, random: np.random.RandomState):
    """Sequences from a Markov chain, the first label uniform, (count, length)."""
    labels = np.empty((count, length), dtype=np.int64)
    labels[:, 0] = random.randint(len(P), size=count)
    bounds = P.cumsum(axis=1)
    for t in range(1, length):
        u = random.random_sample((count, 1))
        labels[:, t] = np.minimum((u > bounds[labels[:, t - 1]]).sum(axis=1), len(P) - 1)
    return labels


def prepare(material: Material) -> Question:
    asked, seed = material.asked.decision, material.asked.seed
    P = transitions(asked.counting, material.classes)
    uniform = np.full_like(P, 1 / material.classes)
    spoil = partial(corruptions.noisy, amount=asked.noise)
    return Question(
        asked,
        material.test,
        spoil(material.test, seed=seed),
        material.test_labels,
        spoil(material.held_out, seed=seed + 1),
        material.held_out_labels,
        -np.log(P),
        _sequences(material, P, seed + 2),
        _sequences(material, uniform, seed + 3),
    )


def answer(model: Method, question: Question) -> Answer | None:
    """None where the method has no energy of labels."""
    energies = label_energies(model)
    if energies is None:
        return None
    labels = question.labels
    T = calibration.fit_temperature(energies(question.fitted_on), question.fitted_labels)
    counting, found = _labelled(energies, question.counting, question.V, T)
    disorder, _ = _labelled(energies, question.random, question.V, T)
    values = {
        "error_joint": classification.error_rate(energies(question.clean).argmin(1), labels),
        "error_joint_noisy": classification.error_rate(energies(question.noisy).argmin(1), labels),
        **{f"digit_error_{how}": wrong.mean() for how, wrong in counting.items()},
        **{f"sequence_error_{how}": wrong.any(1).mean() for how, wrong in counting.items()},
        "chain_gain": counting["alone"].mean() - counting["scaled"].mean(),
        "digit_error_alone_random": disorder["alone"].mean(),
        "digit_error_scaled_random": disorder["scaled"].mean(),
        "chain_gain_random": disorder["alone"].mean() - disorder["scaled"].mean(),
        **_exact(energies, question),
    }
    arrays = {f"labels_{how}": y[:SHOWN] for how, y in found.items()}
    return Answer({key: float(value) for key, value in values.items()}, arrays)


def shared(material: Material, question: Question) -> Answer:
    """What no model decides: the cost of the search, and the sequences to be shown."""
    lengths, V = question.asked.lengths, question.V
    random = np.random.RandomState(material.asked.seed)
    longest = lengths[-1]
    made_up = Chain([*random.random_sample((2 * longest, len(V)))], [V] * (2 * longest - 1))

    def cost(search, length: int) -> int:
        return search(Chain(made_up.unary[:length], made_up.pairwise[: length - 1])).evaluations

    tried = [n for n in range(1, question.asked.brute_force + 1)]
    whole = [cost(chain.brute_force, n) for n in tried]
    values = {
        "evaluations_doubling_viterbi": cost(chain.viterbi, 2 * longest)
        / cost(chain.viterbi, longest),
        "evaluations_doubling_min_sum": cost(chain.min_sum, 2 * longest)
        / cost(chain.min_sum, longest),
        "evaluations_step_brute_force": whole[-1] / whole[-2],
    }
    arrays = {
        "lengths": np.array(lengths),
        "cost_viterbi": np.array([cost(chain.viterbi, n) for n in lengths]),
        "cost_min_sum": np.array([cost(chain.min_sum, n) for n in lengths]),
        "tried": np.array(tried),
        "cost_brute_force": np.array(whole),
        "labels_true": question.counting.labels[:SHOWN],
        "sequences": np.stack(
            [images.grid(row, len(row)) for row in question.counting.pictures[:SHOWN]]
        ),
    }
    return Answer(values, arrays)


def _sequences(material: Material, P: np.ndarray, seed: int) -> Sequences:
    """Of labels drawn from P; each is shown by a random test image of it, with noise."""
    asked, random = material.asked.decision, np.random.RandomState(seed)
    labels = draw_labels(P, asked.sequences, asked.length, random)
    pool = [np.flatnonzero(material.test_labels == y) for y in range(material.classes)]
    chosen = np.array([random.choice(pool[y]) for y in labels.ravel()])
    spoilt = corruptions.noisy(material.test[chosen], asked.noise, seed)
    return Sequences(labels, spoilt.reshape(*labels.shape, *spoilt.shape[1:]))


def _labelled(energies: Energies, asked: Sequences, V: np.ndarray, T: float):
    """Which labels are wrong, bool (S, T), and the labels found, by way of finding them."""
    count, length = asked.labels.shape
    F = energies(asked.pictures.reshape(-1, *asked.pictures.shape[2:])).reshape(count, length, -1)

    def together(unary: np.ndarray) -> np.ndarray:
        return np.array([chain.viterbi(Chain([*u], [V] * (length - 1))).labels for u in unary])

    found = {"alone": F.argmin(axis=2), "chain": together(F), "scaled": together(F / T)}
    return {how: y != asked.labels for how, y in found.items()}, found


def _exact(energies: Energies, question: Question) -> dict[str, float]:
    length = question.asked.brute_force
    pictures = question.counting.pictures[:, :length]
    count, length = pictures.shape[:2]
    F = energies(pictures.reshape(-1, *pictures.shape[2:])).reshape(count, length, -1)
    searches = {"viterbi_exact": chain.viterbi, "min_sum_exact": chain.min_sum}
    hits = dict.fromkeys(searches, 0)
    for unary in F:
        posed = Chain([*unary], [question.V] * (length - 1))
        least = chain.brute_force(posed).energy
        for name, search in searches.items():
            hits[name] += math.isclose(search(posed).energy, least, rel_tol=1e-12)
    return {key: hit / count for key, hit in hits.items()}
