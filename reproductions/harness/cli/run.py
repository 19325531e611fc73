"""The commands that make runs and look after them: list, run, status, cancel, logs."""

import difflib
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from reproductions.harness.claims.claim import Claim
from reproductions.harness.cli.options import (
    BAD_DATA,
    INCOMPLETE,
    DataRoot,
    Json,
    Names,
    Results,
    choose,
    end,
    existing_results,
    fail,
    filled,
    show_table,
    user_errors,
    warn,
)
from reproductions.harness.records.paths import RESULTS

ON_SLURM = partial(typer.Option, rich_help_panel="Slurm")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("list")
def list_claims(results: Results = RESULTS, as_json: Json = False) -> None:
    """List the claims and how far each is decided. Trains nothing."""
    from reproductions.harness.judge.rows import judge
    from reproductions.harness.records.load import read_records

    with user_errors():
        stored, faults = read_records(existing_results(results))
        rows = []
        for claim in choose(None):
            words = [row.verdict.word for row in judge(claim, stored) if not row.sensitivity]
            tally = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
            rows.append(
                {
                    "claim": claim.name,
                    "source": claim.section,
                    "verdicts": tally,
                    "statement": claim.statement,
                }
            )
        show_table(rows, as_json)
        end(faults)


@app.command()
def run(
    names: Names = None,
    scale: Annotated[
        str | None,
        typer.Option(help="paper, reduced, mini or smoke; by default the first that runs here."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help='Only these seeds of the verdict, such as "0-2" or "0,3".')
    ] = None,
    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep",
            help="Also run the learning-rate sweep. Without it, rates come from the claim file.",
        ),
    ] = False,
    dataset: Annotated[
        str | None, typer.Option(help="Insist on a data set, such as cifar10 or synthetic.")
    ] = None,
    data: DataRoot = None,
    results: Results = RESULTS,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; by default cuda where there is one.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="CPU threads; by default every core it may use. On Slurm: --cpus."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="fp32 or bf16; by default the faster one here that agrees with fp32."),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Train with torch.compile. Its records are never paired with uncompiled ones.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and stop. Writes nothing.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Rerun everything from scratch and keep the old records."),
    ] = False,
    launch: Annotated[
        str,
        typer.Option(
            help="debug: here, one run after the other; local: side by side in processes of "
            "their own; slurm: as jobs."
        ),
    ] = "debug",
    max_parallel: Annotated[
        int | None, typer.Option(min=1, help="local, slurm: runs at once.")
    ] = None,
    retry: Annotated[
        str | None,
        typer.Option(help="local, slurm: `--retry failed` sends failed runs again, too."),
    ] = None,
    site: Annotated[
        Path | None, ON_SLURM(help="A TOML file with any of these options; flags go before it.")
    ] = None,
    partition: Annotated[str | None, ON_SLURM(help="The partition.")] = None,
    account: Annotated[str | None, ON_SLURM(help="The account.")] = None,
    qos: Annotated[str | None, ON_SLURM(help="The quality of service.")] = None,
    gpus: Annotated[
        int | None, ON_SLURM(help="GPUs of a training run on each node; several train it together.")
    ] = None,
    cpus: Annotated[int | None, ON_SLURM(help="Processor cores of each process of a run.")] = None,
    nodes: Annotated[int | None, ON_SLURM(help="Nodes of a training run.")] = None,
    minutes: Annotated[
        int | None, ON_SLURM(help="Time limit of a segment; longer runs are requeued and go on.")
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        ON_SLURM(help="Any other key of sbatch, such as --sbatch constraint=h100."),
    ] = None,
    max_gpu_hours: Annotated[
        float | None, ON_SLURM(help="Submit nothing if it would take more.")
    ] = None,
) -> None:
    """Make the records that are missing, then rebuild the report."""
    if not names:
        list_claims(results)
        return
    asked = {
        "scale": scale,
        "seeds": seeds,
        "dataset": dataset,
        "data": data,
        "device": device,
        "pack": not dry_run,
        "sweep": sweep,
        "precision": precision,
        "compiled": compiled,
    }
    with user_errors():
        flags = {
            "partition": partition,
            "account": account,
            "qos": qos,
            "gpus": gpus,
            "cpus": cpus,
            "nodes": nodes,
            "minutes": minutes,
            "max_parallel": max_parallel,
            "sbatch": _pairs(sbatch) if sbatch else None,
        }
        others = {"threads": threads, "retry": retry, "site": site, "max_gpu_hours": max_gpu_hours}
        _check(
            launch,
            {name for name, value in {**flags, **others}.items() if value is not None},
            retry,
            force=force,
        )
        if precision not in (None, "fp32", "bf16"):
            raise ValueError(f"--precision {precision}: say fp32 or bf16")
        if launch == "debug":
            here = {
                "device": device,
                "threads": threads or len(os.sched_getaffinity(0)),
                "precision": precision,
                "compiled": compiled,
            }
            complete, whole = _here(choose(names), results, asked, here, force=force)
        else:
            from reproductions.harness.launch.slurm_config import (
                LaunchOptions,
                computing_on,
                read_slurm_config,
            )

            if device == "cpu" and gpus:
                raise ValueError(f"--gpus {gpus} with --device cpu: nothing would use them")
            flags["gpus"] = 0 if device == "cpu" else gpus
            place = read_slurm_config(site, flags)
            place = computing_on(place, device) if launch == "slurm" else place
            wishes = LaunchOptions(
                launch,
                place,
                device,
                threads,
                retry == "failed",
                max_gpu_hours,
                dry_run,
                precision,
                compiled,
            )
            if launch == "slurm":
                asked["gpu"] = place.gpus if place.gpus is None else place.gpus > 0
            if launch == "slurm" and place.gpus == 0:
                asked["device"] = "cpu"  # whatever the submitting machine has
            complete, whole = _elsewhere(choose(names), results.absolute(), asked, wishes)
        if not complete:
            fail("some runs are not done; run the same command again to resume them", INCOMPLETE)
        if not whole:
            raise typer.Exit(BAD_DATA)


def _obeyed() -> dict[str, set[str]]:
    """The options that each launcher obeys."""
    from reproductions.harness.launch.slurm_config import SlurmConfig

    return {
        "debug": {"threads"},
        "local": {"threads", "max_parallel", "retry", "site"},
        "slurm": {*SlurmConfig.model_fields, "retry", "site", "max_gpu_hours"},
    }


def _here(
    claims: list[Claim], results: Path, asked: dict[str, Any], how: dict[str, Any], *, force: bool
) -> tuple[bool, bool]:
    """Make the runs in this process; returns whether all are done and no record was skipped."""
    from reproductions.harness.cli import session
    from reproductions.harness.plan.claim_plan import prepare, refuse_hidden

    complete, whole, made = True, True, set[str]()
    for claim in claims:
        work = prepare(claim, results, **asked, force=force, made=made)
        refuse_hidden(work)
        made |= {str(item.run) for item in work.planned}
        ends = session.execute(work, **how, dry_run=not asked["pack"])
        complete, whole = complete and ends[0], whole and ends[1]
    return complete, whole


def _elsewhere(
    claims: list[Claim], results: Path, asked: dict[str, Any], wishes: Any
) -> tuple[bool, bool]:
    """Send the runs; returns whether the request is done: for Slurm, whether it was submitted.

    And whether no record was left out.
    """
    from reproductions.harness.cli.session import conclude
    from reproductions.harness.launch.submit import send
    from reproductions.harness.plan.claim_plan import prepare, refuse_hidden

    works = [prepare(claim, results, **asked) for claim in claims]
    refuse_hidden(*works)
    under_way = send(works, wishes)
    if wishes.dry_run or (wishes.launcher == "slurm" and under_way):
        return True, not any(work.faults for work in works)
    works = [prepare(claim, results, **asked) for claim in claims]
    whole = conclude(works)
    return not any(work.missing for work in works), whole


def _check(launch: str, given: set[str], retry: str | None, *, force: bool) -> None:
    """Raise ValueError for options that this launcher ignores.

    Otherwise --partition without --launch slurm would train on this machine.
    """
    obeyed = _obeyed()
    if launch not in obeyed:
        raise ValueError(f"--launch {launch}: say debug, local or slurm")
    if unheard := sorted(given - obeyed[launch]):
        raise ValueError(
            f"--{unheard[0].replace('_', '-')} has no effect with --launch {launch}; "
            "see `run --help`"
        )
    if retry not in (None, "failed"):
        raise ValueError(f"--retry {retry}: say --retry failed")
    if force and launch != "debug":
        raise ValueError("--force makes runs again in this process; leave out --launch")


def _pairs(keys: list[str]) -> dict[str, str | bool]:
    """KEY=VALUE options of sbatch, and those that are a KEY alone."""
    parted = (key.partition("=") for key in keys)
    return {name: value if equals else True for name, equals, value in parted}


@app.command()
def status(
    names: Names = None,
    results: Results = RESULTS,
    as_json: Json = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Show what is queued or training, again and again, until nothing is."
        ),
    ] = False,
) -> None:
    """Show every planned run: done, queued, training (epoch, time left), or missing and why.

    Ends with status 3 if a run failed, was refused or cancelled, or was lost: these do not go on by
    themselves; with 4 if a record was left out.
    """
    from reproductions.harness.launch.status import BROKEN, everywhere, follow, unasked
    from reproductions.harness.plan.missing import sweep_note

    with user_errors():
        claims = choose(names)
        if watch and (as_json or not sys.stdout.isatty()):
            fail("--watch draws on a terminal; leave it out, or ask again and again with --json")
        existing_results(results)
        if watch:
            follow(claims, results)
        items, faults = everywhere(claims, results)
        left_out = sum(map(unasked, items))
        items = [item for item in items if not unasked(item)]
        rows = [item.row for item in items]
        show_table(rows if as_json else filled(rows), as_json)
        for line in sweep_note(left_out):
            typer.echo(line, err=as_json)
        warn(faults)
        broken = [item for item in items if item.state in BROKEN]
        if broken:
            fail(
                f"{len(broken)} runs will not go on by themselves (the first: "
                f"{broken[0].planned.run})",
                INCOMPLETE,
            )
        if faults:
            raise typer.Exit(BAD_DATA)


@app.command()
def cancel(
    names: Annotated[list[str], typer.Argument(help="Claims; `all` for every claim.")],
    results: Results = RESULTS,
) -> None:
    """End the jobs of these claims' runs, queued or training.

    What they did is kept: the next `run` goes on from there.
    """
    from reproductions.harness.launch import status as run_status

    with user_errors():
        items, faults = run_status.everywhere(choose(names), existing_results(results))
        warn(faults)
        ended = run_status.cancel(items)
        typer.echo(f"cancelled: {', '.join(ended)}" if ended else "nothing is queued or training")
        if faults:
            raise typer.Exit(BAD_DATA)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="As `status` names it: CLAIM/VARIANT/SCALE-seedK.")],
    results: Results = RESULTS,
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = 40,
) -> None:
    """Show the end of what a run's last job printed, and where all of it is."""
    from reproductions.harness.launch.status import everywhere

    with user_errors():
        found, faults = everywhere(choose(None), existing_results(results))
        warn(faults)
        items = {str(item.planned.run): item for item in found}
        if name not in items:
            near = difflib.get_close_matches(name, items, n=1, cutoff=0.4)
            fail(
                f"no run is called {name!r}{f'; did you mean {near[0]}?' if near else ''} "
                "(`status` shows all)"
            )
        job = items[name].job
        if job is None:
            fail(f"{name} was not sent anywhere: runs in a terminal have no log")
        for path in (*job.logs, *job.errors_of_others):
            typer.echo(f"{path}:")
            typer.echo(
                "".join(path.read_text(errors="replace").splitlines(keepends=True)[-lines:])
                if path.exists()
                else "  not there yet\n"
            )
        if faults:
            raise typer.Exit(BAD_DATA)
