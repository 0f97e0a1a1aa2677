"""What became of a training: likelihood, KL, Z, ratios, and the energy while it trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from ebmrepro.networks import samplers
from ebmrepro.studies.plane import partition, train
from ebmrepro.studies.plane.energies import PlaneEnergy
from ebmrepro.studies.plane.exact import Exact
from ebmrepro.studies.plane.film import WAYS, Array
from ebmrepro.studies.plane.members import SHIFT, Measured, Plane, array, picture
from ebmrepro.studies.plane.partition import Grid

FRAME_GRID = 64  # points per axis where the energy is looked at while it trains


def truth(plane: Plane, out: Measured) -> None:
    """What the best model of all would reach, and the true densities as pictures."""
    log_p = plane.log_p(plane.held_out).double()
    plane.add_all(out, "true", log_likelihood=log_p.mean(1))
    for name, i in plane.first.items():
        log_density = plane.exact.log_p[i] - plane.exact.grid.log_cell
        out.arrays[f"energy/{name}/true"] = picture(-log_density)
        out.arrays[f"points/{name}/true"] = array(plane.held_out[i])


def follow(
    plane: Plane, out: Measured, way: str, steps: int, training: Iterator[PlaneEnergy]
) -> PlaneEnergy:
    """Train to the end; keep KL and, for the first seed, the surface at some steps.

    Points that slide on the surface while it changes are Langevin's, a few moves per frame.
    """
    film = plane.asked.film
    exact = Exact(Grid(plane.asked.domain.half, FRAME_GRID, 2), plane.log_p)
    # Denser at the beginning, where most happens; a short training has steps with two frames.
    due = [round(steps * (i / (film.frames - 1)) ** 2) for i in range(film.frames)]
    out.training = out.training or [{} for _ in due]
    draws = plane.draws(f"film {way}")
    x = train.scattered(draws, film.points, plane.asked)
    curve: list[Tensor] = []
    networks: dict[str, list[Array]] = {name: [] for name in plane.first}
    energy = next(training)  # one object, that moves on as the training does
    for step, _ in enumerate(chain([energy], training)):
        if step == 0 and way == "ml":
            _describe(plane, out, "untrained", energy)  # nearly a plane, "a line" in a cut
        for _ in range(due.count(step)):
            energies = exact.energies(energy)
            out.training[len(curve)] |= plane.scene(way, energies, x)
            curve.append(exact.kl(energies))
            for name, i in plane.first.items():
                networks[name].append(array(energy.net.numbers(i)))
            moves = samplers.langevin(energy, x, plane.asked.sampling.step, draws)
            x = samplers.after(film.moves, moves)
    out.arrays[f"steps/{way}"] = np.array(due, dtype=np.float64)
    for name, i in plane.first.items():
        own = torch.stack(curve)[:, i : i + len(plane.asked.seeds)]
        out.arrays[f"kl/{name}/{way}"] = array(own.T)
        out.arrays[f"points/{name}/{way}"] = array(x[i])
        out.arrays[f"network/{name}/{way}"] = np.stack(networks[name])  # (frames, K)
    return energy


def fit(plane: Plane, out: Measured, way: str, energy: PlaneEnergy) -> None:
    """log Z, held-out log-likelihood, KL; for EBGAN also at the temperature that fits best."""
    energies = _describe(plane, out, way, energy)
    if way != "ebgan":
        return
    with torch.no_grad():
        mean = energy(plane.train).double().mean(1)
    tried = torch.tensor(plane.asked.temperatures, dtype=torch.float64)
    losses = [mean / t + plane.exact.log_z(energies / t) for t in tried]
    best = tried[torch.stack(losses).argmin(0)]
    plane.add_all(out, way, temperature=best, kl_fitted=plane.exact.kl(energies / best[:, None]))


def ratios(plane: Plane, out: Measured, way: str, energy: PlaneEnergy) -> None:
    """log p(x) / p(x') of held-out pairs: from energies alone, with Z, and after E -> E + c."""
    half = plane.asked.held_out // 2
    x, other = plane.held_out[:, :half], plane.held_out[:, half : 2 * half]
    log_z = plane.exact.log_z(plane.exact.energies(energy))[:, None]
    with torch.no_grad():
        E, E_other = energy(x).double(), energy(other).double()
    without = E_other - E  # Z stands in both densities and cancels
    with_z = (-E - log_z) - (-E_other - log_z)
    shifted = (E_other + SHIFT) - (E + SHIFT)
    true = plane.log_p(x).double() - plane.log_p(other).double()
    plane.add_all(
        out,
        way,
        log_ratio_gap=(without - with_z).abs().amax(1),
        log_ratio_shift=(without - shifted).abs().amax(1),
        log_ratio_to_truth=(without - true).abs().median(1).values,
    )


def summarise(plane: Plane, out: Measured) -> None:
    """What the lecture says of all energies alike, over densities and ways."""

    def over(measure: str, names: Iterable[str]) -> Iterator[tuple[float, ...]]:
        """For each seed, the values of all densities and of these ways."""
        found = [out.values[f"{measure}_{d}@{w}"].values() for w in names for d in plane.densities]
        return zip(*found, strict=True)

    largest = map(max, over("log_ratio_gap", WAYS))
    plane.add(out, "log_ratio_error", largest, "log_ratio_error")
    for name, names in (("kl_untrained", ["untrained"]), ("kl_trained", WAYS)):
        plane.add(out, name, (sum(v) / len(v) for v in over("kl", names)), name)


def annealed(plane: Plane, out: Measured, way: str, energy: PlaneEnergy) -> None:
    """log Z by annealed importance sampling, beside the grid's."""
    found = partition.annealed(energy, plane.draws(f"ais {way}"), 2, plane.asked.ais)
    log_z = plane.exact.log_z(plane.exact.energies(energy))
    plane.add_all(
        out,
        way,
        log_z_ais_error=torch.tensor([f.log_z for f in found], dtype=torch.float64) - log_z,
        log_z_ais_half_width=torch.tensor([f.high - f.log_z for f in found]),
        ais_effective=torch.tensor([f.effective / f.chains for f in found]),
    )


def _describe(plane: Plane, out: Measured, way: str, energy: PlaneEnergy) -> Tensor:
    """Numbers and pictures of an energy, and its values on the grid, (M, K)."""
    energies, grid = plane.exact.energies(energy), plane.exact.grid
    log_z = plane.exact.log_z(energies)
    coarse = partition.log_z(energy, Grid(grid.half, grid.k // 2, 2))
    with torch.no_grad():
        held_out = -energy(plane.held_out).double().mean(1) - log_z
    inside = (plane.exact.points.abs() < plane.asked.domain.wall).all(1)
    plane.add_all(
        out,
        way,
        log_z=log_z,
        log_z_grid_error=(log_z - coarse).abs(),
        log_likelihood=held_out,
        kl=plane.exact.kl(energies),
        energy_sd=energies[:, inside].std(1),
        linear_share=_linear_share(energies[:, inside], plane.exact.points[inside]),
    )
    for name, i in plane.first.items():
        out.arrays[f"energy/{name}/{way}"] = picture(energies[i])
    return energies


def _linear_share(energies: Tensor, points: Tensor) -> Tensor:
    """R^2 of the least-squares plane, (M,)."""
    columns = torch.cat([torch.ones(len(points), 1), points], 1).double()
    solution = torch.linalg.lstsq(columns, energies.T).solution
    rest = energies - (columns @ solution).T
    return 1 - rest.square().sum(1) / (energies - energies.mean(1, keepdim=True)).square().sum(1)
