"""A small convolutional classifier of scikit-learn's handwritten digits."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from amp_runtime.metrics import evaluate
from amp_runtime.objective import classification
from amp_runtime.policy import policy_for
from amp_runtime.step import StepOptions, TrainingStep
from amp_runtime.workloads.contract import PacedWorkload, best_config, figures, fp16_config, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amp_runtime.config import AmpConfig

Images = tuple[torch.Tensor, torch.Tensor]

_BATCH = 64
_VALIDATION = 360  # of 1797 images: always the last ones


def digits(*, amp: bool, seed: int) -> PacedWorkload[Images]:
    """Train in fp32, or under `amp` in the best format of this machine (bf16 on a CPU).

    Plain SGD with momentum, not Adam: Adam divides gradients by their size and so hides wrong loss scaling.
    """
    return _workload(best_config(amp=amp), seed)


def digits_fp16(*, amp: bool, seed: int) -> PacedWorkload[Images]:
    """Train in fp32, or under `amp` in float16 with a loss scaler on any device.

    Clipping is on and usually active, so clipping scaled gradients stops the learning at once.
    """
    return _workload(fp16_config(amp=amp), seed)


def _workload(config: AmpConfig, seed: int) -> PacedWorkload[Images]:
    train, validation = load_digits(config.device)
    model = seeded(_classifier, seed).to(config.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.2, total_iters=5)
    policy = policy_for(config)
    step = TrainingStep(
        model, optimizer, policy, classification, scheduler=scheduler, options=StepOptions(clip_norm=1.0)
    )

    def measure() -> dict[str, float]:
        return figures(evaluate(model, [validation], policy, classification))

    return PacedWorkload(step, _stream(train, seed), measure)


def _classifier() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


def load_digits(device: str) -> tuple[Images, Images]:
    """Return training and validation images as float32 `(n, 1, 8, 8)` from 0 to 1, with int64 labels `(n,)`.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed (extra `workloads`).
    """
    # As `sklearn.datasets.load_digits` reads them. Importing it takes over a second, in each process that trains.
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'sklearn' (extra `workloads`)", name="sklearn")
    (folder, *_) = package.submodule_search_locations
    with gzip.open(Path(folder) / "datasets" / "data" / "digits.csv.gz", "rt", encoding="ascii") as file:
        values = [float(value) for line in file for value in line.split(",")]
    rows = torch.tensor(values, device=device).reshape(-1, 65)  # 64 pixels and the label
    images = rows[:, :-1].reshape(-1, 1, 8, 8) / 16
    labels = rows[:, -1].long()
    return (images[:-_VALIDATION], labels[:-_VALIDATION]), (images[-_VALIDATION:], labels[-_VALIDATION:])


def _stream(data: Images, seed: int) -> Iterator[Images]:
    images, labels = data
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(labels), generator=generator).to(labels.device)
        for start in range(0, len(order) - _BATCH + 1, _BATCH):
            chosen = order[start : start + _BATCH]
            yield images[chosen], labels[chosen]
