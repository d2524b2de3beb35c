"""AMP142, and scalers of sharded training: what one process of several can see of itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed
from torch.nn.parallel import DistributedDataParallel

from amp_runtime.instrument.faults import Plan
from amp_runtime.instrument.sanitizer import Sanitizer
from tests.amp_runtime.instrument.watching import Program, codes, only_alarm, program

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")


@pytest.fixture(autouse=True)
def group(tmp_path: Path) -> Iterator[None]:
    """One process, which is a group of its own."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def _parallel() -> tuple[Program, torch.nn.Module]:
    made = program()
    return made, DistributedDataParallel(made.model)


def _loss(made: Program, model: torch.nn.Module, *, broken: bool) -> torch.Tensor:
    inputs = made.inputs * (math.nan if broken else 1.0)
    with torch.autocast("cpu", dtype=torch.float16):
        out = model(inputs)
    return torch.nn.functional.mse_loss(out.float(), made.targets)


def _finish(made: Program, loss: torch.Tensor) -> None:
    made.optimizer.zero_grad()
    made.scaler.scale(loss).backward()
    made.scaler.step(made.optimizer)
    made.scaler.update()


def test_a_rank_that_leaves_a_batch_out() -> None:
    made, model = _parallel()

    def train() -> None:
        for i in range(4):
            with torch.autocast("cpu", dtype=torch.float16):
                out = model(made.inputs * (math.nan if i == 2 else 1.0))
            loss = out.float().pow(2).mean()
            if not torch.isfinite(loss):
                continue
            _finish(made, loss)

    only_alarm(train, "AMP142", "out = model(")


def test_a_rank_that_leaves_the_planted_batch_out() -> None:
    made, model = _parallel()
    sanitizer = Sanitizer(faults=Plan(overflow_at=None, nan_batch_at=3))
    with sanitizer:
        for _ in range(6):
            loss = _loss(made, model, broken=False)
            if torch.isfinite(loss):
                _finish(made, loss)
    assert [(alarm.code, alarm.planted) for alarm in sanitizer.alarms] == [("AMP142", True)]


@pytest.mark.parametrize("how", ["backward", "agreed", "no sync"])
def test_ranks_that_do_the_same(how: str) -> None:
    made, model = _parallel()

    def train() -> None:
        for i in range(4):
            if how == "no sync" and i == 2:
                with model.no_sync():  # type: ignore[operator]
                    _loss(made, model, broken=True)
                continue
            loss = _loss(made, model, broken=i == 2)
            finite = torch.isfinite(loss.detach()).float()
            if how == "agreed":
                torch.distributed.all_reduce(finite, op=torch.distributed.ReduceOp.MIN)
            if how == "backward" or finite:
                _finish(made, loss)

    assert codes(train) == []


def test_the_scaler_of_sharded_training() -> None:
    from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

    made = program()
    made.scaler = ShardedGradScaler("cpu", init_scale=2.0**40)

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert codes(train) == []


def test_the_scaler_of_sharded_training_is_passed_by() -> None:
    from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

    made = program()
    made.scaler = ShardedGradScaler("cpu", init_scale=1024.0)

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert only_alarm(train, "AMP103", "clip_grad_norm_").values["scale"] == 1024.0
