"""Every measured number as one table of pandas, to take along: `ebmrepro.results.load()`.

Without torch, and without params.yaml: what results/ holds is read as it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebmrepro.config import documents, forms
from ebmrepro.metrics import catalogue
from ebmrepro.runs import carried, layout
from ebmrepro.system.errors import UserError
from ebmrepro.system.reading import known

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("suite", "system", "seed", "measure", "value", "fraction", "protocol", "hardware")
FUNDAMENTALS, TOUR = "fundamentals", "tour"  # the plane, which is no suite; a suite's questions

Row = tuple[str, str, int | None, str, float | None, float | None, str, str | None]


def load(root: Path | str | None = None) -> pd.DataFrame:
    """A row for each measure of each training in results/, in COLUMNS.

    `value` is NaN where nothing could be measured; `protocol` then begins with the reason. Else it
    says how the measure is taken and on what: two values are to be compared where it is the same.
    `fraction` is the part of the epochs of params.yaml that was trained, and `hardware` what
    on; both are missing where nobody noted them. Rows that are no training (copies of training
    images, noise, the mean image) have no seed. `root` is the project; if none, the folder around
    here.

    Raises:
        UserError: there are no results, or a file of theirs is damaged.
    """
    import pandas as pd

    table = pd.DataFrame.from_records(list(_rows(project(root))), columns=list(COLUMNS))
    return table.astype({"seed": "Int64", "value": float, "fraction": float})


def curves(suite: str, *systems: str, root: Path | str | None = None) -> pd.DataFrame:
    """Every epoch of every seed of some systems: the columns of curves.csv, `system` and `seed`."""
    import pandas as pd

    from ebmrepro.runs import results

    place, parts = project(root), []
    seeds = carried.systems(place, suite)
    for system in systems:
        documents.known(system, seeds, f"results/{suite}", "system")
        for seed in seeds[system]:
            path = place / layout.results(suite, system, seed) / "curves.csv"
            parts.append(pd.DataFrame({"system": system, "seed": seed, **results.curves(path)}))
    if not parts:
        raise UserError(f"results/{suite}: found {', '.join(seeds) or 'nothing'}, want {systems}")
    return pd.concat(parts, ignore_index=True)


def project(root: Path | str | None = None) -> Path:
    """`root`, or the nearest folder from here upwards that has results."""
    here = Path.cwd()
    among = (here, *here.parents) if root is None else (Path(root),)
    for folder in among:
        if (folder / "results").is_dir():
            return folder
    raise UserError(f"{among[0] / 'results'}: no such folder; results are read in the project's")


def _rows(root: Path) -> Iterator[Row]:
    for place in sorted(path for path in (root / "results").iterdir() if path.is_dir()):
        if place.name == FUNDAMENTALS:
            yield from _over_seeds(place, place.name)
        else:
            yield from _suite(root, place)


def _suite(root: Path, place: Path) -> Iterator[Row]:
    suite, machines = place.name, carried.provenance(root, place.name)
    about: dict[tuple[str, int | None], tuple[float | None, str | None]] = {}
    for system, seeds in carried.systems(root, suite).items():
        for seed in seeds:
            told = forms.Metrics.read(root / layout.results(suite, system, seed) / "metrics.json")
            carry = machines.get((system, seed))
            hardware = carry["hardware"] if carry else _here(root, told["fingerprint"])
            fraction = (told.get("budget") or {}).get("epoch_fraction")
            about[system, seed] = fraction, hardware
            for row in _measures(told):
                yield (suite, system, seed, *row[:2], fraction, row[2], hardware)
    reference = known(forms.Reference.read, place / "reference" / "reference.json") or {}
    said = reference.get("rows_protocol", "")
    for row, told in reference.get("rows", {}).items():
        protocol = {"images": said, **reference.get("protocol", {})}
        for measure, value, how in _measures({**told, "protocol": protocol}):
            yield suite, row, None, measure, value, None, how, None
    for _, system, seed, measure, value, *_, how, _ in _over_seeds(place / TOUR, suite):
        fraction, hardware = about.get((system, seed), (None, None))
        # Of the same name as an evaluation's, some are measured on other images.
        yield suite, system, seed, f"{TOUR}/{measure}", value, fraction, how, hardware


def _over_seeds(place: Path, suite: str) -> Iterator[Row]:
    """Of the tour or of the plane, whose names are `<measure>@<system>`; some have no system."""
    told = known(forms.OverSeeds.read, place / "metrics.json") or {}
    for name, by_seed in told.get("values", {}).items():
        measure, _, system = name.partition("@")
        how = told.get("protocol", {}).get(name, "")
        for seed, value in by_seed.items():
            protocol = f"{_lacking(value, told, name)}{how}"
            yield suite, system or place.name, int(seed), measure, value, None, protocol, None


def _measures(told: Mapping[str, Any]) -> Iterator[tuple[str, float | None, str]]:
    """Name, value and protocol: of the measure in general, then what the run says of its own."""
    told_here = [f"{key.replace('_', ' ')}: {v}" for key, v in told.get("protocol", {}).items()]
    for name, value in told["values"].items():
        own = told_here
        with suppress(KeyError):  # of a measure that has no words any more, or not yet
            own = [catalogue.describe(name).protocol.removesuffix("."), *told_here]
        yield name, value, f"{_lacking(value, told, name)}{'; '.join(own)}"


def _lacking(value: float | None, told: Mapping[str, Any], name: str) -> str:
    if value is not None:
        return ""
    return f"not measured: {told.get('reasons', {}).get(name, 'no reason is noted')}; "


def _here(root: Path, fingerprint: str) -> str | None:
    """What a training of this machine ran on."""
    path = root / ".ebmrepro" / "provenance" / f"{fingerprint}.json"
    told = known(forms.Provenance.read, path)
    return f"{told['device']}, {carried.counted(told['threads'], 'thread')}" if told else None


__all__ = ["COLUMNS", "curves", "load", "project"]
