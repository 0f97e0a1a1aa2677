"""dvc.lock, written after every stage as DVC would write it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.stage import PipelineStage, Stage
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dumps_yaml

from ebmrepro.system import atomic, reading


class LockFile:
    """Writes dvc.lock as DVC would, at a hundredth of its cost, after every stage.

    DVC reads and dumps the whole file anew for each stage, in pure Python; here the text of one
    stage's entry is replaced. Entries that are new come in the order of the plan, not in that in
    which stages end; which they are is kept in `notes` until a run has done all that it was to do.
    At the end DVC's own writer goes over the file once and has the last word.
    """

    HEAD = "schema: '2.0'\nstages:\n"
    # A file as DVC writes it: an entry is a line indented by two, and lines indented further.
    PLAIN = re.compile(re.escape(HEAD) + r"(?:  [^\s#].*\n(?:    .*\n)+)*")

    def __init__(self, plan: Sequence[Stage], notes: Path):
        self.rank = {_key(s): r for r, s in enumerate(plan) if isinstance(s, PipelineStage)}
        self.notes = notes
        self.new: set[str] = set()
        try:
            self.new = set(map(str, reading.known(reading.tree, notes) or ()))
        except (reading.Damaged, TypeError) as error:
            print(f"{notes}: passed over, new entries come last: {error}", file=sys.stderr)
        self.put_in: list[PipelineStage] = []

    def put(self, stage: Stage) -> None:
        if not isinstance(stage, PipelineStage):
            stage.dump(update_pipeline=False)
            return
        file: Any = stage.dvcfile
        lockfile = file._lockfile
        path = Path(lockfile.path)
        text = path.read_text(encoding="utf-8") if path.exists() else self.HEAD
        if not self.PLAIN.fullmatch(text):  # edited by hand; DVC keeps comments
            stage.dump(update_pipeline=False)
            return
        before = re.split(r"(?m)^(?=  \S)", text.removeprefix(self.HEAD))
        entries = {entry.partition("\n")[0]: entry for entry in before if entry}
        entry = dumps_yaml({"stages": to_lockfile(stage)}).partition("\n")[2]
        key = entry.partition("\n")[0]
        if key not in entries:
            self.new.add(key)
            atomic.write_json(self.notes, sorted(self.new))
        entries[key] = entry
        old = [k for k in entries if k not in self.new]
        new = sorted((k for k in entries if k in self.new), key=lambda k: self.rank.get(k, -1))
        text = self.HEAD + "".join(entries[k] for k in [*old, *new])
        atomic.write(path, text)
        stage.repo.scm_context.track_file(lockfile.relpath)
        self.put_in.append(stage)

    def close(self, complete: bool) -> None:
        for file in {stage.dvcfile for stage in self.put_in}:
            own = [stage for stage in self.put_in if stage.dvcfile == file]
            file.dump_stages(own, update_pipeline=False)
        if complete:
            self.notes.unlink(missing_ok=True)


def _key(stage: PipelineStage) -> str:
    return dumps_yaml({"stages": {stage.name: {"cmd": ""}}}).splitlines()[1]
