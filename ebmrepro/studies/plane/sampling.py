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
from ebmrepro.studies.plane.learning import FRAME_GRID, picture
from ebmrepro.studies.plane.members import Measured, Plane, stream
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
    wanted = range(spec.moves // 2, spec.moves, spec.every)
    n = spec.chains * len(wanted)
    told = (
        f"total variation between the model's exact mass in {spec.bins} x {spec.bins} bins and "
        f"{n:,} points; energies learnt by maximum likelihood"
    )
    floor = plane.exact.draw(energies, n, plane.draws("floor"))
    floor = total_variation(floor, mass, grid, spec.bins)
    plane.add(out, "tv", "exact", floor, f"{told}: independent exact draws, the floor")
    for name, sampler in SAMPLERS.items():
        draws = plane.draws(f"sample {name}")
        noise = train.scattered(draws, spec.chains, plane.asked)
        start = torch.cat([noise, plane.exact.draw(energies, spec.chains, draws)], 1)
        states = list(islice(sampler(energy, start, spec.step, draws), spec.moves))
        kept = [states[i].split(spec.chains, 1) for i in wanted]
        moved = f"{told}: states of {spec.chains} chains, step {spec.step:g}, {spec.moves} moves"
        for i, (measure, where) in enumerate(
            (
                ("tv_noise", "begun at uniform noise"),
                ("tv_kept", "begun at exact draws, which a right sampler keeps exact"),
            )
        ):
            points = torch.cat([state[i] for state in kept], 1)
            distance = total_variation(points, mass, grid, spec.bins)
            plane.add(out, measure, name, distance, f"{moved}, {where}")
            if (measure, name) == ("tv_noise", "langevin"):
                over = "mean over the densities of the "
                out.add("langevin_distance", plane.mean(distance), f"{over}{moved}, {where}")


def steps(plane: Plane, out: Measured) -> None:
    """The bias of Langevin moves against their step, on the ring itself, begun at exact draws.

    The ring's energy is - log p, so Z = 1; what error there is, is the sampler's.
    """
    spec, seeds, grid = plane.asked.sampling, plane.asked.seeds, plane.exact.grid
    ring = plane.densities["ring"]
    mass = Exact(grid, lambda x: ring.log_prob(x)[None]).p.expand(len(seeds), -1)
    wanted = range(spec.ring_moves // 2, spec.ring_moves, spec.every)
    n = spec.ring_chains * len(wanted)

    def draws(purpose: str) -> Draws:
        return Draws([stream(purpose, "ring", seed) for seed in seeds])

    def exact(purpose: str, count: int) -> Tensor:
        return torch.stack([ring.sample(count, g) for g in draws(purpose).generators])

    def add(name: str, found: Tensor, protocol: str) -> None:
        out.add(name, {str(s): float(v) for s, v in zip(seeds, found, strict=True)}, protocol)

    told = f"{n:,} points on the ring of Gaussians, {spec.bins} x {spec.bins} bins"
    floor = total_variation(exact("floor", n), mass, grid, spec.bins)
    add("tv_step@exact", floor, f"total variation of {told}: independent exact draws, the floor")
    for name, sampler in SAMPLERS.items():
        for i, step in enumerate(spec.steps, start=1):
            start = exact(f"start {name} {step}", spec.ring_chains)
            chain = sampler(lambda x: -ring.log_prob(x), start, step, draws(f"{name} {step}"))
            states = list(islice(chain, spec.ring_moves))
            points = torch.cat([states[j] for j in wanted], 1)
            told_step = (
                f"{told}: states of {spec.ring_chains:,} chains begun at exact draws, step {step:g}"
            )
            distance = total_variation(points, mass, grid, spec.bins)
            add(f"tv_step_{i}@{name}", distance, f"total variation of {told_step}")
            if name == "mala":
                moved = [(a != b).any(-1).double().mean(1) for a, b in pairwise(states)]
                told_share = f"share of moves accepted, {told_step}"
                add(f"acceptance_step_{i}@{name}", torch.stack(moved).mean(0), told_share)


def slide(plane: Plane, out: Measured, energy: PlaneEnergy) -> None:
    """The same noise sliding on the trained surface: with noise of its own, and straight down."""
    film = plane.asked.film
    grid = Grid(plane.asked.domain.half, FRAME_GRID, 2)
    with torch.no_grad():
        energies = energy(grid.points())
    surface = {name: picture(energies[plane.first(name)], grid) for name in plane.densities}
    draws = plane.draws("slide")
    start = train.scattered(draws, film.points, plane.asked)
    moving = {
        "langevin": samplers.langevin(energy, start, plane.asked.sampling.step, draws),
        "descent": samplers.descend(energy, start, film.descent_step),
    }
    paths = {
        kind: [start, *_every(film.moves, chain, film.frames - 1)] for kind, chain in moving.items()
    }
    for i in range(film.frames):
        out.sliding.append(
            {
                (kind, name): (surface[name], path[i][plane.first(name)].numpy())
                for kind, path in paths.items()
                for name in plane.densities
            }
        )
    for kind, path in paths.items():
        for name in plane.densities:
            own = torch.stack(path)[:, plane.first(name)]
            out.arrays[f"path/{name}/{kind}"] = own.numpy()  # (frames, points, 2)


def _every(moves: int, chain: Iterator[Tensor], count: int) -> list[Tensor]:
    return list(islice(chain, moves - 1, moves * count, moves))
