"""The command line: `python -m reproductions COMMAND`. nox passes its arguments on to it.

Exit status: 0 everything requested is done, whatever the verdicts; 2 wrong usage; 3 incomplete
(interrupted, failed, or running in another process); 4 missing, broken or unreadable data or
records; 5 the report differs from the records.
"""

import gc
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from alexnet import __version__
from reproductions.harness.cli.data import data_command
from reproductions.harness.cli.doctor import doctor
from reproductions.harness.cli.explain import compare, explain
from reproductions.harness.cli.list_claims import list_claims, show
from reproductions.harness.cli.options import user_errors
from reproductions.harness.cli.plan import plan
from reproductions.harness.cli.report import report
from reproductions.harness.cli.run import run
from reproductions.harness.cli.status import cancel, logs, status
from reproductions.harness.cli.submit import Commands, submit
from reproductions.harness.records.files import WORKSPACE

COMMANDS: dict[str, Callable[..., None]] = {
    "list": list_claims,
    "show": show,
    "plan": plan,
    "run": run,
    "submit": submit,
    "status": status,
    "logs": logs,
    "cancel": cancel,
    "report": report,
    "explain": explain,
    "compare": compare,
    "data": data_command,
    "doctor": doctor,
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alexnet-claims {__version__}")
        raise typer.Exit


def main(
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Before a command, what must be done before torch is imported."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACE)


def _application() -> typer.Typer:
    made = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
    made.callback(help=__doc__, no_args_is_help=True)(main)
    for name, command in COMMANDS.items():
        made.command(name)(user_errors()(command))
    return made


app = _application()

if __name__ == "__main__":
    # what is imported stays: looking through it for garbage takes a tenth of a short command
    gc.freeze()
    sys.exit(app())
