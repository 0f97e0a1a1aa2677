"""The idx format: a file gives back its array, or is refused."""

import gzip

import numpy as np
import pytest
from small_sources import idx_file

from ebmrepro.data import DataError, idx


def test_an_idx_file_gives_back_its_array():
    array = np.random.RandomState(0).randint(0, 256, (3, 4, 5))
    assert np.array_equal(idx.decode("x", idx_file(array), 3), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_file(np.zeros((3, 4)))[:-9], "not a whole gzip file"),
        (b"<html>404 not found</html>", "not a whole gzip file"),
        (gzip.compress(b""), "found magic number , expected 00000802"),
        (gzip.compress(b"\0\0\x08\x02\0\0\0\3"), "found 8 bytes, the idx header alone takes 12"),
        (idx_file(np.zeros((3, 4)), magic=b"\0\0\x0d\2"), "00000d02, expected 00000802"),
        (idx_file(np.zeros(12)), "found magic number 00000801, expected 00000802"),
        (idx_file(np.zeros((3, 4)), dims=(3, 5)), "found 12 bytes .* 3 x 5 = 15"),
        (idx_file(np.zeros((3, 4)), dims=(3, 3)), "found 12 bytes .* 3 x 3 = 9"),
        (
            idx_file(np.zeros((3, 4)), dims=(2**32 - 1, 2**32 - 1)),
            "which says 4294967295 x 4294967295 = 18446744065119617025",
        ),
    ],
    ids=["cut", "html", "empty", "no_header", "floats", "rank", "says_more", "says_less", "huge"],
)
def test_an_idx_file_that_is_not_what_it_says_is_refused(content, message):
    with pytest.raises(DataError, match=f"^train.gz: .*{message}"):
        idx.decode("train.gz", content, 2)
