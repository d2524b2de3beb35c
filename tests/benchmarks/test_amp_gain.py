"""What AMP brings on this machine: every workload in FP32 against AMP, and where the width begins to pay.

Prints what docs/benchmarks.md states. Run it alone on a quiet machine: pairs take drift out of the ratio, not out of
the milliseconds.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from amp_runtime import workloads
from amp_runtime.benchmark.compare import benchmark_amp
from amp_runtime.benchmark.pairing import Pairing
from amp_runtime.benchmark.quality import Budget
from amp_runtime.benchmark.requirements import Requirements
from amp_runtime.benchmark.subjects import ModelSubject
from amp_runtime.capability import capability_of
from amp_runtime.config import AmpConfig
from amp_runtime.objective import classification
from amp_runtime.precision import Precision
from amp_runtime.workloads import language
from amp_runtime.workloads.contract import workload_device

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
PAIRING = Pairing(blocks=20, steps=3, lead_in=1, warm_up=5)
WIDTHS = (64, 128, 256, 512)


@pytest.fixture(scope="module", autouse=True)
def _machine() -> Iterator[None]:
    device = workload_device()
    known = capability_of(device)
    print(f"\n{known.device.name}, {_processor()}, Python {platform.python_version()}, torch {torch.__version__}")
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    for name, support in known.dtypes.items():
        print(f"  {name:5} {support.level}: {support.reason} ({support.source})")
    yield
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@pytest.mark.parametrize("name", workloads.__all__[1:])
def test_each_workload(name: str) -> None:
    budget = Budget(steps=66, seeds=(0, 1, 2, 3, 4)) if name.startswith("digits") else Budget(steps=40)
    found = benchmark_amp(getattr(workloads, name), pairing=PAIRING, budget=budget)
    print(f"\n{name}\n{found.table()}")
    assert found.accuracy_difference is None or abs(found.accuracy_difference.value) < 0.01


def test_the_language_model_is_faster_in_bf16_where_the_cpu_computes_in_it() -> None:
    found = benchmark_amp(
        language.char_lm, pairing=replace(PAIRING, blocks=30), budget=Budget(seeds=()), requirements=Requirements()
    )
    print(f"\nchar_lm, time alone: {found.speedup.as_text()}; {found.speedup.method}")
    if found.conditions.native:
        assert found.speedup.low > 1
    else:
        assert found.requirements[0].status.value == "deferred"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_width_from_which_bf16_pays(width: int) -> None:
    model = language.CharTransformer(width)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(language.VOCABULARY, (4, 8, 65), generator=generator)
    batches = [(part[:, :-1], part[:, 1:]) for part in tokens]
    subject = ModelSubject(
        model,
        batches,
        classification,
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
        AmpConfig(precision=Precision.BF16),
    )
    found = benchmark_amp(subject, pairing=PAIRING, budget=Budget(seeds=()))
    times = f"{1000 * found.fp32.step_s:.1f} ms in fp32, {1000 * found.amp.step_s:.1f} ms in bf16"
    saved = f"activations {found.memory_reduction.value:.0%} less"
    print(f"\nwidth {width}: {times}, {found.speedup.as_text()}, {saved}")
