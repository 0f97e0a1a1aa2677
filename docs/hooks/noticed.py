"""What the last run of `make mutants` found, in the page on reliability."""

from __future__ import annotations

import json

from source import ROOT

COLUMNS = ("killed", "time", "explained", "survived")


def mutants() -> str:
    """Mutants of each room and what became of them, with the date; then those nobody explains."""
    found = json.loads((ROOT / "mutants" / "last.json").read_text(encoding="utf-8"))
    noticed, every = found["killed"] + found["time"], found["ways"] + found["left_out"]
    said = (
        f"Last run on {found['date']} (seed {found['seed']}): {found['drawn']} of"
        f" {found['places']:,} places drawn, {found['sampled']} of them tried, {noticed} killed"
        f" ({noticed / found['sampled']:.1%}), {found['explained']} explained, {found['survived']}"
        f" neither. Of {every:,} ways to break the rooms {found['left_out']:,} are left out as"
        " meaning nothing."
    )
    table = [
        "| room | mutants | killed by a failure | by the time limit | explained | survived |",
        "| :-- | --: | --: | --: | --: | --: |",
    ]
    for room, told in [*found["rooms"].items(), ("all", found)]:
        counts = [told[outcome] for outcome in COLUMNS]
        table.append(f"| {room} | {sum(counts)} | {' | '.join(map(str, counts))} |")
    left = [f"- ``{name}``" for name in found["unexplained"]]
    title = ["Neither killed nor explained:", ""] if left else []
    return "\n".join([said, "", *table, "", *title, *left])
