"""Generated images against real ones in features of the Inception network.

`keep` and `held_out` are the stage `reference`'s: features of real images are computed once.
`measure` is `evaluate`'s: it holds generated images to what was kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ebmrepro import data
from ebmrepro.config.evaluation import Evaluate
from ebmrepro.data import files
from ebmrepro.evaluation import kept
from ebmrepro.metrics import catalogue, fid, inception, measurement, statistics_file
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.metrics.memorisation import Known
from ebmrepro.networks import device, precision, threads
from ebmrepro.system import atomic, progress, reading
from ebmrepro.system.errors import UserError

PUBLISHED = "published.npz"
ALONE = "kept-inception.npz"


def keep(suite: str, settings: Evaluate, out: Path) -> dict[str, Any]:
    """Write inception-<split>.npz of the real images to `out`; returns lines of reference.json.

    They say under `inception` what the file was made from, or under `fid_reason` why there is none.
    A suite that asks for more than `fid` has such files of training images and of others too:
    whether an image is a copy is told from both.
    Published statistics that are wanted are copied beside it, for `evaluate` asks no mirror.

    Raises:
        UserError: the weights that someone named are others, or published statistics are missing.
    """
    weights, reason = inception.find_weights()
    if weights is None:
        return {"fid_reason": reason}
    wanted = settings.inception
    split = wanted.split if wanted else settings.split
    told_of: dict[str, Any] = {}
    if wanted and wanted.statistics:
        told_of["published"] = _copy_published(wanted.statistics, out / PUBLISHED)
    most = {split: wanted.images if wanted else None}
    if wanted:
        others = {"train": wanted.images, settings.split: settings.generated}
        most |= {name: images for name, images in others.items() if name != split}
    for name, images in most.items():
        chosen, told = spaced(_images(suite, name), images)
        found = _features(chosen, weights, f"{suite} {name}")
        statistics_file.save(out / _file(name), found.features)
        told_of.setdefault("images", {})[name] = told
    sha256 = inception.digest(weights)
    if wanted:
        alone = kept.find(*_real(out, settings, split, told_of), settings)
        kept.save(out / ALONE, *alone, sha256)
    return {
        "inception": {
            **told_of,
            "sha256": sha256,
            "images_sha256": _images_sha256(suite, split),
            "split": split,
            "channels": _images(suite, split).shape[1],
        }
    }


def held_out(
    suite: str, settings: Evaluate, place: Path, about: Mapping[str, Any]
) -> dict[str, Measurement]:
    """What images that were not trained on score, as a row of that name, where generated ones are
    held to training images."""
    wanted, kept = settings.inception, about.get("inception")
    if wanted is None or kept is None or wanted.split != "train":
        return {}
    images, _ = spaced(_images(suite, settings.split), settings.generated)
    fake = _features(images, _weights(place), f"{suite} {settings.split}")
    return {"held_out": _compare(fake, place, kept, settings)}


def measure(
    suite: str, place: Path, about: Mapping[str, Any], generated: np.ndarray, settings: Evaluate
) -> Measurement:
    """Generated images, uint8 (N, C, H, W), held to what `keep` left in `place`.

    Raises:
        UserError: what was kept is of other weights or images than are here now.
    """
    if reason := about.get("fid_reason"):
        null = _names(settings)
        return Measurement(dict.fromkeys(null), dict.fromkeys(null, str(reason)))
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
    return _compare(_features(generated, weights, f"{suite} generated"), place, kept, settings)


def _compare(
    fake: Features, place: Path, about: Mapping[str, Any], settings: Evaluate
) -> Measurement:
    real, known = _real(place, settings, about["split"], about)
    told = Measurement(protocol=_protocol(about))
    if not settings.inception:  # such a suite asks for `fid` alone
        return fid.of_features(real, fake, settings) | told
    real, known = kept.load(place / ALONE, real, known, about["sha256"])
    return (
        measurement.measure("of_features", real, fake, settings)
        | measurement.measure("of_training", known, fake, settings)
        | told
    )


def _real(
    place: Path, settings: Evaluate, split: str, about: Mapping[str, Any]
) -> tuple[Features, Known]:
    """Of the images that generated ones are compared with, and of those that a copy would be of."""
    file, width = place / _file(split), inception.DIMENSIONS
    real = Features(
        "inception",
        reading.arrays(file)["features"] if settings.inception else np.empty((0, width), "f4"),
        np.empty((0, inception.CLASSES), "f4"),
        fitted=statistics_file.load(file, width),
        published=statistics_file.load(place / PUBLISHED, width) if "published" in about else None,
    )
    if not settings.inception:
        return real, Known(real, real, "")
    seen, unseen = (
        real if other == split else _kept(place / _file(other))
        for other in ("train", settings.split)
    )
    return real, Known(seen, unseen, about["images"]["train"])


def _kept(file: Path) -> Features:
    return Features("inception", reading.arrays(file)["features"], np.empty((0, 0), "f4"))


def _protocol(kept: Mapping[str, Any]) -> dict[str, str]:
    grey = "; grey images are replicated to three channels" if kept["channels"] == 1 else ""
    protocol = {
        "inception_sha256": kept["sha256"],
        "inception features": f"{inception.DIMENSIONS:,}, the last pooling of the network of "
        "2015-12-05, by pytorch-fid's class and weights; pixels resized to 299 x 299, bilinear, "
        f"without anti-aliasing{grey}",
        "inception reference": f"{kept['split']} split, {kept['images'][kept['split']]}",
    }
    if published := kept.get("published"):
        protocol["fid_published"] = f"{published['name']}, SHA-256 {published['sha256']}"
    return protocol


def _names(settings: Evaluate) -> list[str]:
    """The measures that are null without weights."""
    if settings.inception is None:
        return ["fid"]
    names = [name for name, words in catalogue.MEASURES.items() if words.inception]
    return [n for n in names if n != "fid_published" or settings.inception.statistics]


def _weights(place: Path) -> Path:
    weights, reason = inception.find_weights()
    if weights is None:
        raise UserError(f"{place} has Inception features, but {reason}")
    return weights


def _features(images: np.ndarray, weights: Path, label: str) -> Features:
    where = device.device()
    batch = inception.BATCH[where.type]
    show = partial(progress.follow, label=f"Inception features, {label}", unit="batches")
    precision.multiply(None)  # of real images too, before which no model was read
    with threads.given():
        return inception.inception_features(images, weights, batch, str(where), follow=show)


def spaced(images: np.ndarray, most: int | None) -> tuple[np.ndarray, str]:
    """Every n-th image, at most so many, and how many: the first ones would be of few classes where
    a source lists one class after the other."""
    every = -(-len(images) // most) if most else 1
    chosen = images[::every]
    return chosen, f"{len(chosen):,} images" + (f", one in {every:,}" if every > 1 else "")


def _images(suite: str, split: str) -> np.ndarray:
    return data.read(Path("data") / suite, split)[0]


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
    atomic.copy(source, to)
    return {"name": name, "sha256": inception.digest(source)}
