"""The way home from another machine: pieces that may be cut short, changed or lost."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from ebmrepro.pipeline.offload import cargo
from ebmrepro.pipeline.offload.cargo import Cargo
from ebmrepro.system.errors import UserError

EMPTY = hashlib.sha256(b"").hexdigest().encode()


def loaded(folder: Path) -> Cargo:
    """Two trainings, of which one is cut into pieces."""
    for seed, size in ((0, 40), (1, 2 * cargo.PIECE)):
        path = folder / f"models/digits/ebgan/{seed}/model.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(size))
    board = Cargo(folder / "home", 10**9)
    for seed in (0, 1):
        files = [Path(f"models/digits/ebgan/{seed}/model.safetensors")]
        record = {"training": ["digits", "ebgan", seed], "fingerprint": "f", "state": "trained"}
        assert board.add(folder, files, f"record-digits-ebgan-{seed}.json", record)
    return board


def test_no_piece_is_larger_than_may_come_back_and_all_come_back(tmp_path: Path):
    loaded(tmp_path)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "home").iterdir())]
    assert sizes[:2] == [cargo.PIECE] * 2 and 0 < sizes[2] < cargo.PIECE and len(sizes) == 3
    back = tmp_path / "back"
    back.mkdir()
    assert [r["training"][2] for r in cargo.unload(tmp_path / "home", back)] == [0, 1]
    for name in ("0", "1"):
        place = f"models/digits/ebgan/{name}/model.safetensors"
        assert (back / place).read_bytes() == (tmp_path / place).read_bytes()


@pytest.mark.parametrize("cut", [600, cargo.PIECE, 2 * cargo.PIECE])
def test_what_a_sudden_end_cut_short_is_not_there_and_the_rest_is(tmp_path: Path, cut: int):
    loaded(tmp_path)
    pieces = sorted((tmp_path / "home").iterdir())
    for piece in reversed(pieces):
        size = piece.stat().st_size
        os.truncate(piece, max(0, size - cut))
        cut = max(0, cut - size)
    back = tmp_path / "back"
    back.mkdir()
    assert [r["training"][2] for r in cargo.unload(tmp_path / "home", back)] == [0]


def test_a_changed_byte_is_named_and_a_missing_piece_as_well(tmp_path: Path):
    loaded(tmp_path)
    back = tmp_path / "back"
    back.mkdir()
    piece = tmp_path / "home/home.001"
    content = bytearray(piece.read_bytes())
    content[1000] ^= 1
    piece.write_bytes(content)
    with pytest.raises(UserError, match=r"ebgan/1/model\.safetensors: found sha256"):
        cargo.unload(tmp_path / "home", back)
    piece.unlink()
    with pytest.raises(UserError, match=r"found home.000, home.002; a sitting leaves home.000"):
        cargo.unload(tmp_path / "home", back)


@pytest.mark.parametrize("name", ["../x", "models/a/b/0/../../x", "/etc/x", "ebmrepro/cli.py"])
def test_nothing_is_written_but_what_a_training_writes(tmp_path: Path, name: str):
    board = Cargo(tmp_path / "home", 10**6)
    board._append(cargo._member(name, b"evil"))
    with pytest.raises(UserError, match="which no training writes"):
        cargo.unload(tmp_path / "home", tmp_path)


def test_what_an_earlier_sitting_left_is_not_lost(tmp_path: Path):
    loaded(tmp_path)
    before = (tmp_path / "home/home.000").read_bytes()
    with pytest.raises(UserError, match=r"home\.000: an earlier sitting's; take it home"):
        Cargo(tmp_path / "home", 10**6)
    assert (tmp_path / "home/home.000").read_bytes() == before


def test_past_the_limit_nothing_is_added(tmp_path: Path):
    board = Cargo(tmp_path / "home", 3000)
    (tmp_path / "pack.json").write_text("{}")
    assert board.add(tmp_path, [Path("pack.json")], "record-pack.json", {})
    before = board.size
    (tmp_path / "pack.json").write_bytes(bytes(3000))
    assert not board.add(tmp_path, [Path("pack.json")], "record-pack.json", {})
    assert board.size == before == (tmp_path / "home/home.000").stat().st_size


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"{", "record-a.json: found nothing, want an object"),
        (b"[]", "record-a.json: found"),
        (b"{}", "record-a.json: files: this key is missing"),
        (b'{"files": {}, "training": ["digits", "ebgan", 0]}', "without its fingerprint"),
        (b'{"files": {"models/a/b/0/c": "%s"}}' % EMPTY, "models/a/b/0/c: found sha256 no such"),
        *(
            (
                b'{"files": {}, "fingerprint": "f", "state": "", "training": %s}' % training,
                "record-a.json: training: found",
            )
            for training in (
                b'["digits", "ebgan", "x"]',
                b'["digits", "ebgan", null]',
                b'["digits", "ebgan", Infinity]',
                b'["digits", "ebgan", -1]',
                b'["digits", "ebgan", 4294967296]',
                b'["digits", "ebgan", true]',
                b'["digits", "ebgan", [3]]',
                b'[["digits"], {"a": 1}, 3]',
            )
        ),
    ],
)
def test_a_damaged_record_is_named_in_a_line(tmp_path: Path, record: bytes, said: str):
    Cargo(tmp_path / "home", 10**6)._append(cargo._member("record-a.json", record))
    with pytest.raises(UserError) as told:
        cargo.unload(tmp_path / "home", tmp_path)
    assert said in str(told.value) and "\n" not in str(told.value)


def head(name: str, **told: str) -> bytes:
    """A member without content that tells tar's readers of 2001 and later more than its name."""
    lines = b""
    for key, value in told.items():
        line = f" {key.replace('_', '.')}={value}\n".encode()
        size = len(line) + 1
        lines += f"{size + (len(str(size + 1)) == 2)}".encode() + line
    more = tarfile.TarInfo("more")
    more.type, more.size = tarfile.XHDTYPE, len(lines)
    padding = b"\0" * (-len(lines) % tarfile.BLOCKSIZE)
    whole = more.tobuf(tarfile.USTAR_FORMAT) + lines + padding
    return whole + tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize(
    "told",
    [
        {"GNU_sparse_map": "a,b"},
        {"GNU_sparse_major": "1", "GNU_sparse_minor": "0", "GNU_sparse_name": "q"},
        {"GNU_sparse_size": "x", "GNU_sparse_map": "0,1"},
        {"size": "9" * 26},
        {"size": "-5"},
    ],
)
def test_a_damaged_head_is_refused_or_ends_what_came(tmp_path: Path, told: dict[str, str]):
    board = loaded(tmp_path)
    board._append(head("models/a/b/1/x", **told))
    back = tmp_path / "back"
    back.mkdir()
    try:
        assert [r["training"][2] for r in cargo.unload(tmp_path / "home", back)] == [0, 1]
    except UserError as error:
        assert "home: " in str(error) and "\n" not in str(error)


def test_a_name_that_is_also_a_folder_and_a_piece_that_is_one_are_refused(tmp_path: Path):
    board, names = Cargo(tmp_path / "home", 10**6), ("models/a/b/0/x", "models/a/b/0/samples/x")
    for name in (names[0], "models/a/b/0/samples", names[1]):
        board._append(cargo._member(name, b""))
    files = {name: EMPTY.decode() for name in ("models/a/b/0/samples", names[1])}
    board._append(cargo._member("record-a.json", json.dumps({"files": files}).encode()))
    with pytest.raises(UserError, match=r"home: models/a/b/0/samples/x: cannot be written"):
        cargo.unload(tmp_path / "home", tmp_path)
    (tmp_path / "home/home.000").unlink()
    (tmp_path / "home/home.000").mkdir()
    with pytest.raises(UserError, match=r"home\.000: found a folder, want a file"):
        cargo.unload(tmp_path / "home", tmp_path)
    with pytest.raises(UserError, match=r"test_cargo.* cannot be written"):
        Cargo(Path(__file__), 10**6)
