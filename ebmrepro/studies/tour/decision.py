"""Decision: the label, or the sequence of labels, of least energy.

A small label set is searched whole: y* = argmin_y F(x, y), and no probability is needed. A sequence
of T images has C^T labellings; with a chain energy

    E(y_1 .. y_T | x_1 .. x_T) = sum_t F(x_t, y_t) + sum_t V(y_t, y_t+1),  V(y, y') = -log P(y' | y)

the least is found by dynamic programming (see `chain`). The sequences are drawn from P, a chain
that counts up with slips, so that V is right by construction and should help where images are
doubtful. F comes without a scale and V is in nats, so F / T is tried beside F, T fitted on noisy
images held out, or else on training images. In sequences of labels in random order, asked as well,
V is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ebmrepro.config import tour
from ebmrepro.data import corruptions
from ebmrepro.metrics import calibration, classification
from ebmrepro.networks import images
from ebmrepro.studies.tour import chain
from ebmrepro.studies.tour.chain import Chain
from ebmrepro.studies.tour.factor_tree import Solution
from ebmrepro.studies.tour.material import ONE_CLASS, Energies, Material, label_energies
from ebmrepro.studies.tour.question import Answer, Question

Search = Callable[[Chain], Solution]
FAST: dict[str, Search] = {"viterbi": chain.viterbi, "min_sum": chain.min_sum}
SHOWN = 3  # sequences in the report: the first


@dataclass(frozen=True)
class Sequences:
    """S sequences of T labels and the images of them."""

    labels: np.ndarray  # (S, T)
    pictures: np.ndarray  # uint8 (S, T, C, H, W)


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


class Decision(Question):
    def __init__(self, material: Material):
        super().__init__(material)
        self.asked, seed = material.asked.decision, material.asked.seed
        self.left_out = _left_out(material)
        if self.left_out:
            return
        P = transitions(self.asked.counting, material.classes)
        self.V = -np.log(P)  # (classes, classes), nats
        self.noisy = corruptions.noisy(material.test, self.asked.noise, seed)
        self.fitted_on = corruptions.noisy(material.held_out, self.asked.noise, seed + 1)
        self.counting = _sequences(material, P, seed + 2)
        self.random = _sequences(material, np.full_like(P, 1 / material.classes), seed + 3)

    def answer(self, model):
        energies = label_energies(model)
        if energies is None:
            return None
        if self.left_out:
            return Answer.missing({"error_joint": self.left_out})
        test, labels = self.material.test, self.material.test_labels
        T = calibration.fit_temperature(energies(self.fitted_on), self.material.held_out_labels)
        F = _of_sequences(energies, self.counting.pictures)
        found = self._labelled(F, T)
        counting = {how: y != self.counting.labels for how, y in found.items()}
        random = self._labelled(_of_sequences(energies, self.random.pictures), T)
        disorder = {how: (y != self.random.labels).mean() for how, y in random.items()}
        values = {
            "error_joint": classification.error_rate(energies(test).argmin(1), labels),
            "error_joint_noisy": classification.error_rate(energies(self.noisy).argmin(1), labels),
            **{f"digit_error_{how}": wrong.mean() for how, wrong in counting.items()},
            **{f"sequence_error_{how}": wrong.any(1).mean() for how, wrong in counting.items()},
            "chain_gain": counting["alone"].mean() - counting["scaled"].mean(),
            "digit_error_alone_random": disorder["alone"],
            "digit_error_scaled_random": disorder["scaled"],
            "chain_gain_random": disorder["alone"] - disorder["scaled"],
            **self._exact(F[:, : self.asked.brute_force]),
        }
        return Answer(values, arrays={f"labels_{how}": y[:SHOWN] for how, y in found.items()})

    def shared(self):
        """The cost of the search, and the sequences to be shown."""
        if self.left_out:
            return Answer()
        lengths, random = self.asked.lengths, np.random.RandomState(self.material.asked.seed)
        longest = lengths[-1]
        made_up = random.random_sample((2 * longest, len(self.V)))

        def costs(search: Search, lengths: Iterable[int]) -> np.ndarray:
            return np.array([search(self._chain(made_up[:n])).evaluations for n in lengths])

        tried = range(1, self.asked.brute_force + 1)
        whole = costs(chain.brute_force, tried)
        values = {"evaluations_step_brute_force": whole[-1] / whole[-2]}
        arrays = {
            "lengths": np.array(lengths),
            "tried": np.array(tried),
            "cost_brute_force": whole,
            "labels_true": self.counting.labels[:SHOWN],
            "sequences": np.stack([images.grid(p, len(p)) for p in self.counting.pictures[:SHOWN]]),
        }
        for name, search in FAST.items():
            once, twice = costs(search, (longest, 2 * longest))
            values[f"evaluations_doubling_{name}"] = twice / once
            arrays[f"cost_{name}"] = costs(search, lengths)
        return Answer(values, arrays=arrays)

    def _chain(self, unary: np.ndarray) -> Chain:
        return Chain([*unary], [self.V] * (len(unary) - 1))

    def _labelled(self, F: np.ndarray, T: float) -> dict[str, np.ndarray]:
        """The labels (S, T) by way of finding them, from F (S, T, classes)."""

        def together(unary: np.ndarray) -> np.ndarray:
            return np.array([chain.viterbi(self._chain(u)).labels for u in unary])

        return {"alone": F.argmin(axis=2), "chain": together(F), "scaled": together(F / T)}

    def _exact(self, F: np.ndarray) -> dict[str, float]:
        """How often a search finds the least energy of all labellings, from F (S, T, classes)."""
        chains = [self._chain(unary) for unary in F]
        least = [chain.brute_force(each).energy for each in chains]
        found = {name: [search(each).energy for each in chains] for name, search in FAST.items()}
        return {
            f"{name}_exact": np.isclose(energies, least, rtol=1e-12, atol=0).mean()
            for name, energies in found.items()
        }


def _left_out(material: Material) -> str | None:
    """Why sequences of labels cannot be asked for."""
    classes, tried = material.classes, material.asked.decision.brute_force
    absent = classes - len(np.unique(material.test_labels))
    if classes < 2:
        return ONE_CLASS
    if absent:
        return f"{absent:,} of {classes:,} classes have no {material.split} image to be shown by"
    if classes**tried > chain.LARGEST:
        return (
            f"tour.decision.brute_force: found {tried}; {classes:,} classes have "
            f"{classes**tried:,} labellings of that length, and at most {chain.LARGEST:,} are tried"
        )
    return None


def _sequences(material: Material, P: np.ndarray, seed: int) -> Sequences:
    """Of labels drawn from P; each is shown by a random test image of it, with noise."""
    asked, random = material.asked.decision, np.random.RandomState(seed)
    labels = draw_labels(P, asked.sequences, asked.length, random)
    pool = [np.flatnonzero(material.test_labels == y) for y in range(material.classes)]
    chosen = np.array([random.choice(pool[y]) for y in labels.ravel()])
    spoilt = corruptions.noisy(material.test[chosen], asked.noise, seed)
    return Sequences(labels, spoilt.reshape(*labels.shape, *spoilt.shape[1:]))


def _of_sequences(energies: Energies, pictures: np.ndarray) -> np.ndarray:
    """F of uint8 (S, T, C, H, W), (S, T, classes)."""
    shape = pictures.shape
    return energies(pictures.reshape(-1, *shape[2:])).reshape(*shape[:2], -1)
