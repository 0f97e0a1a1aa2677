"""The benchmarks compare like with like, and their page says what their figures say."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import (
    evaluation,
    gpu,
    imports,
    limits,
    pipeline,
    rbm,
    run,
    step,
    timing,
    together,
)
from benchmarks.page import Bar, Sides, number, percent, seconds, sides, spread
from benchmarks.picture import png
from benchmarks.timing import Block, Comparison, Spread

ROOT = Path(__file__).parents[1]


def compared(times: dict[str, list[float]], what: str = "work", work: float = 100) -> Comparison:
    """A comparison of sides whose blocks took these seconds, on a quiet machine."""
    blocks = {name: [Block(s, 0.0) for s in taken] for name, taken in times.items()}
    return Comparison(what, "images", work, blocks)


def as_stored(tree: Any) -> Any:
    return json.loads(json.dumps(tree))


# --- like with like ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ebgan", "began", "magan"])
def test_the_plain_script_learns_what_our_loop_learns(name: str):
    full = step.dense(name, 8, 1)
    small = {**full.hparams, "code": 6, "G": step.mlp(12)}
    found = step.differences(replace(full, shape=(1, 8, 8), hparams=small))
    for side in step.OURS, step.PLAIN:  # each from the script in double precision
        assert found[side]["losses"] < 1e-4 and found[side]["answers"] < 1e-4


def test_convolutions_learn_the_same_in_the_plain_script_and_nearly_so_in_bfloat16():
    case = step.convolutional("began", 1, batch=3)
    found = step.differences(case)
    script, ours, narrow = (found[side] for side in (step.PLAIN, step.OURS, step.BF16))
    # Adam makes of a gradient's rounding a whole step, so a script in single precision is no nearer
    # to one in double precision.
    for key in script:
        assert ours[key] < 3 * script[key]
    assert ours["losses"] < narrow["losses"] < 0.1


def test_three_seeds_at_once_learn_what_each_learns_alone():
    assert together.parity() < 1e-4


@pytest.mark.parametrize("name", ["rbm", "dbn"])
def test_our_rbm_takes_the_step_of_contrastive_divergence(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    training = rbm.ours(name, 1)
    model: Any = training.method
    layer, seen = model.stack[0], []
    known = layer.free_energy
    monkeypatch.setattr(layer, "free_energy", lambda v, f: seen.append((v, f)) or known(v, f))
    before = layer.W.detach().clone()
    next(training.epochs())
    (v, field), (v_1, field_1) = seen
    statistics = v.T @ field.sigmoid() - v_1.T @ field_1.sigmoid()
    expected = before + rbm.RATE * statistics.detach() / rbm.BATCH
    torch.testing.assert_close(layer.W.detach(), expected)


def test_the_dbns_layer_computes_the_five_products_and_no_more():
    epochs = rbm.ours("dbn", 1).epochs()
    one = 2 * rbm.BATCH * rbm.VISIBLE * rbm.HIDDEN
    assert limits.products(lambda: next(epochs)) == rbm.PRODUCTS * one


def test_both_frechet_distances_are_the_one_that_is_known():
    a, b, exact = evaluation.gaussians(24)
    assert evaluation.frechet_distance(a, b) == pytest.approx(exact, rel=1e-9)
    assert evaluation.by_square_root(a, b) == pytest.approx(exact, rel=1e-6)


def test_images_for_rbms_are_binary_digits():
    images = rbm.images(19)
    assert images.shape == (1900, 1, 28, 28) and set(np.unique(images)) == {0, 255}
    np.testing.assert_array_equal(images[0], images[1797])


def test_a_stages_imports_are_those_of_its_head_and_of_its_functions():
    found = imports.statements(ROOT / "stages" / "train.py").splitlines()
    assert "from ebmrepro.runs import run" in found and "from ebmrepro import cli" in found
    assert "import environment" not in found


def test_a_stage_that_imports_another_stages_script_imports_what_that_does():
    ours = imports.statements(ROOT / "stages" / "pretrain.py")
    assert ours == imports.statements(ROOT / "stages" / "train.py")


def test_a_generated_project_ends_in_a_stage_that_reads_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pipeline, "call", lambda *_, **__: "")
    monkeypatch.setattr(pipeline.shutil, "which", lambda _: None)
    pipeline.generate(tmp_path / "one", 4)
    stages = json.loads((tmp_path / "one" / "dvc.yaml").read_text())["stages"]
    assert list(stages) == ["s0", "s1", "s2", "last"]
    assert stages["last"]["deps"] == ["out/0.txt", "out/1.txt", "out/2.txt"]


# --- statistics ----------------------------------------------------------------------------------


def test_sides_take_turns_in_an_order_that_rotates():
    order: list[str] = []
    blocks_of = {name: lambda name=name: order.append(name) for name in "abc"}
    blocks = timing.interleaved(blocks_of, 3, warm_up=False)
    assert "".join(order) == "abcbcacab"
    assert {name: len(found) for name, found in blocks.items()} == dict.fromkeys("abc", 3)


def test_ratios_are_taken_within_a_repeat():
    one = compared({"ours": [1.0, 10.0, 2.0], "theirs": [2.0, 30.0, 8.0]})
    assert one.times_as_fast("ours", "theirs") == Spread(3.0, 2.0, 4.0)
    assert one.rate("ours") == Spread(50.0, 10.0, 100.0)


def test_disturbed_repeats_are_left_out_where_enough_quiet_ones_remain():
    noisy = [Block(9.0, 1.5), Block(1.0, 0.1), Block(1.0, 0.0), Block(1.0, None)]
    one = Comparison("work", "images", 1, {"ours": noisy})
    assert one.seconds("ours") == Spread(1.0, 1.0, 1.0) and not one.disturbed
    fewer = Comparison("work", "images", 1, {"ours": noisy[:3]})
    assert fewer.seconds("ours").high == 9.0 and fewer.disturbed
    assert "work*" in sides([Sides(fewer, "ours")])


def test_a_share_of_a_limit_compares_rates_of_arithmetic():
    one = compared({"ours": [2.0], "matmul": [1.0]})
    one.products |= {"ours": 3e9, "matmul": 6e9}
    assert one.share("ours", "matmul") == Spread(0.25, 0.25, 0.25)
    one.products["needed"] = 1.5e9
    assert one.share("ours", "matmul", of="needed").median == 0.125


def test_a_comparison_comes_back_from_its_file():
    one = compared({"ours": [1.0, 2.0], "theirs": [3.0, 4.0]})
    assert Comparison.read(as_stored(one.tree())) == one


def test_numbers_have_three_digits():
    assert [number(x) for x in (0, 0.01234, 1.005, 12.34, 12345.6)] == [
        "0",
        "0.0123",
        "1.00",
        "12.3",
        "12,300",
    ]
    assert spread(Spread(2, 1, 3)) == "2.00 (1.00 to 3.00)" and spread(Spread(2, 2, 2)) == "2.00"
    assert percent(Spread(0.5, 0.5, 0.5)) == "50.0 %"
    assert seconds(Spread(0.5, 0.5, 0.5)) == "500 ms" and seconds(Spread(2, 2, 2)) == "2.00 s"


# --- the page ------------------------------------------------------------------------------------


def figures(factor: float) -> dict[str, Any]:
    """Made-up figures of every question, in which we are `factor` times as fast as others."""

    def sided(what: str, ours: list[str], theirs: list[str], limit: bool = True) -> Comparison:
        times = {name: [1.0, 1.0, 1.0] for name in ours} | {n: [factor] * 3 for n in theirs}
        one = compared(times, what)
        one.products |= dict.fromkeys(times, 0.45 * factor)
        if limit:
            one.blocks["matmul"] = [Block(1.0, 0.0)] * 3
            one.products["matmul"] = 1.0
        return one

    def case(what: str, convolutional: bool) -> dict[str, Any]:
        variants = [step.BF16] if convolutional else []
        one = sided(what, [step.OURS, *variants], [step.PLAIN])
        close = {"losses": 1e-6, "answers": 2e-6}
        return {
            "comparison": one.tree(),
            "differences": dict.fromkeys([step.OURS, step.PLAIN, *variants], close),
            "convolutional": convolutional,
            "batch": 64,
            "steps": 2,
            "threads": 2,
            "parameters": 1000,
        }

    seeds = compared({together.ONE: [1.0], together.IN_TURN: [3.0], together.AT_ONCE: [factor]})
    units = sided("RBM", [rbm.RBM, rbm.DBN], [rbm.SKLEARN])
    units.blocks[rbm.ONE_THREAD] = units.blocks[rbm.MATMUL]
    units.products[rbm.ONE_THREAD] = 1.0
    for side in rbm.BF16.values():
        units.blocks[side] = [Block(1 / factor, 0.0)] * 3
    ours, theirs = evaluation.OURS, evaluation.THEIRS
    distance = compared({ours: [1.0] * 3, theirs: [8 * factor] * 3}, "distance")
    features = compared({ours: [1.0] * 3, theirs: [factor] * 3}, "features")
    status, repro = pipeline.STATUS, pipeline.OURS

    def idle(count: int) -> dict[str, Any]:
        return compared({status: [1.0], repro: [3 / factor]}, f"{count} stages").tree()

    on = compared({pipeline.ON: [1 + 0.04 / factor], pipeline.OFF: [1.0]}).tree()
    machine = compared({"float32 product, all threads": [1.0]}, "limits", 1)
    machine.blocks["copy in memory"] = machine.blocks["float32 product, all threads"]
    machine.products = {"float32 product, all threads": 1e9, "copy in memory": 1e8}
    return {
        "limits": {"comparison": machine.tree(), "size": 2048},
        "step": {
            "cases": [case("convolutions", True), case("an MLP", False)],
            "together": {"comparison": seeds.tree(), "difference": 1e-7},
        },
        "rbm": {
            "comparison": units.tree(),
            "threads": {rbm.RBM: 1, rbm.DBN: 2},
            "executed": {rbm.RBM: 6.0, rbm.DBN: 5.0},
            "one": 5.0,
        },
        "evaluation": {
            "distance": {
                "comparison": distance.tree(),
                "values": {ours: 1.0, theirs: 1.5},
                "exact": 1.0,
            },
            "features": {"comparison": features.tree(), "difference": 1e-5},
        },
        "pipeline": {
            "compiled": True,
            "here": None,
            "generated": [[10, idle(10)], [20, idle(20)]],
            "cold": [[10, 2.0], [20, 3.0]],
            "profile": {"stages": 20, "packages": [["dvc", 0.4]], "functions": [["f", 0.3]]},
            "imports": {"train": {"cold": [2.0], "forked": [0.2], "heavy": ["torch"]}},
            "tracking": {"training": on, "stage": on},
        },
        "gpu": {"gpu": None},
    }


def found(factor: float, **changes: Any) -> dict[str, Any]:
    questions = {name: {"figures": known} for name, known in figures(factor).items()}
    here = {"processor": "a CPU", "threads": 2, "instructions": "AVX2", "versions": {"torch": "2"}}
    return as_stored({"questions": questions, "machine": here, "quick": False, **changes})


@pytest.mark.parametrize(("factor", "verdict"), [(2.5, "met"), (1.5, "not met")])
def test_the_page_says_whether_an_aim_is_met(factor: float, verdict: str):
    text, bars = run.render(found(factor))
    lines = [line for line in text.splitlines() if " is met" in line or " is not met" in line]
    judged = [line for line in lines if not line.startswith("Steps of each seed")]
    assert len(judged) == 10
    for line in judged:
        assert f"is {verdict}" in line, line
    assert {bar.times.median for bar in bars} == {factor, 8 * factor}
    assert "Not run: no GPU" in text and "torch 2" in text
    assert "ebmrepro repro" in text and "30.0 %" in text


def test_the_page_holds_what_was_not_measured():
    figures = found(2.0)
    figures["questions"]["rbm"] = {"failed": "no memory"}
    del figures["questions"]["step"]
    text, _ = run.render(figures)
    assert "Not measured: no memory." in text
    assert "Not measured: `ebmrepro bench --only step`." in text


def test_the_page_can_be_written_again_without_measuring(tmp_path: Path):
    (tmp_path / "benchmarks.json").write_text(json.dumps(found(2.0, quick=True)))
    run.main(["--render", "--out", str(tmp_path)])
    assert "these figures mean nothing" in (tmp_path / "benchmarks.md").read_text()
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_drawn_of_no_bars_and_of_some():
    bars = [Bar("work", "others", Spread(2, 1.5, 3), 4.0), Bar("more", "others", Spread(1, 1, 1))]
    assert png([]).startswith(b"\x89PNG") and png(bars) == png(bars)


def test_a_gpu_that_is_not_there_is_no_failure():
    assert gpu.measure(quick=True) == {"gpu": None} and gpu.bars({"gpu": None}) == []


def test_what_a_pack_measured_on_a_gpu_is_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    step = {"ms": 0.25, "images_per_second": 256000.0, "share": 0.125, "memory_mb": 300.0}
    cells = {
        "ceilings": {"machine": {"name": "H100"}, "matmul bf16, TFLOP/s": 700.0},
        "proofs": {"steps, resumes: dbn": {"well": True}, "no wait: dbn": {"failed": "waits"}},
        "speed": {"began float32": {"batch": 64, "epoch 9, eager": step}, "x": {"failed": "full"}},
    }
    path = tmp_path / ".ebmrepro/offload/report.json"
    path.parent.mkdir(parents=True)
    parts = {name: {"how": "done", "seconds": 1.0, "cells": c} for name, c in cells.items()}
    path.write_text(json.dumps({"seconds": 540.0, "parts": parts}))
    page = gpu.page(gpu.measure(quick=True))
    assert "On H100." in page and "| matmul bf16, TFLOP/s | 700 |" in page
    assert "1 of 2 checks of the methods are well" in page and "- no wait: dbn: waits" in page
    row = "| began float32 | 64 | epoch 9, eager | 0.250 | 256,000 | 12.5 % | 300 |"
    assert row in page and "| x |  |  | full |" in page


def test_a_sitting_trains_what_the_grid_would_and_says_what_all_of_it_takes():
    found = gpu.sitting(1, 2, torch.device("cpu"))
    assert len(found["milliseconds"]) == 1 and found["milliseconds"][0] > 0
    assert found["configurations"] == 512 and found["steps"] == 20 * (60_000 // 64)
    line = gpu._whole_grid({"milliseconds": [1.0, 3.0], "steps": 1800, "configurations": 512})
    assert "2.00 (1.00 to 3.00) ms a step" in line and "0.512 hours" in line


def test_outside_the_project_bench_says_where_to_run(tmp_path: Path):
    command = [sys.executable, "-m", "ebmrepro", "bench"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == f"{tmp_path}: no benchmarks/__main__.py here; run in the project's folder\n"
    )
