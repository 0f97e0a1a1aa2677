"""`ebmrepro`: what people type besides `dvc repro`."""

from __future__ import annotations

import difflib
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from ebmrepro import __version__
from ebmrepro.config import documents, environment, params
from ebmrepro.pipeline import before
from ebmrepro.pipeline.campaign import commands as campaign
from ebmrepro.pipeline.commands import checkpoints, data, export, fetch, pictures, track
from ebmrepro.pipeline.offload import commands as offload
from ebmrepro.runs import layout
from ebmrepro.runs.carried import counted
from ebmrepro.system import ending, errors, machine, signals

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
app.add_typer(data.app, name="data")
app.add_typer(track.app, name="track")
app.add_typer(checkpoints.app, name="checkpoints")
app.add_typer(offload.app, name="offload")
app.add_typer(fetch.app, name="fetch")
app.command()(campaign.campaign)
app.command()(export.export)

Suite = Annotated[str, typer.Argument(help="A suite of params.yaml.")]


def run(command: typer.Typer) -> NoReturn:
    """Run a command line and leave Python: the `ebmrepro` one, or that of a stage."""
    with ending.told():
        signals.stoppable()
        machine.settle(os.environ)
        environment.check(os.environ)
        try:
            sys.exit(command(standalone_mode=False))
        except typer.Abort:
            raise KeyboardInterrupt from None
        except TyperException as error:
            program = Path(sys.argv[0]).name.replace("__main__.py", "ebmrepro")
            typed = shlex.join([program, *sys.argv[1:]]).replace("\n", "\\n")
            message = " ".join(error.format_message().split()).removesuffix(".")
            if not message:  # a bare command, which its help has answered
                sys.exit(2)
            raise errors.UserError(f"{typed}: {message}; --help says what is allowed") from None


def main() -> NoReturn:
    """`ebmrepro` as people type it."""
    run(app)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say it and leave.")] = False,
) -> None:
    """Energy-based generative models, reproduced: what people type besides `dvc repro`."""
    if version:
        typer.echo(f"ebmrepro {__version__}")
    elif not context.invoked_subcommand:
        typer.echo(context.get_help())
        raise typer.Exit(2)


@app.command()
def check(
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE...]", help="Check it with these, as -S takes them."),
    ] = None,
    dry: Annotated[
        str | None,
        typer.Option(
            metavar="SUITE",
            help="Also verify this suite's data, and take a few steps of each of its systems.",
        ),
    ] = None,
) -> None:
    """Say whether params.yaml and claims.yaml are right, and what `dvc repro` would train.

    With KEY=VALUE, say it of what `dvc exp run -S KEY=VALUE` would run. With --dry, say too how
    large the systems of a suite are, how much memory they take and how long they would train here.
    Nothing is trained or written.
    """
    from ebmrepro.claims import claims_file
    from ebmrepro.config import variant as variants

    settings = variants.tried(changes or [])
    from ebmrepro.config import estimate

    estimate.fits(settings)
    for name in before.unknown_to_git(Path()):
        left_out = "`dvc exp run` with --temp or --queue leaves it out"
        typer.echo(f"{name}: git does not know it, so {left_out}: git add {name}", err=True)
    if dry is not None:
        settings.suite(dry)  # an unknown one is named first
    run, claims = settings.run, claims_file.load(settings)
    trainings = len(list(run.trainings))
    typer.echo(
        f"params.yaml is right: {', '.join(run.suites)}; {', '.join(run.names)}; "
        f"{counted(len(run.seeds), 'seed')}; {counted(trainings, 'training')}"
    )
    typer.echo(f"{claims_file.FILE} is right: {len(claims)} claims")
    if dry is not None:
        from ebmrepro.pipeline import dry_run

        if not dry_run.show(dry, changes or []):
            raise typer.Exit(1)


@app.command()
def variant(
    suite: Suite,
    method: Annotated[str, typer.Argument(help="A method of the suite.")],
    name: Annotated[str, typer.Argument(help="What the variant is called, after METHOD__.")],
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...")],
) -> None:
    """Write a variant into params.yaml: the method's block with other numbers.

    Such as: ebmrepro variant digits ebgan large_margin hparams.margin=8. The name is listed under
    run.variants where every suite of run.suites has it. Nothing is written if anything is wrong.
    """
    from ebmrepro.config import variant as variants

    typer.echo(variants.write(suite, method, name, changes))


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="SUITE/SYSTEM, or that @REVISION.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, or a revision or experiment.")],
) -> None:
    """Hold two systems against each other: parameters, measures seed by seed, curves, images.

    Such as: ebmrepro compare digits/ebgan digits/ebgan__no_hinge. A page has it too, with curves.
    """
    before.in_project(Path(), "params.yaml")
    from ebmrepro.pipeline import answers

    answers.compare(a, b)


@app.command()
def ablate(
    suite: Suite,
    method: Annotated[str, typer.Argument(help="A method or variant of the suite, or dbn.")],
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...")],
    jobs: Annotated[int, typer.Option(min=1, help="Stages to run at once.")] = 1,
    dry: Annotated[
        bool, typer.Option("--dry", help="Say what would run and how long; run nothing.")
    ] = False,
) -> None:
    """Run a system with other numbers, all seeds, and compare; params.yaml stays as it is.

    Such as: ebmrepro ablate digits magan hparams.margin_moves=false. Both systems are run as one
    DVC experiment, in a workspace of its own; what was trained before comes from its cache.
    """
    from ebmrepro.pipeline import ablation, answers
    from ebmrepro.pipeline.outlook import Outlook

    planned = ablation.plan(suite, method, changes)
    seconds = ablation.price(planned, Outlook(Path()), jobs)
    if dry or (seconds or 0) > ablation.LONG:
        typer.echo(ablation.in_words(planned, seconds))
    if dry:
        return
    ablation.run(planned, Path(), jobs)
    a, b = (f"{suite}/{name}@{planned.name}" for name in (planned.system, planned.variant))
    answers.compare(a, b, planned.name)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def repro(
    context: typer.Context,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Stages to run at once; with --scheduler, at most so many."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run the stages on this Dask cluster."),
    ] = None,
) -> None:
    """Regenerate what params.yaml asks for: dvc repro, with the costly imports done once.

    Says how many stages have run and how long to go, and ends with the findings. Takes all
    arguments and options of dvc repro.
    """
    from ebmrepro.config import estimate
    from ebmrepro.pipeline import repro

    estimate.fits(params.load())
    status = repro.repro(Path(), context.args, jobs, scheduler)
    if not status and not context.args:
        from ebmrepro.pipeline import answers

        answers.findings(Path())
    raise typer.Exit(status)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure speed beside peers and the machine's limits; writes reports/benchmarks.md.

    Takes some minutes on a quiet machine. --quick, --only NAME, --render and --out FOLDER are
    explained at the head of benchmarks/run.py.
    """
    before.in_project(Path(), "benchmarks/__main__.py")
    command = [sys.executable, "-m", "benchmarks", *context.args]
    raise typer.Exit(subprocess.run(command).returncode)


@app.command("claims")
def show_claims(
    name: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show one whole.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only those that this suite decides.")] = None,
    paper: Annotated[str | None, typer.Option(help="Only those of this paper.")] = None,
    verdict: Annotated[str | None, typer.Option(help="Only those of this verdict.")] = None,
    undecided: Annotated[
        bool, typer.Option("--undecided", help="What is open, by the price of deciding it.")
    ] = False,
) -> None:
    """Judge the claims of the papers and of the lecture from the result files as they are."""
    from rich.console import Console

    from ebmrepro.claims import claims_file, form, judgements, terminal
    from ebmrepro.claims.verdict import OPEN, VERDICTS

    settings = params.load()
    stated = claims_file.load(settings)
    ids, place = [claim.id for claim in stated], "ebmrepro claims"
    if name is not None:
        if name not in ids:  # too many to list
            near = ", ".join(difflib.get_close_matches(name, ids, 3, 0.4))
            hint = f"did you mean {near}?" if near else f"`{place}` lists them"
            raise errors.UserError(f"{place}: no claim {documents.shown(name)}; {hint}")
        if suite or paper or verdict or undecided:
            raise errors.UserError(f"{place} {name}: shows the whole claim, and takes no option")
        stated = [claim for claim in stated if claim.id == name]
    for value, allowed, option in (
        (suite, [*form.SUITES, *settings.suites, "fundamentals"], "suite"),
        (paper, form.PAPERS, "paper"),
        (verdict, VERDICTS, "verdict"),
    ):
        if value is not None:
            documents.known(value, dict.fromkeys(allowed), f"{place}: --{option}", option)
    if undecided and verdict:
        raise errors.UserError(f"{place}: --undecided and --verdict ask for different ones")
    judged = judgements.document(stated, settings, Path())
    if name is not None:
        terminal.whole(judged["claims"][0], Console())
    elif undecided:
        rows = terminal.rows(judged, suite, paper, OPEN)
        terminal.undecided(rows, Console())
    elif not (suite or paper or verdict):
        terminal.overview(judged, Console())
    else:
        terminal.summary(judged, Console())
        rows = terminal.rows(judged, suite, paper, [verdict] if verdict else VERDICTS)
        terminal.table(rows, Console())


@app.command()
def carry(
    suite: Suite,
    note: Annotated[
        str, typer.Option(help="What a reader of the times should know, kept with new trainings.")
    ] = "",
) -> None:
    """Say in results/SUITE/provenance.json what the trainings behind its results ran on.

    With that, results of a suite that run.suites does not name are ready for git: the report, the
    claims and the pages show them on every clone.
    """
    params.load().suite(suite)
    from ebmrepro.runs import carried

    path = carried.collect(Path(), layout.root(), suite, note)
    known = list(carried.provenance(Path(), suite).values())
    typer.echo(f"{path}: {carried.hardware(known)}; {carried.took(known)}")


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="On 127.0.0.1.")] = 5000) -> None:
    """Open the runs in MLflow, after logging those that came from DVC's cache."""
    from ebmrepro.tracking import server

    raise typer.Exit(server.serve(Path(), params.load().run.trainings, port))


app.command()(pictures.sample)
app.command()(pictures.interpolate)


@app.command()
def tour(
    suite: Annotated[
        str | None, typer.Argument(help="A suite of params.yaml; the first of run.suites if none.")
    ] = None,
) -> None:
    """Five questions that one energy can answer, with the numbers of the trained models.

    Reads what the stage `tour` has left; asks the trained models where it has left nothing.
    """
    settings = params.load()
    from ebmrepro.pipeline import answers

    answers.tour(settings.run.suites[0] if suite is None else suite, settings)
