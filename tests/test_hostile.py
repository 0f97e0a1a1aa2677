"""Files that stages leave, damaged in every way that a disk or a person has: a table of what the
commands that read them say. Each is refused in one line; none ends in a traceback, and none in
silence but those of `SILENT`. `make hostile` prints the table.
"""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trainings
from PIL import Image

from ebmrepro.config import params
from ebmrepro.system.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.hostile]

ROOT = Path(__file__).parents[1]
MODEL, RESULT = "models/digits/ebgan/0", "results/digits/ebgan/0"
DBN = "models/digits/dbn/0"


# --- damage --------------------------------------------------------------------------------------


def changed(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(change(json.loads(content))).encode()


def words_for_numbers(tree: Any) -> Any:
    """Every number, at any depth, said in words."""
    if isinstance(tree, dict):
        return {key: words_for_numbers(part) for key, part in tree.items()}
    if isinstance(tree, list):
        return [words_for_numbers(part) for part in tree]
    return "many" if isinstance(tree, int | float) and not isinstance(tree, bool) else tree


def blocks_for_words(tree: Any) -> Any:
    """Every word, at any depth, is a block."""
    if isinstance(tree, dict):
        return {key: blocks_for_words(part) for key, part in tree.items()}
    if isinstance(tree, list):
        return [blocks_for_words(part) for part in tree]
    return {"x": [1]} if isinstance(tree, str) else tree


def nothing_for_blocks(tree: Any) -> Any:
    """Every block, where it stands at the top."""
    return {key: None if isinstance(part, dict) else part for key, part in tree.items()}


def without_the_last_row(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(lines[:-1])


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


ANY: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut in half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: b"\0" * len(content),
    "a web page": lambda content: b"<!doctype html><html><body>Please log in</body></html>",
}
JSON = {
    **ANY,
    "[]": lambda content: b"[]",
    "{}": lambda content: b"{}",
    "null": lambda content: b"null",
    "100,000 brackets": lambda content: b"[" * 100_000,
    "an unknown key": changed(lambda tree: {**tree, "unheard": 1}),
    "another schema": changed(lambda tree: {**tree, "schema": 99}),
    "words for numbers": changed(words_for_numbers),
    "blocks for words": changed(blocks_for_words),
    "nothing for blocks": changed(nothing_for_blocks),
    "Latin-1": lambda content: content.replace(b'"', b'"\xe9', 1),
}
FLAT = {way: damage for way, damage in JSON.items() if way != "nothing for blocks"}  # has none
BINARY = {**ANY, "a bit flipped": flipped, "one byte short": lambda content: content[:-1]}
CSV = {
    **ANY,
    "a word in a cell": lambda content: content.replace(b"\n1,", b"\none,", 1),
    "a cell too many": lambda content: content[:-1] + b",1\n",
    "an epoch short": without_the_last_row,
    "no end of the last line": lambda content: content[:-1],
}
# file: its damages, and the commands that read it
FILES: dict[str, tuple[dict[str, Callable[[bytes], bytes]], tuple[str, ...]]] = {
    "data/digits/dataset.json": (JSON, ("data", "evaluate")),
    "data/digits/train.npy": (BINARY, ("data", "evaluate")),
    "data/digits/train_labels.npy": (BINARY, ("data", "evaluate")),
    "data/digits/test.npy": (BINARY, ("data", "evaluate")),
    f"{DBN}/model.safetensors": (BINARY, ("evaluate", "report")),
    f"{MODEL}/model.safetensors": (BINARY, ("evaluate", "sample")),
    f"{MODEL}/model.sha256": (ANY, ("evaluate", "sample")),
    f"{MODEL}/run.json": (JSON, ("evaluate", "track")),
    f"{MODEL}/curves.csv": (CSV, ("evaluate", "track")),
    "reference/digits/reference.json": (JSON, ("evaluate",)),
    "reference/digits/kept-dbn.npz": (BINARY, ("evaluate",)),
    f"{RESULT}/metrics.json": (JSON, ("report", "claims", "carry", "track", "export")),
    f"{RESULT}/training.json": (JSON, ("report", "carry")),
    f"{RESULT}/curves.csv": (CSV, ("report", "claims", "export")),
    f"{RESULT}/energies.npz": (BINARY, ("report",)),
    f"{RESULT}/samples.png": (BINARY, ("report",)),
    f"{RESULT}/progress.npz": (BINARY, ("report",)),
    "results/digits/reference/reference.json": (JSON, ("report", "export")),
    "results/digits/reference/real.png": (BINARY, ("report",)),
    "results/digits/tour/metrics.json": (JSON, ("report", "claims", "export")),
    "results/digits/tour/tour.npz": (BINARY, ("report",)),
    "results/digits/tour/ranking.png": (BINARY, ("report",)),
    "results/digits/provenance.json": (JSON, ("carry", "export")),
    "results/fundamentals/metrics.json": (JSON, ("claims", "export")),
    "apart/results/fundamentals/metrics.json": (JSON, ("plane",)),
    "apart/generated/fundamentals/arrays.npz": (BINARY, ("plane",)),
    "apart/generated/fundamentals/training.webp": (ANY, ("plane",)),
    "reports/claims.json": (JSON, ("report", "track")),
    ".ebmrepro/provenance/ID.json": (JSON, ("carry", "track")),
    ".ebmrepro/checkpoints/ID/cpu/about.json": (FLAT, ("checkpoints",)),
    ".dvc/tmp/rwlock": (ANY, ("repro",)),
    "params.yaml": (ANY, ("check",)),
    "reports/claims.yaml": (ANY, ("check",)),
}
# (file, damage, command) that may pass in silence: curves that still grow end anywhere.
SILENT = {
    (f"{MODEL}/curves.csv", way, "track")
    for way in ("cut in half", "an epoch short", "no end of the last line")
}


# --- commands ------------------------------------------------------------------------------------


def data_() -> None:
    from ebmrepro import data
    from ebmrepro.data.check import verify

    data._digest.cache_clear()  # each row is a process of its own
    verify("data/digits")


def evaluate() -> None:
    from ebmrepro import data
    from ebmrepro.evaluation import evaluate, reference

    data._digest.cache_clear()
    settings = params.load()
    extract = reference.Extractor("digits", settings, kept=True)
    evaluate.evaluate("digits", "ebgan", 0, settings, extract)


def sample() -> None:
    from ebmrepro.runs import models

    models.restore("digits", "ebgan", 0, params.load())


def claims() -> None:
    from ebmrepro.claims import claims_file, judgements

    settings = params.load(ROOT / "params.yaml")
    run = settings.run.model_copy(update={"seeds": [0]})
    settings = settings.model_copy(update={"run": run})
    judgements.document(claims_file.load(settings), settings, Path())


def report() -> None:
    from ebmrepro import report

    report.write(params.load(), Path(), Path("reports"))


def plane() -> None:
    from ebmrepro.report import plane

    found = plane.read(Path("apart"), params.load().fundamentals)
    assert found is not None and found.arrays["energy"].shape == (3,)
    plane._protocol(found)


def export() -> None:
    from ebmrepro import results

    results.load(Path())
    results.curves("digits", "ebgan", root=Path())


def carry() -> None:
    from ebmrepro.runs import carried

    carried.collect(Path(), Path(), "digits")


def track() -> None:
    from ebmrepro.config import forms
    from ebmrepro.system.reading import known
    from ebmrepro.tracking import projection, verdicts

    run = params.Training("digits", "ebgan", 0)
    read: Any = projection._Projection(SimpleNamespace(root=Path(), client=None), run)  # type: ignore
    read._started()
    verdicts.table(known(forms.Claims.read, Path("reports/claims.json")) or {}, "digits")


def checkpoints() -> None:
    from ebmrepro.runs import checkpoints

    for each in checkpoints.stored(Path()):
        print(checkpoints.in_words(each))


def repro() -> None:
    from ebmrepro.pipeline import before

    before.heal(Path())


def check() -> None:
    from ebmrepro.claims import claims_file

    params.load()
    claims_file.load(params.load(ROOT / "params.yaml"))  # the claims are about its systems


COMMANDS: dict[str, Callable[[], None]] = {
    "data": data_,
    **{f.__name__: f for f in (evaluate, sample, claims, report, plane, carry, track, export)},
    **{f.__name__: f for f in (checkpoints, repro, check)},
}


# --- the table -----------------------------------------------------------------------------------


def tour() -> None:
    from ebmrepro.studies import tour

    tour.write("digits", params.load())


def carried_() -> None:
    carry()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of every stage, small; those of the plane, which takes minutes, made up."""
    folder = trainings.project(tmp_path_factory.mktemp("hostile") / "project", ["ebgan"])
    shutil.copytree(ROOT / "reports", folder / "reports")
    for name in ("dbn", "ebgan"):
        trainings.clear(folder, name)
        trainings.train(folder, name, seconds=99)
    for name in ("dbn", "ebgan"):
        trainings.run_in(folder, trainings.evaluate, name)
    trainings.run_in(folder, tour)
    trainings.run_in(folder, carried_)
    card = json.loads((folder / f"{MODEL}/run.json").read_text())
    about = {key: card[key] for key in ("suite", "method", "seed", "epochs", "steps")}
    place = folder / ".ebmrepro/checkpoints" / card["fingerprint"] / "cpu"
    place.mkdir(parents=True)
    (place / "about.json").write_text(json.dumps(about))
    (place / f"{1:012}-{64 * '0'}.pt").write_bytes(b"a state")
    (folder / ".dvc/tmp").mkdir(parents=True)
    (folder / ".dvc/tmp/rwlock").write_text("{}")
    for root in (folder, folder / "apart"):
        shutil.copytree(ROOT / "results/fundamentals", root / "results/fundamentals")
    made = folder / "apart/generated/fundamentals"
    made.mkdir(parents=True)
    np.savez_compressed(made / "arrays.npz", energy=np.arange(3.0))
    pictures = [Image.effect_noise((40, 40), 9) for _ in range(3)]
    pictures[0].save(made / "training.webp", save_all=True, append_images=pictures[1:])
    return folder


def whole(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_back(folder: Path, files: dict[Path, bytes]) -> None:
    for path in folder.rglob("*"):
        if not path.is_dir() and path not in files:
            path.unlink()
    for path, content in files.items():
        if path.is_dir():
            path.rmdir()
        if not path.is_file() or path.read_bytes() != content:
            path.unlink(missing_ok=True)
            path.write_bytes(content)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def damages(ways: dict[str, Callable[[bytes], bytes]]) -> Iterator[tuple[str, Callable]]:
    for name, way in ways.items():
        yield name, lambda p, way=way: p.write_bytes(way(p.read_bytes()))
    yield "a pipe", pipe
    yield "a folder", a_folder


def outcome(command: str, capsys: pytest.CaptureFixture[str], path: Path) -> str:
    """What a command makes of a project: `refused`, `said`, `silent`, or its traceback."""
    capsys.readouterr()
    try:
        COMMANDS[command]()
    except UserError as error:
        line = str(error)
        return f"refused: {line}" if line and "\n" not in line else f"several lines: {line!r}"
    except BaseException:
        return f"TRACEBACK {traceback.format_exc()}"
    said = "".join(capsys.readouterr())
    return "said" if path.name in said else "silent"


def test_no_damage_ends_in_a_traceback_or_in_silence(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(project)
    before, table, wrong = whole(project), [], []
    silent: set[tuple[str, str, str]] = set()
    for command in COMMANDS:  # of whole files, all of them succeed
        found = outcome(command, capsys, Path("nothing"))
        assert found == "silent", (command, found)
    identity = json.loads(Path(f"{MODEL}/run.json").read_text())["fingerprint"]
    put_back(project, before)
    for name, (ways, commands) in FILES.items():
        path = project / name.replace("ID", identity)
        assert path.is_file(), path
        row = Counter[str]()
        for way, damage in damages(ways):
            answers = {}
            for command in commands:
                damage(path)
                answers[command] = outcome(command, capsys, path)
                put_back(project, before)
            if tracebacks := [a for a in answers.values() if a.startswith(("TRACE", "several"))]:
                wrong.append(f"{name}, {way}: {tracebacks[0]}")
                row["traceback"] += 1
            else:
                passed = {(name, way, c) for c, answer in answers.items() if answer == "silent"}
                row["silent" if passed else "one line"] += 1
                silent |= passed
        table.append((name, ", ".join(commands), row))
    with capsys.disabled():
        print(f"\n{'file':<46}{'one line':>9}{'traceback':>11}{'silent':>8}  read by")
        for name, commands, row in table:
            cells = f"{row['one line']:>9}{row['traceback']:>11}{row['silent']:>8}"
            print(f"{name:<46}{cells}  {commands}")
        total = Counter[str]()
        for _, _, row in table:
            total.update(row)
        cells = f"{total['one line']:>9}{total['traceback']:>11}{total['silent']:>8}"
        print(f"{'all ' + str(sum(total.values())):<46}{cells}")
    assert not wrong, "\n\n".join(wrong)
    assert silent == SILENT
