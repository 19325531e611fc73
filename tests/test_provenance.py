"""What counts as a change of code, and what does not."""

import ast
from pathlib import Path

import pytest

from reproductions.harness import provenance
from reproductions.harness.provenance import ENTRIES, WITHOUT_EFFECT, code_hash, definitions_used

SOURCE = '''
"""A module."""
from alexnet.config import Recipe

FACTOR = 2

def helper(x: int) -> int:
    """Says what it does."""
    return x * FACTOR  # twice

def entry(x: int) -> int:
    def inner() -> Recipe:
        """An inner docstring."""
        return Recipe(0.1)
    return helper(x) + len(f"{inner()}")

def unrelated() -> int:
    return 3
'''


def forget() -> None:
    for once in (provenance._module, provenance._beside, provenance._definition):
        once.cache_clear()


@pytest.fixture
def hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Digests of `entry` and all it reaches, for a source text."""
    monkeypatch.syspath_prepend(tmp_path)

    def digests(source: str) -> dict[str, str]:
        (tmp_path / "probe_module.py").write_text(source)
        forget()
        return definitions_used(("probe_module:entry",))

    yield digests
    forget()


def test_reaches_what_is_mentioned_and_no_more(hashes) -> None:
    assert set(hashes(SOURCE)) == {"probe_module:entry", "probe_module:helper", "probe_module:FACTOR", "alexnet.config:Recipe"}


@pytest.mark.parametrize(
    ("old", "new"),
    [("Says what it does.", "Says more."), ("  # twice", ""), ("An inner docstring.", "Another."), ("return 3", "return 4"),
     ("x * FACTOR", "x  *  FACTOR"), ('"""A module."""', '"""Another."""')],
)  # fmt: skip
def test_words_and_unrelated_code_do_not_count(hashes, old: str, new: str) -> None:
    assert old in SOURCE
    assert hashes(SOURCE.replace(old, new)) == hashes(SOURCE)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [("FACTOR = 2", "FACTOR = 3", "FACTOR"), ("x * FACTOR", "x + FACTOR", "helper"), ("helper(x) +", "helper(x) -", "entry"),
     ("    return helper", "    if x:\n        x = 1\n    return helper", "entry")],
)  # fmt: skip
def test_code_that_is_used_counts_by_name(hashes, old: str, new: str, changed: str) -> None:
    before, after = hashes(SOURCE), hashes(SOURCE.replace(old, new))
    assert {name for name in before if before[name] != after.get(name)} == {f"probe_module:{changed}"}
    assert code_hash(before) != code_hash(after)


def test_an_f_string_is_its_source_text() -> None:
    """Python 3.12 cuts f-strings into tokens, 3.11 does not; both must hash alike."""
    source = 'NAME = f"{a + 1:>{width}} {{b}}" f\'{"x" if y else "z"}\'\n'
    node = ast.parse(source).body[0]
    assert provenance._normalised(node, [source]) == source.replace('" f', '"f').replace("NAME = ", "NAME=")


def test_moving_a_statement_out_of_a_block_counts(hashes) -> None:
    inside = "def entry(x):\n    if x:\n        x = 1\n        x = 2\n    return x\n"
    outside = "def entry(x):\n    if x:\n        x = 1\n    x = 2\n    return x\n"
    assert hashes(inside) != hashes(outside)


def test_a_c_file_beside_a_module_counts_without_its_comments(hashes, tmp_path: Path) -> None:
    plain = hashes(SOURCE)
    found = []
    for text in (
        "int f(void) { return 1; }",
        "/* one\n * more */\nint f(void)\n{ return 1; } // end\n",
        "int f(void) { return 2; }",
    ):
        (tmp_path / "probe_module.c").write_text(text)
        found.append(hashes(SOURCE))
    one, said, two = found
    assert one.keys() - plain.keys() == {"probe_module:probe_module.c"}
    assert code_hash(plain) != code_hash(one) == code_hash(said) != code_hash(two)


def test_training_depends_on_what_decides_its_result() -> None:
    used = definitions_used(ENTRIES["evaluate"]).keys()
    for name in ("train:fit", "train:train_step", "optim:PaperSGD", "model:CifarNet", "config:Recipe", "data.batches:epoch_order",
                 "precision:choose_precision", "data.imageset:statistics"):  # fmt: skip
        assert f"alexnet.{name}" in used
    assert not used & WITHOUT_EFFECT
    assert not any("AlexNetConfig" in name or "kernels.norm" in name for name in used)
    assert {"alexnet.kernels.views:views.c", "alexnet.kernels.views:_eager"} <= used
    assert {"alexnet.kernels.norm:norm.c", "alexnet.kernels.compiled:FLAGS"} <= definitions_used(ENTRIES["train"]).keys()
    assert not any("ocal" in name for entry in ("evaluate", "train") for name in definitions_used(ENTRIES[entry]))
    assert {"alexnet.layers:_turned", "alexnet.kernels.norm:norm.c", "alexnet.optim:PaperSGD", "alexnet.data.augment:draw",
            "alexnet.config_local:LocalRecipe"} <= definitions_used(ENTRIES["unshared"]).keys()  # fmt: skip


def test_entries_exist() -> None:
    for entries in ENTRIES.values():
        assert set(entries) <= definitions_used(entries).keys()


def test_git_state(tmp_path: Path) -> None:
    commit, dirty = provenance.git_state(Path(__file__).parent)
    assert commit is None or (len(commit) == 40 and isinstance(dirty, bool))
    assert provenance.git_state(tmp_path) == (None, None)
