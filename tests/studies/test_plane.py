"""The plane's densities, its stacked networks, and the stage, on a small scale."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_plane import SHIPPED, SMALL, asked

from ebmrepro.config import documents
from ebmrepro.networks.samplers import Draws
from ebmrepro.studies.plane import cost, densities, dials, learning, train
from ebmrepro.studies.plane.energies import Plain, Stack
from ebmrepro.studies.plane.exact import Exact, total_variation
from ebmrepro.studies.plane.learning import follow
from ebmrepro.studies.plane.measure import measure
from ebmrepro.studies.plane.members import Measured, Plane, stream
from ebmrepro.studies.plane.partition import Grid
from ebmrepro.system.errors import UserError

ALL = densities.make(SHIPPED.densities)


@pytest.mark.parametrize("name", ALL)
def test_a_density_integrates_to_one(name: str):
    grid = Grid(4.0, 256, 2)
    mass = (ALL[name].log_prob(grid.points()).double() + grid.log_cell).exp().sum()
    assert mass.item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_a_densitys_draws_are_of_it(name: str):
    exact = Exact(Grid(4.0, 128, 2), lambda x: ALL[name].log_prob(x)[None])
    points = ALL[name].sample(20_000, torch.Generator().manual_seed(0))[None]
    assert total_variation(points, exact.p, exact.grid, 32).item() < 0.06
    turned = points.flip(-1) * torch.tensor([1.0, -1.0]) @ torch.tensor([[0.8, 0.6], [-0.6, 0.8]])
    assert total_variation(turned, exact.p, exact.grid, 32).item() > 0.15


def test_the_moons_integral_has_converged(monkeypatch: pytest.MonkeyPatch):
    x = 6 * torch.rand(500, 2) - 3
    coarse = ALL["moons"].log_prob(x)
    monkeypatch.setattr(densities, "ARC", 1600)
    fine = ALL["moons"].log_prob(x)
    likely = fine > -15  # elsewhere no point is ever seen
    assert likely.sum() > 200
    assert torch.allclose(fine[likely], coarse[likely], atol=0.01)


def test_a_stack_is_its_members_side_by_side():
    stack = Stack([2, 5, 3, 1], 2.0, Draws([7, 8]))
    alone = Stack([2, 5, 3, 1], 2.0, Draws([8]))
    x = torch.randn(2, 6, 2)
    assert torch.allclose(stack(x)[1], alone(x[1:])[0], atol=1e-6)
    assert not torch.allclose(stack(x)[0], alone(x[:1])[0], atol=1e-2)


@pytest.mark.parametrize("way", ["cd", "ml", "ebgan"])
def test_training_side_by_side_is_training_alone(way: str):
    data = Plane(SMALL).train[:3]
    seeds = [1, 2, 3]

    def trained(rows: list[int]) -> torch.Tensor:
        draws = Draws([seeds[i] for i in rows])
        ways = {name: t for name, _, t in train.ways(data[rows], lambda _: draws, SMALL)}
        energy = next(ways[way])
        for _ in ways[way]:
            pass
        with torch.no_grad():
            return energy(Grid(3.0, 8, 2).points())

    difference = trained([0, 1, 2])[1] - trained([1])[0]
    if way != "ebgan":  # no loss knows the energy's constant: rounding alone moves it
        difference = difference - difference.mean()
    assert difference.abs().max() < 1e-3


def test_random_weights_are_flat_and_training_digs_valleys():
    """The lecture's line: untrained, the energy varies by a fraction of what training gives it."""
    plane = Plane(asked(seeds=[0], training__ml__steps=60))
    grid = Grid(3.0, 24, 2).points()
    training = train.maximum_likelihood(
        plane.train, plane.draws("ml"), plane.asked.training.ml, plane.asked
    )
    energy = next(training)
    before = energy(grid).detach().std(1)
    for _ in training:
        pass
    after = energy(grid).detach().std(1)
    assert before.max() < 1
    assert (after > 2 * before).all()


def test_maximum_likelihood_descends_the_divergence():
    plane, out = Plane(asked(seeds=[0], training__ml__steps=60, film__frames=2)), Measured()
    spec = plane.asked.training.ml
    training = train.maximum_likelihood(plane.train, plane.draws("ml"), spec, plane.asked)
    follow(plane, out, "ml", spec.steps, training)
    for name in ALL:
        before, after = out.arrays[f"kl/{name}/ml"][0]
        assert 0 <= after < 0.6 * before


def test_walls_keep_z_finite_and_leave_the_inside_alone():
    energy = Plain(Stack([2, 4, 1], 1.0, Draws([0])), SHIPPED.domain)
    inside, far = torch.tensor([[2.9, -2.9]]), torch.tensor([[20.0, 0.0]])
    with torch.no_grad():
        assert torch.equal(energy(inside)[0], energy.inside(inside[None])[0])
        assert energy(far).item() > 1000


def test_the_mixtures_z_is_its_integral():
    energy = cost.Mixture(0.5, 1.0)
    from ebmrepro.studies.plane import partition

    assert partition.log_z(energy, Grid(6.0, 96, 2)).item() == pytest.approx(
        energy.log_z(2), abs=1e-5
    )
    assert energy.evaluations == 96**2


def test_a_promise_that_no_grid_keeps_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cost, "LARGEST", 1000)
    with pytest.raises(documents.ParamsError, match=r"fundamentals\.partition: no grid of up to"):
        cost.smallest(lambda x: x.square().sum(-1), 0.0, 3.0, 2, 0.01)


def test_the_smallest_grid_is_one_that_another_point_confirms():
    """By hand: on k cells of [-1/2, 1/2] a level energy E has log Z = -E."""
    off = {2: 0.0, 3: 1.0, 4: -1.0, 5: 0.05, 6: -0.05}  # right by chance at 2; no 7 is tried

    def level(x: torch.Tensor) -> torch.Tensor:
        return torch.full((len(x),), off[len(x)])

    assert cost.smallest(level, 0.0, 0.5, 1, 0.1) == 5


def test_a_grids_cost_is_multiplied_by_its_points_per_axis_with_every_dimension():
    few = {"partition__ais__chains": 10, "partition__ais__temperatures": 5}
    plane, out = Plane(asked(seeds=[0], partition__dimensions=3, **few)), Measured()
    cost.by_dimension(plane, out)
    found = {name: by_seed["0"] for name, by_seed in out.values.items()}
    assert [found[f"evaluations_d{d}@grid"] for d in (1, 2, 3)] == [7, 49, 343]
    assert all(found[f"log_z_error_d{d}@grid"] <= 0.01 for d in (1, 2, 3))
    assert found["growth@grid"] == pytest.approx(7)
    assert found["grid_cost_log_linearity"] == pytest.approx(1)
    assert found["points_log10_d784@grid"] == pytest.approx(784 * math.log10(7))
    assert found["evaluations_d1@ais"] == found["evaluations_d3@ais"] > 0
    assert found["growth@ais"] == 1


def test_the_linear_share_is_what_a_plane_explains():
    """By hand, on {-1, 0, 1}^2: x explains 6 of 8 of the squares of x + x^2 about their mean."""
    x, y = (points := torch.cartesian_prod(*2 * [torch.tensor([-1.0, 0.0, 1.0])])).T
    energies = torch.stack([2 + 3 * x - y, x**2, x + x**2]).double()
    share = learning._linear_share(energies, points)
    assert share.tolist() == pytest.approx([1, 0, 0.75], abs=1e-9)


def test_the_gap_of_ratios_is_what_z_does_to_them(monkeypatch: pytest.MonkeyPatch):
    """Any Z cancels, but beside one of exp(2^60) no energy is seen: the gap is the whole ratio."""
    plane, out = Plane(SMALL), Measured()

    def shifted(x: torch.Tensor) -> torch.Tensor:
        return 5 - plane.log_p(x)

    energy: Any = shifted
    learning.ratios(plane, out, "cd", energy)
    assert len(out.values) == 3 * len(ALL)  # the gap, after a shift, and to the truth
    assert all(v == pytest.approx(0, abs=1e-5) for of in out.values.values() for v in of.values())
    huge = torch.full((len(plane.members),), 2.0**60, dtype=torch.float64)
    monkeypatch.setattr(plane.exact, "log_z", lambda _: huge)
    learning.ratios(plane, out, "cd", energy)
    half = SMALL.held_out // 2
    log_p = plane.log_p(plane.held_out)
    ratio = (log_p[:, :half] - log_p[:, half:]).abs().amax(1)
    gaps = [v for name in ALL for v in out.values[f"log_ratio_gap_{name}@cd"].values()]
    assert gaps == pytest.approx(ratio.tolist(), abs=1e-5)
    assert max(gaps) > 1


def test_chains_from_exact_draws_are_nearer_than_those_from_noise(plane_found: Measured):
    def mean(measure: str, sampler: str, seed: str) -> float:
        values = plane_found.values
        return sum(values[f"{measure}_{name}@{sampler}"][seed] for name in ALL) / len(ALL)

    for seed in ("0", "1"):
        for sampler in ("langevin", "mala"):
            assert mean("tv_kept", sampler, seed) < mean("tv_noise", sampler, seed)
        noise = mean("tv_noise", "langevin", seed)
        assert plane_found.values["langevin_distance"][seed] == pytest.approx(noise)


def test_a_networks_numbers_are_its_weights_and_biases_in_order():
    energy = Plain(Stack([2, 3, 1], 2.0, Draws([5, 6])), SHIPPED.domain)
    numbers, x = energy.net.numbers(1), torch.tensor([[0.5, -1.0]])
    first, bias, last, end = numbers.split([6, 3, 3, 1])
    by_hand = torch.tanh(x @ first.view(2, 3) + bias) @ last.view(3, 1) + end
    assert by_hand.item() == pytest.approx(energy(x)[1].item(), abs=1e-6)


def test_the_pulling_away_term_without_weight_is_the_margins_game(plane_found: Measured):
    """Same seeds, points and noise: weight 0 at a margin is that margin, bit for bit."""
    i = SMALL.dials.margin.values.index(SMALL.dials.pt_weight.margin)
    j = SMALL.dials.pt_weight.values.index(0.0)
    assert SMALL.dials.margin.steps == SMALL.dials.pt_weight.steps
    for name in ("real", "fake"):
        margin, pt = (plane_found.arrays[f"dial/{dial}/{name}"] for dial in ("margin", "pt_weight"))
        assert (margin[i] == pt[j]).all()


def test_k_follows_its_equation_within_its_bounds():
    spec = SMALL.dials.gamma
    ring, gamma = ALL["ring"], torch.tensor([0.1, 1.0])
    data = ring.sample(100, torch.Generator().manual_seed(0)).expand(2, -1, -1)
    k = torch.zeros(2)
    for state in dials.began(data, Draws([0, 0]), gamma, 5.0, spec, SMALL):
        balance = gamma * state.terms["real"] - state.terms["fake"]
        k = (k + 5.0 * balance).clamp(0, 1)
        assert torch.equal(state.terms["k"], k)


def test_a_valley_is_visited_by_two_points_in_a_hundred():
    ring = densities.make(SHIPPED.densities)["ring"]
    assert isinstance(ring, densities.Ring)
    points = torch.zeros(1, 100, 2)  # the ring's centre is no valley
    points[0, :2], points[0, 2:3], points[0, 3:63] = (ring.centres[i] for i in (0, 1, 2))
    visited, near = dials.visits(points, ring)
    assert (visited.item(), near.item()) == (2, pytest.approx(0.63))


def test_every_use_of_chance_has_a_stream_of_its_own():
    seeds = {stream(use, name, 0) for use in ("train", "ml", "cd") for name in ALL}
    assert len(seeds) == 12


def test_the_stage_gives_the_same_twice(plane_found: Measured):
    again = measure(SMALL, lambda _: None)
    assert again.document() == plane_found.document()
    assert all((again.arrays[key] == plane_found.arrays[key]).all() for key in plane_found.arrays)
    for film, other in (
        (plane_found.training, again.training),
        (plane_found.sliding, again.sliding),
    ):
        assert len(film) == SMALL.film.frames
        for scenes, others in zip(film, other, strict=True):
            assert all((scenes[k][0] == others[k][0]).all() for k in scenes)


def test_the_document_has_a_value_per_seed_and_a_protocol(plane_found: Measured):
    document = plane_found.document()
    assert document["schema"] == 1
    assert document["values"].keys() == document["protocol"].keys()
    assert all(by_seed.keys() == {"0", "1"} for by_seed in document["values"].values())
    assert all(
        v >= -1e-9
        for name in document["values"]
        if name.startswith("kl")
        for v in document["values"][name].values()
    )


def test_no_second_of_this_machine_is_among_the_results(plane_found: Measured):
    assert plane_found.seconds
    assert not [name for name in plane_found.document()["values"] if "second" in name]


def test_the_report_shows_the_plane_without_fetching(plane_found: Measured, tmp_path: Path):
    from matplotlib.figure import Figure as Canvas
    from test_report import Elements

    from ebmrepro.report import page, plane
    from ebmrepro.report.blocks import Figure
    from ebmrepro.studies.plane import film
    from ebmrepro.system.atomic import write_json

    (tmp_path / "results/fundamentals").mkdir(parents=True)
    (tmp_path / "generated/fundamentals").mkdir(parents=True)
    write_json(tmp_path / "results/fundamentals/metrics.json", plane_found.document())
    plane_found.save(tmp_path / "generated/fundamentals/arrays.npz")
    film.write(
        plane_found.training, plane_found.sliding, SMALL, tmp_path / "generated/fundamentals"
    )
    section = plane.section(plane.read(tmp_path, SMALL))
    drawn = [b for part in section.sections for b in part.blocks if isinstance(b, Figure)]
    assert len(drawn) == 4
    for panel in (panel for figure in drawn for panel in figure.panels):
        panel.draw(Canvas().add_subplot())
    told = [b for part in section.sections for b in part.blocks if not isinstance(b, Figure)]
    part = replace(section.sections[0], blocks=told)
    text = "".join(page.pages([replace(section, sections=[part])]).values())
    elements = Elements(text)
    assert elements.open == []
    assert text.count("data:image/webp;base64,") == 4
    assert ">nan<" not in text


def test_an_error_is_the_worst_of_its_seeds_and_in_a_row_of_all_densities_of_these():
    from ebmrepro.report import plane
    from ebmrepro.report.blocks import Table

    measures = ("log_z_grid_error", "log_ratio_gap", "log_ratio_shift")
    values = {
        f"{measure}_{density}@{way}": {"0": 0.0 if measure == "log_ratio_shift" else 1e-9}
        for measure in measures
        for density in ALL
        for way in ("cd", "ml", "ebgan")
    }
    values["log_z_grid_error_moons@ml"] = {"0": 3e-4, "1": 5e-4, "2": 1e-4}
    values["log_ratio_gap_moons@ml"] = {"0": 2e-5, "1": 7e-5, "2": 1e-5}
    found = plane.Found(SMALL, {"values": values}, {}, {})
    errors = {title: cells[-1].main for title, cells in plane._likelihood(found)}
    assert errors["Two moons: maximum likelihood"] == "5e-04"
    assert errors["Two moons: contrastive divergence"] == "1e-09"
    assert errors["Two moons: true density"] == "–"
    (table,) = plane._ratio(found)
    assert isinstance(table, Table)
    shown = {title: [cell.main for cell in cells[:2]] for title, cells in table.rows}
    assert shown["Maximum likelihood"] == ["7e-05", "0"]
    assert shown["EBGAN"] == ["1e-09", "0"]


def test_a_broken_document_is_named(tmp_path: Path):
    from ebmrepro.report import plane

    for name in ("results/fundamentals/metrics.json", "generated/fundamentals/arrays.npz"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("{")
    with pytest.raises(UserError, match=r"metrics\.json: not JSON"):
        plane.read(tmp_path, SMALL)
    (tmp_path / "results/fundamentals/metrics.json").write_text(
        '{"values": {}, "reasons": {}, "protocol": {}}'
    )
    with pytest.raises(UserError, match=r"arrays\.npz: not arrays of NumPy"):
        plane.read(tmp_path, SMALL)
