"""The numbers that papers print, beside what was measured: a row for each, with all it rests on.

The published values, and the statistics that answer them, are those of reports/claims.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence

from ebmrepro.claims.form import MARKS
from ebmrepro.report import numbers
from ebmrepro.report.blocks import Block, Cell, Told
from ebmrepro.report.claims import source
from ebmrepro.report.gather import Run, Suite, System
from ebmrepro.report.words import Words
from ebmrepro.runs import carried

WORDS = Words("published")


def rows(suite: Suite, judged: Sequence[Told]) -> Sequence[Block]:
    """One table, and what it lacks; nothing where no claim on the suite has a published value."""
    found: list[tuple[str, Sequence[Cell]]] = []
    notes: list[str] = []
    lacking: list[str] = []
    for claim in judged:
        if not claim["published"]:  # a shape alone
            continue
        for judgement in claim["judgements"]:
            if judgement["suite"] == suite.name and judgement["carried"]:
                found.extend(_rows(suite, claim, judgement, notes))
            elif judgement["suite"] == suite.name:
                paper = f"Paper: {claim['published_in_words']}"
                lacking.append(f"{claim['claim']} {paper}. {judgement['reason']}.")
    return [*WORDS.table("table", found, notes=notes), *WORDS.lines("lacking", lacking)]


def _rows(
    suite: Suite, claim: Told, judgement: Told, notes: list[str]
) -> Sequence[tuple[str, Sequence[Cell]]]:
    """A row for each statistic of a claim; the first has what it says and what the paper prints."""
    # Of the form results/<suite>/<system>/<seed>/<file>.
    paths = [parts for file in judgement["files"] if len(parts := file.split("/")) == 5]
    behind = [system for system in suite.measured if system.name in {path[2] for path in paths}]
    runs = [run for system in behind for run in system.runs]
    found = []
    for at, part in enumerate(judgement["parts"]):
        protocol = tuple(numbers.cite(notes, line) for line in part["protocol"])
        command = numbers.cite(notes, judgement["command"])
        here = part["estimate_in_words"] or part["reason"]
        cells = [
            Cell("") if at else Cell(claim["published_in_words"], source(claim)),
            Cell(here, f"{part['statistic']}; to hold: {part['rule']}", protocol),
            Cell(f"{MARKS[part['verdict']]}\N{NO-BREAK SPACE}{part['verdict']}", notes=(command,)),
            spent(share(behind), runs, notes),
        ]
        found.append((WORDS["again"] if at else claim["claim"], cells))
    return found


def share(systems: Sequence[System]) -> str:
    """How much of the epochs in params.yaml was run, as a range where systems differ.

    A stage that trains what it measures knows no part of its epochs: it is whole.
    """
    shares = sorted({s for system in systems for run in system.measured if (s := part(run))})
    if not shares and systems and all(carried.stage(system.name).trains for system in systems):
        shares = [1.0]
    if not shares:
        return "–"
    ends = [f"{100 * end:.3g}" for end in (shares[0], shares[-1])]
    return f"{' to '.join(dict.fromkeys(ends))} %"


def labelled(system: System) -> str:
    """Its title, with the share where that is not all."""
    found = share([system])
    return system.title if found in ("–", "100 %") else f"{system.title}, {found}"


def part(run: Run) -> float | None:
    """Share of the epochs that a measured run was trained for; None where it does not say."""
    return (run.measured or {}).get("budget", {}).get("epoch_fraction")


def spent(share: str, runs: Sequence[Run], notes: list[str]) -> Cell:
    """What share of the budget these trainings had, and how long they took on which machine."""
    machine, told = hardware(runs)
    time, _, rest = told.partition("; ")
    note = numbers.cite(notes, "; ".join(filter(None, (machine, rest))))
    return Cell(share, time, (note,))


def precision(runs: Sequence[Run]) -> str:
    """In which these trainings computed; nothing where that is float32 alone."""
    params = [run.training["params"] for run in runs if run.training is not None]
    found = sorted({told.get("precision") or "float32" for told in params})
    return f"in {' and '.join(found)}" if found != ["float32"] and found else ""


def hardware(runs: Sequence[Run]) -> tuple[str, str]:
    """On what these trainings ran, and for how long; each note that went with them."""
    known = [run.provenance for run in runs if run.provenance is not None]
    if not known:
        return WORDS["not_stated"], ""
    notes = dict.fromkeys(entry["note"] for entry in known if entry["note"])
    lacking = len(runs) - len(known)
    rest = [f"{carried.counted(lacking, 'training')} not stated"] if lacking else []
    machine = ", ".join(filter(None, (carried.hardware(known), precision(runs))))
    return machine, "; ".join([carried.took(known), *rest, *notes])
