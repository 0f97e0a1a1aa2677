"""curves.csv: one row per epoch, readable while it grows."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

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
        with atomic.named_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            self._writer(file).writerow(_cells(record))

    def _widen(self) -> None:
        self.columns = list(dict.fromkeys(key for row in self.rows for key in row))
        with atomic.atomic_write(self.path) as partial, partial.open("w", encoding="utf-8") as file:
            writer = self._writer(file)
            writer.writeheader()
            writer.writerows(map(_cells, self.rows))

    def _writer(self, file: TextIO) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self.columns, lineterminator="\n")


def _cells(record: Mapping[str, float]) -> dict[str, int | str]:
    return {k: v if isinstance(v, int) else f"{v:.7g}" for k, v in record.items()}
