"""LSUN: a made-up database in exactly its format, whole and damaged."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import shutil
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_images import asked, block, mirror, picture, refused
from params_file import shipped

from ebmrepro import data
from ebmrepro.data.sources import lsun

__all__ = ["mirror"]  # fixtures, used by name


class FakeLmdb(types.ModuleType):
    """The few calls of the package `lmdb` that are used, on a file of JSON."""

    class Error(Exception):
        pass

    def open(self, path: str, **settings: Any) -> Any:
        assert settings["readonly"] and not settings["lock"]
        try:
            held = json.loads((Path(path) / "data.mdb").read_bytes().rstrip(b"\0"))
        except ValueError as error:
            raise self.Error(f"{path}: MDB_INVALID: File is not an LMDB file") from error
        values = {k.encode(): v.encode("latin1") for k, v in held["values"].items()}

        class Environment:
            def info(self):
                return {"last_pgno": held["pages"] - 1}

            def stat(self):
                return {"psize": 4096}

            def begin(self):
                return self

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def cursor(self):
                return self

            def iternext(self, keys, values):
                assert keys and not values
                return iter(sorted(held_keys))

            def get(self, key):
                return values.get(key)

        held_keys = list(values)
        return Environment()


REAL = importlib.util.find_spec("lmdb") is not None


@pytest.fixture
def bedrooms(mirror, monkeypatch) -> Path:
    """The folder of LSUN's database with 20 bedrooms, WebP; of the real package where there is."""
    folder = mirror / "lsun" / lsun.DATABASE
    folder.mkdir(parents=True)
    values = {}
    for k in range(20):
        content = picture(k, 300, 256, "WEBP") if k % 2 else picture(k, 256, 300)
        values[hashlib.sha1(content).hexdigest()] = content
    if REAL:
        lmdb: Any = importlib.import_module("lmdb")
        with (
            lmdb.open(str(folder), map_size=1 << 24) as environment,
            environment.begin(write=True) as transaction,
        ):
            for key, value in values.items():
                transaction.put(key.encode(), value)
        return folder
    monkeypatch.setitem(sys.modules, "lmdb", FakeLmdb("lmdb"))
    held = {key: value.decode("latin1") for key, value in values.items()}
    size = -(-len(json.dumps({"values": held, "pages": 0})) // 4096) + 1
    text = json.dumps({"values": held, "pages": size}).encode()
    (folder / "data.mdb").write_bytes(text.ljust(4096 * (size + 1), b"\0")[: 4096 * size])
    return folder


BEDROOMS = block("lsun", 5, image=asked(12))


def test_lsun_is_read_from_its_database(bedrooms, tmp_path):
    made = data.prepare("lsun", BEDROOMS, tmp_path / "lsun")
    assert made["classes"] == ["bedroom"] and made["broken"] == {}
    assert {k: v["count"] for k, v in made["splits"].items()} == {"train": 15, "test": 5}


def test_lsuns_patches_are_a_suite_of_their_own(bedrooms, tmp_path):
    """Other pixels of the same bedrooms."""
    suites = shipped().suites
    made = {}
    for name in ("lsun", "lsun_patches"):
        asks = suites[name].data.model_copy(update={"test": 5})
        folder = tmp_path / "data" / name
        assert data.prepare(name, asks, folder)["shape"] == [3, 64, 64]
        made[name], _ = data.read(folder, "train")
    assert len(made["lsun"]) == len(made["lsun_patches"]) == 15
    assert not np.array_equal(made["lsun"], made["lsun_patches"])


def test_lsuns_zip_is_unpacked_once_to_the_cache(bedrooms, mirror, tmp_path, capsys):
    with zipfile.ZipFile(mirror / "lsun" / lsun.ARCHIVE, "w") as archive:
        archive.write(bedrooms / "data.mdb", f"{lsun.DATABASE}/data.mdb")
        archive.writestr(f"{lsun.DATABASE}/lock.mdb", b"")
    made = data.prepare("lsun", BEDROOMS, tmp_path / "a/lsun")
    shutil.rmtree(bedrooms)
    for name in ("b", "c"):
        assert data.prepare("lsun", BEDROOMS, tmp_path / name / "lsun") == made
    assert capsys.readouterr().out.count("unpacking to") == 1


def test_a_database_cut_short_is_refused_before_it_is_read(bedrooms, tmp_path):
    path = bedrooms / "data.mdb"
    path.write_bytes(path.read_bytes()[:-4096])
    # LMDB's own file may be longer than its last page: cut into what it needs.
    if REAL:
        path.write_bytes(path.read_bytes()[: 4096 * 10])
    refused(r"data\.mdb: found [\d,]+ bytes, its header says", "lsun", BEDROOMS, tmp_path / "lsun")


def test_what_is_no_database_is_named(bedrooms, tmp_path):
    (bedrooms / "data.mdb").write_bytes(b"<html>".ljust(8192))
    refused(r"data\.mdb: not a whole LMDB file: ", "lsun", BEDROOMS, tmp_path / "lsun")


def test_without_the_package_its_name_is_said(mirror, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)  # importing it is an ImportError
    refused("`uv pip install lmdb`", "lsun", BEDROOMS, tmp_path / "lsun")
