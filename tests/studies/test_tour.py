"""The five questions: laws of each, on untrained models, and the stage on a made-up suite."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import params_file
import pytest
import small
import torch
from safetensors.torch import save_file

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.config.tour import Counting
from ebmrepro.data.images import Images
from ebmrepro.methods.base import method
from ebmrepro.networks import images
from ebmrepro.studies import tour
from ebmrepro.studies.tour import decision, generation, linear, timing
from ebmrepro.studies.tour.descent import descend
from ebmrepro.studies.tour.linear import Gaussian
from ebmrepro.studies.tour.material import Material
from ebmrepro.studies.tour.protocol import protocol
from ebmrepro.studies.tour.ranking import Ranking
from ebmrepro.system import atomic, errors

X = images.from_uint8(small.pictures()[0])


# Descent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", small.METHODS)
def test_descent_never_raises_the_energy_of_an_image(name: str):
    model = small.build(name).eval()
    path = [e for _, e in descend(model.energy, X, 12, 0.1)]
    steps = torch.stack(path).diff(dim=0)
    assert (steps <= 0).all()
    assert (path[-1] < path[0]).float().mean() > 0.5


@pytest.mark.parametrize("name", small.METHODS)
def test_descent_leaves_what_is_known_untouched_and_stays_among_images(name: str):
    model, free = small.build(name).eval(), torch.zeros(small.SHAPE, dtype=torch.bool)
    free[..., 4:] = True
    *_, (x, _) = descend(model.energy, X, 12, 0.5, free)
    assert torch.equal(x[:, ~free], X[:, ~free])
    assert not torch.equal(x, X)
    assert x.abs().max() <= 1


def test_descent_knows_no_unit_of_energy():
    model = small.build("ebgan").eval()
    *_, (x, _) = descend(model.energy, X, 10, 0.1)
    *_, (y, _) = descend(lambda x: 1024 * model.energy(x), X, 10, 0.1)
    assert torch.allclose(x, y)


def test_descent_finds_the_bottom_of_a_bowl():
    bottom = torch.full(small.SHAPE, 0.25)
    *_, (x, _) = descend(lambda x: (x - bottom).square().sum((1, 2, 3)), X, 200, 0.2)
    assert (x - bottom).abs().max() < 1e-3


def test_descent_from_a_flat_place_stays_there():
    *_, (x, _) = descend(lambda x: 0 * x.sum((1, 2, 3)), X, 3, 0.1)
    assert torch.equal(x, X)


# Completion ------------------------------------------------------------------------------------


def test_clamped_sampling_keeps_the_known_half():
    model, known = small.build("dbn").eval(), torch.zeros(small.SHAPE, dtype=torch.bool)
    known[..., :4] = True
    x = model.complete(X, known)
    assert torch.allclose(x[:, known], X[:, known])
    assert x.shape == X.shape and x.abs().max() <= 1


def test_clamped_sampling_estimates_the_conditional_mean():
    """Against p(v_unknown | v_known) of a small RBM, enumerated over the unknown units."""
    from ebmrepro.networks.energies import RBM

    torch.manual_seed(0)
    rbm = RBM(4, 3, 1.0)
    known = torch.tensor([True, True, False, False])
    v = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(4000, 1)
    states = torch.tensor([[1, 0, a, b] for a in (0, 1) for b in (0, 1)], dtype=torch.float32)
    with torch.no_grad():
        weight = torch.exp(-rbm(states)).unsqueeze(1)
        expected = (weight * states).sum(0) / weight.sum()
    found = rbm.fill_in(v, known, 60).mean(0)
    assert torch.allclose(found, expected, atol=0.01, rtol=0.0)


def test_the_linear_guess_is_the_conditional_mean_of_a_gaussian():
    random = np.random.default_rng(0)
    mixing = random.normal(size=(5, 5))
    x = random.normal(size=(20_000, 5)) @ mixing + 3
    known = np.array([True, True, True, False, False])
    fitted = Gaussian.of(lambda: np.split(x, [7, 9_000]))
    guess = fitted.complete(x, known)
    np.testing.assert_array_equal(guess[:, known], x[:, known])
    np.testing.assert_allclose(fitted.mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(fitted.cov, np.cov(x, rowvar=False), rtol=1e-10)
    left = x[:, ~known] - guess[:, ~known]
    assert np.abs(left.T @ (x[:, known] - x[:, known].mean(0)) / len(x)).max() < 0.05
    noisy = x + random.normal(size=x.shape)
    error, before = (np.square(y - x).mean() for y in (fitted.denoise(noisy, 1.0), noisy))
    assert error < before


# Decision --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sign", "share"), [(1, 1.0), (0, 0.5), (-1, 0.0)])
def test_halves_are_ranked_by_the_energy_of_the_whole(sign: int, share: float):
    """Each image is of one grey, so that only its own halves meet without a seam."""
    greys = np.repeat(np.arange(5, dtype=np.uint8) * 40, 8 * 8).reshape(5, 1, 8, 8)
    asked = params_file.shipped().suites["digits"].tour
    material: Any = SimpleNamespace(asked=asked, test=greys)

    def seam(x: torch.Tensor) -> torch.Tensor:
        return sign * (x[:, 0, 3] - x[:, 0, 4]).square().sum(1)

    model: Any = SimpleNamespace(energy=seam)
    assert Ranking(material).answer(model).values["ordered_halves"] == share


def test_the_chain_of_labels_counts_up_with_slips():
    P = decision.transitions(Counting(next=0.8, same=0.1), 10)
    np.testing.assert_allclose(P.sum(1), 1)
    assert P[3, 4] == P[9, 0] == pytest.approx(0.81)
    assert P[3, 3] == pytest.approx(0.11) and P[3, 7] == pytest.approx(0.01)
    labels = decision.draw_labels(P, 4000, 5, np.random.RandomState(0))
    follows = (labels[:, 1:] - labels[:, :-1]) % 10
    assert (follows == 1).mean() == pytest.approx(0.81, abs=0.01)


def test_the_search_is_timed_where_it_can_end():
    first, last = timing.search(10, [2, 40], 4)
    assert first.brute_force is not None and last.brute_force is None
    assert last.labellings == 10**40 and last.viterbi > 0


# The stage -------------------------------------------------------------------------------------


class Made:
    """A source of blobs that differ by class."""

    NAME, LICENCE, CITATION = "Made up", "none", "none"

    @staticmethod
    def fetch(params: Any) -> Images:
        train, test = small.pictures(90), small.pictures(60, seed=1)
        images, labels = (np.concatenate(pair) for pair in zip(train, test, strict=True))
        return Images(images=images, labels=labels, classes="012", test=np.arange(150) >= 90)


@pytest.fixture(scope="module")
def shipped() -> tuple[params.Params, dict[str, Any]]:
    """params.yaml, and hyper-parameters at the size of a test: read once, which takes seconds."""
    names = ["dbn", "ebgan", "dcgan", "dbn_updown"]
    return params_file.shipped(), {name: small.hparams(name) for name in names}


@pytest.fixture
def project(
    shipped: tuple[params.Params, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> params.Params:
    """A suite with a DBN, an auto-encoder and labels, untrained, and few questions asked."""
    settings, hp = shipped
    monkeypatch.chdir(tmp_path)
    suite, names = settings.suites["digits"], ["ebgan", "dcgan", "dbn_updown"]
    asked = suite.tour
    asked = asked.model_copy(
        update={
            "decision": asked.decision.model_copy(
                update={"sequences": 5, "length": 4, "brute_force": 3, "lengths": [1, 2, 4]}
            ),
            "ranking": asked.ranking.model_copy(update={"images": 12}),
            "conditional": asked.conditional.model_copy(update={"fitted_on": 30}),
            "generation": asked.generation.model_copy(
                update={"images": 12, "steps": 3, "samples": 12, "sample_steps": 3}
            ),
        }
    )
    block = {n: suite.block(n).model_copy(update={"hparams": hp[n]}) for n in names}
    dbn = suite.dbn.model_copy(update={"hparams": hp["dbn"]})
    suite = suite.model_copy(update={"tour": asked, "methods": block, "dbn": dbn})
    run = params.Run(
        suites=["digits"],
        methods=names,
        variants=[],
        grids=[],
        classifiers=[],
        linear_codes=[],
        seeds=[0, 1],
    )
    settings = settings.model_copy(update={"run": run, "suites": {"digits": suite}})
    laid_out(settings, Made, monkeypatch)
    return settings


def laid_out(settings: params.Params, source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source's images, and a model of each system and seed, untrained."""
    suite = settings.suites["digits"]
    monkeypatch.setattr(data, "load_source", lambda name: source)
    made = data.prepare("digits", suite.data.model_copy(update={"test": 60}), "data/digits")
    for name in settings.run.names:
        for seed in settings.run.seeds:
            folder = Path("models/digits") / name / str(seed)
            folder.mkdir(parents=True, exist_ok=True)
            hp = suite.block(name).hparams
            model = method.build(name, hp, small.SHAPE, len(made["classes"]), seed)
            save_file(model.state_dict(), folder / "model.safetensors")


def test_the_stage_answers_every_question_with_a_protocol(project: params.Params):
    answers = tour.write("digits", project)
    values = answers["values"]
    assert {name.partition("@")[0] for name in values} == set(protocol(Material("digits", project)))
    assert set(answers["protocol"]) == set(values)
    assert all(set(seeds) == {"0", "1"} for seeds in values.values())
    systems = {name.partition("@")[2] for name in values if name.startswith("tau_noise")}
    assert systems == {"dbn", "ebgan", "dcgan", "dbn_updown"}

    def asked(measure: str) -> set[str]:
        return {n.partition("@")[2] for n in values if n.startswith(f"{measure}@")}

    assert asked("error_joint") == asked("ece") == {"dbn_updown"}
    assert asked("denoise_error_projection") == {"ebgan"}
    assert asked("complete_error_gibbs") == {"dbn"}
    assert values["viterbi_exact@dbn_updown"] == values["min_sum_exact@dbn_updown"]
    assert values["viterbi_exact@dbn_updown"] == {"0": 1.0, "1": 1.0}
    assert Path("results/digits/tour/metrics.json").read_text() == atomic.json_text(answers)


def test_what_is_gained_is_the_error_before_less_the_error_after(project: params.Params):
    """By a chain of labels and by descent; test_tour_gains.py has what is done by hand."""
    values = tour.write("digits", project)["values"]
    gains = {
        "chain_gain@dbn_updown": ("digit_error_alone@dbn_updown", "digit_error_scaled@dbn_updown"),
        "chain_gain_random@dbn_updown": (
            "digit_error_alone_random@dbn_updown",
            "digit_error_scaled_random@dbn_updown",
        ),
        "denoise_gain_descent@ebgan": ("denoise_error_noisy", "denoise_error_descent@ebgan"),
        "complete_gain_descent@dbn": ("complete_error_mean", "complete_error_descent@dbn"),
    }
    for gain, (before, after) in gains.items():
        for seed, value in values[gain].items():
            assert value == pytest.approx(values[before][seed] - values[after][seed]), gain
        assert any(values[gain].values()), gain  # 0 has no sign


def test_the_same_models_give_the_same_bytes(project: params.Params):
    def written() -> dict[str, bytes]:
        tour.write("digits", project)
        return {p.name: p.read_bytes() for p in Path("results/digits/tour").iterdir()}

    torch.manual_seed(1)
    once = written()
    torch.manual_seed(2)
    assert written() == once
    assert {"metrics.json", "tour.npz", "ranking.png", "sampling-dbn.png"} <= set(once)


def test_detection_gives_the_numbers_of_the_stage_evaluate(project: params.Params):
    """Both ask the same images of the same model."""
    from ebmrepro.evaluation import evaluate
    from ebmrepro.runs import models

    asked = project.suites["digits"].evaluate
    model = models.restore("digits", "ebgan", 0, project)
    drawn = models.draw(model, asked.energies, asked.seed)
    energies = evaluate._energies("digits", model, drawn, asked)
    theirs = evaluate.measure("of_energies", energies).values
    ours = tour.write("digits", project)["values"]
    for kind in ("noise", "shuffled", "patches"):
        assert ours[f"auroc_{kind}@ebgan"]["0"] == theirs[f"auroc_{kind}"]


def test_another_suite_that_is_not_at_hand_is_null_with_the_reason(
    project: params.Params, monkeypatch: pytest.MonkeyPatch
):
    class Absent(Made):
        @staticmethod
        def fetch(params: Any) -> Images:
            raise data.DataError("missing t10k.gz: put it into DIR")

    suite = project.suites["digits"]
    monkeypatch.setattr(data, "load_source", lambda name: Absent)
    asked = suite.model_copy(update={"tour": suite.tour.model_copy(update={"others": ["letters"]})})
    both = project.model_copy(update={"suites": {"digits": asked, "letters": suite}})
    answers = tour.write("digits", both)
    assert answers["values"]["auroc_letters@ebgan"] == {"0": None, "1": None}
    assert answers["reasons"]["auroc_letters@ebgan"] == "missing t10k.gz: put it into DIR"


NO_LABELS = {"error_joint", "temperature", "auroc_averaged"}


@pytest.mark.parametrize(
    ("count", "held_out", "reasons"),
    [
        (1, [0], dict.fromkeys(NO_LABELS, "images are of one class")),
        (3, [2], {"error_joint": "2 of 3 classes have no test", "auroc_averaged": "of one class"}),
        (3, [1, 2], {"error_joint": "1 of 3 classes have no test"}),
        (300, range(60), {"error_joint": "240 of 300 classes have no test"}),
    ],
)
def test_what_the_classes_do_not_allow_is_null_with_the_reason(
    project: params.Params,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    held_out: Any,
    reasons: dict[str, str],
):
    class Other(Made):
        @staticmethod
        def fetch(params: Any) -> Images:
            made = Made.fetch(params)
            labels = np.concatenate([np.arange(90) % count, np.resize(held_out, 60)])
            classes = [str(k) for k in range(count)]
            return Images(images=made.images, labels=labels, classes=classes, test=made.test)

    laid_out(project, Other, monkeypatch)
    answers = tour.write("digits", project)
    left_out = {name.partition("@")[0]: why for name, why in answers["reasons"].items()}
    assert set(left_out) == set(reasons)
    assert all(reason in left_out[name] for name, reason in reasons.items())
    assert {name.partition("@")[2] for name in answers["reasons"]} >= {"dbn_updown"}
    assert ("log_loss_uniform" in answers["values"]) == (count > 1)
    assert set(answers["protocol"]) == set(answers["values"])


def test_large_images_are_taken_some_at_a_time_and_without_a_covariance(
    project: params.Params, monkeypatch: pytest.MonkeyPatch
):
    whole = tour.write("digits", project)
    monkeypatch.setattr(generation, "AT_A_TIME", 7 * 64)
    parts = tour.write("digits", project)["values"]
    assert set(parts) == set(whole["values"])
    for name, seeds in whole["values"].items():
        assert parts[name] == pytest.approx(seeds, rel=1e-4, nan_ok=True), name

    monkeypatch.setattr(linear, "LARGEST", 63)
    without = tour.write("digits", project)
    why = "64 pixels: the covariance of at most 63 is held"
    assert without["reasons"] == {f"{t}_error_linear": why for t in ("denoise", "complete")}
    there = {name for name in parts if name not in without["reasons"]}
    assert {name: without["values"][name] for name in there} == {n: parts[n] for n in there}


def test_more_labellings_than_can_be_tried_name_the_key(project: params.Params):
    material = Material("digits", project)
    material.classes, material.test_labels = 60, np.arange(60)
    asked = material.asked.decision.model_copy(update={"brute_force": 4})
    material.asked = material.asked.model_copy(update={"decision": asked})
    found = decision.Decision(material)
    assert found.left_out == (
        "tour.decision.brute_force: found 4; 60 classes have 12,960,000 labellings of that length, "
        "and at most 10,000,000 are tried"
    )
    assert timing.search(60, [4], 4)[0].brute_force is None


def test_a_model_that_is_not_there_is_named(project: params.Params):
    (Path("models/digits/ebgan/1") / "model.safetensors").unlink()
    with pytest.raises(errors.UserError, match=r"ebgan/1/model.safetensors: no such file; `dvc"):
        tour.write("digits", project)
    assert not Path("results").exists()
