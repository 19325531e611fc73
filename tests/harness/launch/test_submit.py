"""What a submission costs, waits for and refuses, before anything is sent."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from alexnet.config import AlexNetConfig
from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover
from reproductions.harness.execute.run import redact
from reproductions.harness.launch import slurm
from reproductions.harness.launch import submit as dispatch
from reproductions.harness.launch.job_files import new_job, write_job
from reproductions.harness.launch.slurm_config import LaunchOptions, SlurmConfig
from reproductions.harness.plan.claim_plan import ClaimPlan, prepare
from reproductions.harness.plan.cost import ASSUMED_RATE, gpu_hours
from reproductions.harness.records import provenance


@pytest.fixture
def work(tmp_path: Path) -> ClaimPlan:
    return prepare(discover()["ensembles"], tmp_path, scale="smoke", data=None)


def test_gpu_hours_by_arithmetic(work: ClaimPlan) -> None:
    """Six operations for each multiply-accumulate, image and epoch; an average trains nothing."""
    train = next(item.run for item in work.planned if item.run.kind == "train")
    average = next(item.run for item in work.planned if item.run.kind == "ensemble")
    config = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in train.config.items()
    }
    products = sum(layer.multiply_accumulates for layer in AlexNetConfig(**config).layers())
    images = len(work.images["synthetic"]["train"])
    hours, measured = gpu_hours(work, train)
    assert (hours, measured) == (
        pytest.approx(6 * products * images * train.recipe["epochs"] / ASSUMED_RATE / 3600),
        False,
    )
    assert gpu_hours(work, average) == (0.0, False)


def test_what_is_sent_waits_for_what_is_under_way(
    work: ClaimPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members sent earlier are not sent again, and the average waits for them."""
    average = next(item.run for item in work.planned if item.run.needs)
    monkeypatch.setattr(slurm, "states", lambda jobs: dict.fromkeys(jobs, "PENDING"))
    for number, need in enumerate(average.needs):
        write_job(work.root, need, new_job(f"7_{number}" if number else "6", "slurm", work.root))
    chosen, busy = dispatch._choose([work], LaunchOptions("slurm", SlurmConfig()))
    orders = {order.run.key: order for order, _ in chosen}
    assert busy
    assert not {need.key for need in average.needs} & orders.keys()
    assert set(orders[average.key].after) == ({"6", "7"} if len(average.needs) > 1 else {"6"})


@pytest.mark.parametrize("launcher", ["local", "slurm"])
@pytest.mark.parametrize("dirty", [True, False])
def test_uncommitted_code_is_said_before_anything_is_sent(
    work: ClaimPlan,
    launcher: str,
    dirty: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(provenance, "uncommitted", lambda: dirty)
    dispatch.send([work], LaunchOptions(launcher, SlurmConfig(gpus=0), dry_run=True))
    assert (
        capsys.readouterr().out.count(
            "the code has uncommitted changes: these records will be marked and never counted"
        )
        == dirty
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--partition gpu", "No such option: --partition"),
        ("--launch local --gpus 2", "--gpus has an effect only without --local"),
        ("--launch slurm --threads 2", "--threads has an effect only with --local"),
        ("--launch slurm --gpus 2 --device cpu", "--gpus 2 with --device cpu: nothing would use"),
        ("--launch slrum", "--launch slrum: say debug, local or slurm"),
        ("--launch slurm --retry all", "--retry all: say --retry failed"),
    ],
)
def test_options_without_effect_are_refused(tmp_path: Path, options: str, said: str) -> None:
    command = f"run fig2_architecture --results {tmp_path} {options}"
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_slurm_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site.toml"
    site.write_text("max_array = 10\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    command = f"run fig2_architecture --launch slurm --results {tmp_path / 'results'}"
    for more, program in (("", "scontrol"), (f" --site {site}", "srun")):
        done = CliRunner().invoke(app, (command + more).split())
        said = f"error: Slurm: {program} is not on this machine\n"
        assert (done.exit_code, done.stderr) == (3, said)


def test_gpus_that_are_not_numbered_are_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    for visible, gpus in (("1, 3", [1, 3]), ("", []), ("0,-1,2", [0])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert dispatch._gpus() == gpus
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937")
    with pytest.raises(ValueError, match="CUDA_VISIBLE_DEVICES names GPU-8932f937"):
        dispatch._gpus()


def test_a_message_in_a_record_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setattr("socket.gethostname", lambda: "node7")
    said = redact(
        "no /home/alice/.cache/x.so, [node7]:2000, /scratch/alice/y; malice and node77 stay"
    )
    assert said == "no ~/.cache/x.so, [HOST]:2000, /scratch/USER/y; malice and node77 stay"
