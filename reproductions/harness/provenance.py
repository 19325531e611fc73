"""What made a record: the source of every definition used, the commit, the machine and its versions. Imports no torch."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import io
import platform
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

PACKAGES = ("alexnet",)  # whose definitions count as the code of a run; what the harness does around it changes no result
TRAINING = (
    "alexnet.train:fit_alexnet",
    "reproductions.harness.measure:measure",  # follows what it asks of alexnet
    "alexnet.data.imageset:statistics",
    "alexnet.data.imageset:rgb_covariance",
)
# What decides the result of a run that trains or averages, by the kind of run; everything that these reach is followed.
ENTRIES = {
    "tune": ("alexnet.train:fit", "alexnet.train:evaluate", "alexnet.data.imageset:statistics"),
    "evaluate": ("alexnet.train:fit", "alexnet.train:evaluate", "alexnet.data.imageset:statistics"),
    "train": TRAINING,
    "average": (*TRAINING, "reproductions.harness.average:average"),  # networks by other code are another average
    "unshared": (
        "alexnet.train_local:fit_local",
        "reproductions.harness.measure:measure_local",
        "alexnet.data.imageset:statistics",
    ),
}
# Reached but without effect on the numbers: checkpoints (the tests compare a killed run's bits with an uninterrupted run's), CUDA
# graphs (each is compared with the same step made without), the ImageSet container (its content is told by its fingerprint), and
# where compiled files lie.
WITHOUT_EFFECT = {
    "alexnet.train:save",
    "alexnet.train:load",
    "alexnet.data.imageset:ImageSet",
    "alexnet.files:cache_root",
    "alexnet.files:write_atomic",
    "alexnet.graph:Graphs",
}
# Changes of speed alone: the hash of code that gives, on a processor, the bits of the code before it, whose hash stands behind.
# Records of one stand for the other. The proof lies in results/records: runs made by both, equal in everything but their seconds
# (tests/test_same_bits.py); what was made faster is compared to the bit in tests of its own.
SAME_BITS = {
    "b878343d816d": "2cad6b690c54",  # Figure 1: pooling and batches in C
    "00afe55fecc7": "af93c2f44d9a",  # AlexNet: views and pooling in C, a faster norm.c, images in bf16
}


@cache
def _module(name: str) -> tuple[dict[str, ast.stmt], dict[str, str], list[str]]:
    """A module's top-level definitions, what its other names are imported as ("module:name"), and its lines."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    text = Path(spec.origin).read_text()
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, str] = {}
    for node in ast.parse(text).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                definitions[node.name] = node
            case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)):
                definitions[target] = node
            case ast.Assign(targets=[ast.Tuple(elts=elements)]):
                definitions |= {element.id: node for element in elements if isinstance(element, ast.Name)}
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in PACKAGES:
                imports |= {alias.asname or alias.name: f"{module}:{alias.name}" for alias in node.names}
    return definitions, imports, text.splitlines(keepends=True)


@cache
def _beside(module: str) -> dict[str, str]:
    """The digest of the C file beside a module, as "module:file", without its comments and spacing; empty if there is none."""
    spec = importlib.util.find_spec(module)
    path = Path(spec.origin).with_suffix(".c") if spec and spec.origin else None
    if path is None or not path.exists():
        return {}
    words = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.DOTALL).split()
    return {f"{module}:{path.name}": hashlib.sha256(" ".join(words).encode()).hexdigest()[:12]}


def _normalised(node: ast.stmt, lines: list[str]) -> str:
    """The source of a definition without comments, docstrings and spacing; the same text on every Python version.

    Adding a docstring where there was none counts, editing one does not.
    """
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    source = "".join(lines[first - 1 : node.end_lineno])
    rows = source.splitlines(keepends=True)
    marks = {tokenize.NEWLINE: "\n", tokenize.INDENT: ">", tokenize.DEDENT: "<"}
    parts, fresh = [], True  # fresh: at the start of a statement, where a string is a docstring
    opened: list[tuple[int, int]] = []  # where f-strings began; from Python 3.12 on they come in pieces, here they stay whole
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind in ("FSTRING_START", "TSTRING_START"):
            opened.append(token.start)
        elif kind in ("FSTRING_END", "TSTRING_END"):
            start = opened.pop()
            if not opened:
                parts.append(_slice(rows, start, token.end))
        elif not opened:
            if kind in ("COMMENT", "NL", "ENDMARKER") or (kind == "STRING" and fresh):
                continue
            parts.append(marks.get(token.type, token.string))
        fresh = token.type in marks
    return "".join(parts)


def _slice(rows: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The source text from one (line, column) to another, lines counted from 1."""
    (first, left), (last, right) = start, end
    if first == last:
        return rows[first - 1][left:right]
    return rows[first - 1][left:] + "".join(rows[first : last - 1]) + rows[last - 1][:right]


@cache  # kinds of runs share most of their code
def _definition(entry: str) -> tuple[str, list[str]]:
    """The digest of a definition, and the definitions that it reaches at once."""
    module, name = entry.split(":")
    definitions, imports, lines = _module(module)
    node = definitions[name]
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    reached = [f"{module}:{other}" for other in names & definitions.keys()] + [imports[other] for other in names & imports.keys()]
    return hashlib.sha256(_normalised(node, lines).encode()).hexdigest()[:12], reached


def definitions_used(entries: tuple[str, ...]) -> dict[str, str]:
    """Digests of all definitions reachable from "module:name" entries, by "module:name".

    A definition reaches every top-level name of its own module that it mentions, every name imported from PACKAGES, and the C file
    beside its module.
    """
    found: dict[str, str] = {}
    todo = list(entries)
    while todo:
        entry = todo.pop()
        if entry in found or entry in WITHOUT_EFFECT:
            continue
        found[entry], reached = _definition(entry)
        found |= _beside(entry.partition(":")[0])
        todo += reached
    return dict(sorted(found.items()))


def code_hash(definitions: dict[str, str]) -> str:
    """One digest for a set of definitions."""
    return hashlib.sha256(repr(sorted(definitions.items())).encode()).hexdigest()[:12]


@cache
def triton() -> str:
    """A digest of the kernels for GPUs. They are no part of the code hash, since a change of them concerns no other records."""
    sources = sorted((Path(__file__).parents[2] / "alexnet" / "kernels").glob("*_triton.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def line(code: str, device: str, kernels: str) -> str:
    """The first of the codes, by their hashes, that give the same bits on a device; on "cuda" the code and its kernels' digest."""
    if device == "cuda":
        return f"{code} {kernels}"
    while code in SAME_BITS:
        code = SAME_BITS[code]
    return code


@cache
def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and whether the source differs from it, as of the first call; (None, None) outside a git checkout.

    Asked once per process, since a process goes on with the code that it loaded.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", "alexnet", "reproductions"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


@cache
def cpu_model() -> str:
    """The processor's name and the widest instructions that matter here."""
    name, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().split("\n\n")[0].splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        name, flags = fields.get("model name", name), fields.get("flags", "")
    for wanted, label in (("amx_bf16", "AMX bf16"), ("avx512_bf16", "AVX-512 bf16"), ("avx512f", "AVX-512"), ("avx2", "AVX2")):
        if wanted in flags.split():
            return f"{name} ({label})"
    return name


def versions() -> dict[str, str]:
    """Versions of what computes the numbers."""
    named = {name: importlib.metadata.version(name) for name in ("torch", "numpy")}
    return {"python": platform.python_version(), **named, "system": f"{platform.system()} {platform.machine()}"}
