"""`list` and `show`: the claims and how far each is decided; what one declares."""

import typer

from reproductions.harness.cli.options import (
    Json,
    Results,
    choose,
    end,
    existing_results,
    show_table,
)
from reproductions.harness.records.files import RESULTS


def list_claims(results: Results = RESULTS, as_json: Json = False) -> None:
    """List the claims by kind and how far each is decided. Trains nothing.

    Example: `list --json`
    """
    from reproductions.harness.claims.claim import KINDS
    from reproductions.harness.judge.rows import judge
    from reproductions.harness.records.load import read_records

    stored, faults = read_records(existing_results(results))
    rows = []
    for claim in sorted(choose(None), key=lambda claim: KINDS.index(claim.kind)):
        words = [row.verdict.word for row in judge(claim, stored) if not row.sensitivity]
        tally = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        rows.append(
            {
                "claim": claim.name,
                "kind": claim.kind,
                "source": claim.section,
                "verdicts": tally,
                "statement": claim.statement,
            }
        )
    show_table(rows, as_json)
    if not as_json:
        typer.echo(f"\n{KINDS[2]}: a table without verdicts, docs/text-against-code.md")
    end(faults)


def show(name: str) -> None:
    """Print a claim's protocol, questions, variants and rule.

    Example: `show fig1_relu`
    """
    from reproductions.harness.report.describe import describe

    typer.echo(describe(choose([name])[0]))
