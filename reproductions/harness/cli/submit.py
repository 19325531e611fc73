"""`submit`: send the missing runs to Slurm, or make several at once on this machine."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from reproductions.harness.claims.claim import Claim
from reproductions.harness.cli.options import (
    Compiled,
    DataRoot,
    Device,
    DryRun,
    Precision,
    Results,
    ScaleName,
    Seeds,
    SomeNames,
    SweepToo,
    Threads,
    choose,
    fail,
)
from reproductions.harness.cli.run import end_run
from reproductions.harness.records.files import RESULTS

if TYPE_CHECKING:
    from reproductions.harness.launch.slurm_config import LaunchOptions, SlurmConfig

ON_SLURM = partial(typer.Option, rich_help_panel="Slurm")
WHERE = partial(typer.Option, rich_help_panel="Where to send them")


def _failed_alone(word: str | None) -> str | None:
    if word not in (None, "failed"):
        fail(f"--retry {word}: say --retry failed")
    return word


def submit(
    names: SomeNames,
    local: Annotated[
        bool, WHERE("--local", help="Side by side on this machine, each in a process of its own.")
    ] = False,
    slurm: Annotated[bool, WHERE("--slurm", help="As jobs of Slurm: the default.")] = False,
    max_parallel: Annotated[int | None, WHERE(min=1, help="Runs at once.")] = None,
    retry: Annotated[
        str | None,
        WHERE(callback=_failed_alone, help="`--retry failed` sends failed runs again, too."),
    ] = None,
    scale: ScaleName = None,
    seeds: Seeds = None,
    sweep: SweepToo = False,
    data: DataRoot = None,
    results: Results = RESULTS,
    device: Device = None,
    threads: Threads = None,
    precision: Precision = None,
    compiled: Compiled = False,
    dry_run: DryRun = False,
    site: Annotated[
        Path | None, ON_SLURM(help="A TOML file with any of these options; flags go before it.")
    ] = None,
    partition: Annotated[str | None, ON_SLURM(help="The partition.")] = None,
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
        ON_SLURM(
            help="Any other key of sbatch, such as --sbatch constraint=h100 --sbatch account=us."
        ),
    ] = None,
    max_gpu_hours: Annotated[
        float | None, ON_SLURM(help="Submit nothing if it would take more.")
    ] = None,
) -> None:
    """Send every missing run once, to Slurm or to processes here; at the end the report is rebuilt.

    Slurm's jobs are queued when this returns. Real images are needed, or --scale smoke.

    Example: `submit all --partition gpu --dry-run`
    """
    from reproductions.harness.launch.slurm_config import LaunchOptions

    flags: dict[str, Any] = {
        "partition": partition,
        "gpus": gpus,
        "cpus": cpus,
        "nodes": nodes,
        "minutes": minutes,
        "sbatch": _pairs(sbatch) if sbatch else None,
    }
    if local and slurm:
        fail("--local and --slurm: choose one of them")
    if local:
        _refuse(flags | {"site": site, "max_gpu_hours": max_gpu_hours}, "without --local")
    else:
        _refuse({"threads": threads}, "with --local; Slurm has --cpus")
    options = LaunchOptions(
        launcher="local" if local else "slurm",
        site=_place(local, site, {**flags, "max_parallel": max_parallel}, device),
        device=device,
        threads=threads,
        retry_failed=retry == "failed",
        max_gpu_hours=max_gpu_hours,
        dry_run=dry_run,
        precision=precision,
        compiled=compiled,
    )
    asked = {"scale": scale, "seeds": seeds, "data": data, "sweep": sweep, **_planned_for(options)}
    _send(choose(names), results.absolute(), asked, options)


def _refuse(options: dict[str, Any], where: str) -> None:
    for name, value in options.items():
        if value is not None:
            fail(f"--{name.replace('_', '-')} has an effect only {where}")


def _pairs(keys: list[str]) -> dict[str, str | bool]:
    parted = (key.partition("=") for key in keys)
    return {name: value if equals else True for name, equals, value in parted}


def _place(
    local: bool, site: Path | None, flags: dict[str, Any], device: str | None
) -> "SlurmConfig":
    from reproductions.harness.launch.slurm_config import computing_on, read_slurm_config

    if device == "cpu" and flags["gpus"]:
        fail(f"--gpus {flags['gpus']} with --device cpu: nothing would use them")
    gpus = 0 if device == "cpu" else flags["gpus"]
    place = read_slurm_config(site, {**flags, "gpus": gpus})
    return place if local else computing_on(place, device)


def _planned_for(options: "LaunchOptions") -> dict[str, Any]:
    """How runs are made, on this machine or, whatever this one has, on a job's."""
    asked = {
        "pack": not options.dry_run,
        "precision": options.precision,
        "compiled": options.compiled,
        "device": options.device,
    }
    gpus = options.site.gpus
    if options.launcher == "local":
        return asked
    device = "cpu" if gpus == 0 else options.device
    return {**asked, "gpu": None if gpus is None else gpus > 0, "device": device}


def _send(
    claims: Sequence[Claim], results: Path, asked: dict[str, Any], options: "LaunchOptions"
) -> None:
    from reproductions.harness.launch.submit import send
    from reproductions.harness.plan.claim_plan import prepare, refuse_hidden, require_images
    from reproductions.harness.report.answers import conclude

    if asked["scale"] is None:
        require_images(claims, asked)
    works = [prepare(claim, results, **asked) for claim in claims]
    refuse_hidden(*works)
    under_way = send(works, options)
    if options.dry_run or (options.launcher == "slurm" and under_way):
        end_run(complete=True, whole=not any(work.faults for work in works))
        return
    works = [prepare(claim, results, **asked) for claim in claims]
    whole = conclude(works)
    end_run(complete=not any(work.missing for work in works), whole=whole)


class Commands(TyperGroup):
    """The commands; `run --launch slurm` takes the options of `submit`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first argument names."""
        return super().resolve_command(ctx, as_submit(args))


def as_submit(args: list[str]) -> list[str]:
    """`run ... --launch slurm` as `submit ... --slurm`; `--launch debug` is `run` alone."""
    if args[:1] != ["run"]:
        return args
    words = [part for word in args[1:] for part in _parts(word)]
    if "--launch" not in words:
        return args
    at = words.index("--launch")
    launcher, rest = words[at + 1 : at + 2], words[:at] + words[at + 2 :]
    if launcher == ["debug"]:
        return ["run", *rest]
    return ["submit", f"--{launcher[0]}", *rest] if launcher in (["slurm"], ["local"]) else args


def _parts(word: str) -> list[str]:
    return word.split("=", 1) if word.startswith("--launch=") else [word]
