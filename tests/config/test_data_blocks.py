"""What params.yaml may say of a suite of images that are to be decoded."""

from __future__ import annotations

from typing import Any

import pytest
from params_file import part_of_text

from ebmrepro.config import params
from ebmrepro.config.documents import ParamsError


def shipped(**block: Any) -> str:
    """params.yaml with another `digits.data`."""
    text = part_of_text()
    start = text.index("digits:\n")
    a, b = text.index("  data:\n", start), text.index("  dbn:\n", start)

    def lines(tree: dict[str, Any], pad: str) -> str:
        return "".join(
            f"{pad}{k}:\n{lines(v, pad + '  ')}" if isinstance(v, dict) else f"{pad}{k}: {v}\n"
            for k, v in tree.items()
        )

    return text[:a] + "  data:\n" + lines(block, "    ") + text[b:]


IMAGE = {"size": 64, "channels": 3, "crop": {"kind": "centre", "side": 108}, "broken": 0.0}
CELEBA = {"source": "celeba", "test": 19_962, "validation": 0, "split_seed": 0, "image": IMAGE}


@pytest.mark.parametrize(
    "block",
    [
        CELEBA,
        {**CELEBA, "source": "imagenet", "test": 50_000},
        {**CELEBA, "source": "imagenet_dogs", "test": 5_900},
        {**CELEBA, "source": "lsun", "image": {**IMAGE, "crop": {"kind": "patch", "scale": 96}}},
        {**CELEBA, "source": "folder", "folder": "photos/mine"},
    ],
)
def test_a_block_of_an_image_scale_suite_is_accepted(tmp_path, block):
    (tmp_path / "params.yaml").write_text(shipped(**block))
    found = params.load(tmp_path / "params.yaml").suites["digits"].data
    assert found.image is not None and found.image.size == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": None}, "digits.data.image: this key is missing; celeba needs image"),
        ({"source": "digits", "test": 9}, "data.image: digits takes no such key; those that do"),
        ({"folder": "x"}, "data.folder: celeba takes no such key; those that do are folder"),
        ({"source": "folder"}, "data.folder: this key is missing; folder needs image, folder"),
        ({"source": "folder", "folder": "../x"}, "data.folder: found '../x'; it lies below"),
        ({"source": "folder", "folder": "/x"}, "data.folder: found '/x'; it lies below"),
        ({"test": 9}, "data.test: found 9; celeba has an official test split, so it is 19962"),
        ({"image": {**IMAGE, "channels": 2}}, "image.channels: found 2; it should be 1 or 3"),
        ({"image": {**IMAGE, "broken": 1.0}}, "data.image.broken: found 1.0; .* less than 1"),
        (
            {"image": {**IMAGE, "crop": {"kind": "center"}}},
            "crop.kind: found 'center'; .*cen",
        ),
        (
            {"image": {**IMAGE, "crop": {"kind": "patch", "scale": 63}}},
            "data.image.crop.scale: found 63; it should be at least the size, 64",
        ),
    ],
)
def test_a_block_that_the_source_cannot_take_names_the_key(tmp_path, change, message):
    block = {k: v for k, v in {**CELEBA, **change}.items() if v is not None}
    (tmp_path / "params.yaml").write_text(shipped(**block))
    with pytest.raises(ParamsError, match=message) as error:
        params.load(tmp_path / "params.yaml")
    assert "\n" not in str(error.value)
