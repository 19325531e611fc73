"""What a claim file declares, the runs it plans, and how the files are found and checked."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from alexnet.data.catalogue import DATASETS
from reproductions.harness.claims.metrics import METRICS, MetricSpec
from reproductions.harness.claims.question import Question
from reproductions.harness.claims.runs import Key, PlannedRun, digest, with_needs
from reproductions.harness.claims.variant import Scale

# What decides a statement; the last is a table without verdicts, see report/discrepancies.py
KINDS = ("empirical", "arithmetic", "text against code")
EXPECTED = "Expected: "  # begins the last lines of a claim file's docstring
SCALES = ("paper", "reduced", "mini", "smoke")  # the most faithful first


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A testable statement of the paper.

    `name`, `statement`, `protocol` and `expected` come from the file that declares it.
    """

    section: str  # of the paper: section, table or figure
    questions: tuple[Question, ...]
    scales: dict[str, Scale]
    differs: tuple[str, ...] = ()  # from the paper, a sentence each
    own_metrics: tuple[MetricSpec, ...] = ()  # beside those of claims/metrics.py
    name: str = ""
    statement: str = ""
    protocol: str = ""
    expected: str = ""  # the results and costs of the committed records

    @property
    def trains(self) -> bool:
        """Whether any of its questions needs trained networks."""
        return any(question.trained for question in self.questions)

    @property
    def kind(self) -> str:
        """What decides it: trained networks or a calculation; see `KINDS`."""
        return KINDS[0] if self.trains else KINDS[1]


def planned_runs(claim: Claim, scale: str) -> list[PlannedRun]:
    """All runs of a claim at a scale, each once: sweeps first, parents before their children."""
    return with_needs(asked_runs(claim, scale))


def question_runs(claim: Claim, question: Question, scale: str) -> list[PlannedRun]:
    """The runs that a question rests on at a scale; `needs` names those to be made before each."""
    return question.runs(claim.name, scale, claim.scales[scale])


def asked_runs(claim: Claim, scale: str) -> list[PlannedRun]:
    """The runs that a claim's questions rest on, without those made only for other runs."""
    found: dict[Key, PlannedRun] = {}
    for question in claim.questions:
        for run in question_runs(claim, question, scale):
            before = found.get(run.key, run).metrics
            metrics = tuple(dict.fromkeys((*before, *run.metrics)))
            found[run.key] = replace(run, metrics=metrics, declaration=_declared(claim, run))
    # sweeps first, counts last
    return sorted(found.values(), key=lambda run: (run.purpose != "sweep", run.kind == "count"))


def _declared(claim: Claim, run: PlannedRun) -> str:
    """The digest of what was declared: of counts that of all, since one run has them all."""
    if run.kind != "count":
        return run.declaration
    names = ("name", "paper", "tolerance", "at_most")
    counts = [question for question in claim.questions if not question.trained]
    return digest([[getattr(count, name) for name in names] for count in counts])


def blocks(claim: Claim, scale: str) -> list[tuple[PlannedRun, ...]]:
    """The runs to be made on one kind of machine in one precision: both arms of each seed."""
    trained = [question for question in claim.questions if question.trained]
    return [block for question in trained for block in seed_blocks(claim, question, scale)]


def seed_blocks(claim: Claim, question: Question, scale: str) -> list[tuple[PlannedRun, ...]]:
    """The runs of a question without its sweep, those of each seed together."""
    seeds: dict[int, list[PlannedRun]] = {}
    for run in question_runs(claim, question, scale):
        if run.purpose != "sweep":
            seeds.setdefault(run.seed, []).append(run)
    return [tuple(runs) for runs in seeds.values()]


def discover() -> dict[str, Claim]:
    """Every sound claim by its file's name; `examine` says what is wrong with the others."""
    return examine()[0]


def examine() -> tuple[dict[str, Claim], list[str]]:
    """The claims by their files' names, and one line per fault of the files left out.

    Claim files are the public modules of `reproductions` that are no package.
    """
    package = importlib.import_module("reproductions")
    claims, faults = dict[str, Claim](), list[str]()
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg or module.name.startswith("_"):
            continue
        claim, wrong = load(f"reproductions.{module.name}")
        if claim and not wrong:
            wrong = _metrics_of_others(claim, claims.values())
        faults += [f"reproductions/{module.name}.py: {line}" for line in wrong]
        if claim and not wrong:
            claims[module.name] = claim
    return claims, faults


def _metrics_of_others(claim: Claim, others: Iterable[Claim]) -> list[str]:
    """Own metrics that have the name of another claim's: a run that both share would have one."""
    mine = {spec.name: spec for spec in claim.own_metrics}
    return [
        f"own_metrics: {spec.name!r} is the name of another metric, of {other.name}"
        for other in others
        for spec in other.own_metrics
        if mine.get(spec.name, spec) != spec
    ]


def load(module: str) -> tuple[Claim | None, list[str]]:
    """The claim of a module, and what is wrong with it."""
    try:
        found = importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - whatever a user's file raises, the others go on
        first = (str(error) or "no message").splitlines()[0]
        return None, [f"cannot be loaded ({type(error).__name__}: {first})"]
    claim = getattr(found, "CLAIM", None)
    if not isinstance(claim, Claim):
        return None, ["declares no CLAIM = Claim(...)"]
    statement, _, rest = (found.__doc__ or "").partition("\n\n")
    protocol, _, expected = rest.partition(EXPECTED)
    claim = replace(
        claim,
        name=module.rpartition(".")[2],
        statement=" ".join(statement.split()),
        protocol=protocol.strip("\n"),
        expected=" ".join(expected.split()),
    )
    try:
        return claim, faults_of(claim)
    except Exception as error:  # noqa: BLE001 - as above: a field of another type
        return claim, [f"its declaration cannot be read ({type(error).__name__}: {error})"]


def faults_of(claim: Claim) -> list[str]:
    """What is wrong with a declaration, a line each."""
    faults = [] if claim.statement else ["has no docstring, whose first paragraph is the statement"]
    faults += [
        f"scale {name!r} is unknown; there are {', '.join(SCALES)}"
        for name in claim.scales
        if name not in SCALES
    ]
    faults += [
        f"no data set is called {name!r}{_near(name, DATASETS)}"
        for scale in claim.scales.values()
        for name in scale.datasets
        if name not in DATASETS
    ]
    faults += [] if claim.scales else ["declares no scales"]
    faults += [] if claim.questions else ["asks no question"]
    names = [question.name for question in claim.questions]
    faults += [
        f"two questions are called {n!r}" for n in dict.fromkeys(names) if names.count(n) > 1
    ]
    own = [f"own_metrics: {line}" for line in _own_metric_faults(claim.own_metrics)]
    for question in claim.questions:
        lines = question.faults() + ([] if own else _metric_faults(claim, question))
        faults += [f"{question.name}: {line}" for line in lines]
    faults += own
    return faults or _plan_faults(claim)


def _own_metric_faults(own: Iterable[Any]) -> list[str]:
    found = list(own)
    if wrong := [
        f"{spec!r} is no MetricSpec" for spec in found if not isinstance(spec, MetricSpec)
    ]:
        return wrong
    names = [spec.name for spec in found]
    twice = dict.fromkeys(name for name in names if names.count(name) > 1)
    taken = (name for name in names if name in METRICS)
    return [
        *(f"{name!r} is the name of a metric of the suite" for name in taken),
        *(f"two are called {name!r}" for name in twice),
    ]


def _metric_faults(claim: Claim, question: Question) -> list[str]:
    names = METRICS.keys() | {spec.name for spec in claim.own_metrics}
    return [
        f"no metric is called {name!r}{_near(name, names)}"
        for name in question.metrics
        if question.trained and name not in names
    ]


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(names))}"


def _plan_faults(claim: Claim) -> list[str]:
    """What shows only when its runs are planned."""
    for scale in claim.scales:
        try:
            runs = planned_runs(claim, scale)
        except Exception as error:  # noqa: BLE001 - as in `load`
            return [f"no plan at scale {scale} ({type(error).__name__}: {error})"]
        tuned = {run.seed for run in runs if run.purpose == "sweep"}
        if twice := _unlike(claim, scale):
            return [f"two different runs would be the record {twice} at scale {scale}"]
        if shared := tuned & {run.seed for run in runs if run.purpose == "verdict"}:
            return [f"seed {min(shared)} tunes and enters the verdict"]
    return []


def _unlike(claim: Claim, scale: str) -> PlannedRun | None:
    """A run that another of the claim has the key of, though it is not the same."""
    found: dict[Key, PlannedRun] = {}
    for question in claim.questions:
        for run in with_needs(question_runs(claim, question, scale)):
            if found.setdefault(run.key, run) != run:
                return run
    return None
