"""What a step that is looked into costs beside the same step left alone, in processor time: paired, in one run.

It is sampled, so what counts is the ratio: at one step in `ratio / 0.1` it costs a tenth of a run.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from amp_runtime.instrument.deep.watch import DeepWatch
from amp_runtime.workloads.language import VOCABULARY, CharTransformer

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

ALLOWED = 40.0  # times the step; beyond it something is wrong, and not merely slow
PAIRS = 9
WARM_UP = 3
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LEVELS = {"with FP32 shadows": 2 << 30, "without": 0}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def transformer(size: int) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    inputs, targets = torch.randint(VOCABULARY, (2, size, 64), generator=torch.Generator().manual_seed(1))
    return CharTransformer(), inputs, targets


def convolutions(size: int) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    layers: list[nn.Module] = []
    width = 3
    for channels in (16, 32, 64):
        layers += [nn.Conv2d(width, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2)]
        width = channels
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 10))
    return model, torch.randn(size, 3, 32, 32), torch.randint(10, (size,))


MODELS = {"transformer": transformer, "conv net": convolutions}


def step_of(kind: str, precision: str, size: int) -> Callable[[], None]:
    torch.manual_seed(0)
    model, inputs, targets = MODELS[kind](size)
    dtype = DTYPES[precision]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=precision == "fp16")

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=precision != "fp32"):
            loss = nn.functional.cross_entropy(model(inputs).float().flatten(0, -2), targets.flatten())
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def seconds(call: Callable[[], object]) -> float:
    gc.collect()
    begin = time.process_time()
    call()
    return time.process_time() - begin


@pytest.mark.parametrize("size", [2, 16])
@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("level", LEVELS)
def test_cost_of_a_deep_step(level: str, kind: str, precision: str, size: int) -> None:
    step = step_of(kind, precision, size)
    watch = DeepWatch(budget_bytes=LEVELS[level])
    records = []

    def watched() -> None:
        watch.start()
        step()
        records.append(watch.stop())

    for _ in range(WARM_UP):
        step()
        watched()
    pairs = [(seconds(watched), seconds(step)) for _ in range(PAIRS)]
    deep, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    last = records[-1]
    assert last.problems == ()
    assert last.shadow is not None
    print(
        f"\n{kind:11} {precision} batch {size:2} {level:17} plain {plain * 1e3:7.1f} ms  deep {deep * 1e3:7.1f} ms  "
        f"ratio {ratio:5.1f}  {(deep - plain) / last.operators * 1e6:4.0f} us an operator ({last.operators})  "
        f"shadows {last.shadow.peak_bytes / 2**20:.1f} MiB  one step in {ratio / 0.1:.0f} costs 10 %"
    )
    assert ratio <= ALLOWED
