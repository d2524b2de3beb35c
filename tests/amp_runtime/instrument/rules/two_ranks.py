"""Two processes that train a model sharded by FullyShardedDataParallel; each writes down what was said of it."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

from amp_runtime.instrument.sanitizer import Sanitizer


def train(model: Any, make: Any, *, own_clipping: bool) -> list[list[Any]]:
    """Return code and line of every alarm of two steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Sanitizer() as sanitizer:
        scaler = make("cpu", init_scale=1024.0)
        for _ in range(2):
            with torch.autocast("cpu", dtype=torch.float16):
                loss = model(torch.ones(4, 8)).float().mean()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            if own_clipping:
                model.clip_grad_norm_(1.0)
            else:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    return [[alarm.code, alarm.frames[-1].line] for alarm in sanitizer.alarms]


def main(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = FullyShardedDataParallel(torch.nn.Linear(8, 8), device_id=torch.device("cpu"), use_orig_params=True)
    said = {
        "plain": train(model, torch.amp.GradScaler, own_clipping=True),
        "util": train(model, ShardedGradScaler, own_clipping=False),
        "right": train(model, ShardedGradScaler, own_clipping=True),
    }
    (folder / f"{rank}.json").write_text(json.dumps(said))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    main(int(sys.argv[1]), Path(sys.argv[2]))
