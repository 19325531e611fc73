"""The compiled normalisation against float64 and, to the bit, fp32; what its bits depend on."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from alexnet.ops import build, lrn
from alexnet.ops.build import BuildError
from alexnet.ops.lrn import LRN, local_response_norm, normalize

pytestmark = pytest.mark.numerical

needs_c = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is here")
NORMS = [
    LRN(5, 1e-4, 0.75, 2.0, 2),
    LRN(9, 1e-3 / 9, 0.75, 1.0, 1),
    LRN(5, 1e-3 / 25, 0.75, 1.0, 0),
]


@pytest.fixture
def threads():
    """Sets torch's number of threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def draw(
    shape: tuple[int, ...], seed: int, scale: float = 1.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale).to(dtype)


def formula(x: Tensor, n: LRN) -> Tensor:
    """(k + α Σ x²)^−β with the sum taken one neighbour after the other."""
    images, maps, height, width = x.shape
    reach, squares = n.size // 2, x.square()
    if n.columns:
        padded = F.pad(
            squares.view(images, n.columns, maps // n.columns, height, width),
            (0, 0, 0, 0, reach, reach),
        )
        shifted = [padded[:, :, j : j + maps // n.columns] for j in range(n.size)]
    else:
        padded = F.pad(squares, (reach,) * 4)
        shifted = [
            padded[:, :, j : j + height, i : i + width]
            for j in range(n.size)
            for i in range(n.size)
        ]
    return (n.k + n.alpha * sum(shifted).view(x.shape)) ** -n.beta


def both(x: Tensor, above: Tensor, n: LRN, body=normalize) -> tuple[Tensor, Tensor]:
    return body(n, x), body(n, x, above)


def assert_is_the_formula(
    x: Tensor, above: Tensor, n: LRN, body=normalize, bf16: float = 4e-3
) -> None:
    """To the roundings of fp32 (a few dozen of 6e-8), and to one more of bf16 (0.4 %).

    A gradient is a difference: its error is a share of the terms, of which g · d^−β is one.
    """
    ours = both(x, above, n, body)
    x, above = x.cpu(), above.cpu()
    exact = x.double().requires_grad_()
    power = formula(exact, n)
    y = exact * power
    (gradient,) = torch.autograd.grad(y, exact, above.double())
    for mine, theirs, term in zip(ours, (y, gradient), (y, above * power), strict=True):
        assert mine.dtype == x.dtype
        assert mine.shape == x.shape
        relative = 5e-6 if x.dtype == torch.float32 else bf16
        torch.testing.assert_close(
            mine.double().cpu(), theirs, rtol=relative, atol=5e-6 * term.abs().max().item()
        )


def in_order(
    x: NDArray[np.float32], above: NDArray[np.float32], n: LRN
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normalised x [N, H, W, C] and its gradient, each rounded to fp32 in the order of lrn.c."""
    alpha, k, reach = np.float32(n.alpha), np.float32(n.k), n.size // 2

    def along(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        length, widths = values.shape[axis], [(0, 0)] * values.ndim
        widths[axis] = (reach, reach)
        taps = [
            np.pad(values, widths).take(range(tap, tap + length), axis)
            for tap in range(2 * reach + 1)
        ]
        return sum(taps[1:], taps[0])

    def neighbours(values: NDArray[np.float32]) -> NDArray[np.float32]:
        if not n.columns:
            return along(along(values, 2), 1)
        return along(values.reshape(*x.shape[:3], n.columns, -1), 4).reshape(x.shape)

    root = np.float32(1) / np.sqrt(k + alpha * neighbours(x * x))
    scaled = root * np.sqrt(root) * above
    spread = neighbours(x * scaled * (root * root))
    return root * np.sqrt(root) * x, scaled - np.float32(2) * alpha * np.float32(0.75) * x * spread


@needs_c
@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([1, 3, 5, 9, 11]),
    st.integers(0, 3),
    st.integers(1, 70),
    st.tuples(*[st.integers(1, 6)] * 3),
    st.integers(0, 2**32),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.integers(1, 4),
)
def test_bits_are_those_of_one_rounding_after_the_other(
    size: int,
    columns: int,
    maps: int,
    others: tuple[int, int, int],
    seed: int,
    dtype: torch.dtype,
    threads: int,
) -> None:
    """Any number of maps, spans with and without unrolled loops (5 and 9), no writes outside."""
    n = LRN(size, 0.02, 0.75, 2.0, columns)
    # channels last
    x, above = (draw((*others, maps * max(1, columns)), seed + i, 10.0, dtype) for i in (0, 1))
    for gradient, expected in zip(
        (None, above), in_order(x.float().numpy(), above.float().numpy(), n), strict=True
    ):
        guarded = torch.full((x.numel() + 64,), 7.0, dtype=dtype)
        inner = guarded[32:-32]
        images, height, width, channels = x.shape
        arguments = lrn._Arguments(
            x.data_ptr(),
            None if gradient is None else gradient.data_ptr(),
            inner.data_ptr(),
            images,
            height,
            width,
            channels,
            columns,
            size // 2,
            n.alpha,
            n.beta,
            n.k,
            dtype == torch.bfloat16,
        )
        assert lrn._found()[0](ctypes.byref(arguments), threads) == 0
        assert torch.equal(
            inner.view(torch.uint8),
            torch.from_numpy(expected).to(dtype).flatten().view(torch.uint8),
        )
        assert (guarded[:32] == 7).all()
        assert (guarded[-32:] == 7).all()


norms = st.builds(
    LRN,
    size=st.sampled_from([1, 3, 5, 7, 9, 11]),
    alpha=st.sampled_from([1e-4, 0.02, 0.5]),
    beta=st.sampled_from([0.75, 0.5, 1.0]),
    k=st.sampled_from([1.0, 2.0]),
    columns=st.integers(0, 3),
)


@settings(deadline=None, max_examples=150)
@given(
    norms,
    st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 7), st.integers(1, 7)),
    st.integers(0, 2**32),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.booleans(),
    st.booleans(),
)
def test_is_the_formula(
    n: LRN,
    shape: tuple[int, int, int, int],
    seed: int,
    dtype: torch.dtype,
    channels_last: bool,
    mixed: bool,
) -> None:
    images, maps, height, width = shape
    x = draw((images, maps * max(1, n.columns), height, width), seed, 10.0, dtype)
    above = draw(x.shape, seed + 1, 1.0, dtype)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    if channels_last != mixed:
        above = above.contiguous(memory_format=torch.channels_last)
    assert_is_the_formula(x, above, n)


@pytest.mark.parametrize("maps", [96, 256, 2050])
@pytest.mark.parametrize("n", NORMS)
def test_is_the_formula_at_larger_sizes(maps: int, n: LRN) -> None:
    """Several tiles of pixels, and a pixel larger than a tile."""
    assert_is_the_formula(draw((2, maps, 9, 8), 0, 30.0), draw((2, maps, 9, 8), 1), n)


@needs_c
@pytest.mark.parametrize("n", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bits_depend_on_no_other_image_and_on_no_number_of_threads(
    n: LRN, dtype: torch.dtype, threads
) -> None:
    x, above = draw((13, 48, 15, 14), 0, 30.0, dtype), draw((13, 48, 15, 14), 1, 1.0, dtype)
    threads(1)
    alone = both(x, above, n)
    for count in (2, 3, 5):
        threads(count)
        assert all(map(torch.equal, both(x, above, n), alone))
    for part in (slice(0, 1), slice(5, 12)):
        assert all(
            map(torch.equal, both(x[part], above[part], n), (whole[part] for whole in alone))
        )


@needs_c
@pytest.mark.parametrize("n", NORMS)
@pytest.mark.parametrize("shape", [(0, 6, 4, 4), (2, 0, 4, 4), (2, 6, 0, 4), (2, 6, 4, 0)])
def test_images_without_a_value(n: LRN, shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape)
    assert [y.shape for y in both(x, x, n)] == [x.shape, x.shape]


def test_a_gradient_of_any_strides() -> None:
    x = draw((2, 6, 4, 4), 0, 10.0)
    wide = draw((2, 6, 4, 8), 1)
    for above in (wide[..., ::2], torch.ones(()).expand(x.shape), wide[..., :4].transpose(2, 3)):
        for n in NORMS:
            assert torch.equal(normalize(n, x, above), normalize(n, x, above.contiguous()))


@needs_c
@pytest.mark.parametrize("n", NORMS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_finite_stays_so_and_reaches_neighbours_alone(
    n: LRN, value: float, dtype: torch.dtype
) -> None:
    x = draw((3, 12, 5, 6), 0, 10.0, dtype)
    assert_reaches_neighbours_alone(x, draw(x.shape, 1, 1.0, dtype), n, value)


def assert_reaches_neighbours_alone(
    x: Tensor, above: Tensor, n: LRN, value: float, body=normalize
) -> None:
    """Of 12 maps the last of the first column has a non-finite pixel, in the second image."""
    sound = both(x, above, n, body)
    broken = x.clone()
    broken[1, 5, 2, 3] = value
    # neighbours of neighbours, for the way back
    near = torch.zeros(x.shape, dtype=torch.bool, device=x.device)
    if n.columns:
        near[
            1,
            max(0, 5 - 2 * (n.size // 2)) : 6 if n.columns == 2 else 5 + 2 * (n.size // 2) + 1,
            2,
            3,
        ] = True
    else:
        near[1, 5] = True
    for y, before in zip(both(broken, above, n, body), sound, strict=True):
        assert y[1, 5, 2, 3].isnan()
        assert torch.equal(y[~near], before[~near])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("n", [*NORMS, LRN(3, 0.02, 0.5, 2.0, 1), LRN(3, 0.02, 1.0, 1.0, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu(n: LRN, dtype: torch.dtype) -> None:
    for shape in ((3, 96, 27, 27), (2, 22, 5, 7), (1, 2, 1, 1)):
        x, above = draw(shape, 0, 30.0, dtype).cuda(), draw(shape, 1, 1.0, dtype).cuda()
        assert_is_the_formula(x, above, n)
        whole = both(x, above, n)
        assert all(map(torch.equal, both(x, above, n), whole))
        assert all(map(torch.equal, both(x[-1:], above[-1:], n), (y[-1:] for y in whole)))
    x, above = draw((3, 12, 5, 6), 0, 10.0, dtype).cuda(), draw((3, 12, 5, 6), 1, 1.0, dtype).cuda()
    for value in (float("nan"), float("inf")):
        assert_reaches_neighbours_alone(x, above, n, value)
    assert normalize(n, x[:0], above[:0]).shape == (0, 12, 5, 6)


def test_columns_that_do_not_divide_the_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="7 maps cannot be cut into 2 equal columns"):
        normalize(NORMS[0], torch.zeros(1, 7, 2, 2))


BROKEN = "#!/bin/sh\necho no such option >&2; exit 1\n"


@pytest.mark.parametrize(
    ("compiler", "why"),
    [
        (None, "no C compiler `cc` found"),
        (BROKEN, r"the C compiler \S+/cc fails \(no such option\)"),
        ("not a program", r"the library built by \S+/cc cannot be loaded \(Exec format error\)"),
    ],
)
def test_without_a_compiler_that_works_torch_computes_and_says_so_once(
    compiler: str | None,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if compiler:
        (tmp_path / "cc").write_text(compiler)
        (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with forgotten():
        assert lrn.backend(torch.device("cpu")) == "torch"
        y = local_response_norm(torch.ones(1, 4, 1, 1), 3, 1.0, 0.75, 1.0)
        assert re.fullmatch(why, lrn.why_plain())
    torch.testing.assert_close(y.flatten(), torch.tensor([3.0, 4.0, 4.0, 3.0]) ** -0.75)
    (line,) = caplog.messages
    assert re.fullmatch(f"response normalisation runs in plain torch, which is slower: {why}", line)


@needs_c
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("int normalise(", "int normalised(", "undefined symbol: normalise"),
        ("n->alpha *", "2 * n->alpha *", "lrn.c does not agree with plain torch"),
        ("int failed = 0;", "int failed = 1;", "no memory to normalise in"),
        ("#include <math.h>", "#include <nothing.h>", r"the C compiler \S+ fails \(.*nothing\.h"),
    ],
    ids=["another name", "another formula", "short of memory", "does not compile"],
)
def test_a_body_in_c_that_is_wrong_is_left_with_one_line(
    old: str,
    new: str,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = lrn.SOURCE.read_text()
    assert old in text
    (tmp_path / "lrn.c").write_text(text.replace(old, new))
    monkeypatch.setattr(lrn, "SOURCE", tmp_path / "lrn.c")
    with forgotten():
        assert lrn.backend(torch.device("cpu")) == "torch"
        assert lrn.backend(torch.device("cpu")) == "torch"
    (line,) = caplog.messages
    assert re.search(why, line)
    assert "\n" not in line


@contextmanager
def forgotten():
    """As in a process that has not yet looked for a compiler."""
    lrn._found.cache_clear()
    yield
    lrn._found.cache_clear()


SEEN = """
import sys
import torch
from alexnet.ops import lrn
print(lrn.backend(torch.device("cpu")), lrn.why_plain())
"""


@needs_c
@pytest.mark.parametrize("temporary", ["may execute", "noexec"])
def test_a_cache_that_may_not_execute_is_named_and_another_place_tried(
    temporary: str, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """On a real file system without the right to execute, mounted for this process alone."""
    folder, other = tmp_path / "cache", tmp_path / "temporary"
    folder.mkdir()
    other.mkdir()
    places = [folder, other] if temporary == "noexec" else [folder]
    mounts = " && ".join(f"mount -t tmpfs -o noexec none {place}" for place in places)
    private = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*private, mounts], check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    environment = {
        **clean_env,
        "XDG_CACHE_HOME": str(folder),
        "TMPDIR": str(other),
        "PYTHON": sys.executable,
        "SEEN": SEEN,
    }
    found = subprocess.run(
        [*private, mounts + ' && "$PYTHON" -c "$SEEN"'],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = found.stderr.splitlines()
    assert "nothing in this folder may be executed: it is mounted noexec" in line
    if temporary == "noexec":
        assert found.stdout.startswith("torch the library built by")
        assert line.startswith(
            "response normalisation runs in plain torch, which is slower: the library built by"
        )
    else:
        assert found.stdout.strip() == "c"
        assert line.startswith(f"the cache {folder}/alexnet/kernels (")
    assert not any(other.iterdir())


@needs_c
def test_a_damaged_cache_is_made_again(clean_env: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", SEEN]
    environment = {**clean_env, "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (made,) = (tmp_path / "alexnet" / "kernels").iterdir()
    whole = made.read_bytes()
    for content in (b"", b"a text", b"\x7fELF"):
        made.write_bytes(content)
        found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        assert (found.stdout.strip(), found.stderr) == ("c", "")
        assert made.read_bytes() == whole


@needs_c
def test_processes_that_compile_at_once_leave_one_file(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    environment = {**clean_env, "XDG_CACHE_HOME": str(tmp_path)}
    script = (
        "from pathlib import Path; from alexnet.ops.build import load; "
        "load(Path('alexnet/ops/lrn.c'))"
    )
    root = Path(__file__).parents[1]
    running = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, cwd=root)
        for _ in range(3)
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    (made,) = (tmp_path / "alexnet" / "kernels").iterdir()
    before = made.stat().st_mtime_ns
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=root, check=True)
    assert made.stat().st_mtime_ns == before


@needs_c
def test_another_source_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = tmp_path / "answer.c"
    for value in (41, 42):
        source.write_text(f"int answer(void) {{ return {value}; }}\n")
        assert build.load(source).answer() == value
    source.write_text("this is not C\n")
    with pytest.raises(BuildError, match=r"fails \(.*answer\.c"):
        build.load(source)
    assert len(list((tmp_path / "alexnet" / "kernels").iterdir())) == 2


@needs_c
def test_a_compiler_without_openmp_will_do(
    threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = tmp_path / "cc"
    lacking.write_text(
        f'#!/bin/sh\ncase " $* " in *" -fopenmp "*) exit 1 ;; esac\nexec {shutil.which("cc")} '
        '"$@"\n'
    )
    lacking.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    threads(3)
    lrn._check(build.load(lrn.SOURCE).normalise)
