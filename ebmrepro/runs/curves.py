"""curves.csv: one row per epoch, readable while it grows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from ebmrepro.system import atomic


class Curves:
    """Appends records to a CSV file; each row reaches the disk before the next epoch starts.

    A record with a new column (a phase of training that has just begun) rewrites the file with the
    wider header, by replacing it whole, so a reader never sees half of it.
    """

    def __init__(self, path: Path, rows: list[dict[str, float]] | None = None):
        self.path, self.rows, self.columns = path, list(rows or []), []
        if self.rows:
            self._widen()

    def append(self, record: Mapping[str, float]) -> None:
        self.rows.append(dict(record))
        if any(key not in self.columns for key in record) or not self.path.exists():
            self._widen()
            return
        with (
            atomic.named_errors(self.path),
            self.path.open("a", encoding="utf-8", newline="") as file,
        ):
            file.write(self._line(record))

    def _widen(self) -> None:
        self.columns = list(dict.fromkeys(key for row in self.rows for key in row))
        text = ",".join(self.columns) + "\n" + "".join(map(self._line, self.rows))
        with atomic.atomic_write(self.path) as partial:
            partial.write_text(text, encoding="utf-8")

    def _line(self, record: Mapping[str, float]) -> str:
        cells = (_cell(record.get(key)) for key in self.columns)
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        return line.getvalue()


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.7g}"
