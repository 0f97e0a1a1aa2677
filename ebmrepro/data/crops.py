"""From an encoded image to uint8 of one size: what is read, which part is kept, how it is scaled.

Scaling is Pillow's bilinear filter with antialiasing, as in the papers' code (torchvision's Scale,
SciPy's imresize, both Pillow's).
"""

from __future__ import annotations

import io
import warnings
import zlib

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from ebmrepro.config.data import Centre, Image, Patch, ShortSide

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF")  # no others are tried on a file
# Of eight bits a channel: what has more would be cut off, not scaled.
MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr"}
LARGEST = 100_000_000  # pixels


class Broken(Exception):
    """An image that cannot be used; the message says why."""


def decode(content: bytes, name: str, spec: Image, seed: int, upright: bool) -> np.ndarray:
    """One image as uint8 (C, size, size).

    Args:
        name: of the image, from which (with `seed`) the place of a random patch follows.
        upright: turned as its EXIF data say. Published data sets are taken as they lie there.

    Raises:
        Broken: the image is damaged, of another kind, or smaller than the crop.
        MemoryError: which says nothing of the image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata; what matters is raised
            image = Pillow.open(io.BytesIO(content), formats=FORMATS)
            width, height = image.size
            if width * height > LARGEST:
                raise Broken(f"says it is {width} x {height} pixels, more than {LARGEST:,}")
            if image.mode not in MODES:
                raise Broken(f"has values of another kind than eight bits ({image.mode})")
            image.load()
            if upright:
                image = ImageOps.exif_transpose(image)
            if image.has_transparency_data:  # lies on white, as a browser shows it
                white = Pillow.new("RGBA", image.size, "white")
                image = Pillow.alpha_composite(white, image.convert("RGBA"))
            image = image.convert("L" if spec.channels == 1 else "RGB")
            image = _cropped(image, name, spec, seed)
    except (Broken, MemoryError):
        raise
    except Pillow.UnidentifiedImageError:
        raise Broken(f"is no image of a kind that is read ({', '.join(FORMATS)})") from None
    except Exception as error:  # whatever Pillow's decoders make of a damaged file
        raise Broken(" ".join(str(error).split()) or type(error).__name__) from None
    pixels = np.asarray(image).reshape(spec.size, spec.size, spec.channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _cropped(image: Pillow.Image, name: str, spec: Image, seed: int) -> Pillow.Image:
    size, crop = spec.size, spec.crop
    match crop:
        case Centre(side=side):
            if min(image.size) < side:
                width, height = image.size
                raise Broken(f"is {width} x {height} pixels, smaller than the crop of {side}")
            return _scaled(_square(image, side), size, size)
        case ShortSide():
            return _square(_short(image, size), size)
        case Patch(scale=scale):
            image = _short(image, scale)
            # RandomState's stream is frozen for ever (NEP 19).
            random = np.random.RandomState([seed % 2**32, zlib.crc32(name.encode())])
            left, top = (random.randint(0, length - size + 1) for length in image.size)
            return image.crop((left, top, left + size, top + size))
        case _:
            return _scaled(image, size, size)


def _short(image: Pillow.Image, side: int) -> Pillow.Image:
    """Scaled so that the short side is `side` and, rounded down as torchvision does, the other."""
    width, height = image.size
    short = min(width, height)
    return _scaled(image, side * width // short, side * height // short)


def _scaled(image: Pillow.Image, width: int, height: int) -> Pillow.Image:
    if max(width, height) > 100 * min(width, height):
        raise Broken(f"would be {width} x {height} pixels")
    return image.resize((width, height), Pillow.Resampling.BILINEAR)


def _square(image: Pillow.Image, side: int) -> Pillow.Image:
    """The middle one, rounded as torchvision and DCGAN's code round."""
    width, height = image.size
    left, top = round((width - side) / 2), round((height - side) / 2)
    return image.crop((left, top, left + side, top + side))
