"""The way home from another machine: pieces that may be cut short, changed or lost."""

import hashlib
import os
from pathlib import Path

import pytest

from ebmrepro.pipeline.offload import cargo
from ebmrepro.pipeline.offload.cargo import Cargo
from ebmrepro.system.errors import UserError

EMPTY = hashlib.sha256(b"").hexdigest().encode()


def loaded(folder: Path, limit: int = 10**9) -> Cargo:
    """Two trainings, of which one is cut into pieces."""
    for seed, size in ((0, 40), (1, 2 * cargo.PIECE)):
        path = folder / f"models/digits/ebgan/{seed}/model.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(size))
    board = Cargo(folder / "home", limit)
    for seed in (0, 1):
        files = [Path(f"models/digits/ebgan/{seed}/model.safetensors")]
        record = {"training": ["digits", "ebgan", seed], "fingerprint": "f", "state": "trained"}
        assert board.add(folder, files, f"record-digits-ebgan-{seed}.json", record) == (
            board.size <= limit and limit > 10**6
        )
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
    ],
)
def test_a_damaged_record_is_named_in_a_line(tmp_path: Path, record: bytes, said: str):
    Cargo(tmp_path / "home", 10**6)._append(cargo._member("record-a.json", record))
    with pytest.raises(UserError) as told:
        cargo.unload(tmp_path / "home", tmp_path)
    assert said in str(told.value) and "\n" not in str(told.value)
