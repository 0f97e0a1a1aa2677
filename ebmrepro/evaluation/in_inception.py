"""Generated images against real ones in features of the Inception network.

`keep` and `floor` are the stage `reference`'s: features of the real images are computed once.
`measure` is `evaluate`'s: it holds generated images to what was kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ebmrepro import data
from ebmrepro.config.evaluation import Evaluate
from ebmrepro.data import files
from ebmrepro.metrics import (
    fid,
    flags,
    inception,
    inception_score,
    kid,
    precision_recall,
    statistics_file,
)
from ebmrepro.metrics.features import Features
from ebmrepro.networks import device
from ebmrepro.system import atomic, progress
from ebmrepro.system.errors import UserError

SCORES = ("inception_score", "inception_score_sd")
NEAR = ("precision_inception", "recall_inception")
PUBLISHED = "published.npz"


@dataclass(frozen=True)
class Measured:
    """Values by measure; what to beware of; why a value is null; what it was measured on."""

    values: Mapping[str, float | None]
    flags: Mapping[str, str | None] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    protocol: Mapping[str, str] = field(default_factory=dict)


def keep(suite: str, asked: Evaluate, out: Path) -> dict[str, Any]:
    """Write inception-<split>.npz of the real images to `out`; returns lines of reference.json.

    They say under `inception` what the file was made from, or under `fid_reason` why there is none.
    Published statistics that are asked for are copied beside it, for `evaluate` asks no mirror.

    Raises:
        UserError: the weights that someone named are others, or published statistics are missing.
    """
    weights, reason = inception.find_weights()
    if weights is None:
        return {"fid_reason": reason}
    wanted = asked.inception
    split = wanted.split if wanted else asked.split
    kept: dict[str, Any] = {}
    if wanted and wanted.statistics:
        kept["published"] = _copy_published(wanted.statistics, out / PUBLISHED)
    real, every = _spaced(suite, split, wanted.images if wanted else None)
    statistics_file.save(out / _file(split), _features(real, weights, f"{suite} {split}").features)
    kept |= {
        "sha256": inception.digest(weights),
        "images_sha256": _images_sha256(suite, split),
        "split": split,
        "count": len(real),
        "every": every,
        "channels": real.shape[1],
    }
    return {"inception": kept}


def floor(
    suite: str, asked: Evaluate, place: Path, about: Mapping[str, Any]
) -> tuple[dict[str, float], str]:
    """What real images of another split score, and which they are; nothing for a suite whose only
    measure is `fid`."""
    wanted, kept = asked.inception, about.get("inception")
    if wanted is None or kept is None:
        return {}, ""
    other = asked.split if wanted.split == "train" else "train"
    images, _ = _spaced(suite, other, asked.generated)
    weights = _weights(place)
    found = _measure(_features(images, weights, f"{suite} {other}"), place, kept, asked)
    values = {key: value for key, value in found.values.items() if value is not None}
    return values, f"; in Inception features {len(images):,} images of the {other} split"


def measure(
    suite: str, place: Path, about: dict[str, Any], generated: np.ndarray, asked: Evaluate
) -> Measured:
    """Generated images, uint8 (N, C, H, W), held to what `keep` left in `place`.

    Raises:
        UserError: what was kept is of other weights or images than are here now.
    """
    if reason := about.get("fid_reason"):
        null = _names(asked)
        return Measured(dict.fromkeys(null), reasons={name: str(reason) for name in null})
    weights, kept = _weights(place), about["inception"]
    for key, what, here in (
        ("sha256", "Inception weights", inception.digest(weights)),
        ("images_sha256", f"{kept['split']} images", _images_sha256(suite, kept["split"])),
    ):
        if kept[key] != here:
            raise UserError(
                f"{place}: made from other {what}, SHA-256 {kept[key][:12]}..., here are "
                f"{here[:12]}...; run the stage `reference` again"
            )
    return _measure(_features(generated, weights, f"{suite} generated"), place, kept, asked)


def _measure(fake: Features, place: Path, kept: Mapping[str, Any], asked: Evaluate) -> Measured:
    file, n = place / _file(kept["split"]), len(fake.features)
    own = fid.gaussian(fake.features)
    of_real = statistics_file.load(file, inception.DIMENSIONS)
    values: dict[str, float | None] = {"fid": fid.frechet_distance(own, of_real)}
    told = {"fid": fid.frechet_flag(n, kept["count"], inception.DIMENSIONS)}
    reasons: dict[str, str] = {}
    if wanted := asked.inception:
        score = inception_score.inception_score(fake.probabilities, wanted.splits)
        values |= zip(SCORES, score, strict=True)
        told |= dict.fromkeys(SCORES, flags.few(n // wanted.splits))
        with np.load(file, allow_pickle=False) as stored:
            real = stored["features"]
        values["kid"] = kid.kernel_distance(real, fake.features)
        count, k = min(len(real), n), asked.neighbours
        if count > k:
            near = precision_recall.precision_recall(real, fake.features, k)
            values |= zip(NEAR, near, strict=True)
        else:
            values |= dict.fromkeys(NEAR)
            reasons |= dict.fromkeys(NEAR, f"{count:,} images have no neighbour number {k}")
        told |= dict.fromkeys(("kid", *NEAR), flags.few(count))
    if "published" in kept:
        others = statistics_file.load(place / PUBLISHED, inception.DIMENSIONS)
        values["fid_published"] = fid.frechet_distance(own, others)
        told["fid_published"] = fid.frechet_flag(n, n, inception.DIMENSIONS)
    return Measured(values, told, reasons, _protocol(kept, asked))


def _protocol(kept: Mapping[str, Any], asked: Evaluate) -> dict[str, str]:
    grey = "; grey images are replicated to three channels" if kept["channels"] == 1 else ""
    chosen = "" if kept["every"] == 1 else f", one in {kept['every']:,}"
    told = {
        "inception_sha256": kept["sha256"],
        "inception features": f"{inception.DIMENSIONS:,}, the last pooling of the network of "
        "2015-12-05, by pytorch-fid's class and weights; pixels resized to 299 x 299, bilinear, "
        f"without anti-aliasing{grey}",
        "inception reference": f"{kept['split']} split, {kept['count']:,} images{chosen}",
    }
    if wanted := asked.inception:
        told["inception_score"] = (
            f"{wanted.splits} contiguous splits; softmax over all {inception.CLASSES:,} outputs, "
            "their biases left out"
        )
        told["inception precision and recall"] = f"k = {asked.neighbours}"
        told["kid"] = "all images at once, not a mean over random subsets"
    if published := kept.get("published"):
        told["fid_published"] = f"{published['name']}, SHA-256 {published['sha256']}"
    return told


def _names(asked: Evaluate) -> list[str]:
    """The measures that are null without weights."""
    if asked.inception is None:
        return ["fid"]
    published = ["fid_published"] if asked.inception.statistics else []
    return ["fid", *SCORES, "kid", *NEAR, *published]


def _weights(place: Path) -> Path:
    weights, reason = inception.find_weights()
    if weights is None:
        raise UserError(f"{place} has Inception features, but {reason}")
    return weights


def _features(images: np.ndarray, weights: Path, label: str) -> Features:
    where = device.device()
    show = partial(_shown, label)
    batch = inception.BATCH[where.type]
    return inception.inception_features(images, weights, batch, str(where), follow=show)


def _shown(label: str, batches: Iterable[int], count: int) -> Iterable[int]:
    return progress.follow(batches, count, f"Inception features, {label}", "batches")


def _spaced(suite: str, split: str, most: int | None) -> tuple[np.ndarray, int]:
    """Every n-th image of a split, at most so many, and n: the first ones would be of few classes
    where a source lists one class after the other."""
    images, _ = data.read(Path("data") / suite, split)
    every = -(-len(images) // most) if most else 1
    return images[::every], every


def _images_sha256(suite: str, split: str) -> str:
    return data.describe(Path("data") / suite)["splits"][split]["sha256"]


def _file(split: str) -> str:
    return f"inception-{split}.npz"


def _copy_published(name: str, to: Path) -> dict[str, str]:
    source = files.in_mirror((".",), name)
    if source is None or not source.is_file():
        raise UserError(
            f"evaluate.inception.statistics: no file {name} in the mirror: put it into the folder "
            f"that {files.MIRROR} names"
        )
    statistics_file.load(source, inception.DIMENSIONS)
    with atomic.atomic_write(to) as partial_file:
        partial_file.write_bytes(source.read_bytes())
    return {"name": name, "sha256": inception.digest(source)}
