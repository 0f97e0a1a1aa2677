"""What an archive or a pickle from outside may do to this machine: nothing."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ebmrepro.data import DataError, idx
from ebmrepro.data.archives import Zip, gunzip
from ebmrepro.data.unpickle import unpickle
from ebmrepro.system.atomic import atomic_folder

LIMITS = {"size": 100_000, "files": 10}
FILES = {"set/a.bin": bytes(range(256)) * 20, "set/deep/b.txt": b"b"}


def zipped(files=FILES, method=zipfile.ZIP_DEFLATED, **changes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            for key, value in changes.items():
                setattr(entry, key, value)
            archive.writestr(entry, content)
    return out.getvalue()


def put(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "from outside"
    path.write_bytes(content)
    return path


def refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Reading each member of it names the file and the reason, and leaves nothing anywhere."""
    path = put(tmp_path, content)
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises(DataError, match=message) as error,
        atomic_folder(tmp_path / "target") as partial,
    ):
        archive = Zip(path, **LIMITS)
        for number, name in enumerate(archive.members):
            (partial / str(number)).write_bytes(archive.read(name))
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


# --- whole archives ------------------------------------------------------------------------------


def test_members_are_read_by_name_and_folders_are_passed_over(tmp_path):
    archive = Zip(put(tmp_path, zipped({"set/": b"", **FILES})), **LIMITS)
    assert {name: archive.read(name) for name in archive.members} == FILES


# --- members that lead elsewhere -----------------------------------------------------------------

ELSEWHERE = ["../x", "a/../../x", "/tmp/x", "C:\\x", "..\\x", "\\\\host\\x", "//host/share/x"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_member_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    refused(tmp_path, zipped({"good": b"", name: b"x"}), "absolute path|leads out of the archive")


def test_a_zip_with_a_link_is_refused(tmp_path):
    link = zipped({"a": b"/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16)
    refused(tmp_path, link, "'a' is a link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice_is_refused(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    refused(tmp_path, out.getvalue(), "a member is there twice")


# --- archives that are not whole -----------------------------------------------------------------


def test_a_zip_with_a_flipped_bit_is_refused(tmp_path):
    whole = bytearray(zipped({"a": os.urandom(1000)}, zipfile.ZIP_STORED))
    whole[200] ^= 1
    refused(tmp_path, bytes(whole), "not a whole zip file: Bad CRC-32")


@pytest.mark.parametrize("cut", [10, 60, 200])
def test_a_zip_cut_short_is_refused(tmp_path, cut):
    refused(tmp_path, zipped()[:-cut], "not a whole")


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"\n <HTML><body>Please log in"])
def test_a_page_in_place_of_an_archive_is_called_a_page(tmp_path, page):
    refused(tmp_path, page, "found an HTML page, not an archive")


# --- archives that are too much ------------------------------------------------------------------


def test_a_zip_of_more_than_its_limit_is_refused(tmp_path):
    refused(
        tmp_path, zipped({str(i): b"" for i in range(11)}), "11 files of 0 bytes; it may hold 10"
    )
    bomb = zipped({"a": bytes(60_000), "b": bytes(60_000)})
    refused(tmp_path, bomb, "2 files of 120,000 bytes; it may hold 10 of 100,000")


def test_a_zip_member_that_says_less_than_it_holds_is_refused(tmp_path):
    whole = bytearray(zipped({"a": bytes(50_000)}))
    for place, offset in ((whole.index(b"PK\1\2"), 24), (0, 22)):
        whole[place + offset : place + offset + 4] = struct.pack("<I", 10)
    refused(tmp_path, bytes(whole), "Bad CRC-32")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_a_kind_that_nothing_bounds_is_refused(tmp_path, method):
    refused(tmp_path, zipped(method=method), "encrypted or not deflated")


def test_an_encrypted_zip_is_refused(tmp_path):
    whole = bytearray(zipped({"a": b"x"}))
    whole[whole.index(b"PK\1\2") + 8] |= 1
    refused(tmp_path, bytes(whole), "encrypted")


def test_a_gzip_bomb_is_stopped_at_its_limit():
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(DataError, match=r"^x\.gz: unpacks to more than the 1,000 bytes"):
        gunzip("x.gz", bomb, 1000)
    assert gunzip("x.gz", gzip.compress(b"y" * 1000), 1000) == b"y" * 1000


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c[:-9], lambda c: b"<html>"])
def test_a_damaged_gzip_is_named(damage):
    with pytest.raises(DataError, match=r"^x\.gz: not a whole gzip file: \S"):
        gunzip("x.gz", damage(gzip.compress(os.urandom(100))), 1000)


def test_an_idx_file_is_unpacked_no_further_than_the_largest_may_be(monkeypatch):
    monkeypatch.setattr(idx, "LARGEST", 1000)
    header = bytes((0, 0, 8, 1)) + struct.pack(">I", 5)
    with pytest.raises(DataError, match=r"^x\.gz: unpacks to more than the 1,000 bytes"):
        idx.decode("x.gz", gzip.compress(header + bytes(50_000_000)), 1)


# --- pickles -------------------------------------------------------------------------------------


class Call:
    """A pickle of this calls `function` when it is read."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def batch() -> dict[bytes, Any]:
    data = np.random.RandomState(0).randint(0, 256, (4, 3072)).astype(np.uint8)
    names = [b"frog_s_%d.png" % i for i in range(4)]
    return {b"batch_label": b"1 of 5", b"labels": [6, 9, 9, 4], b"data": data, b"filenames": names}


def python_2(batch: dict[bytes, Any]) -> bytes:
    """A batch as Python 2 wrote it: strings where Python 3 writes bytes, protocol 2."""

    pickler: Any = vars(pickle)["_Pickler"]  # the one in Python, whose methods can be replaced
    out = io.BytesIO()
    two = pickler(out, protocol=2)

    def save_bytes(_: object, obj: bytes) -> None:
        head = pickle.SHORT_BINSTRING + bytes([len(obj)]) if len(obj) < 256 else None
        two.write((head or pickle.BINSTRING + struct.pack("<i", len(obj))) + obj)
        two.memoize(obj)

    two.dispatch = {**pickler.dispatch, bytes: save_bytes}
    two.dump(batch)
    return out.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.mark.parametrize("write", [python_2, *(lambda b, p=p: pickle.dumps(b, p) for p in (2, 4))])
def test_a_batch_of_cifar_10_is_read(write):
    written, found = batch(), unpickle("data_batch_1", write(batch()))
    assert np.array_equal(np.asarray(found.pop(b"data")), written.pop(b"data"))
    assert found == written


def test_an_array_in_fortrans_order_keeps_its_places():
    x = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    found = unpickle("x", pickle.dumps({b"data": x}, 2))[b"data"]
    assert np.array_equal(np.asarray(found), x)


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (lambda proof: Call(os.system, f"touch {proof}"), "system"),
        (lambda proof: Call(eval, f"open({str(proof)!r}, 'w')"), "eval"),
        (lambda proof: Call(open, str(proof), "w"), "open"),
        (lambda proof: Call(np.fromfile, str(proof)), "fromfile"),
        (lambda proof: Call(getattr, np, "load"), "getattr|_reconstruct_module|cannot"),
    ],
    ids=["system", "eval", "open", "numpy", "getattr"],
)
def test_a_pickle_that_calls_anything_is_refused_by_name(tmp_path, attack, name, protocol):
    proof = tmp_path / "proof"
    try:
        content = pickle.dumps({b"labels": attack(proof)}, protocol)
    except TypeError:  # a module cannot be pickled: written by hand
        content = b"cbuiltins\ngetattr\n(cnumpy\n__dict__\nS'load'\ntR."
    with pytest.raises(DataError, match=rf"^data_batch_1: .*({name}|__dict__)"):
        unpickle("data_batch_1", content)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Pmodule\n.", "not a whole pickle: A load persistent id"),
        (b"(ios\nsystem\n.", "asks for 'os.system'"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "found _StandIn in the pickle, expected a dict"),
        (b"\x80\x02\x82\x01.", "not a whole pickle: unregistered extension code 1"),
        (b"}r\xff\xff\xff\xff.", "counts 4294967295 values"),
        (b"X\xff\xff\xff\x7f.", "not a whole pickle"),
        (b"", "not a whole pickle"),
        (b"<html>", "not a whole pickle"),
        (pickle.dumps(batch(), 2)[:-50], "not a whole pickle"),
        (pickle.dumps([1, 2]), "found list in the pickle, expected a dict"),
        (pickle.dumps({"text": 1}), "found a key of str"),
        (pickle.dumps({b"x": {b"y": 1}}), "b'x': found dict"),
        (pickle.dumps({b"x": [1, b"1"]}), "b'x': found list"),
        (pickle.dumps({b"x": np.zeros(3)}, 2), "something else than unsigned bytes"),
        (pickle.dumps({b"x": np.array([None])}, 2), "something else than unsigned bytes"),
    ],
)
def test_a_pickle_of_anything_else_is_refused(content, message):
    with pytest.raises(DataError, match=f"^data_batch_1: .*({message})"):
        unpickle("data_batch_1", content)


def test_an_array_whose_shape_lies_is_refused():
    content = pickle.dumps({b"data": np.zeros((2, 3), np.uint8)}, 2)
    assert content.count(b"K\x02K\x03\x86") == 1
    for lie in (b"K\x02K\x04\x86", b"K\xffK\xff\x86"):
        with pytest.raises(DataError, match="b'data': an array whose shape is not its content's"):
            unpickle("x", content.replace(b"K\x02K\x03\x86", lie))


@pytest.mark.parametrize("name", [b"numpy\ndtype", b"numpy\nndarray", b"_codecs\nencode"])
def test_the_stand_ins_cannot_be_turned_into_anything(name):
    # BUILD sets attributes on what it is given; a class of these has none to set.
    for state in (b"}X\x08\x00\x00\x00__call__K\x01s", b"N}X\x08\x00\x00\x00__call__K\x01s\x86"):
        content = b"\x80\x02}U\x01ac" + name + b"\n" + state + b"bs."
        with pytest.raises(DataError, match="not a whole pickle"):
            unpickle("x", content)


def doubled(times: int) -> bytes:
    """Pickled: a tuple of a tuple twice, and so on; written out it would have 2^times numbers."""
    inner = b"(I1\ntq\x00"
    return inner + b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(times))


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02}C\x04data" + doubled(35) + b"s.",
        b"\x80\x02}" + doubled(35) + b"I1\ns.",  # as a key, it would be hashed
        b"\x80\x02}C\x04data"
        + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nI0\n\x85C\x01b\x87R(I1\n"
        + doubled(35)
        + b"cnumpy\ndtype\nX\x02\x00\x00\x00u1I0\nI1\n\x87RI0\nC\x01xtbs.",  # as a shape
    ],
)
def test_a_pickle_that_would_take_all_memory_to_look_at_is_refused(pickled):
    with pytest.raises(DataError, match="tuples in it; a batch has at most 16"):
        unpickle("batch", pickled)


def test_a_zip_is_read_by_name_in_any_process(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", b"1")
    reader = Zip(tmp_path / "x.zip", size=10, files=1)
    assert reader.read("a") == b"1"
    assert pickle.loads(pickle.dumps(reader)).read("a") == b"1"
    with pytest.raises(DataError, match="found no member b"):
        reader.read("b")
