"""Results that came with the repository: of suites that run.suites of params.yaml does not name.

A suite is carried when results/<suite>/ holds measurements and `dvc repro` does not remake them.
Its systems and seeds are those found there, whatever `run` says. What belongs to the machine and
moment of a training lies in .ebmrepro/provenance/, which git ignores; `collect` brings it together
in results/<suite>/provenance.json, which is no stage's output, so that no stage removes it.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ebmrepro.config import forms, training
from ebmrepro.config.campaign import FURTHER
from ebmrepro.config.documents import read_yaml
from ebmrepro.config.params import Params
from ebmrepro.runs import layout
from ebmrepro.system import atomic
from ebmrepro.system.errors import UserError
from ebmrepro.system.reading import known

SCHEMA = 1
PIPELINE = Path(__file__).parents[2] / "dvc.yaml"
FILE = "provenance.json"
HALF_A_SECOND_STEP, HALF_A_SPEED_STEP = 0.005, 0.05  # what `provenance` rounds away

Seeds = Mapping[str, Sequence[int]]  # system -> seeds
Entry = Mapping[str, Any]  # what one training ran on


class Stage(NamedTuple):
    """The stage of dvc.yaml that measures a system."""

    name: str
    over: Mapping[str, str]  # suite, method, variant, seed -> the key of `run` that lists them

    @property
    def trains(self) -> bool:
        """Whether it trains as well what it measures, seed by seed."""
        return "seed" in self.over


def suites(root: Path, settings: Params) -> list[str]:
    """The carried suites, in the order of params.yaml, without further seeds of others."""
    own = (name for name in settings.suites if not name.endswith(FURTHER))
    names = (name for name in own if name not in settings.run.suites)
    return [name for name in names if systems(root, name)]


def systems(root: Path, suite: str) -> dict[str, list[int]]:
    """System -> seeds, of everything measured under results/<suite>/, sorted by name."""
    found: dict[str, list[int]] = {}
    for path in (root / "results" / suite).glob("*/*/metrics.json"):
        name, seed = path.parts[-3:-1]
        if layout.SEED.fullmatch(seed):
            found.setdefault(name, []).append(int(seed))
    return {name: sorted(found[name]) for name in sorted(found)}


def provenance(root: Path, suite: str) -> dict[tuple[str, int], Entry]:
    """(system, seed) -> what that training ran on; none of a result that has changed since."""
    kept = known(forms.Carried.read, root / "results" / suite / FILE) or {}
    return {
        (name, int(seed)): entry
        for name, own in kept.get("trainings", {}).items()
        for seed, entry in own.items()
        if fingerprint(root, suite, name, int(seed)) == entry["fingerprint"]
    }


# What a training ran on, in words --------------------------------------------------------------


def hardware(entries: Iterable[Entry]) -> str:
    """Each machine once."""
    return "; ".join(dict.fromkeys(entry["hardware"] for entry in entries))


def in_words(entries: Iterable[Entry]) -> str:
    """What every place that says a verdict on carried results says of them."""
    return f"carried: run before, on {hardware(entries) or 'hardware that is not stated'}"


def took(entries: Sequence[Entry]) -> str:
    """How long these trainings took together, one after the other."""
    known = [entry["seconds_in_all"] for entry in entries if entry["seconds_in_all"] is not None]
    if not known:
        return "time not known"
    about = "about " if any(entry["resumed"] for entry in entries) else ""
    lacking = len(entries) - len(known)
    rest = f", {lacking} more not known" if lacking else ""
    return f"{counted(len(known), 'training')}: {about}{duration(sum(known))}{rest}"


def counted(n: int, noun: str) -> str:
    """`1 training`, `3 trainings`."""
    return f"{n} {noun}{'s' if n != 1 else ''}"


def duration(seconds: float) -> str:
    """`42 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


# The stages that measure ----------------------------------------------------------------------


def stage(name: str) -> Stage:
    """The one that writes results/<suite>/<name>; that of all methods or variants, or its own."""
    kind = "method" if training.base(name) == name else "variant"
    stages = _stages()
    return stages.get(name) or stages[f"${{item.{kind}}}"]


@cache
def _stages() -> Mapping[str, Stage]:
    """By what stands for a system in the results that a stage writes."""
    stages = {}
    for name, about in read_yaml(PIPELINE)["stages"].items():
        over = {key: listed[len("${run.") : -1] for key, listed in about.get("matrix", {}).items()}
        for out in about.get("plots", []):
            if written := re.match(r"results/\$\{item\.suite\}/([^/]+)", next(iter(out))):
                stages[written[1]] = Stage(name, over)
    return stages


def targets(suite: str, name: str, seeds: Sequence[int]) -> list[str]:
    """The stages that measure a system, with all that it rests on."""
    found = stage(name)
    items = ({"suite": suite, "method": name, "variant": name, "seed": str(k)} for k in seeds)
    return list(
        dict.fromkeys(f"{found.name}@{'-'.join(item[key] for key in found.over)}" for item in items)
    )


# Collecting ------------------------------------------------------------------------------------


def collect(root: Path, home: Path, suite: str, note: str = "") -> Path:
    """Write results/<suite>/provenance.json from what `home`, the repository, knows of each result.

    An entry that this machine knows nothing of stays as it is while its result does: it was carried
    from the machine that trained it. `note` goes with the entries that are new.

    Raises:
        UserError: there is no result, or one of which nobody knows what it ran on.
    """
    found = systems(root, suite)
    if not found:
        raise UserError(
            f"results/{suite}: found no <system>/<seed>/metrics.json; run the suite, then carry it"
        )
    before = provenance(root, suite)
    trainings = {
        name: {
            str(seed): _entry(root, home, suite, name, seed, note, before.get((name, seed)))
            for seed in seeds
        }
        for name, seeds in found.items()
    }
    path = root / "results" / suite / FILE
    atomic.write_json(path, {"schema": SCHEMA, "suite": suite, "trainings": trainings})
    return path


def _entry(
    root: Path, home: Path, suite: str, name: str, seed: int, note: str, before: Entry | None
) -> Entry:
    place = layout.results(suite, name, seed)
    identity = fingerprint(root, suite, name, seed)
    card = None if stage(name).trains else _card(root, place, identity)
    told = Path(".ebmrepro") / "provenance" / f"{identity}.json"
    if not (home / told).exists():
        if before is not None:
            return before
        raise UserError(
            f"{place}: found no {told}, which says what the training ran on; it lies on the "
            "machine that trained it, where `ebmrepro carry` is to be run"
        )
    machine = forms.Provenance.read(home / told)
    entry = {
        "fingerprint": identity,
        "commit": machine["commit"],
        "versions": machine["versions"],
        "images_per_second": machine["images_per_second"],
        **_times(machine, card),
    }
    if before is not None and all(before.get(key) == value for key, value in entry.items()):
        return before  # carried already, perhaps on a machine with another processor
    return {**entry, "hardware": _hardware(machine), "note": note}


def _card(root: Path, place: Path, identity: str | None) -> Entry:
    """A training's own account of itself, which must be that of the result."""
    path = place / "training.json"
    if not (root / path).exists():
        raise UserError(f"{path}: no such file; evaluate {place.parts[-2]} again")
    card = forms.Trained.read(root / path)
    if card["fingerprint"] != identity:
        raise UserError(
            f"{place}: found metrics.json of training {str(identity)[:12]} beside training.json of "
            f"{card['fingerprint'][:12]}; evaluate {place.parts[-2]} again"
        )
    return card


def _times(known: Entry, card: Entry | None) -> dict[str, Any]:
    """Seconds of the part that ended the training, and of all parts; without a card, all are told.

    A training knows the time of its last part alone. If that part showed fewer images than the
    whole training, the time of all is what they take at its speed: the start of each part is left
    out, and epochs of another speed (other layers, say) are taken to be of this one.
    """
    seconds, speed = known["seconds"], known["images_per_second"]
    if card is None:
        return {"seconds": seconds, "resumed": False, "seconds_in_all": seconds}
    whole = card["steps"] * card["params"]["batch_size"]
    # Both are rounded where they are written, so this part showed at most so many images.
    resumed = (seconds + HALF_A_SECOND_STEP) * (speed + HALF_A_SPEED_STEP) < whole
    in_all = seconds if not resumed else whole / speed if speed else None
    return {"seconds": seconds, "resumed": resumed, "seconds_in_all": in_all and round(in_all, 1)}


def _hardware(known: Entry) -> str:
    """The device in words; a CPU's model, which a training does not note, is that found here."""
    kind, _, model = known["device"].partition(" ")
    if kind != "cpu":
        return model or kind
    threads = counted(known["threads"], "thread")
    return f"{model or _processor()}, {threads} of a machine with {os.cpu_count()} cores"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine() or "CPU"


def fingerprint(root: Path, suite: str, name: str, seed: int) -> str | None:
    """Of the training that a result measures; None without the result."""
    path = root / layout.results(suite, name, seed) / "metrics.json"
    return (known(forms.Metrics.read, path) or {}).get("fingerprint")
