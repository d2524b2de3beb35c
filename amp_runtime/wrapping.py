"""The plain model inside what DistributedDataParallel and `torch.compile` put around it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """Return the innermost model, which shares its parameters with every wrapper. `fully_shard` (FSDP2) wraps nothing.

    Neither wrapper is imported: where its module was not loaded, no such model can exist.
    """
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    replicas = sys.modules.get("torch.nn.parallel.distributed")
    while True:
        if compiler is not None and isinstance(model, compiler.OptimizedModule):
            model = model._orig_mod
        elif replicas is not None and isinstance(model, replicas.DistributedDataParallel):
            model = model.module
        else:
            return model
