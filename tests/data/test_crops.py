"""One image: cut, scaled, and turned to bytes of the size that is asked for, or refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from made_up_images import asked, decoded, picture
from PIL import Image as Pillow

from ebmrepro.data import crops


def painted(width: int, height: int, box: tuple[int, int, int, int]) -> bytes:
    """White in the box, black around it, without loss."""
    image = Pillow.new("RGB", (width, height))
    image.paste((255, 255, 255), box)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_dcgans_crop_of_celeba_is_the_middle_108_of_178_by_218():
    inside = painted(178, 218, (35, 55, 143, 163))
    assert (decoded(inside, asked(64, kind="centre", side=108)) == 255).all()
    wider = decoded(inside, asked(64, kind="centre", side=110))
    assert wider[0, 0].max() < 255 and wider[0, 32, 32] == 255


def test_magans_crop_scales_the_short_side_and_takes_the_middle():
    # 178 x 218 becomes 64 x 78, of which rows 7 to 70 are kept: source rows 19.6 to 198.4.
    top = decoded(painted(178, 218, (0, 0, 178, 16)), asked(64, kind="short_side"))
    kept = decoded(painted(178, 218, (0, 0, 178, 30)), asked(64, kind="short_side"))
    assert (top == 0).all() and (kept[:, 0] == 255).all() and (kept[:, 8:] == 0).all()


def test_the_middle_178_of_celeba_keeps_its_whole_width():
    x = decoded(painted(178, 218, (0, 20, 178, 198)), asked(64, kind="centre", side=178))
    assert (x == 255).all()


def test_a_whole_image_loses_its_proportions_and_nothing_else():
    x = decoded(painted(100, 50, (50, 0, 100, 50)), asked(10, kind="whole"))
    assert (x[:, :, :4] == 0).all() and (x[:, :, 6:] == 255).all()


def test_a_patch_is_cut_from_a_place_that_its_name_and_the_seed_decide():
    content, spec = picture(1, 300, 256), asked(64, kind="patch", scale=96)
    cuts = {decoded(content, spec, name, seed).tobytes() for name in "abc" for seed in (0, 1)}
    assert len(cuts) == 6
    assert np.array_equal(decoded(content, spec, "a", 1), decoded(content, spec, "a", 1))


def test_a_patch_is_cut_from_the_image_at_the_scale_that_is_asked_for():
    """A bar of 32 in 256 pixels is 12 in 96, and so near the middle that every patch has it."""
    content, spec = painted(256, 300, (112, 0, 144, 300)), asked(64, kind="patch", scale=96)
    for name in "abc":
        row = decoded(content, spec, name)[0, 0]
        assert abs(int((row > 127).sum()) - 12) <= 1


def test_channels_are_three_or_one_whatever_the_file_has():
    for mode, form in (("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "WEBP")):
        content = picture(3, form=form, mode=mode)
        assert decoded(content, asked(8, 3)).shape == (3, 8, 8)
        assert decoded(content, asked(8, 1)).shape == (1, 8, 8)


def test_what_is_transparent_lies_on_white():
    out = io.BytesIO()
    Pillow.new("RGBA", (20, 20), (0, 0, 0, 0)).save(out, "PNG")
    assert (decoded(out.getvalue(), asked()) == 255).all()


def test_a_photograph_is_turned_as_it_says_only_where_that_is_asked():
    image = Pillow.open(io.BytesIO(painted(20, 20, (0, 0, 20, 10))))
    exif = Pillow.Exif()
    exif[0x0112] = 3  # upside down
    out = io.BytesIO()
    image.save(out, "PNG", exif=exif)
    as_it_is, turned = (decoded(out.getvalue(), asked(), upright=u) for u in (False, True))
    assert as_it_is[0, 0].min() == 255 and as_it_is[0, -1].max() == 0
    assert turned[0, 0].max() == 0 and turned[0, -1].min() == 255


@pytest.mark.parametrize(
    ("content", "spec", "message"),
    [
        (picture(0)[:-200], asked(), "truncated"),
        (b"", asked(), "is no image of a kind"),
        (b"<html>404</html>", asked(), "is no image of a kind"),
        (picture(0, 40, 40), asked(8, kind="centre", side=41), "is 40 x 40 pixels, smaller"),
        (painted(9, 1000, (0, 0, 1, 1)), asked(), "would be 8 x 888 pixels"),
    ],
    ids=["cut", "empty", "page", "small", "thin"],
)
def test_an_image_that_cannot_be_used_says_why(content, spec, message):
    with pytest.raises(crops.Broken, match=message):
        decoded(content, spec)


def test_an_image_that_says_it_is_enormous_is_not_unpacked():
    bomb = bytearray(painted(8, 8, (0, 0, 1, 1)))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(crops.Broken, match=r"60000 x 60000|decompression bomb"):
        decoded(bytes(bomb), asked())


def test_sixteen_bits_are_refused_rather_than_cut_off():
    out = io.BytesIO()
    Pillow.fromarray(np.full((9, 9), 40_000, np.uint16)).save(out, "PNG")
    with pytest.raises(crops.Broken, match="another kind than eight bits"):
        decoded(out.getvalue(), asked())
