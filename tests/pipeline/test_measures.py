"""What a sitting measures is measured on a CPU as well, where the figures mean nothing."""

import gc
import math
import os
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from params_file import shipped

from ebmrepro.config import declarations
from ebmrepro.pipeline.offload import parts, program
from ebmrepro.pipeline.offload.measures import cases, ceilings, parity, proofs, speed
from ebmrepro.pipeline.offload.parts import DONE, NO_TIME, Part, Told
from ebmrepro.system import memory
from ebmrepro.training.finite import NotFinite
from ebmrepro.training.loop import Training

SETTINGS = shipped()
SMALLEST = {case.name: case for case in cases.smallest(SETTINGS)}
GPU_OF_THE_DAY = 540


def test_every_method_is_a_case():
    assert sorted(SMALLEST) == sorted(declarations.available_methods())
    sides = {case.shape[1] for case in cases.cases(SETTINGS)}
    assert {8, 28, 32, 64, 128, 256} <= sides


@pytest.mark.parametrize("name", ["dbn", "magan"])  # the law of every method is test_contract's
def test_a_method_goes_on_from_what_it_saved(name: str):
    found = proofs.resumes(SMALLEST[name])
    assert found["moved"] and found["differs"] == 0 and found["well"]


def test_a_method_whose_numbers_break_is_no_proof(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match=f"no weight moved in {proofs.STEPS} steps"):
        proofs.resumes(SMALLEST["ebgan"])


@pytest.mark.parametrize("name", SMALLEST)
def test_float32_takes_the_steps_of_float64_with_the_same_noise(name: str):
    found = parity.compared(SMALLEST[name], "float32")
    assert found["terms"] < 1e-5 and found["weights"] < 1e-2


@pytest.mark.parametrize("name", ["began", "dbn", "rbm"])  # no batch normalisation takes it out
def test_a_wrong_number_is_seen_beside_float64(name: str, monkeypatch: pytest.MonkeyPatch):
    draw = parity.Injected._drawn

    def off(self: Any, function: Any, size: Any) -> Any:
        drawn = draw(self, function, size)
        return drawn if self.dtype == torch.float64 else drawn * 1.05

    monkeypatch.setattr(parity.Injected, "_drawn", off)
    assert not parity.compared(SMALLEST[name], "float32")["well"]


def test_both_sides_have_the_batch_of_the_device_that_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("EBMREPRO_DEVICE")
    monkeypatch.setattr(cases, "batch", lambda _: 4 if os.environ.get("EBMREPRO_DEVICE") else 6)
    sizes, make = [], cases.training

    def training(*args: Any, size: int, **more: Any) -> Any:
        sizes.append(size)
        return make(*args, size=size, **more)

    monkeypatch.setattr(cases, "training", training)
    assert parity.compared(SMALLEST["dbn"], "float32")["well"] and sizes == [6, 6]


def test_steps_that_are_not_recorded_are_no_proof(monkeypatch: pytest.MonkeyPatch):
    assert proofs.recorded(SMALLEST["dbn"])["well"]
    steps = Training.steps

    def telling(self: Training) -> Any:
        if os.environ.get("EBMREPRO_GRAPHS") != "off":
            print("without a graph, because ...")
        return steps(self)

    monkeypatch.setattr(Training, "steps", telling)
    found = proofs.recorded(SMALLEST["dbn"])
    assert not found["well"] and found["said"] == "without a graph, because ..."


def test_an_ended_training_leaves_no_memory_on_a_gpu(monkeypatch: pytest.MonkeyPatch):
    class Circle:
        def __init__(self) -> None:
            self.me = self

    emptied: list[bool] = []
    left = weakref.ref(Circle())
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(left() is None))
    gc.disable()
    try:
        left = weakref.ref(Circle())
        memory.collect()
        assert left() is not None and not emptied  # no GPU is used
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        memory.collect()
        assert emptied == [True]
    finally:
        gc.enable()


def test_a_torch_without_products_in_bfloat16_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "version", {"torch": "2.7.1+cu126"}.__getitem__)
    with pytest.raises(SystemExit):
        program.main(".", ["--seconds", "1"])
    assert capsys.readouterr().err == "torch: found 2.7.1+cu126; allowed is 2.8 or a later one\n"


def test_adamax_is_the_papers_rule():
    assert proofs.adamax()["differs"] < 1e-3


def test_a_step_is_timed_at_each_phase_of_a_stack():
    ends = speed.measured(SMALLEST["dbn"], "float32", ceiling=1e12)
    assert len([key for key in ends if key.endswith("eager")]) == 3
    middle = next(value for key, value in ends.items() if key.endswith("eager"))
    assert middle["ms"] > 0 and middle["share"] > 0
    assert middle["images_per_second"] == pytest.approx(4 / (middle["ms"] / 1e3), rel=1e-2)


def test_the_products_of_a_dense_step_are_counted():
    case = SMALLEST["rbm"]  # one layer of 784 to 500 or so, once up, down and up, and a gradient
    made = cases.training(case)
    layers = case.block.hparams.layers
    counted = speed.products(made, 0)
    assert counted % (2 * 4 * 784 * layers[0]) == 0 and counted > 0


def test_cells_come_until_the_deadline_and_one_that_fails_says_why():
    def broken() -> None:
        raise NotFinite("ebgan: loss/D is not finite\nmore")

    work = {"a": lambda: 1, "b": broken, "c": lambda: 2}
    found = dict(cases.each(work, time.monotonic() + 60))
    assert found == {"a": 1, "b": {"failed": "NotFinite: ebgan: loss/D is not finite"}, "c": 2}
    assert dict(cases.each(work, 0.0)) == {"left out for want of time": 3}


def test_the_machine_is_told():
    about = ceilings.machine()
    assert about["device"] == "cpu" and about["torch"] == torch.__version__
    assert ceilings.matmul("bf16") > 0 and not torch.backends.cuda.matmul.allow_tf32


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def planned(tmp_path: Path, takes: dict[str, float]) -> dict[str, Told]:
    """The day with parts that take so long, or as long as they may; names of those that fail."""
    pack = {"size": 10**6, "trainings": [["digits", "ebgan", seed] for seed in (0, 1)]}
    sitting = program.Sitting(pack, tmp_path / "home", 0.0, GPU_OF_THE_DAY)
    clock = Clock()

    def run(part: Part, deadline: float, cell: Any) -> str:
        length = takes.get(part.name, math.inf)
        if part.name.startswith("digits"):
            cell("steps before", 0)
        clock.now += min(abs(length), deadline - clock.now)
        if length < 0:
            return "failed: RuntimeError: CUDA error"
        return "late" if clock.now >= deadline else "fine"

    end = GPU_OF_THE_DAY - sitting.reserve
    parts.play(sitting._parts(measure=True), end, sitting.told, run, sitting._write, clock)
    assert clock.now <= end
    return sitting.told


def test_the_day_keeps_its_shares_whatever_fails(tmp_path: Path):
    told = planned(tmp_path, {"ceilings": -3.0, "proofs": -40.0, "digits ebgan seed 0": 100})
    assert list(told) == [*program.MEASURES, "digits ebgan seed 0", "digits ebgan seed 1"]
    took = {name: part.seconds for name, part in told.items()}
    assert took["ceilings"] == 3 and took["proofs"] == 40 and took["digits ebgan seed 0"] == 100
    assert took["parity"] == 30 and took["speed"] == 70
    assert told["ceilings"].how == "failed: RuntimeError: CUDA error"
    assert took["digits ebgan seed 1"] == 540 - 27 - 3 - 40 - 30 - 70 - 100
    assert (tmp_path / "home/report.json").exists()


def test_what_json_has_no_number_for_is_written_as_a_word(tmp_path: Path):
    told: dict[str, Told] = {}

    def run(part: Part, deadline: float, cell: Any) -> str:
        cell("a", {"weights": math.inf, "terms": math.nan, "ms": 1.0})
        return DONE

    parts.play([Part("p", lambda _: iter(()))], 10.0, told, run, lambda: None, lambda: 0.0)
    assert told["p"].cells == {"a": {"weights": "inf", "terms": "nan", "ms": 1.0}}
    parts.play([Part("q", lambda _: iter(()))], 1.0, told, run, lambda: None, lambda: 0.0)
    assert told["q"].how == NO_TIME
