"""The normalisation for GPUs where there is none: computed by Triton's interpreter, and compiled without being run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from gpuless import compile_for_gpu, interpreter, needs_triton
from test_norm import NORMS, assert_is_the_formula, assert_reaches_neighbours_alone, draw
from torch import Tensor

from alexnet.kernels.norm import Norm

pytestmark = needs_triton


def interpreted(n: Norm, x: Tensor, above: Tensor | None) -> Tensor:
    from alexnet.kernels.norm_triton import normalise

    return normalise(n, x, above)


@pytest.fixture(scope="module")
def body() -> Iterator:
    """`normalise` of norm_triton.py, in a process that interprets it."""
    with interpreter() as process:
        yield lambda n, x, above=None: process.submit(interpreted, n, x, above).result()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("n", "shape"),
    [
        (Norm(3, 0.02, 0.75, 2.0, 1), (3, 7, 5, 3)),  # more values than one program has
        (NORMS[0], (1, 14, 3, 1)),
        (NORMS[1], (1, 11, 1, 3)),
        (NORMS[1], (1, 3, 2, 2)),  # fewer maps than there are neighbours
        (Norm(5, 0.02, 0.5, 1.0, 2), (1, 6, 3, 3)),
        (NORMS[2], (2, 5, 3, 9)),
        (Norm(3, 0.02, 1.0, 1.0, 0), (1, 3, 1, 5)),
    ],
)
def test_is_the_formula(n: Norm, shape: tuple[int, int, int, int], dtype: torch.dtype, body) -> None:
    """The interpreter cuts the last bits off where a GPU rounds to bf16: up to 0.8 %."""
    assert_is_the_formula(draw(shape, 0, 30.0, dtype), draw(shape, 1, 1.0, dtype), n, body, bf16=8e-3)


def test_leaves_its_input_and_gives_channels_last(body) -> None:
    x = draw((2, 4, 3, 3), 0, 10.0)
    above = draw((2, 4, 3, 6), 1)[..., ::2]
    before = x.clone()
    for n in NORMS:
        y = body(n, x, above)
        assert y.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(y, body(n, x.contiguous(memory_format=torch.channels_last), above.contiguous()))
    assert torch.equal(x, before)


@pytest.mark.parametrize("n", NORMS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_so_and_reaches_neighbours_alone(n: Norm, value: float, body) -> None:
    x = draw((2, 12, 3, 4), 0, 10.0)
    assert_reaches_neighbours_alone(x, draw(x.shape, 1), n, value, body)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from alexnet.kernels import norm_triton

TYPES = {"x": "*bf16", "gradient": "*bf16", "out": "*bf16", "count": "i32", "alpha": "fp32", "k": "fp32"}
NAMES = ("BETA", "BLOCK", "STEP", "LENGTH", "ROWS", "REACH", "REACH_ROWS")
MAPS, PIXELS = (0.75, 256, 1, 96, 1, 2, 0), (0.75, 256, 64, 16, 16, 1, 1)

for kernel, constants, types, loads in (
    (norm_triton._backward, MAPS, {"shares": "constexpr"}, 9 + 5),
    (norm_triton._backward, PIXELS, {"shares": "*fp32"}, 9 + 9 + 1),
):
    constants = dict(zip(NAMES, constants)) | ({"shares": None} if types.get("shares") == "constexpr" else {})
    signature = {name: (TYPES | types).get(name, "constexpr") for name in kernel.arg_names}
    made = triton.compile(ASTSource(kernel, signature, constants), GPUTarget("cuda", 90, 32), {"enable_fp_fusion": False})
    assert made.asm["cubin"]
    assert made.asm["ttgir"].count("tt.load") == loads, made.asm["ttgir"].count("tt.load")
    assert "fma.rn.f32" not in made.asm["ptx"]
    assert "cvt.rn.bf16" in made.asm["ptx"]
"""


def test_compiles_for_a_gpu_that_is_not_here(clean_env: dict[str, str], tmp_path: Path) -> None:
    """For Hopper: every value is loaded once, nothing is contracted, and results are rounded to bf16, not cut."""
    compile_for_gpu(COMPILE, clean_env, tmp_path)
