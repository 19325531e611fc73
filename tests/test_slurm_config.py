"""What a site asks of its jobs, from a file and from flags."""

from dataclasses import replace
from pathlib import Path

import pytest

from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.launch.slurm_config import (
    JobResources,
    SlurmConfig,
    read_slurm_config,
    resources_of,
)

(TRAIN, *_) = (
    run for run in planned_runs(discover()["ten_view_gain"], "mini") if run.kind == "train"
)
AVERAGE = replace(TRAIN, kind="ensemble", needs=(TRAIN,))
COUNT = replace(TRAIN, kind="count")
SMALL = planned_runs(discover()["fig1_relu"], "smoke")[0]


def test_flags_go_before_the_file_and_keys_of_sbatch_add_up(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        'partition = "gpu"\ncpus = 8\nsbatch.constraint = "h100"\nsbatch.exclusive = true\n'
    )
    site = read_slurm_config(
        path,
        {"partition": "urgent", "cpus": None, "sbatch": {"comment": "ours", "constraint": "a100"}},
    )
    keys = {"constraint": "a100", "exclusive": True, "comment": "ours"}
    assert site == SlurmConfig(partition="urgent", cpus=8, sbatch=keys)
    assert read_slurm_config(None, {"gpus": 0, "sbatch": None}) == SlurmConfig(gpus=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("partitoin = 'gpu'", "partitoin: extra inputs are not permitted; did you mean partition"),
        ("cpus = 'many'", "cpus: input should be a valid integer"),
        ("minutes = 0", "minutes: input should be greater than or equal to 1"),
        ("sbatch = 'constraint'", "sbatch: input should be a valid dict"),
        ("partition =", "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_ends_with_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as error:
        read_slurm_config(path, {"sbatch": None})
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("scale", "run", "site", "shape"),
    [
        ("paper", TRAIN, SlurmConfig(), JobResources(1, 1, 1, 4)),
        ("mini", TRAIN, SlurmConfig(), JobResources(1, 1, 0, 4)),
        ("paper", TRAIN, SlurmConfig(gpus=4, nodes=2, cpus=8), JobResources(2, 4, 4, 8)),
        ("mini", TRAIN, SlurmConfig(gpus=0, nodes=2), JobResources(2, 1, 0, 4)),
        ("paper", AVERAGE, SlurmConfig(gpus=4, nodes=2), JobResources(1, 1, 1, 4)),
        ("paper", SMALL, SlurmConfig(gpus=0, nodes=2), JobResources(1, 1, 0, 4)),
        ("paper", COUNT, SlurmConfig(gpus=4), JobResources(1, 1, 0, 1)),
    ],
)
def test_what_a_run_gets(
    scale: str, run: PlannedRun, site: SlurmConfig, shape: JobResources
) -> None:
    assert resources_of(replace(run, scale=scale), site) == shape
