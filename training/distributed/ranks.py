"""Several processes that train as one: the rank of this one, and the exchanges between them.

`torchrun` starts them and describes them in the environment. Each takes its share of every batch; the loss of
the joint batch is the mean of the ranks' losses. Each exchange below has its exact adjoint as its gradient.
So the mean of the ranks' gradients is the gradient of the joint loss, also for parts of the loss that are
computed from gathered tensors.

In one process every function here returns what it is given.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

# While the first rank decodes or measures, the others wait; when one has died, torchrun ends the rest.
_TIMEOUT = timedelta(days=7)


def local() -> int:
    """Return the number of this process among those of this machine, before it has joined the others."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun has started, if it has started several, for the block."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    """Count the processes that train together."""
    return dist.get_world_size() if _several() else 1


def first() -> bool:
    """Tell whether this is the one process that writes and reports."""
    return not _several() or dist.get_rank() == 0


def wait() -> None:
    """Wait until all ranks have come here."""
    if _several():
        dist.barrier()


@contextmanager
def first_before_others() -> Iterator[None]:
    """Let the first rank pass the block alone, then the others, which find what it has left on disk."""
    if not first():
        wait()
    yield
    if first():
        wait()


def share(joint: Tensor) -> Tensor:
    """Take this rank's rows of a tensor whose rows are those of the joint batch."""
    return joint.chunk(count())[dist.get_rank()] if _several() else joint


def gather(rows: Tensor) -> Tensor:
    """Gather the rows of all ranks in order, [N, ...] to [ranks x N, ...], with gradients from all ranks."""
    gathered: Tensor = _Gather.apply(rows) if _several() else rows  # type: ignore[no-untyped-call]
    return gathered


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over the ranks, in one exchange."""
    if not _several():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= count()
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, mean in zip(gradients, flat.split(sizes), strict=True):
        gradient.copy_(mean.view(gradient.shape))


def average(values: dict[str, float]) -> dict[str, float]:
    """Average each value over the ranks, which all name the same ones."""
    if not _several():
        return values
    means = torch.tensor(list(values.values()), dtype=torch.float64, device=_device())
    dist.all_reduce(means)
    return dict(zip(values, (means / count()).tolist(), strict=True))


def any_of(asked: bool) -> bool:
    """Tell whether it holds on some rank."""
    if not _several():
        return asked
    votes = torch.tensor(float(asked), device=_device())
    dist.all_reduce(votes)
    return bool(votes.item())


class _Gather(torch.autograd.Function):
    """All ranks' rows; the gradient of a rank's rows is the sum of what all ranks say about them.

    torch.distributed.nn has the like and is deprecated.
    """

    @staticmethod
    def forward(_context: Any, rows: Tensor) -> Tensor:
        rows = rows.contiguous()
        parts = [torch.empty_like(rows) for _ in range(count())]
        dist.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        # A copy: autograd may hand the same tensor to others too.
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return share(total)


def _several() -> bool:
    return dist.is_available() and dist.is_initialized()


def _device() -> torch.device:
    """Return the device from which the ranks' exchange takes tensors."""
    return torch.device("cuda", local()) if dist.get_backend() == "nccl" else torch.device("cpu")
