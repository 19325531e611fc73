"""Response normalisation against float64; what its bits depend on; how its C is built."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alexnet.ops import lrn
from alexnet.ops.lrn import LRN, local_response_norm, within_map_lrn

pytestmark = pytest.mark.numerical

needs_c = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is here")
NORMS = [
    LRN(5, 1e-4, 0.75, 2.0, 2),
    LRN(9, 1e-3 / 9, 0.75, 1.0, 1),
    LRN(5, 1e-3 / 25, 0.75, 1.0, 0),
]
# Relative error: a few dozen roundings of fp32, one of bf16; and of the largest term.
CLOSE = {torch.float64: (1e-11, 1e-12), torch.float32: (5e-6, 5e-6), torch.bfloat16: (4e-3, 5e-6)}


def draw(
    shape: tuple[int, ...], seed: int, scale: float = 1.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale).to(dtype)


def both(x: Tensor, above: Tensor, n: LRN) -> tuple[Tensor, Tensor]:
    """The normalised values and the gradient of x."""
    x = x.detach().requires_grad_()
    columns, norm = ((n.columns,), local_response_norm) if n.columns else ((), within_map_lrn)
    y = norm(x, n.size, n.alpha, n.beta, n.k, *columns)
    return y.detach(), torch.autograd.grad(y, x, above)[0]


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


def assert_is_the_formula(x: Tensor, above: Tensor, n: LRN) -> None:
    """A gradient is a difference: its error is a share of the terms, of which g · d^−β is one."""
    ours = both(x, above, n)
    x, above = x.cpu(), above.cpu()
    exact = x.double().requires_grad_()
    power = formula(exact, n)
    y = exact * power
    (gradient,) = torch.autograd.grad(y, exact, above.double())
    relative, absolute = CLOSE[x.dtype]
    for mine, theirs, term in zip(ours, (y, gradient), (y, above * power), strict=True):
        assert (mine.dtype, mine.shape) == (x.dtype, x.shape)
        torch.testing.assert_close(
            mine.double().cpu(), theirs, rtol=relative, atol=absolute * term.abs().max().item()
        )


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
    st.sampled_from([*CLOSE]),
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
    n: LRN, dtype: torch.dtype
) -> None:
    x, above = draw((13, 48, 15, 14), 0, 30.0, dtype), draw((13, 48, 15, 14), 1, 1.0, dtype)
    alone = both(x, above, n)
    try:
        for count in (2, 3, 5):
            torch.set_num_threads(count)
            assert all(map(torch.equal, both(x, above, n), alone))
    finally:
        torch.set_num_threads(1)
    for part in (slice(0, 1), slice(5, 12)):
        assert all(
            map(torch.equal, both(x[part], above[part], n), (whole[part] for whole in alone))
        )


def test_a_gradient_of_any_strides() -> None:
    x = draw((2, 6, 4, 4), 0, 10.0)
    wide = draw((2, 6, 4, 8), 1)
    for above in (wide[..., ::2], torch.ones(()).expand(x.shape), wide[..., :4].transpose(2, 3)):
        for n in NORMS:
            assert all(map(torch.equal, both(x, above, n), both(x, above.contiguous(), n)))


def assert_reaches_neighbours_alone(x: Tensor, above: Tensor, n: LRN, value: float) -> None:
    """Of 12 maps the last of the first column has a non-finite pixel, in the second image."""
    sound = both(x, above, n)
    broken = x.clone()
    broken[1, 5, 2, 3] = value
    near = torch.zeros(x.shape, dtype=torch.bool, device=x.device)
    if n.columns:  # neighbours of neighbours, for the way back
        reach = 2 * (n.size // 2)
        near[1, max(0, 5 - reach) : 6 if n.columns == 2 else 6 + reach, 2, 3] = True
    else:
        near[1, 5] = True
    for y, before in zip(both(broken, above, n), sound, strict=True):
        assert y[1, 5, 2, 3].isnan()
        assert torch.equal(y[~near], before[~near])


@needs_c
@pytest.mark.parametrize("n", NORMS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_finite_stays_so_and_reaches_neighbours_alone(
    n: LRN, value: float, dtype: torch.dtype
) -> None:
    x = draw((3, 12, 5, 6), 0, 10.0, dtype)
    assert_reaches_neighbours_alone(x, draw(x.shape, 1, 1.0, dtype), n, value)


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
    assert_reaches_neighbours_alone(x, above, n, float("inf"))
    assert both(x[:0], above[:0], n)[0].shape == (0, 12, 5, 6)


def test_columns_that_do_not_divide_the_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="7 maps cannot be cut into 2 equal columns"):
        local_response_norm(torch.zeros(1, 7, 2, 2), 5, 1.0, 0.75, 2.0, 2)


@contextmanager
def new_process() -> Iterator[None]:
    """As in a process that has not yet looked for a compiler."""
    lrn._found.cache_clear()
    yield
    lrn._found.cache_clear()


@pytest.mark.parametrize(
    ("compiler", "why"),
    [
        (None, "no C compiler `cc` found"),
        ("#!/bin/sh\necho no such option >&2; exit 1\n", r"\S+ \S+ \S+/cc fails \(no such option"),
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
    with new_process():
        assert lrn.backend(torch.device("cpu")) == "torch"
        assert_is_the_formula(draw((2, 4, 3, 3), 0), draw((2, 4, 3, 3), 1), NORMS[0])
    (line,) = caplog.messages
    assert re.match(f"response normalisation runs in plain torch, which is slower: .*{why}", line)


@needs_c
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("n->alpha *", "2 * n->alpha *", "lrn.c does not agree with plain torch"),
        ("#include <math.h>", "#include <nothing.h>", r"the C compiler \S+ fails \(.*nothing\.h"),
    ],
    ids=["another formula", "does not compile"],
)
def test_c_code_that_is_wrong_is_not_used(
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
    with new_process():
        assert lrn.backend(torch.device("cpu")) == "torch"
    (line,) = caplog.messages
    assert re.search(why, line)
    assert "\n" not in line


@needs_c
def test_a_cache_that_may_not_execute_is_named_and_another_place_tried(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    """On a real file system without the right to execute, mounted for this process alone."""
    private = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o noexec none {tmp_path}"
    if subprocess.run([*private, mount], check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    code = "import torch; from alexnet.ops import lrn; print(lrn.backend(torch.device('cpu')))"
    found = subprocess.run(
        [*private, f'{mount} && "{sys.executable}" -c "{code}"'],
        env={**clean_env, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "c\n"
    (line,) = found.stderr.splitlines()
    assert "nothing in this folder may be executed: it is mounted noexec" in line


@needs_c
def test_a_library_is_built_once_and_again_where_it_is_damaged_or_its_source_differs(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    source = tmp_path / "answer.c"
    code = f"from pathlib import Path; from alexnet.ops.build import load\n\
print(load(Path({str(source)!r})).answer())"
    env = {**clean_env, "XDG_CACHE_HOME": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    def answers(processes: int) -> set[tuple[str, str]]:
        command = [sys.executable, "-c", code]
        running = [subprocess.Popen(command, env=env, **pipes) for _ in range(processes)]
        return {process.communicate() for process in running}

    source.write_text("int answer(void) { return 41; }\n")
    assert answers(3) == {("41\n", "")}
    (made,) = (tmp_path / "alexnet" / "kernels").iterdir()
    whole = made.read_bytes()
    made.write_bytes(b"\x7fELF")
    assert answers(1) == {("41\n", "")}
    assert made.read_bytes() == whole
    source.write_text("int answer(void) { return 42; }\n")
    assert answers(1) == {("42\n", "")}
