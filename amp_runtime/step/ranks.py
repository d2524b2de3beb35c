"""The processes that train one model together: what they must decide alike, and when they exchange gradients."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import distributed as dist

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.nn.parallel import DistributedDataParallel


class Ranks:
    """One process on its own: it agrees with itself, and has nobody to exchange gradients with."""

    def total(self, value: float) -> float:
        """Return the sum of `value` over the processes."""
        return value

    @property
    def size(self) -> int:
        return 1

    def any(self, flag: torch.Tensor) -> torch.Tensor:
        """Return, on every process, whether the 0-dim `flag` is true on any of them."""
        return flag

    @contextlib.contextmanager
    def without_exchange(self) -> Iterator[None]:
        """Run forward and backward of a micro-batch that is not the window's last."""
        yield


class _ManyRanks(Ranks):
    def __init__(
        self,
        groups: list[dist.ProcessGroup],
        device: torch.device,
        replicas: list[DistributedDataParallel],
        shards: Sequence[FSDPModule],
    ) -> None:
        self._groups = groups
        self._device = device
        self._replicas = replicas
        self._shards = shards

    @property
    def size(self) -> int:
        return math.prod(dist.get_world_size(group) for group in self._groups)

    def total(self, value: float) -> float:
        return float(self._reduced(torch.tensor(value, dtype=torch.float64), dist.ReduceOp.SUM).item())

    def any(self, flag: torch.Tensor) -> torch.Tensor:
        # A rank that skips while another one steps leaves the collectives of the two out of order, and both hang.
        return self._reduced(flag.int(), dist.ReduceOp.MAX).bool()

    @contextlib.contextmanager
    def without_exchange(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for replica in self._replicas:
                stack.enter_context(replica.no_sync())
            for shard in self._shards:
                shard.set_requires_gradient_sync(False, recurse=False)
                stack.callback(shard.set_requires_gradient_sync, True, recurse=False)
            yield

    def _reduced(self, value: torch.Tensor, how: dist.ReduceOp.RedOpType) -> torch.Tensor:
        for group in self._groups:  # one per dimension of the mesh
            # Where the weights are: NCCL and its like reduce nothing on the CPU.
            value = value.to(self._device)
            dist.all_reduce(value, op=how, group=group)
        return value


def ranks_of(model: torch.nn.Module) -> Ranks:
    """Find out who trains `model`: the group of its DistributedDataParallel or `fully_shard` modules, else nobody.

    A process group alone does not say so: processes may train a model each, as in a search for hyper-parameters.

    Raises:
        ValueError: FSDP1. Its gradient shards are plain tensors, so each process would clip and skip by its own.
    """
    if not dist.is_available() or not dist.is_initialized():
        return Ranks()
    # Imported here: slow, and of use only to those who already paid for it.
    from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel  # noqa: PLC0415
    from torch.nn.parallel import DistributedDataParallel  # noqa: PLC0415

    modules = list(model.modules())
    if any(isinstance(module, FullyShardedDataParallel) for module in modules):
        raise ValueError(
            "the model is wrapped in FullyShardedDataParallel (FSDP1), where each process sees only its own part of "
            "the gradients: their norms and the loss scaler's decisions would differ; use fully_shard (FSDP2) instead"
        )
    replicas = [module for module in modules if isinstance(module, DistributedDataParallel)]
    shards = [module for module in modules if isinstance(module, FSDPModule)]
    if not replicas and not shards:
        return Ranks()
    device = next(model.parameters()).device
    return _ManyRanks(_groups(replicas, shards), device, replicas, shards)


def _groups(replicas: list[DistributedDataParallel], shards: Sequence[FSDPModule]) -> list[dist.ProcessGroup]:
    if replicas:
        return [replicas[0].process_group]
    for shard in shards:
        for parameter in cast("torch.nn.Module", shard).parameters():
            mesh = getattr(parameter, "device_mesh", None)
            if mesh is not None:
                return [mesh.get_group(dimension) for dimension in range(mesh.ndim)]
    raise ValueError("fully_shard was applied to modules without parameters, so there is nothing to train")
