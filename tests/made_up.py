"""Files as the stages before the report leave them, made up: no training, no torch."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from params_file import shipped
from PIL import Image
from safetensors.numpy import save_file

from ebmrepro.config.params import Params
from ebmrepro.metrics.flags import COPIES
from ebmrepro.networks import images
from ebmrepro.runs import carried

METHODS = ["dcgan", "ebgan", "ebgan_pt", "began", "magan"]
VARIANTS = ["began__gamma_05", "began__gamma_07"]
KINDS = ["train", "test", "generated", "noise", "shuffled", "patches"]
CORRUPTIONS = ["noise", "occlusion", "blur", "inversion"]
EPOCHS = 40

HPARAMS: dict[str, dict[str, Any]] = {
    "dcgan": {"epochs": EPOCHS},
    "ebgan": {"epochs": EPOCHS, "margin": 2.0, "reduction": "norm"},
    "ebgan_pt": {"epochs": EPOCHS, "margin": 2.0, "reduction": "norm", "pt_weight": 0.1},
    "began": {"epochs": EPOCHS, "gamma": 0.9, "reduction": "mean_abs"},
    "magan": {"epochs": EPOCHS, "reduction": "sum_sq"},
    "dbn": {"layers": [32, 32]},
    "dbn_updown": {"layers": [32], "top": 32, "gibbs_steps": [2, 4]},
    "began__gamma_05": {"epochs": EPOCHS, "gamma": 0.5, "reduction": "mean_abs"},
    "began__gamma_07": {"epochs": EPOCHS, "gamma": 0.7, "reduction": "mean_abs"},
}

BUDGET = 0.25
EVALUATE = {
    "split": "test",
    "generated": 200,
    "energies": 100,
    "seed": 1000,
    "neighbours": 3,
    "coverage_share": 0.02,
    "coverage_confidence": 0.9,
}

# What the plane and the tour ask changes nothing here.
SHIPPED = shipped()
PLANE = SHIPPED.fundamentals.model_dump()
TOUR = SHIPPED.suites["digits"].tour.model_dump()


def params(
    suite: str = "digits",
    methods: list[str] = METHODS,
    variants: list[str] = VARIANTS,
    seeds: tuple[int, ...] = (0, 1, 2),
    others: tuple[str, ...] = (),
) -> Params:
    """A params.yaml as read, with just the hyper-parameters that a report looks at.

    `others` are suites that the run does not name, with the same blocks.
    """
    names = [*methods, *variants]
    block = {
        "budget": BUDGET,
        "data": {"source": "digits", "test": 80, "validation": 0, "split_seed": 0},
        "dbn": _block("dbn"),
        "evaluate": EVALUATE,
        "tour": TOUR,
        "methods": {name: _block(name) for name in names},
    }
    return Params.model_validate(
        {
            "run": {
                "suites": [suite],
                "methods": methods,
                "variants": variants,
                "seeds": list(seeds),
                "grids": [],
                "classifiers": [],
                "linear_codes": [],
            },
            "fundamentals": PLANE,
            "campaign": {},
            "suites": {name: block for name in (suite, *others)},
        }
    )


def _block(name: str, budget: float = 1.0) -> dict[str, Any]:
    hparams = HPARAMS.get(name, {})
    if "epochs" in hparams:
        hparams = {**hparams, "epochs": round(budget * hparams["epochs"])}
    adam = {"name": "adam", "lr": 1e-3, "beta1": 0.5, "beta2": 0.999}
    return {
        "epoch_fraction": 1.0,
        "batch_size": 64,
        "grids": 3,
        "optim": {"G": adam},
        "hparams": hparams,
    }


def results(root: Path, settings: Params) -> None:
    """Every file of every run that `settings` name, under `root`."""
    for suite in settings.run.suites:
        reference(root, suite)
    for index, training in enumerate(settings.run.trainings):
        run(root, *training, np.random.default_rng(index))


def reference(root: Path, suite: str) -> None:
    """What the stage `reference` leaves for the report, of a made-up data set."""
    real = _images(np.random.default_rng(0), 80, 0.05)
    place = root / "results" / suite / "reference"
    place.mkdir(parents=True)
    told = {
        "suite": suite,
        "split": "test",
        "count": 80,
        "extractor": "DBN classifier of seed 0",
        "extractor_sha256": 64 * "0",
        "fid_reason": "no Inception weights",
        "rows": {
            "noise": {"values": {"fd_dbn": 99.0}},
            "copies": {
                "values": {"fd_dbn": 0.25, "classes_covered": 10},
                "flags": {"fd_dbn": COPIES},
            },
        },
        "rows_protocol": "160 images",
        "evaluate": EVALUATE,
        "dataset": {
            "source": "digits",
            "name": "Made up",
            "licence": "none",
            "citation": "none",
            "classes": [*"0123456789"],
            "shape": [1, 8, 8],
            "splits": {"train": _split(160), "test": _split(80)},
        },
    }
    _write_json(place / "reference.json", told)
    images.save_png(place / "real.png", images.grid(real[:64], 8))


def provenance(root: Path, suite: str) -> None:
    """What this machine would know of every training of a suite's results, had it trained them."""
    place = root / ".ebmrepro" / "provenance"
    place.mkdir(parents=True, exist_ok=True)
    for name, seeds in carried.systems(root, suite).items():
        for seed in seeds:
            known = {
                "commit": "c0ffee",
                "device": "cuda Made-up GPU",
                "threads": 2,
                "seconds": 64.0 + seed,
                "images_per_second": round(64_000 / (64.0 + seed), 1),
                "started": "2026-01-01T00:00:00+00:00",
                "stage": f"train@{suite}-{name}-{seed}",
                "experiment": None,
                "versions": {"torch": "2.6.0"},
            }
            _write_json(place / f"{_fingerprint(suite, name, seed)}.json", known)


def _fingerprint(suite: str, name: str, seed: int) -> str:
    return hashlib.sha256(f"{suite} {name} {seed}".encode()).hexdigest()


def run(root: Path, suite: str, name: str, seed: int, rng: np.random.Generator) -> None:
    """One run: what the stages `train` (or `pretrain`) and `evaluate` write."""
    generated = _images(rng, 80, 0.3)
    model = root / "models" / suite / name / str(seed)
    result = root / "results" / suite / name / str(seed)
    for made in (model, result):
        made.mkdir(parents=True, exist_ok=True)
    images.save_png(result / "samples.png", images.grid(generated, 10))
    drawn = {"steps": np.array([500, 1000]), "images": generated[:20].reshape(2, 10, 1, 8, 8)}
    np.savez(result / "progress.npz", allow_pickle=False, **drawn)
    key, weights = "rbms.0.W", rng.normal(size=(64, 32)).astype(np.float32)
    save_file({key if name == "dbn" else "G.W": weights}, model / "model.safetensors")
    block = _block(name, BUDGET)
    told = {
        "suite": suite,
        "method": name,
        "seed": seed,
        "fingerprint": _fingerprint(suite, name, seed),
        "epochs": EPOCHS,
        "steps": 1000,
        "parameters": {"G": 9},
        "params": block,
    }
    for card in (model / "run.json", result / "training.json"):
        _write_json(card, told)
    _write_curves(result / "curves.csv", name, rng)
    shutil.copy(result / "curves.csv", model / "curves.csv")
    epochs = block["hparams"].get("epochs")
    measured = {
        "schema": 1,
        "suite": suite,
        "method": name,
        "seed": seed,
        "fingerprint": told["fingerprint"],
        "step": 1000,
        "budget": {
            "epoch_fraction": BUDGET,
            "epochs": {"epochs": {"run": epochs, "of": EPOCHS}} if epochs else {},
        },
        "values": _values(name, rng),
        "reasons": {"fid": "no Inception weights: set EBMREPRO_INCEPTION"},
        "flags": {"kd_dbn": "only 80 images of reference"},
        "protocol": {"generated": "200 images, seed 1000", "extractor": f"DBN of seed {seed}"},
    }
    _write_json(result / "metrics.json", measured)
    centre = dict(zip(KINDS, (1.0, 1.1, 1.3, 4.0, 3.0, 2.5), strict=True))
    sets = {k: rng.gamma(9, c / 9, 100).astype(np.float32) for k, c in centre.items()}
    np.savez(result / "energies.npz", allow_pickle=False, **sets)


def tour(root: Path, suite: str, systems: list[str], labelled: list[str], seeds: list[int]) -> None:
    """What the stage `tour` writes: `labelled` of the `systems` have an energy of labels."""
    rng = np.random.default_rng(5)
    folder = root / "results" / suite / "tour"
    folder.mkdir(parents=True)
    values: dict[str, dict[str, float | None]] = {}
    kinds = [f"auroc_{k}" for k in ("noise", "shuffled", "patches", "mirrored", "turned")]
    everyone = [*kinds, *(f"tau_{k}" for k in CORRUPTIONS), "denoise_error_descent"]
    everyone += ["denoise_steps", "complete_error_descent", "sample_distance_own"]
    labels = ["error_joint", "digit_error_alone", "digit_error_scaled", "viterbi_exact"]
    labels += ["temperature", "ece", "ece_scaled", "log_loss"]
    for name in systems:
        for measure in [*everyone, *(labels if name in labelled else [])]:
            found: dict[str, float | None] = {str(s): float(rng.random()) for s in seeds}
            values[f"{measure}@{name}"] = found
    for measure in ("denoise_error_noisy", "complete_error_mean", "log_loss_uniform"):
        values[measure] = {str(s): 0.5 for s in seeds}
    measured = {
        "schema": 1,
        "values": values,
        "reasons": {},
        "protocol": {name: f"how {name.partition('@')[0]} is measured" for name in values},
    }
    _write_json(folder / "metrics.json", measured)
    truth = rng.integers(0, 10, (3, 4))
    arrays: dict[str, Any] = {
        "lengths": np.array([1, 2, 4]),
        "tried": np.array([1, 2, 3]),
        "cost_viterbi": np.array([10, 110, 310]),
        "cost_min_sum": np.array([20, 140, 380]),
        "cost_brute_force": np.array([10, 100, 1000]),
        "labels_true": truth,
        "sequences": rng.integers(0, 256, (3, 8, 35), dtype=np.uint8),
        **{f"amounts_{kind}": np.array([0, 0.5, 1]) for kind in CORRUPTIONS},
    }
    for name in systems:
        for seed in seeds:
            at = f"{name}/{seed}"
            arrays |= {f"rise_{kind}/{at}": rng.normal(size=3) for kind in CORRUPTIONS}
            if name in labelled:
                arrays |= {f"labels_{how}/{at}": truth for how in ("alone", "scaled")}
                bins = np.array([[np.nan, 0.7], [np.nan, 0.6], [0, 80]])
                arrays |= {f"reliability_{how}/{at}": bins for how in ("raw", "scaled")}
    np.savez(folder / "tour.npz", allow_pickle=False, **arrays)
    pictures = ["ranking", "detection", "denoising", "completion"]
    pictures += [f"{k}-{s}" for k in ("denoising", "completion", "sampling") for s in systems]
    for name in pictures:
        Image.fromarray(rng.integers(0, 256, (17, 44), dtype=np.uint8)).save(folder / f"{name}.png")


def _split(count: int) -> dict[str, Any]:
    sums = {"sha256": 64 * "0", "labels_sha256": 64 * "0"}
    return {"count": count, "per_class": 10 * [count // 10], **sums}


def _images(rng: np.random.Generator, n: int, noise: float) -> np.ndarray:
    """Ten patterns with noise, uint8 (n, 1, 8, 8)."""
    y, x = np.mgrid[0:8, 0:8] / 7
    kinds = np.arange(n) % 10
    waves = [np.sin(3 * (k % 4 + 1) * x + k) * np.cos((k % 3 + 1) * 2 * y) for k in range(10)]
    pixels = 0.5 + 0.5 * np.stack(waves)[kinds] + noise * rng.normal(size=(n, 8, 8))
    return (255 * pixels.clip(0, 1)).astype(np.uint8)[:, None]


def _values(name: str, rng: np.random.Generator) -> dict[str, float | None]:
    def near(value: float, spread: float = 0.05) -> float:
        return float(value * (1 + spread * rng.normal()))

    energies = {f"energy_{kind}": near(1.0 + i) for i, kind in enumerate(KINDS)}
    values: dict[str, float | None] = {
        "fid": None,
        "fd_dbn": near(2.0 if "gan" in name else 1.0, 0.2),
        "kd_dbn": near(0.1),
        "is_dbn": near(8.0),
        "precision_dbn": near(0.8),
        "recall_dbn": near(0.6),
        "cos2_dbn": near(0.1),
        "classes_covered": 9.0,
        **energies,
        **{f"energy_sd_{kind}": near(0.3) for kind in KINDS},
        **{f"gap_{kind}": near(i) for i, kind in enumerate(KINDS[2:], start=1)},
        **{f"auroc_{kind}": near(0.9, 0.01) for kind in KINDS[2:]},
    }
    if name == "dbn":
        values |= {
            "error_pretrained": near(0.03),
            "error_random": near(0.04),
            "free_energy_train": near(-30),
            "free_energy_test": near(-29),
            "free_energy_gap": near(1.0),
            "pseudo_likelihood_test": near(-20),
            **{f"grad_norm_pretrained_{i}": near(0.3) for i in (1, 2, 3)},
            **{f"grad_norm_random_{i}": near(0.01 * 5**i) for i in (1, 2, 3)},
        }
    elif name == "dbn_updown":
        values |= {"fd_dbn_untrained": near(90), "error_greedy": 0.06, "error_updown": near(0.03)}
    else:
        values |= {"fd_dbn_untrained": near(90), "ratio": near(0.9), "cos2_code": near(0.2)}
    if name.startswith("began"):
        values |= {"k": near(0.3), "M_global": near(0.2), "ratio": HPARAMS[name]["gamma"]}
    return values


def _write_curves(path: Path, name: str, rng: np.random.Generator) -> None:
    t = np.arange(EPOCHS)
    fall = 1 + 3 * np.exp(-t / 8) + 0.03 * rng.normal(size=EPOCHS)
    columns: dict[str, Any] = {"epoch": t + 1, "step": 25 * (t + 1)}
    if name == "dbn":
        late = np.where(t < 20, np.nan, np.exp(-(t - 20) / 6))
        for kind in ("loss", "error"):
            columns |= {f"{kind}/classifier": late, f"{kind}/scratch": 1.4 * late}
    elif name == "dbn_updown":
        columns |= {"error/label": np.where(t < 20, np.nan, np.exp(-(t - 20) / 6))}
    else:
        columns |= {"energy/real": fall, "energy/fake": fall + 0.6, "loss/G": fall}
    if name.startswith("began"):
        columns |= {"began/k": np.clip(t / 60, 0, 1), "began/M_global": 1.2 * fall}
    if name == "magan":
        columns |= {"magan/margin": np.minimum.accumulate(4 * fall)}
        columns["energy/fake"] = np.where(t < 3, np.nan, columns["energy/fake"])
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        lines.writerow(["" if np.isnan(value) else f"{value:.7g}" for value in row])
    path.write_text(out.getvalue(), encoding="utf-8")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
