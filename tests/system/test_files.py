"""Every file is read by the one reader and written whole by the one writer, or is known here."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ebmrepro"
CODE = sorted([*PACKAGE.rglob("*.py"), *ROOT.glob("stages/*.py")])

# Last part of a call's name -> which of its arguments names what is written; -1 is what the method
# is called on. Beside these, `open` with a mode that writes.
WRITES = {
    **dict.fromkeys(("copy2", "copyfile", "copyfileobj", "copytree", "dump"), 1),
    **dict.fromkeys(("save", "save_file", "savefig", "savetxt", "savez", "savez_compressed"), 0),
    **dict.fromkeys(("memmap", "to_csv", "tofile", "ZipFile", "link", "symlink"), 0),
    **dict.fromkeys(("rename", "symlink_to", "touch", "write_bytes", "write_text"), -1),
}
WRITERS = ("atomic_write", "atomic_folder")  # they give a name to write to
OURS = (
    "checkpoints",
    "kept",
    "measured",
    "statistics_file",
)  # whose `save` is looked at where it is written
# What is written in another way, and why that is right.
OTHER_WRITES = {
    "data/__init__.py: _save_rows": "a part of an atomic folder, without holding the rows",
    "data/decoding.py: _decode": "a killed process goes on with it; on the disk before it counts",
    "pipeline/before.py: heal": "takes DVC's locks",
    "pipeline/campaign/drive.py: _start": "what a training says",
    "pipeline/executors.py: launched": "what a stage says while it runs",
    "pipeline/executors.py: own_gpu": "a lock",
    "pipeline/offload/cargo.py: Cargo._append": "grows by whole members, synced; a cut end is left",
    "pipeline/offload/cargo.py: _write": "into a folder that goes",
    "pipeline/offload/cargo.py: unload": "into a folder that goes",
    "pipeline/offload/measures/proofs.py: resumes": "into memory",
    "pipeline/offload/pack.py: _checkpoints": "a part of an atomic folder",
    "pipeline/offload/pack.py: _packages": "a part of an atomic folder",
    "pipeline/offload/parts.py: _work": "a log",
    "pipeline/offload/start.py: unpack": "made whole by its rename; a bare Python runs it",
    "report/pictures.py: png": "into memory",
    "runs/checkpoints.py: Checkpoints.latest": "sets a damaged checkpoint aside",
    "runs/checkpoints.py: Checkpoints.save": "into memory, for its checksum; then atomic",
    "runs/curves.py: Curves.append": "grows by rows; one without an end is passed over",
    "system/atomic.py": "the writer",
    "tracking/store.py: _create_database": "SQLite's own, made whole by its rename",
    "tracking/store.py: set_aside_unusable": "sets a damaged database aside",
}
READS = {
    *("read_bytes", "read_text", "load_file", "safe_open", "loadtxt", "genfromtxt", "read_csv"),
    *("np.load", "np.memmap", "json.load", "torch.load", "Image.open", "Pillow.open", "open"),
    *("tarfile.open", "zipfile.ZipFile", "ZipFile"),
}
# What is read in another way: programs of ours, the machine, and streams that are open already.
OTHER_READS = {
    "config/declarations.py": "sources of ours",
    "data/archives.py: Zip._archive": "through `reading`, by zipfile, once it is known for a file",
    "data/archives.py: Zip.open": "a member of an archive",
    "data/archives.py: Zip.read": "a member of an archive",
    "data/archives.py: gunzip": "bytes",
    "data/crops.py: decode": "bytes",
    "data/decoding.py: decoded": "an array of its own",
    "data/downloads.py: _fetch": "what it has just written",
    "data/ood_images.py": "a resource of ours, bytes",
    "data/sources/cifar10.py: _batches": "what `obtain` has checked",
    "data/sources/curves.py: decode": "what a process of its own has told",
    "data/sources/digits.py": "bytes",
    "data/sources/lsun.py: _path": "a member of an archive",
    "data/sources/lsun.py: Database._opened": "by lmdb",
    "config/documents.py: read_yaml": "through `opened`, in `read_text`",
    "config/variant.py: write": "the same",
    "metrics/inception.py: _network": "what is opened",
    "metrics/catalogue.py": "sources of ours",
    "metrics/statistics_file.py: load": "what is opened",
    "pipeline/campaign/drive.py: _ended": "what a training said",
    "pipeline/executors.py": "sources of ours",
    "pipeline/offload/cargo.py": "an archive, member by member, each with its checksum",
    "pipeline/offload/measures/proofs.py: resumes": "bytes",
    "pipeline/offload/pack.py": "requirements.lock",
    "pipeline/offload/start.py": "a bare Python runs it",
    "pipeline/lockfile.py": "dvc.lock, which DVC owns",
    "pipeline/scheduler.py": "logs",
    "pipeline/sides.py: _differing": "bytes, which are compared",
    "pipeline/sides.py: _read": "what git has packed",
    "report/landscape/__init__.py: html": "scripts of ours",
    "runs/carried.py: _processor": "the machine",
    "runs/checkpoints.py: Checkpoints.latest": "what is opened",
    "runs/fingerprints.py: code": "sources of ours",
    "system/atomic.py": "to have it on the disk",
    "system/locks.py: Lock._holder": "a note that may be on its way",
    "system/reading.py": "the reader",
    "tracking/projection.py: _grid": "what is opened",
}


class Calls(ast.NodeVisitor):
    """Every call of a file: its function, and the names there that lead into atomic files."""

    def __init__(self, path: Path, text: str = ""):
        self.place = path.relative_to(PACKAGE if PACKAGE in path.parents else ROOT).as_posix()
        self.inside: list[str] = []
        self.given: set[str] = set()
        self.found: list[tuple[str, ast.Call, set[str]]] = []
        self.visit(ast.parse(text or path.read_text(encoding="utf-8")))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        before = self.given
        self.inside.append(node.name)
        self.generic_visit(node)
        self.inside.pop()
        self.given = before

    visit_ClassDef = visit_FunctionDef

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            made, to = item.context_expr, item.optional_vars
            written = isinstance(made, ast.Call) and last(made) in WRITERS
            if isinstance(to, ast.Name) and (written or names(made) & self.given):
                self.given = self.given | {to.id}
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if names(node.value) & self.given:
            self.given = self.given | {t.id for t in node.targets if isinstance(t, ast.Name)}
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.found.append((f"{self.place}: {'.'.join(self.inside)}", node, self.given))
        self.generic_visit(node)


def names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def last(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def target(call: ast.Call) -> ast.expr | None:
    """What a call writes to; None for one that writes nothing."""
    on = call.func.value if isinstance(call.func, ast.Attribute) else None
    called, words = last(call), {n.value for n in ast.walk(call) if isinstance(n, ast.Constant)}
    if called == "open" or called in ("memmap", "ZipFile"):
        writes = {w for w in words if isinstance(w, str) and set(w) <= set("rwaxbt+")}
        if not any(set(mode) & set("wax+") for mode in writes):
            return None
        plain = call.args[0] if call.args else None
        return plain if on is None or called != "open" else on
    if called == "replace":
        return call.args[1] if ast.unparse(call.func) == "os.replace" else None
    if called == "save" and (on is None or names(on) & {*OURS}):
        return None
    place = WRITES.get(called)
    if place is None:
        return None
    return on if place < 0 else next(iter(call.args[place : place + 1]), None)


def known(place: str, listed: dict[str, str]) -> bool:
    return place in listed or place.partition(":")[0] in listed


def other_writes(calls: Calls) -> set[str]:
    return {
        place
        for place, call, given in calls.found
        if (to := target(call)) is not None and not names(to) & given
    }


def other_reads(calls: Calls) -> set[str]:
    return {
        place
        for place, call, _ in calls.found
        if ({ast.unparse(call.func), last(call)} & READS) and target(call) is None
    }


def test_whatever_is_written_is_written_whole():
    found = {place for path in CODE for place in other_writes(Calls(path))}
    assert {place for place in found if not known(place, OTHER_WRITES)} == set()
    stale = {place for place in OTHER_WRITES if not any(known(f, {place: ""}) for f in found)}
    assert stale == set()


def test_whatever_is_read_is_read_by_the_one_reader():
    found = {place for path in CODE for place in other_reads(Calls(path))}
    assert {place for place in found if not known(place, OTHER_READS)} == set()
    stale = {place for place in OTHER_READS if not any(known(f, {place: ""}) for f in found)}
    assert stale == set()


def test_another_way_to_write_is_seen():
    """Each of these stood in the package, or might."""
    whole = "with atomic_write(path) as partial:\n    np.savez(partial, x=1)"
    assert not other_writes(Calls(PACKAGE / "x.py", whole))
    for other in (
        "np.savez(path / 'tour.npz', x=1)",
        "first.save(into / f'{name}.webp', quality=70)",
        "path.write_text('x')",
        "open(path, 'w')",
        "path.open('ab')",
        "path.open(mode='w')",
        "open(path, 'r+b' if done else 'wb')",
        "json.dump(tree, file)",
        "shutil.copyfile(a, b)",
        "os.replace(a, b)",
        "a.rename(b)",
        "with atomic_write(path) as partial:\n    np.savez(path, x=1)",
    ):
        assert other_writes(Calls(PACKAGE / "x.py", other)), other
