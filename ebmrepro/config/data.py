"""Where a suite's images come from, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ebmrepro.config.declarations import source_facts
from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.types import BelowMirror, Count, Natural


class Centre(Strict):
    """The middle square of `side` pixels of the source's image, scaled to the size."""

    kind: Literal["centre"]
    side: Count


class ShortSide(Strict):
    """The short side scaled to the size, then the middle square."""

    kind: Literal["short_side"]


class Patch(Strict):
    """The short side scaled to `scale`, then one square of the size from a random place."""

    kind: Literal["patch"]
    scale: Count


class Whole(Strict):
    """The whole image scaled to the size, its proportions lost."""

    kind: Literal["whole"]


Crop = Annotated[Centre | ShortSide | Patch | Whole, Field(discriminator="kind")]


class Image(Strict):
    """What becomes of the encoded images of a source, which differ in size."""

    size: Annotated[int, Field(ge=1, le=4096)]  # pixels, both ways
    channels: Literal[1, 3]
    crop: Crop
    broken: Annotated[float, Field(ge=0, lt=1)]  # share that may be unreadable, and is left out

    @rule
    def _patch_fits(self):
        if isinstance(self.crop, Patch) and self.crop.scale < self.size:
            raise ValueError(
                f"crop.scale: found {self.crop.scale}; it should be at least the size, {self.size}"
            )
        return self


class Data(Strict):
    source: str
    test: Count  # images in the test split
    validation: Natural  # images held out from the training split; 0 for a final run
    split_seed: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    # Of the sources that name them in TAKES, and of no others.
    image: Image | None = None
    folder: BelowMirror | None = None


def image_shape(data: Data) -> tuple[int, int, int] | None:
    """(C, H, W) of a suite's images; None where only the data can say."""
    if data.image:
        return data.image.channels, data.image.size, data.image.size
    return source_facts(data.source).shape
