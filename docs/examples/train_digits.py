"""Train a classifier of handwritten digits: validation, early stopping, checkpoints, Ctrl-C, trackers and pictures.

    python docs/examples/train_digits.py runs/digits --precision fp16 --epochs 5

Stop it with Ctrl-C and start it again: it goes on where it was, in the middle of an epoch too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from amp_runtime import (
    AmpConfig,
    Checkpoints,
    CsvTracker,
    EarlyStopping,
    JsonlTracker,
    MetricsTracker,
    Precision,
    StepOptions,
    Tracking,
    TrainingStep,
    classification,
    fit,
    latest_checkpoint,
    policy_for,
)
from amp_runtime.plots import save_plots
from amp_runtime.workloads.vision import load_digits


def loaders() -> tuple[DataLoader[tuple[torch.Tensor, ...]], DataLoader[tuple[torch.Tensor, ...]]]:
    training, validation = load_digits("cpu")
    batches = DataLoader(TensorDataset(*training), batch_size=50, shuffle=True)
    return batches, DataLoader(TensorDataset(*validation), batch_size=100)


def training_step(precision: Precision) -> TrainingStep[tuple[torch.Tensor, torch.Tensor]]:
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 4 * 4, 10),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=300)
    options = StepOptions(clip_norm=1.0)
    policy = policy_for(AmpConfig(precision=precision))
    return TrainingStep(model, optimizer, policy, classification, scheduler=schedule, options=options)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", choices=[precision.value for precision in Precision], default="bf16")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    training, validation = loaders()
    folder: Path = options.folder
    table = MetricsTracker()
    tracking = Tracking(
        CsvTracker(folder / "figures.csv"), JsonlTracker(folder / "figures.jsonl"), config={"dataset": "digits"}
    )
    history = fit(
        training_step(Precision(options.precision)),
        training,
        epochs=options.epochs,
        validation=validation,
        callbacks=[
            Checkpoints(folder / "checkpoints", keep_last=2, keep_best=1),
            EarlyStopping("validation_accuracy", patience=3),
            table,
            tracking,
        ],
        resume=latest_checkpoint(folder / "checkpoints"),
    )
    save_plots(table, folder / "plots")
    summary = {
        "ended": history.ended,
        "interrupted": history.interrupted,
        "steps": len(table.records()),
        "accuracies": [record.metrics.accuracy for record in history.validations],
        "failures": history.failures,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
