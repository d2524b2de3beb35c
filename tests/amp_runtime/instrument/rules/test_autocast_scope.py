"""AMP203, 205, 206, 207, 209, 210: where autocast is on, and where it is not."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from amp_runtime.instrument.looks import Looks
from tests.amp_runtime.instrument.rules.saying import only_alarm, silent
from tests.amp_runtime.instrument.watching import Program, program


def _step(made: Program, device: str = "cpu") -> None:
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = made.model(made.inputs).float().mean()
    loss.backward()
    made.optimizer.step()
    made.optimizer.zero_grad()


def test_the_global_switch() -> None:
    made = program()

    def train() -> None:
        torch.set_autocast_enabled("cpu", True)
        made.model(made.inputs).mean().backward()
        made.optimizer.step()
        torch.set_autocast_enabled("cpu", False)

    alarm = only_alarm(train, "AMP203", "True")
    assert "cpu" in alarm.message
    torch.clear_autocast_cache()


def test_contexts_in_a_step_that_is_looked_into_are_no_switch() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = made.model[0](made.inputs)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = made.model[2](hidden).float().mean()
            loss.backward()
            made.optimizer.step()

    silent(train, looks=Looks(first=2))


def test_turning_it_off_inside_a_context_is_no_switch() -> None:
    made = program()

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.set_autocast_enabled("cpu", False)
            torch.set_autocast_enabled("cpu", True)
            loss = made.model(made.inputs).mean()
        loss.backward()

    silent(train, "AMP203")


def test_a_generator_that_yields_inside() -> None:
    made = program()

    def features() -> Iterator[torch.Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for _ in range(2):
                yield made.model(made.inputs)

    def train() -> None:
        for found in features():
            found.float().mean().backward()
            made.optimizer.step()

    alarm = only_alarm(train, "AMP205", "yield made", within=features)
    assert "features()" in alarm.message


def test_a_coroutine_that_waits_inside() -> None:
    made = program()

    async def serve() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            made.model(made.inputs)
            await asyncio.sleep(0)

    async def fit() -> None:
        made.model(made.inputs).mean().backward()

    async def both() -> None:
        await asyncio.gather(serve(), fit())

    only_alarm(lambda: asyncio.run(both()), "AMP205", "await asyncio", within=serve)


def test_context_managers_and_generators_that_leave_it_first_are_fine() -> None:
    made = program()

    @contextlib.contextmanager
    def precision() -> Iterator[None]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            yield

    def losses() -> Iterator[torch.Tensor]:
        for _ in range(2):
            with precision():
                loss = made.model(made.inputs).float().mean()
            yield loss

    def train() -> None:
        for loss in losses():
            loss.backward()
            made.optimizer.step()
            made.optimizer.zero_grad()

    silent(train)


def test_a_thread_started_inside() -> None:
    made = program()

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            thread = threading.Thread(target=made.model, args=(made.inputs,))
            thread.start()
            thread.join()

    alarm = only_alarm(train, "AMP206", "thread.start()")
    assert "linear in float32" in alarm.message


def test_a_pool_used_inside() -> None:
    made = program()

    def train() -> None:
        with ThreadPoolExecutor(1) as pool, torch.autocast("cpu", dtype=torch.bfloat16):
            list(pool.map(made.model, [made.inputs]))

    only_alarm(train, "AMP206", "pool.map")


def test_threads_that_enter_it_or_compute_nothing_are_fine() -> None:
    made = program()

    def work() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            made.model(made.inputs)

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for target in (work, made.inputs.sum):
                thread = threading.Thread(target=target)
                thread.start()
                thread.join()

    silent(train)


def test_a_worker_that_computes_after_the_region_is_fine() -> None:
    made = program()

    def train() -> None:
        with ThreadPoolExecutor(1) as pool:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                pool.submit(made.inputs.sum).result()
            pool.submit(made.model, made.inputs).result()

    silent(train)


class _Island(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Linear(8, 8)
        self.head = torch.nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x).relu()
        with torch.autocast("cpu", enabled=False):
            return self.head(x.float())


def test_a_backward_inside_with_a_part_in_float32() -> None:
    made, net = program(), _Island()

    def train() -> None:
        for _ in range(2):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = net(made.inputs).mean()
                loss.backward()

    alarm = only_alarm(train, "AMP207", "loss.backward()")
    assert "Addmm" in alarm.message


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return 2 * gradient


def test_a_backward_inside_with_a_function_of_the_program() -> None:
    made = program()

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            _Double.apply(made.model(made.inputs)).mean().backward()

    alarm = only_alarm(train, "AMP207", ".backward()")
    assert "_Double" in alarm.message


def test_a_backward_inside_gives_the_same_bits_for_torchs_own_layers() -> None:
    """What AMP207 is silent about: measured here, with and without checkpointing."""
    made = program()

    def gradients(inside: bool, reentrant: bool | None) -> list[torch.Tensor]:
        made.model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = made.inputs.clone().requires_grad_()
            out = made.model(x) if reentrant is None else checkpoint(made.model, x, use_reentrant=reentrant)
            loss = out.float().mean()
            if inside:
                loss.backward()
        if not inside:
            loss.backward()
        return [parameter.grad.clone() for parameter in made.model.parameters()]

    def train() -> None:
        for reentrant in (None, True, False):
            pairs = zip(gradients(True, reentrant), gradients(False, reentrant), strict=True)
            assert all(torch.equal(one, other) for one, other in pairs)

    silent(train, "AMP207")


@pytest.mark.parametrize("device", ["cuda", "xpu"])
def test_another_device(device: str) -> None:
    made = program()

    def train() -> None:
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = made.model(made.inputs).mean()
        loss.backward()

    if torch.cuda.is_available() and device == "cuda":
        pytest.skip("here the device is there, and torch casts nothing on the CPU without a word")
    alarm = only_alarm(train, "AMP209", "torch.autocast(device")
    assert "training is on cpu" in alarm.message


def test_a_device_object() -> None:
    def train() -> None:
        torch.autocast(torch.device("cpu"))

    only_alarm(train, "AMP209", "torch.autocast(")


def test_the_right_device_and_autocast_that_is_off_are_fine() -> None:
    made = program()

    def train() -> None:
        _step(made)
        with torch.autocast("cuda", enabled=False):
            made.model(made.inputs).mean().backward()

    silent(train, "AMP209")


def test_a_context_that_is_never_entered() -> None:
    made = program()

    def train() -> None:
        for _ in range(2):
            torch.autocast("cpu", dtype=torch.bfloat16)
            made.model(made.inputs).mean().backward()
            made.optimizer.step()

    alarm = only_alarm(train, "AMP210", "torch.autocast(")
    assert alarm.count == 2


def test_a_context_that_is_kept_and_never_entered() -> None:
    made = program()

    def train() -> None:
        made.context = torch.autocast("cpu", dtype=torch.bfloat16)  # type: ignore[attr-defined]
        made.model(made.inputs).mean().backward()
        made.optimizer.step()

    only_alarm(train, "AMP210", "made.context")


def test_contexts_that_are_entered_later_or_decorate_are_fine() -> None:
    made = program()

    @torch.autocast("cpu", dtype=torch.bfloat16)
    def loss() -> torch.Tensor:
        return made.model(made.inputs).float().mean()

    def train() -> None:
        context = torch.autocast("cpu", dtype=torch.bfloat16)
        for _ in range(2):
            with context:
                found = made.model(made.inputs).mean()
            found.backward()
            made.optimizer.step()
        torch.autocast("cpu", dtype=torch.bfloat16)(made.model.forward)
        loss().backward()

    silent(train, "AMP210")
