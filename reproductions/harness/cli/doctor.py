"""`doctor`: what this machine has and lacks."""

from reproductions.harness.cli.options import INCOMPLETE, DataRoot, Json, Results, fail, show_table
from reproductions.harness.records.files import RESULTS


def doctor(data: DataRoot = None, results: Results = RESULTS, as_json: Json = False) -> None:
    """Show what this machine has and lacks: versions, device, precision, data, disk, git, Slurm.

    Example: `doctor --json`
    """
    from reproductions.harness.cli.examine import examine

    rows = examine(data, results)
    show_table(rows, as_json)
    if any(row["state"] == "broken" for row in rows):
        fail("something above is broken", INCOMPLETE)
