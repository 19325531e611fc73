"""Code that was only made faster counts as what it was: where a run made by both says so, and only from the one to the other."""

import csv
from itertools import product
from pathlib import Path

import pytest
from records import curve, make_record, planned, store

from reproductions.harness import provenance
from reproductions.harness.claim import discover
from reproductions.harness.plan import code_of, differences, plan
from reproductions.harness.provenance import SAME_BITS, code_hash
from reproductions.harness.record import Record, Stored, read_records, write_record
from reproductions.harness.report import build

RESULTS = Path(__file__).parents[1] / "results"
BEFORE = {"alexnet.train:fit": "slower"}


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today's code as the third of a line."""
    today = code_hash(code_of(planned("relu", 0)))
    monkeypatch.setattr(provenance, "SAME_BITS", {today: "a code between", "a code between": code_hash(BEFORE)})


def test_a_line_begins_with_its_first_code(line: None) -> None:
    assert provenance.line("a code between", "cpu", "") == code_hash(BEFORE)
    assert provenance.line(code_hash(code_of(planned("relu", 0))), "cpu", "") == code_hash(BEFORE)
    assert provenance.line("another", "cpu", "") == "another"


def test_records_of_slower_code_count(line: None, tmp_path: Path) -> None:
    """Also beside those of today's, with which they make one cohort."""
    store(tmp_path, *(make_record("relu", seed, epochs=6.0, code=BEFORE if seed < 2 else None) for seed in range(5)))
    store(tmp_path, *(make_record("tanh", seed, epochs=36.0 + seed, code=BEFORE) for seed in range(5)))
    stored, _ = read_records(tmp_path)
    runs = [planned(variant, seed) for variant, seed in product(("relu", "tanh"), range(5))]
    assert all(p.current for p in plan(runs, stored, {}))
    rows = {row.cell: row for row in build(tmp_path, discover()).rows}
    assert rows["fig1_relu.speedup"].n == 5
    assert rows["fig1_relu.speedup"].verdict.word == "confirmed"


def test_records_of_any_other_code_are_outdated(line: None) -> None:
    record = make_record("relu", 0, code={"alexnet.train:fit": "other"})
    (why,) = differences(record, planned("relu", 0), {})
    assert why.startswith("code changed: alexnet.")


def test_a_gpu_has_other_kernels_and_no_line(line: None) -> None:
    """What was shown on a processor says nothing of it, and its kernels count by their digest."""

    def on_gpu(kernels: str, code: dict[str, str] | None = None) -> Record:
        record = make_record(code=code)
        versions = {**record.machine.versions, "triton": kernels}
        return record.model_copy(update={"machine": record.machine.model_copy(update={"device": "cuda", "versions": versions})})

    run, today = planned("relu", 0), provenance.triton()
    assert differences(on_gpu(today), run, {}) == []
    assert differences(on_gpu(today, BEFORE), run, {})
    assert differences(on_gpu("before"), run, {}) == ["code changed: the kernels for GPUs"]
    assert len({record.cohort for record in (on_gpu(today), on_gpu("before"), on_gpu(today, BEFORE), make_record())}) == 4


def test_no_line_runs_in_a_circle() -> None:
    for code in SAME_BITS:
        passed = [code]
        while passed[-1] in SAME_BITS:
            passed.append(SAME_BITS[passed[-1]])
            assert len(set(passed)) == len(passed)


def test_code_that_changes_after_it_leaves_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "SAME_BITS", {"the code of then": code_hash(BEFORE)})
    assert differences(make_record("relu", 0, code=BEFORE), planned("relu", 0), {})


def numbers(item: Stored) -> tuple[object, ...]:
    """Everything that a run has learned: its metrics, its history but for the seconds, every answer and, of an AlexNet, conv1."""
    with (item.folder / "history.csv").open(newline="") as file:
        history = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    arrays = {path.name: path.read_bytes() for path in item.folder.glob("*.npy")}
    return item.record.metrics, history, arrays


def made_alike(record: Record) -> tuple[object, ...]:
    """What two records of a run have in common where nothing but the code differs."""
    m, pixels = record.machine, record.data and record.data.fingerprint
    return record.key, record.config, record.recipe, pixels, m.hardware, m.threads, m.precision, m.versions


@pytest.mark.parametrize(("new", "old"), SAME_BITS.items())
def test_the_records_prove_it(new: str, old: str) -> None:
    stored, _ = read_records(RESULTS)
    by_new, by_old = ([item for item in stored if item.record.code.hash == code] for code in (new, old))
    pairs = [(a, b) for a, b in product(by_new, by_old) if made_alike(a.record) == made_alike(b.record)]
    assert pairs, "no run of these two codes on one machine"
    for a, b in pairs:
        assert numbers(a) == numbers(b), f"{a.folder} and {b.folder} differ"
        assert len({a.record.weights, b.record.weights} - {None}) < 2  # the first records do not tell theirs


def test_one_other_bit_is_seen(tmp_path: Path) -> None:
    """The comparison that the proof rests on."""
    record, code = make_record(), make_record(code=BEFORE)
    for item, epochs in ((record, 6.0), (code, 6.0), (make_record(seed=1), 6.1)):
        write_record(tmp_path, item, curve(epochs))
    by_code = {(item.record.code.hash, item.record.seed): numbers(item) for item in read_records(tmp_path)[0]}
    alike, slower, other = by_code[record.code.hash, 0], by_code[code.code.hash, 0], by_code[record.code.hash, 1]
    assert alike == slower
    assert alike[1] != other[1]
