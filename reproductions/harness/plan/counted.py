"""Which records count: one rule for planning, running, judging and explaining. Imports no torch.

A record answers a planned run when config, recipe, data, seed and versions agree, and nothing else
decides. Both arms of a seed are taken from one kind of machine and in one precision, the earliest
on which both exist. Of several records of one run on one kind of machine the earliest counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reproductions.harness.claims.runs import Key, PlannedRun
from reproductions.harness.records.schema import COMPILED, Record, version_of
from reproductions.harness.records.store import Stored

Kind = tuple[str, str]  # hardware, precision
# what both arms of a seed share: those, and whether their code was uncommitted
Same = tuple[str, str, bool]
Answers = Mapping[Key, Sequence[Stored]]  # the records that answer each run, the earliest first


@dataclass(frozen=True)
class Way:
    """How runs will be made, as far as known: only a record made that way completes a pair."""

    device: str | None = None  # cpu, or cuda: some GPU
    precision: str | None = None  # the one insisted on
    compiled: bool | None = None

    def made(self, record: Record) -> bool:
        """Whether a record was made so."""
        machine = record.machine
        plain = machine.precision.removesuffix(COMPILED)
        asked = (
            (self.device, machine.device),
            (self.precision, plain),
            (self.compiled, plain != machine.precision),
        )
        return all(mine in (None, its) for mine, its in asked)


ANY = Way()


def differences(record: Record, run: PlannedRun, fingerprints: Mapping[str, str]) -> list[str]:
    """Why a record does not answer a planned run; empty if it does.

    Data sets without a fingerprint are not compared.
    """
    reasons = [
        f"{name} was {old!r}, is {new!r}"
        for part, then, now in (
            ("config", record.config, run.config),
            ("recipe", record.recipe, run.recipe),
        )
        if then != now
        for name, old, new in apart(flat(part, then), flat(part, now))
    ]
    reasons += _other_versions(record, run)
    if (
        record.data
        and run.dataset
        and fingerprints.get(run.dataset, record.data.fingerprint) != record.data.fingerprint
    ):
        reasons.append(f"made from another copy of the data ({record.data.source})")
    reasons += [
        f"made from networks of another copy of {part.dataset}"
        for part in record.made_from
        if fingerprints.get(part.dataset, part.fingerprint) != part.fingerprint
    ][:1]
    return reasons


def _other_versions(record: Record, run: PlannedRun) -> list[str]:
    """The metrics that the run is asked for and the record has; a count must be present."""
    now = version_of(run.family, [name for name in run.metrics if name in record.metrics])
    versions = [("training", record.version.training, now.training)]
    versions += [
        (f"{group} metrics", record.version.metrics.get(group), number)
        for group, number in now.metrics.items()
    ]
    reasons = [
        f"made by version {old} of {what}, which is {new} now"
        for what, old, new in versions
        if old != new
    ]
    lacking = [name for name in run.metrics if name not in record.metrics]
    return reasons + [f"it has no {name}" for name in lacking[:1] if run.kind == "count"]


def why_not(
    item: Stored, run: PlannedRun, fingerprints: Mapping[str, str], *, dirty: bool = False
) -> list[str]:
    """Why a stored record does not count: it differs, failed, or came from uncommitted code."""
    reasons = differences(item.record, run, fingerprints)
    if not reasons and item.record.status == "failed":
        reasons = [f"it failed: {item.record.failure}"]
    if not reasons and item.record.code.dirty and not dirty:
        reasons = ["made with uncommitted changes, so it is never counted"]
    return reasons


def why_made(
    item: Stored, run: PlannedRun, fingerprints: Mapping[str, str], *, dirty: bool = False
) -> list[str]:
    """Why a run is made though it has a record: that does not count, or lacks a metric.

    No claim asked for the metric when the record was made.
    """
    record, asked = item.record, run.metrics if run.kind == "train" else ()
    measured = record.status in ("ok", "censored")
    lacking = [name for name in asked if name not in record.metrics and measured]
    reasons = why_not(item, run, fingerprints, dirty=dirty)
    return reasons or [f"its record has no {', '.join(lacking)}"][: len(lacking)]


def not_deciding(record: Record, run: PlannedRun, here: Mapping[str, Any]) -> list[str]:
    """Informational fields in which a record differs, or may differ, from a run made `here`."""
    machine = record.machine
    then: dict[str, Any] = {
        "declaration": record.declaration,
        "commit": record.code.commit and record.code.commit[:10],
        **{
            name: getattr(machine, name)
            for name in ("hardware", "threads", "processes", "determinism")
        },
        **machine.versions,
    }
    if record.data:
        then |= {
            "precision": machine.precision,
            "data.source": record.data.source,
            "data.canonical": record.data.canonical,
        }
    now = {"declaration": run.declaration, **here}
    is_now = {
        name: f"is {now[name]}" if name in now else "today's is not known yet" for name in then
    }
    return [
        f"{name} was {old}, {is_now[name]}"
        for name, old in then.items()
        if name not in now or now[name] != old
    ]


def apart(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The names under which two mappings have other values, with both values."""
    return [
        (name, old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def flat(name: str, value: Any) -> dict[str, Any]:
    """A config's numbers by their place in it, such as "config.members.0.recipe.epochs"."""
    if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {name: value}
    parts = (flat(f"{name}.{key}", inner) for key, inner in value.items())
    return {place: number for part in parts for place, number in part.items()}


def earliest_first(items: Sequence[Stored]) -> list[Stored]:
    """Records by the time at which they were made; those of one second by their folders' names."""
    return sorted(items, key=lambda item: (item.record.started, item.repeat, item.folder.name))


def same_of(record: Record) -> Same:
    """What the other arm of a record's seed must share with it."""
    return (*record.made_on, bool(record.code.dirty))


def first_on(items: Sequence[Stored], same: Same) -> Stored | None:
    """The first of the records that was made so."""
    return next((item for item in items if same_of(item.record) == same), None)


def block_kind(block: Sequence[PlannedRun], answers: Answers) -> Same | None:
    """The first kind of machine, precision and code with all arms of a seed."""
    shared = set.intersection(
        *({same_of(item.record) for item in answers.get(run.key, ())} for run in block)
    )

    def complete(same: Same) -> tuple[str, Same]:
        firsts = [first_on(answers[run.key], same) for run in block]
        return max(item.record.started for item in firsts if item), same

    return min(shared, key=complete) if shared else None


def kind_to_complete(
    block: Sequence[PlannedRun],
    answers: Answers,
    hardware: str | None,
    way: Way = ANY,
    *,
    dirty: bool = False,
) -> Same | None:
    """Where no kind has all arms: the one that has the most and completes them, or None.

    It is of code as today's: committed, or `dirty`; of `hardware`, where that is known, and made
    that `way`. Of several kinds with as many arms it is the one of the latest record.
    """
    have: dict[Same, list[Stored]] = {}
    for run in block:
        for item in answers.get(run.key, ()):
            same = same_of(item.record)
            if hardware in (None, same[0]) and same[2] == dirty and way.made(item.record):
                have.setdefault(same, []).append(item)

    def worth(same: Same) -> tuple[int, str, Same]:
        return (
            len({item.record.key for item in have[same]}),
            max(item.record.started for item in have[same]),
            same,
        )

    return max(have, key=worth) if have else None
