"""A simulated processor: torch's results are rounded by the shapes of their inputs.

No library promises that a number of a batch keeps its bits when the batch is cut otherwise: on
Intel processors MKL rounds a product of matrices by its number of rows, and the end of a vector may
take another path than its middle. On the processor at hand a test can pass although it relies on
that. Under `pytest --round-by-shape` all sums, products and functions of torch move by up to one
rounding, the same for equal shapes, strides and numbers of threads and another for others. What is
computed by our own C, or added and multiplied one number at a time, stays.
"""

import zlib
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS = {
    "mm",
    "addmm",
    "bmm",
    "baddbmm",
    "addmv",
    "mv",
    "dot",
    "convolution",
    "convolution_backward",
}
SUMS = {
    "sum",
    "mean",
    "var",
    "std",
    "var_mean",
    "norm",
    "linalg_vector_norm",
    "avg_pool2d",
    "avg_pool2d_backward",
    "nll_loss_forward",
    "mse_loss",
    "upsample_bilinear2d",
    "_cdist_forward",
}
FUNCTIONS = {
    "exp",
    "log",
    "pow",
    "tanh",
    "tanh_backward",
    "sigmoid",
    "sigmoid_backward",
    "normal_",
    "_softmax",
    "_softmax_backward_data",
    "_log_softmax",
    "_log_softmax_backward_data",
}
ROUNDED = PRODUCTS | SUMS | FUNCTIONS
# from 1 to the next larger number; to the next smaller one half of it
NEXT = {torch.float32: 2.0**-23, torch.float64: 2.0**-52}


class RoundByShape(TorchDispatchMode):
    """Moves what torch computes on the processor by up to one rounding, as its shapes say."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch gives, moved."""
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if name in ROUNDED:
            shapes = [(tuple(arg.shape), arg.stride()) for arg in args if isinstance(arg, Tensor)]
            key = zlib.crc32(repr((name, torch.get_num_threads(), shapes)).encode())
            for tensor in result if isinstance(result, tuple) else (result,):
                if (
                    isinstance(tensor, Tensor)
                    and tensor.dtype in NEXT
                    and tensor.device.type == "cpu"
                ):
                    move(tensor, key)
        return result


def move(tensor: Tensor, key: int) -> None:
    """Multiply every number by 1 or by one of its neighbours."""
    factors = neighbours(key % 1009, tensor.dtype)
    tensor.mul_(
        factors.repeat(1 + tensor.numel() // len(factors))[: tensor.numel()].view(tensor.shape)
    )


@cache
def neighbours(key: int, dtype: torch.dtype) -> Tensor:
    """A hundred or so of 1 and the numbers next to it, drawn by a key."""
    drawn = torch.randint(-1, 2, (101 + key % 7,), generator=torch.Generator().manual_seed(key))
    return (1 + drawn.double() * torch.where(drawn < 0, NEXT[dtype] / 2, NEXT[dtype])).to(dtype)
