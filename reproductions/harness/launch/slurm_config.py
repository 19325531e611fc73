"""A Slurm site's settings, from a small TOML file and flags, and the resources of a run."""

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.plan.choose_data import GPU_SCALES


class SlurmConfig(BaseModel):
    """Where and how jobs run.

    Every field may be in the TOML file; the options of `submit` go before it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    partition: str | None = None
    # of a training run on each node; None: one at scales paper and reduced, else none
    gpus: int | None = Field(default=None, ge=0)
    cpus: int = Field(default=4, ge=1)  # of each process of a run
    nodes: int = Field(default=1, ge=1)  # of an AlexNet's training run
    # of one segment: a longer run is requeued and goes on from its checkpoint
    minutes: int = Field(default=240, ge=1)
    max_parallel: int | None = Field(default=None, ge=1)  # jobs at once
    # tasks in one array; None: what Slurm says is its limit
    max_array: int | None = Field(default=None, ge=1)
    # any other key of sbatch, such as account or constraint
    sbatch: dict[str, str | int | bool] = {}


@dataclass(frozen=True)
class LaunchOptions:
    """What the command line says of how runs are sent."""

    launcher: str  # local or slurm
    site: SlurmConfig
    device: str | None = None
    threads: int | None = None
    retry_failed: bool = False
    max_gpu_hours: float | None = None
    dry_run: bool = False
    precision: str | None = None
    compiled: bool = False


@dataclass(frozen=True, order=True)
class JobResources:
    """The resources of one job."""

    nodes: int
    processes: int  # on each node: one for each GPU, or one
    gpus: int  # on each node
    cpus: int  # of each process

    def __str__(self) -> str:
        size = f"{self.gpus}gpu" if self.gpus else f"{self.processes}"
        return f"{self.nodes}x{size}-{self.cpus}cpu"


def read_slurm_config(path: Path | None, flags: dict[str, Any]) -> SlurmConfig:
    """The site of a TOML file with what `flags` have that is not None.

    Raises ValueError, one line, if either does not fit.
    """
    declared: dict[str, Any] = {}
    if path is not None:
        try:
            declared = tomllib.loads(path.read_text())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ValueError(f"the site file {path} cannot be read ({reason})") from error
    given = {key: value for key, value in flags.items() if value is not None}
    if isinstance(declared.get("sbatch"), dict):  # its keys add up
        given["sbatch"] = {**declared["sbatch"], **given.get("sbatch", {})}
    try:
        return SlurmConfig.model_validate({**declared, **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        near = difflib.get_close_matches(name, SlurmConfig.model_fields, n=1)
        hint = f"; did you mean {near[0]}?" if near and near[0] != name else ""
        if first["type"] == "extra_forbidden" and not near:
            hint = f"; a key of sbatch is sbatch.{name}"
        raise ValueError(f"{path or 'flags'}: {name}: {first['msg'].lower()}{hint}") from error


def computing_on(site: SlurmConfig, device: str | None) -> SlurmConfig:
    """The site as jobs of a device need it: those on CUDA ask for a GPU.

    Raises ValueError if they are not to have one.
    """
    if device != "cuda":
        return site
    if site.gpus == 0:
        raise ValueError("--device cuda with 0 GPUs: a job would have none; leave one of them out")
    return site if site.gpus else site.model_copy(update={"gpus": 1})


def resources_of(run: PlannedRun, site: SlurmConfig) -> JobResources:
    """What a run gets.

    Only an AlexNet's training can use several GPUs and nodes; a count needs one processor.
    """
    if run.kind == "count":
        return JobResources(1, 1, 0, 1)
    gpus = site.gpus if site.gpus is not None else int(run.scale in GPU_SCALES)
    if run.kind != "train" or run.family != "alexnet":
        return JobResources(1, 1, min(gpus, 1), site.cpus)
    return JobResources(site.nodes, max(gpus, 1), gpus, site.cpus)
