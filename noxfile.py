"""The menu of the project. `nox -l` lists it; every session keeps its environment."""

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"  # queued Slurm jobs hold the path of this environment's Python
nox.options.sessions = ["lint", "tests", "report"]

PROJECT = nox.project.load_toml("pyproject.toml")
RUNTIME = PROJECT["project"]["dependencies"]
REPORT = [name for name in RUNTIME if not name.startswith(("torch", "submitit"))]
STATUSES = {
    2: "wrong usage",
    3: "incomplete",
    4: "bad or missing data",
    5: "the report differs from the records",
}


def group(name: str) -> list[str]:
    """The requirements of a dependency group."""
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session(default=False)
def reproduce(session: nox.Session) -> None:
    """Run claims and refresh the report: -- fig1_relu (no claim: list them, train nothing)."""
    session.install(*RUNTIME)
    command = ("python", "-m", "reproductions", "run", *session.posargs)
    try:
        session.run(*command, interrupt_timeout=30, terminate_timeout=30)
    except nox.command.CommandFailed as failed:  # nox itself always ends with 1
        meaning = STATUSES.get(failed.return_code or 0, "an error that should not happen")
        session.error(f"exit status {failed.return_code}: {meaning}")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite; no network, no GPU, under five minutes on two cores."""
    session.install(*RUNTIME, *group("test"))
    # A process per core, each with whole files: what a file's tests share is made once.
    together = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
    session.run("pytest", "--benchmark-skip", *together, *session.posargs)


@nox.session(default=False)
def slurm(session: nox.Session) -> None:
    """Test on a real Slurm, started here by root; skips without one, unless -- --require-slurm."""
    session.install(*RUNTIME, *group("test"))
    session.run("pytest", "tests/slurm", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types."""
    session.install(*RUNTIME, *group("lint"), "nox")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def report(session: nox.Session) -> None:
    """Rebuild results/ from the records, without torch; -- --check fails on any difference."""
    session.install(*REPORT)
    session.run("python", "-m", "reproductions", "report", *session.posargs)


@nox.session(default=False)
def jobs(session: nox.Session) -> None:
    """Any command that needs no torch: -- status --watch, -- cancel CLAIM, -- logs RUN."""
    session.install(*REPORT)
    session.run("python", "-m", "reproductions", *session.posargs)


@nox.session(default=False)
def compare(session: nox.Session) -> None:
    """Set your records beside the committed ones: nox -s compare -- DIR."""
    session.install(*REPORT)
    session.run("python", "-m", "reproductions", "compare", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Compare our code with others' into results/benchmarks.md; some rows alone: -- -k norm."""
    session.install(*RUNTIME, *group("test"))
    session.run(
        "pytest",
        "tests/benchmarks",
        "--benchmark-only",
        "-s",
        "--table",
        "results",
        *session.posargs,
    )


if __name__ == "__main__":
    nox.main()
