"""`ebmrepro campaign`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ebmrepro.config import documents, params
from ebmrepro.config.documents import shown
from ebmrepro.config.params import Params, Training
from ebmrepro.system.errors import UserError
from ebmrepro.system.signals import Watch


def campaign(
    one: Annotated[
        str | None,
        typer.Argument(metavar="[SUITE/SYSTEM/SEED]", help="This one alone, here, carried or not."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at once, of one thread each.")] = 2,
    dry: Annotated[bool, typer.Option("--dry", help="Say what there is, begin nothing.")] = False,
    note: Annotated[
        str, typer.Option(help="What a reader of the times should know, kept with new trainings.")
    ] = "",
) -> None:
    """Train for days what `campaign` of params.yaml lists, in its order, and carry each result.

    What is carried at the length that is asked for is passed over; what was stopped goes on. Every
    training is niced, and as it ends it is measured into results/ with what it ran on. Commit
    first: results say whether the code they come from was.
    """
    watch, settings = Watch(parent=one is not None), params.load()
    if not settings.campaign:
        raise UserError("params.yaml: campaign: this key is missing; it lists trainings")
    if both := set(settings.campaign) & set(settings.run.suites):
        raise UserError(
            f"params.yaml: campaign.{min(both)}: run.suites names this suite, so `dvc repro` "
            "trains it; a campaign is of others"
        )
    from ebmrepro.pipeline.campaign import drive, plan

    chosen = None if one is None else _chosen(one, settings)
    if dry:
        there = plan.items(Path(), settings)
        there = [item for item in there if chosen in (None, item.training)]
        for item in there:
            typer.echo(item.in_words.rstrip())
        typer.echo(plan.in_words(there, jobs))
    elif chosen is not None:
        from ebmrepro.pipeline.campaign import item

        for line in item.finish(chosen, settings, note, watch):
            typer.echo(line)
    elif not drive.drive(settings, jobs, note, watch, typer.echo):
        raise typer.Exit(1)


def _chosen(one: str, settings: Params) -> Training:
    from ebmrepro.pipeline.campaign import plan

    if one.count("/") < 2:
        raise UserError(f"{shown(one)}: allowed is SUITE/SYSTEM/SEED")
    suite, system, seed = one.split("/", 2)
    where = "params.yaml: campaign"
    documents.known(suite, settings.campaign, where, "suite")
    listed: dict[str, dict[str, Training]] = {}
    for training in plan.trainings(suite, settings):
        listed.setdefault(training.name, {})[str(training.seed)] = training
    seeds = listed[documents.known(system, listed, f"{where}.{suite}.systems", "system")]
    return seeds[documents.known(seed, seeds, f"{where}.{suite}: seeds of {system}", "seed")]
