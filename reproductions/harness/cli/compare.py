"""`compare`: two sets of records side by side."""

from pathlib import Path

from reproductions.harness.claims.claim import discover
from reproductions.harness.cli.options import Json, Results, end, existing_results, fail, show_table
from reproductions.harness.records.paths import RESULTS


def compare(other: Path, results: Results = RESULTS, as_json: Json = False) -> None:
    """Compare the records in OTHER (made with --results OTHER) with those in --results, by arm.

    Example: `compare mine`
    """
    from reproductions.harness.records.load import read_records
    from reproductions.harness.report.compare import compare_sets

    folders = (results, other)
    for folder in folders:
        if not (existing_results(folder) / "records").is_dir():
            fail(f"{folder} holds no records; name a folder made with `run --results {folder}`")
    (ours, our_faults), (theirs, their_faults) = map(read_records, folders)
    show_table(compare_sets(list(discover().values()), ours, theirs), as_json)
    found = zip(folders, (our_faults, their_faults), strict=True)
    end(f"{folder}/{fault}" for folder, faults in found for fault in faults)
