"""How far samplers are from the density that they are to sample, and what their points look like.

The distance is the total variation between a histogram and the exact mass of its bins. Even exact
draws are not at 0: their histogram has chance in it. That floor is measured beside each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import torch
from torch import Tensor

from ebmrepro.networks import samplers
from ebmrepro.networks.samplers import Draws, Energy
from ebmrepro.studies.plane import train
from ebmrepro.studies.plane.energies import PlaneEnergy
from ebmrepro.studies.plane.exact import Exact, total_variation
from ebmrepro.studies.plane.learning import FRAME_GRID
from ebmrepro.studies.plane.members import Measured, Plane, states, stream
from ebmrepro.studies.plane.partition import Grid

Sampler = Callable[[Energy, Tensor, float, Draws], Iterator[Tensor]]
SAMPLERS: dict[str, Sampler] = {"langevin": samplers.langevin, "mala": samplers.mala}


def error(plane: Plane, out: Measured, energy: PlaneEnergy) -> None:
    """Chains on the learnt energies, from noise and from exact draws.

    Looked at is the second half of each chain, one state in `every`: the floor has as many points.
    """
    spec, grid = plane.asked.sampling, plane.exact.grid
    energies = plane.exact.energies(energy)
    mass = energies.neg().softmax(1)
    wanted = states(spec.moves, spec.every)
    floor = plane.exact.draw(energies, spec.chains * len(wanted), plane.draws("floor"))
    plane.add_all(out, "exact", tv=total_variation(floor, mass, grid, spec.bins))
    for name, sampler in SAMPLERS.items():
        draws = plane.draws(f"sample {name}")
        noise = train.scattered(draws, spec.chains, plane.asked)
        start = torch.cat([noise, plane.exact.draw(energies, spec.chains, draws)], 1)
        chain = list(islice(sampler(energy, start, spec.step, draws), spec.moves))
        noisy, kept = (
            total_variation(torch.cat(own, 1), mass, grid, spec.bins)
            for own in zip(*(chain[i].split(spec.chains, 1) for i in wanted), strict=True)
        )
        plane.add_all(out, name, tv_noise=noisy, tv_kept=kept)
        if name == "langevin":
            parts = noisy.reshape(len(plane.densities), -1) / len(plane.densities)
            mean = parts.cumsum(0)[-1]  # which adds in order on every machine
            plane.add(out, "langevin_distance", mean, "langevin_distance")


def steps(plane: Plane, out: Measured) -> None:
    """The error of moves against their step, on the ring itself.

    The ring's energy is - log p, so Z = 1; what error there is, is the sampler's. Begun at exact
    draws it is bias alone; Langevin's chains are begun at noise as well, from where short moves do
    not arrive.
    """
    spec, seeds, grid = plane.asked.sampling, plane.asked.seeds, plane.exact.grid
    ring = plane.densities["ring"]
    mass = Exact(grid, lambda x: ring.log_prob(x)[None]).p.expand(len(seeds), -1)
    wanted = states(spec.ring_moves, spec.every)

    def draws(purpose: str) -> Draws:
        return Draws([stream(purpose, "ring", seed) for seed in seeds])

    def exact(purpose: str, count: int) -> Tensor:
        return torch.stack([ring.sample(count, g) for g in draws(purpose).generators])

    def noise(purpose: str, count: int) -> Tensor:
        return train.scattered(draws(purpose), count, plane.asked)

    floor = exact("floor", spec.ring_chains * len(wanted))
    distance = total_variation(floor, mass, grid, spec.bins)
    plane.add(out, "tv_step@exact", distance, "tv_step@exact")
    starts = [(name, name, exact) for name in SAMPLERS] + [("langevin_noise", "langevin", noise)]
    for name, kind, begin in starts:
        sampler = SAMPLERS[kind]
        for i, step in enumerate(spec.steps, start=1):
            start = begin(f"start {name} {step}", spec.ring_chains)
            moves = sampler(lambda x: -ring.log_prob(x), start, step, draws(f"{name} {step}"))
            chain = list(islice(moves, spec.ring_moves))
            points = torch.cat([chain[j] for j in wanted], 1)
            distance = total_variation(points, mass, grid, spec.bins)
            told = "tv_step_noise" if begin is noise else "tv_step"
            plane.add(out, f"tv_step_{i}@{name}", distance, told, step=step)
            if name == "mala":
                moved = [(a != b).any(-1).double().mean(1) for a, b in pairwise(chain)]
                share = torch.stack(moved).mean(0)
                plane.add(out, f"acceptance_step_{i}@{name}", share, "acceptance_step", step=step)


def slide(plane: Plane, out: Measured, energy: PlaneEnergy) -> None:
    """The same noise sliding on the trained surface: with noise of its own, and straight down."""
    film = plane.asked.film
    grid = Grid(plane.asked.domain.half, FRAME_GRID, 2)
    with torch.no_grad():
        energies = energy(grid.points())
    draws = plane.draws("slide")
    start = train.scattered(draws, film.points, plane.asked)
    moving = {
        "langevin": samplers.langevin(energy, start, plane.asked.sampling.step, draws),
        "descent": samplers.descend(energy, start, film.descent_step),
    }
    for kind, chain in moving.items():
        path = [start, *islice(chain, film.moves - 1, film.moves * (film.frames - 1), film.moves)]
        out.sliding = out.sliding or [{} for _ in path]
        for frame, points in zip(out.sliding, path, strict=True):
            frame |= plane.scene(kind, energies, points)
        for name, i in plane.first.items():
            own = torch.stack(path)[:, i]
            out.arrays[f"path/{name}/{kind}"] = own.numpy()  # (frames, points, 2)
