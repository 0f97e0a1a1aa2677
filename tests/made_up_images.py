"""Made-up photographs in a mirror of their own, and what a suite asks of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from ebmrepro import data
from ebmrepro.config.data import Data, Image
from ebmrepro.config.validation import validate
from ebmrepro.data import DataError, crops, decoding, files


@pytest.fixture(autouse=True)
def mirror(monkeypatch, tmp_path) -> Path:
    """An empty mirror; one process decodes, and nothing is downloaded."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv(files.MIRROR, str(folder))
    monkeypatch.setenv(decoding.WORKERS, "1")
    monkeypatch.setattr(files, "cache", lambda: tmp_path / "cache")

    def no_network(name: str, *_: object) -> None:
        raise files.downloads.Unavailable(f"{name}: no network in a test")

    monkeypatch.setattr(files.downloads, "download", no_network)
    return folder


def picture(k: int, width: int = 40, height: int = 48, form: str = "JPEG", mode="RGB") -> bytes:
    """A photograph of nothing: a ramp whose colour is k's."""
    ramp = np.linspace(0, 255, width * height).reshape(height, width)
    colour = np.stack([ramp, np.full_like(ramp, 25 * k % 256), ramp[::-1]], axis=-1)
    out = io.BytesIO()
    Pillow.fromarray(colour.astype(np.uint8)).convert(mode).save(out, form, quality=95)
    return out.getvalue()


def asked(size=8, channels=3, broken=0.0, **crop: Any) -> Image:
    crop = crop or {"kind": "short_side"}
    return validate(
        Image, {"size": size, "channels": channels, "crop": crop, "broken": broken}, "p"
    )


def block(source: str, test: int, validation: int = 0, **changes: Any) -> Data:
    more = {"image": asked(), **changes}
    return Data(source=source, test=test, validation=validation, split_seed=0, **more)


def refused(message: str, source: str, asks: Data, folder: Path) -> str:
    """Preparing says so in one line, and no folder is there."""
    with pytest.raises(DataError, match=message) as error:
        data.prepare(source, asks, folder)
    assert "\n" not in str(error.value) and not folder.exists()
    return str(error.value)


def decoded(content: bytes, spec: Image, name="x", seed=0, upright=False) -> np.ndarray:
    return crops.decode(content, name, spec, seed, upright)


def photographs(folder: Path, classes=("cats", "dogs"), each=6) -> None:
    for c, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for k in range(each):
            (folder / name / f"{k}.jpg").write_bytes(picture(10 * c + k))
