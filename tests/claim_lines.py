"""The last lines of each claim file's docstring: results and costs, from the committed records.

`python -m tests.claim_lines` writes them; `test_claim.py` finds those that differ.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from reproductions.harness.claims.claim import EXPECTED, Claim, discover, planned_runs
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.plan.counted import earliest_first
from reproductions.harness.records.files import RESULTS
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import Stored

FOLDER = Path(__file__).parents[1] / "reproductions"


def expected(claim: Claim, stored: Sequence[Stored]) -> str:
    """The result and the cost of each scale that has records, and the runs of the others."""
    rows = judge(claim, stored)
    found, lacking = [], []
    for scale in claim.scales:
        results = [_result(row) for row in rows if row.scale == scale and row.measured_text != "–"]
        runs = {run.key for run in planned_runs(claim, scale)}
        if results:
            found.append(f"at {scale} {', '.join(results)} by {_cost(runs, stored)}")
        else:
            lacking.append(f"{scale} ({len(runs)} runs)")
    unknown = [f"no result yet at {', '.join(lacking)}"] if lacking else []
    return "; ".join(found + unknown) + "."


def _result(row: VerdictRow) -> str:
    return f"{row.question.name} {row.measured_text}"


def _cost(runs: set[tuple[str, str, str, int]], stored: Sequence[Stored]) -> str:
    """The runs that have a record, in time and on what; of each the first record."""
    firsts = {item.record.key: item.record for item in reversed(earliest_first(stored))}
    made = [firsts[key] for key in runs if key in firsts]
    minutes = sum(record.cost.wall_seconds for record in made) / 60
    time = f"{minutes / 60:.1f} hours" if minutes > 60 else f"{max(1, round(minutes))} minutes"
    if all(record.kind == "count" for record in made):
        return "a calculation of seconds"
    machines = ", ".join(sorted({record.machine.hardware for record in made}))
    return f"{len(made)} of {len(runs)} runs in {time} on {machines}"


def written(text: str, line: str) -> str:
    """A claim file's text with this line at the end of its docstring."""
    head, _, rest = text.partition('"""')
    docstring, _, body = rest.partition('"""')
    protocol = docstring.partition(EXPECTED)[0].rstrip("\n")
    return f'{head}"""{protocol}\n\n{textwrap.fill(EXPECTED + line, 100)}\n"""{body}'


if __name__ == "__main__":
    records = read_records(RESULTS)[0]
    for name, claim in discover().items():
        path = FOLDER / f"{name}.py"
        path.write_text(written(path.read_text(), expected(claim, records)))
