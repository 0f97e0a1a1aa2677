"""One number of a method turned, all else as it is: BEGAN's gamma, EBGAN's margin, PT's weight.

On the ring, whose valleys can be counted: of how many does the generator think? Every value is
trained from the same seeds, with the same points and the same noise, side by side.

Sources: Berthelot, Schumm and Metz (2017), BEGAN, arXiv:1703.10717; Zhao, Mathieu and LeCun (2017),
Energy-based generative adversarial network, arXiv:1609.03126.

Departures: those of EBGAN in `train.py`; the code is as wide as params.yaml says. D and G move on
the same z in both. BEGAN's energy is the norm of the error, not the mean absolute error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ebmrepro.config.plane import Fundamentals, Game, Gammas, Margins, Weights
from ebmrepro.networks.samplers import Draws
from ebmrepro.studies.plane import densities, train
from ebmrepro.studies.plane.densities import Ring
from ebmrepro.studies.plane.energies import PlaneEnergy
from ebmrepro.studies.plane.members import Measured, Plane, array, stream

WITHIN = 3  # standard deviations of a Gaussian of the ring: a point counts as in its valley
SHARE = 0.02  # of G's points that make a valley visited; even would be 1 / modes


class State(NamedTuple):
    """A game after a step: D, what was played, and G's points for new z."""

    D: PlaneEnergy
    terms: Mapping[str, Tensor]  # (M,) each
    points: Tensor  # x_g of the step, (M, N, 2)


class Dial(NamedTuple):
    """A number to turn, as params.yaml calls it, and the game in which it takes its values."""

    name: str
    game: Gammas | Margins | Weights
    play: Iterator[State]


def turn(plane: Plane, out: Measured) -> None:
    """Curves, points and energies of every value; from each seed the valleys that G visits."""
    ring = densities.make(plane.asked.densities)["ring"]
    assert isinstance(ring, Ring)
    for dial in _dials(plane.asked, ring):
        with out.timed(f"dial {dial.name}"):
            _record(plane, out, dial, ring)


def _dials(asked: Fundamentals, ring: Ring) -> Iterator[Dial]:
    dials = asked.dials

    def members(values: list[float]) -> tuple[Tensor, Draws, Tensor]:
        """Data, draws and number of each value from each seed; a seed's are those of all values."""
        each = [torch.Generator().manual_seed(stream("dial data", s)) for s in dials.seeds]
        data = torch.stack([ring.sample(asked.train, g) for g in each]).repeat(len(values), 1, 1)
        draws = Draws([stream("dial", seed) for _ in values for seed in dials.seeds])
        return data, draws, torch.tensor(values).repeat_interleave(len(dials.seeds))

    game = dials.gamma
    data, draws, gamma = members(game.values)
    yield Dial("gamma", game, began(data, draws, gamma, game.lambda_k, game, asked))

    game = dials.margin
    data, draws, m = members(game.values)
    yield Dial("margin", game, ebgan(data, draws, m, torch.zeros_like(m), game, asked))

    game = dials.pt_weight
    data, draws, weight = members(game.values)
    m = torch.full_like(weight, game.margin)
    yield Dial("pt_weight", game, ebgan(data, draws, m, weight, game, asked))


def began(
    data: Tensor, draws: Draws, gamma: Tensor, lambda_k: float, spec: Game, asked: Fundamentals
) -> Iterator[State]:
    """Every step of BEGAN, each member with its own gamma, (M,)."""
    D, G, down_D, down_G = train.players(draws, spec, asked)
    k = torch.zeros_like(gamma)
    for _ in range(spec.steps):
        x = train.batch(data, spec.batch_size, draws)
        z = 2 * draws.uniform(spec.batch_size, spec.z) - 1
        x_g = asked.domain.wall * torch.tanh(G(z))
        pair = D.inside(torch.cat([x, x_g.detach()], 1)).split(spec.batch_size, 1)
        real, fake = (energy.mean(1) for energy in pair)
        down_D((real - k * fake).sum())  # L_D = L(x) - k_t L(G(z))
        down_G(D.inside(x_g).mean(1).sum())  # L_G = L(G(z))
        real, fake = real.detach(), fake.detach()
        k = (k + lambda_k * (gamma * real - fake)).clamp(0, 1)
        yield State(D, {"real": real, "fake": fake, "k": k}, x_g.detach())


def ebgan(
    data: Tensor, draws: Draws, m: Tensor, weight: Tensor, spec: Game, asked: Fundamentals
) -> Iterator[State]:
    """Every step of EBGAN, each member with its own margin and weight of f_PT, (M,)."""
    D, G, down_D, down_G = train.players(draws, spec, asked)
    pairs = spec.batch_size * (spec.batch_size - 1)
    for _ in range(spec.steps):
        x = train.batch(data, spec.batch_size, draws)
        z = draws.normal(spec.batch_size, spec.z)
        x_g = asked.domain.wall * torch.tanh(G(z))
        real, fake = D.inside(torch.cat([x, x_g.detach()], 1)).split(spec.batch_size, 1)
        hinge = (m[:, None] - fake).clamp_min(0)
        down_D((real.mean(1) + hinge.mean(1)).sum())  # L_D = D(x) + [m - D(G(z))]^+
        S = normalize(D.net.upto(x_g, 2), dim=-1)  # codes, each of length 1
        f_PT = ((S @ S.mT).square().sum((1, 2)) - spec.batch_size) / pairs
        down_G((D.inside(x_g).mean(1) + weight * f_PT).sum())  # L_G = D(G(z)) + w f_PT
        terms = {"real": real.mean(1), "fake": fake.mean(1), "f_PT": f_PT}
        yield State(D, {name: term.detach() for name, term in terms.items()}, x_g.detach())


def _record(plane: Plane, out: Measured, dial: Dial, ring: Ring) -> None:
    """Play to the end. A curve's point is a mean over the steps since the one before."""
    asked = plane.asked.dials
    values, seeds = len(dial.game.values), len(asked.seeds)
    part = dial.game.steps // asked.moments
    window: list[State] = []
    last: list[State] = []
    curves: dict[str, list[Tensor]] = {}
    for step, state in enumerate(dial.play, start=1):
        window.append(state)
        if step % part == 0:
            for name in state.terms:
                mean = torch.stack([each.terms[name] for each in window]).mean(0)
                curves.setdefault(name, []).append(mean)
            last, window = window, []
    points = torch.cat([each.points for each in last], 1)[:, -asked.points :]
    at = f"dial/{dial.name}"
    for name, curve in curves.items():  # (values, seeds, moments)
        out.arrays[f"{at}/{name}"] = array(torch.stack(curve, -1).unflatten(0, (values, seeds)))
    for i in range(values):  # of the first seed
        out.arrays[f"{at}/points/{i}"] = array(points[i * seeds])
        out.arrays[f"{at}/network/{i}"] = array(last[-1].D.net.numbers(i * seeds))
    visited, near = visits(points, ring)
    measures = {"valleys": visited, "near": near, **{n: c[-1] for n, c in curves.items()}}
    for measure, found in measures.items():
        for value, own in zip(dial.game.values, found.reshape(values, seeds), strict=True):
            name = f"{measure}_{value:g}@{dial.name}"
            out.values[name] = dict(zip(map(str, asked.seeds), map(float, own), strict=True))
            out.protocol[name] = plane.protocol(
                f"dial_{measure}", steps=part, within=WITHIN, share=SHARE
            )


def visits(points: Tensor, ring: Ring) -> tuple[Tensor, Tensor]:
    """How many valleys have a SHARE of points, and the share in any, (M, N, 2) -> (M,) twice."""
    distance, which = (points[:, :, None] - ring.centres).norm(dim=-1).min(-1)
    inside = distance < WITHIN * ring.sd
    each = torch.stack([((which == i) & inside).double().mean(1) for i in range(len(ring.centres))])
    return (each >= SHARE).sum(0), inside.double().mean(1)
