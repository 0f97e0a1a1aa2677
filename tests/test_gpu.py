"""What only a GPU can show; `docs/guide/gpu.md` says what was shown without one."""

from __future__ import annotations

import numpy as np
import pytest
import small
import torch
from torch.profiler import ProfilerActivity, profile

from ebmrepro.config.types import Precision
from ebmrepro.metrics import kid, meeting, memorisation
from ebmrepro.networks import precision
from ebmrepro.networks.random import one_of
from ebmrepro.training import graphs
from ebmrepro.training.loop import Training
from ebmrepro.training.together import Turns, together

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    # torch says so once a process, and a warning fails a test.
    pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype"),
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS, but there was no current CUDA"),
]
GPU = torch.device("cuda")


def made(name: str, recorded: bool, rounding: Precision | None = None) -> Training:
    how = {"precision": rounding, "recorder": graphs.recorder(GPU) if recorded else None}
    training = small.training(small.build(name), name, device="cuda", **how)
    torch.manual_seed(3)
    return training


@pytest.mark.parametrize("rounding", [None, "bf16"])
@pytest.mark.parametrize("name", small.METHODS)
def test_recorded_steps_are_those_of_steps(name: str, rounding: Precision | None):
    trainings = [made(name, recorded, rounding) for recorded in (False, True)]
    for training in trainings:
        torch.manual_seed(3)
        list(training.epochs())
    plain, replayed = (training.memory() for training in trainings)
    for key, value in plain.items():
        torch.testing.assert_close(replayed[key], value, rtol=1e-3, atol=1e-4, msg=key)


@pytest.mark.parametrize("rounding", [None, "bf16"])
@pytest.mark.parametrize("name", small.METHODS)
def test_every_step_can_be_recorded(
    name: str, rounding: Precision | None, capsys: pytest.CaptureFixture[str]
):
    list(made(name, recorded=True, rounding=rounding).epochs())
    assert "without CUDA graphs" not in capsys.readouterr().out


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("name", small.METHODS)
def test_a_step_waits_for_nothing(name: str, recorded: bool):
    training = made(name, recorded)
    steps = training.steps()
    for _ in range(graphs.FIRST + 1):
        next(steps)
    torch.cuda.set_sync_debug_mode("error")
    try:
        while training.position < len(training.batches) - 1:
            next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", small.METHODS)
def test_a_training_goes_on_from_a_saved_step_as_if_it_had_not_stopped(name: str):
    whole, half = made(name, recorded=True), made(name, recorded=True)
    expected = list(whole.epochs())
    torch.manual_seed(3)
    steps = half.steps()
    for _ in range(len(half.batches) + 2):
        next(steps)
    state = half.state()
    again = made(name, recorded=True)
    again.restore(state)
    assert list(again.epochs())[-1] == pytest.approx(expected[-1], rel=1e-3, abs=1e-4)


def test_trainings_that_take_turns_are_what_each_is_alone():
    """Each on a stream of its own, with the random state that its recordings go on with."""

    def turns(name: str, seed: int, found: dict[str, torch.Tensor]) -> Turns:
        made = small.build(name, seed=seed)
        recorder = graphs.recorder(GPU)
        training = small.training(made, name, seed, device="cuda", recorder=recorder)
        for _ in training.steps():
            if training.waits:
                yield
        found |= training.memory()

    those = [("ebgan", 0), ("ebgan", 1), ("magan", 0), ("dbn_updown", 0), ("dcgan", 0)]
    results = []
    for places in (1, len(those)):
        found: list[dict[str, torch.Tensor]] = [{} for _ in those]
        made = iter([(i, turns(*one, found[i])) for i, one in enumerate(those)])
        ended = together(lambda idle, made=made: next(made, None), GPU, places)
        assert [error for _, error in ended if error] == []
        results.append(found)
    for one, alone, beside in zip(those, *results, strict=True):
        for key, value in alone.items():
            told = f"{one} {key}"
            torch.testing.assert_close(beside[key], value, rtol=1e-3, atol=1e-4, msg=told)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is no second GPU")
def test_a_training_on_the_second_gpu_leaves_the_first_alone(capsys: pytest.CaptureFixture[str]):
    second, first = torch.device("cuda:1"), torch.device("cuda:0")
    torch.cuda.reset_peak_memory_stats(first)
    before = torch.cuda.max_memory_allocated(first)
    recorder = graphs.recorder(second)
    training = small.training(small.build("ebgan"), "ebgan", device="cuda:1", recorder=recorder)
    list(training.epochs())
    assert "without CUDA graphs" not in capsys.readouterr().out
    assert torch.cuda.max_memory_allocated(first) == before


def test_adamax_corrects_its_bias_as_on_a_cpu():
    weights = []
    for device in ("cpu", "cuda"):
        training = small.training(small.build("magan"), "magan", device=device)
        player, draws = training.players["D"], torch.Generator().manual_seed(0)
        for _ in range(20):
            noise = [torch.randn(p.shape, generator=draws) for p in player.parameters]
            pairs = zip(player.parameters, noise, strict=True)
            player.take(torch.stack([(p * n.to(device)).sum() for p, n in pairs]).sum())
        weights.append([p.detach().cpu() for p in player.parameters])
    for on_cpu, on_gpu in zip(*weights, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu)


def test_states_are_drawn_with_their_probabilities():
    p = torch.tensor([[1.0, 2.0, 1.0]], device=GPU).expand(40_000, 3)
    shares = one_of(p).bincount(minlength=3).cpu() / len(p)
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.5, 0.25]), rtol=0, atol=0.015)


@pytest.mark.parametrize("copied", [0, 300])  # the whole set: distances as products too
def test_measures_of_features_are_those_of_a_cpu(monkeypatch: pytest.MonkeyPatch, copied: int):
    numbers = np.random.default_rng(0)
    axes = numbers.normal(size=(10, 200))
    low = (numbers.normal(size=(n, 10)) @ axes for n in (500, 300))
    real, fake = (part + numbers.normal(size=part.shape) / 3 for part in low)
    fake[:copied] = real[0]
    found = []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("EBMREPRO_DEVICE", device)
        near = memorisation.near(real, fake)
        values = (*meeting.of_arrays(real, fake, 3), kid.kernel_distance(real, fake))
        found.append([*values, near.authentic, *near.distances])
    assert found[1] == pytest.approx(found[0], rel=1e-9)


def test_weights_are_rounded_by_one_kernel_and_their_gradients_by_another():
    weights = list(small.build("began", small.CONV3X3).to(GPU).parameters())
    for given, dtype in ((weights, torch.bfloat16), ([w.bfloat16() for w in weights], torch.float)):
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            copies = precision._copies(given, dtype)
            torch.cuda.synchronize(GPU)
        assert all(torch.equal(a, b.to(dtype)) for a, b in zip(copies, given, strict=True))
        kernels = [each.name for each in seen.events() or () if "kernel" in each.name]
        assert len(kernels) == 1, kernels
