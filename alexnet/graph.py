"""Training steps as CUDA graphs: the launches of a whole step are captured once, and from then on a step is one call.

A graph does again, at the same addresses, what was done while it was captured. So what is chosen of the images is copied to where
it was then, the rates of the update lie on the device (`PaperSGD.send_rates`), and the stream of the dropout masks is set to its
start before each replay. Weights, velocities and sums are changed in place.

No graph is trusted: before it is used it makes one step, which must have the bits of the same step made call by call. Where it has
not, or where capturing fails, a run goes on call by call after one line of warning. Bits are the same either way.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.data.batches import Source
from alexnet.optim import PaperSGD
from alexnet.parallel import place

Body = Callable[[Any], None]  # a whole step, given what is chosen of the images: a tensor, or a dataclass of tensors


class Graphs:
    """The captured steps of one run, one for each size of batch."""

    def __init__(self) -> None:
        self.captured: dict[tuple[torch.Size | None, ...], Captured] = {}
        self.setting: tuple[object, ...] = ()
        self.refused = False  # whether one was found wrong: from then on there are none

    def of(self, step: Body, source: Source, net: nn.Module, optimizer: PaperSGD, sums: Sequence[Tensor]) -> Body:
        """`step`, an update of `net` with what `source` shows, which adds to `sums`; through graphs where it can.

        Graphs made for other sources, layers in training or memory are dropped.
        """
        if not possible(source, sums):
            return step
        optimizer.send_rates()
        trained = [weight for group in optimizer.param_groups for weight in group["params"] if weight.requires_grad]
        changed = [*trained, *map(optimizer.velocity, trained), *sums]
        setting = source, net.training, *map(id, changed)
        if setting != self.setting:
            self.captured, self.setting = {}, setting
        return lambda chosen: self.make(step, chosen, changed, net)

    def make(self, step: Body, chosen: Any, changed: Sequence[Tensor], net: nn.Module) -> None:
        """One step with what is chosen, by its graph if there can be one."""
        size = tuple(None if field is None else field.shape for field in fields(chosen))
        if size not in self.captured and not self.refused:
            made = checked(step, chosen, changed, net)
            self.refused = made is None
            if made:
                self.captured[size] = made
        (step if self.refused else self.captured[size])(chosen)


def possible(source: Source, sums: Sequence[Tensor]) -> bool:
    """Whether a step needs nothing but one GPU and its memory."""
    return sums[0].is_cuda and source.resident and place()[1] == 1


class Captured:
    """`step` as a graph that is called like it, with a choice of the size of `chosen`."""

    def __init__(self, step: Body, chosen: Any, device: torch.device, net: nn.Module) -> None:
        self.net = net
        # The first image in every place: a graph that did not read what is chosen later would be found out.
        self.fields = [None if field is None else field.to(device)[:1].expand_as(field).clone() for field in fields(chosen)]
        fixed = self.fields[0] if isinstance(chosen, Tensor) else type(chosen)(*self.fields)
        self.replay = capture(lambda: step(fixed), seeded(net))

    def __call__(self, chosen: Any) -> None:
        """One step. The host does not wait for it, nor for the copies: pinned memory is not used again before they are made."""
        for there, here in zip(self.fields, fields(chosen), strict=True):
            if there is not None and here is not None:
                there.copy_(here.pin_memory() if there.is_cuda and not here.is_cuda else here, non_blocking=True)
        seeded(self.net)
        self.replay()


def seeded(net: nn.Module) -> torch.Generator | None:
    """The generator of the dropout masks of an AlexNet, where those of its next pass start; None where it has drawn none yet."""
    masks: torch.Generator | None = getattr(net, "masks", None)
    return None if masks is None else masks.manual_seed(net.dropout_key)  # type: ignore[arg-type]


def fields(chosen: Any) -> tuple[Tensor | None, ...]:
    """The tensors of a choice."""
    return (chosen,) if isinstance(chosen, Tensor) else tuple(vars(chosen).values())


def capture(body: Callable[[], None], generator: torch.Generator | None) -> Callable[[], None]:
    """Do `body` once, so that all that it needs is loaded, capture it, and return what replays it.

    After "Whole-network capture" in torch's notes on CUDA.
    """
    aside, here = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        body()
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    if generator is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 2.15 registers what draws by itself, and says so
            graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        body()
    return graph.replay


def checked(step: Body, chosen: Any, changed: Sequence[Tensor], net: nn.Module) -> Captured | None:
    """A graph that does what `step` does, to the bit; else None, after a line of warning. `changed` is as before in the end."""
    before = [tensor.detach().clone() for tensor in changed]
    made, fault = None, ""
    try:
        step(chosen)
        expected = [tensor.detach().clone() for tensor in changed]
        put_back(changed, before)
        made = Captured(step, chosen, changed[0].device, net)
        put_back(changed, before)
        made(chosen)
        if not all(map(same, changed, expected)):
            fault = "its bits differ"
    except Exception as error:  # noqa: BLE001 - torch, its libraries and the driver have many ways to refuse a capture
        fault = f"{type(error).__name__}: {error}".splitlines()[0]
    put_back(changed, before)
    if fault:
        if hasattr(net, "masks"):
            net.masks = None  # type: ignore[assignment]  # a generator that a capture left behind can draw no more
        warnings.warn(f"training goes on without a CUDA graph ({fault})", RuntimeWarning, stacklevel=2)
    return None if fault else made


def same(a: Tensor, b: Tensor) -> bool:
    """Whether all bits are equal."""
    bits = {4: torch.int32, 8: torch.int64}[a.element_size()]
    return torch.equal(a.detach().view(bits), b.view(bits))


@torch.no_grad()
def put_back(changed: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    """Give tensors the values that they had."""
    for now, then in zip(changed, before, strict=True):
        now.copy_(then)
