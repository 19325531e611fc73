"""Date the rules of today's claims: `python -m tests.date_rules` adds what `rules.csv` lacks."""

import csv
import datetime as dt
from collections.abc import Iterator

from reproductions.harness.claims.claim import discover
from reproductions.harness.judge.rule_dates import COLUMNS, RULES, dated, rule_of


def undated() -> Iterator[tuple[str, str, str]]:
    """Question, scale and digest of each rule that has no day."""
    for claim in discover().values():
        for question in claim.questions:
            for scale in claim.scales:
                rule = (f"{claim.name}.{question.name}", scale, rule_of(question, claim, scale))
                if question.trained and scale != "smoke" and rule not in dated():
                    yield rule


def main() -> None:
    """Add a line per rule that has no day, with today's."""
    lines, today = list(undated()), dt.datetime.now(dt.UTC).date().isoformat()
    new = not RULES.exists()
    with RULES.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([COLUMNS] * new)
        table.writerows((*line, today) for line in lines)
    print(f"{len(lines)} rules dated {today}")


if __name__ == "__main__":
    main()
