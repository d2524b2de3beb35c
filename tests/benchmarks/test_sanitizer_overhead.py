"""What the sanitizer's always-on level costs: the same program watched and not watched, in turn, in one process.

A step of about 50 ms may become 2 % slower, one of about 10 ms 5 %. It fails only where the whole interval lies above.
What the first hundred steps cost, which are all watched whole, is printed beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from amp_runtime.benchmark.intervals import centre
from amp_runtime.benchmark.pairing import Pairing, time_in_pairs
from amp_runtime.instrument.sanitizer import Sanitizer
from tests.benchmarks.test_step_overhead import by_hand

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

PAIRING = {
    10: Pairing(blocks=200, steps=5, lead_in=1, warm_up=4),  # five steps hold one that is watched whole
    50: Pairing(blocks=50, steps=5, lead_in=1, warm_up=4),
}
WHOLE = Pairing(blocks=18, steps=3, lead_in=2, warm_up=4)  # within the first hundred steps
ALLOWED = {10: 1.05, 50: 1.02}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def convolutions(size: int) -> Callable[[], None]:
    """A small residual network with batch normalisation: many parameters for its time."""
    torch.manual_seed(0)
    width = 8
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
    for _ in range(20):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    inputs, targets = torch.randn(size, 3, 16, 16), torch.randint(10, (size,))

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = nn.functional.cross_entropy(model(inputs).float(), targets)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

    return step


PROGRAMS: dict[str, Callable[[int], Callable[[], None]]] = {
    "transformer": lambda size: by_hand("bf16", size, 1.0),
    "convolutions": convolutions,
}


def seconds(step: Callable[[], None]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def size_for(program: Callable[[int], Callable[[], None]], wanted_s: float) -> int:
    def time_of(size: int) -> float:
        step = program(size)
        return min(seconds(step) for _ in range(4))

    return min((1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96), key=lambda size: abs(time_of(size) - wanted_s))


@pytest.mark.parametrize("milliseconds", ALLOWED)
@pytest.mark.parametrize("name", PROGRAMS)
def test_always_on(name: str, milliseconds: int) -> None:
    program = PROGRAMS[name]
    step = program(size_for(program, milliseconds / 1e3))
    sanitizer = Sanitizer()

    def watched() -> None:
        sanitizer.resume()
        step()

    def alone() -> None:
        sanitizer.pause()
        step()

    with sanitizer:
        whole = time_in_pairs(alone, watched, WHOLE, lambda: None)
        while not sanitizer.run.rested:
            watched()
        blocks = time_in_pairs(alone, watched, PAIRING[milliseconds], lambda: None)
    first, found = (centre([block.second_s / block.first_s for block in some]) for some in (whole, blocks))
    plain = statistics.median(block.first_s for block in blocks) * 1e3
    report = sanitizer.report()
    assert report.watched.steps > 0
    assert report.alarms == ()
    print(
        f"\n{name:12} step {plain:5.1f} ms  watched / alone {found.value:.4f}  "
        f"{found.confidence:.0%} interval {found.low:.4f} to {found.high:.4f}  first hundred steps {first.value:.4f}"
    )
    assert found.low <= ALLOWED[milliseconds]
