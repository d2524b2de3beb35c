"""Train a classifier of handwritten digits with Lightning, in the precision that a configuration names.

    python docs/examples/lightning_digits.py --precision fp16 --epochs 2

Precision belongs to Lightning's Trainer. `amp_trainer` gives it what the configuration says, FP16 on a CPU included,
and refuses a second opinion; the callback logs loss scale, skipped steps and the norm of the true gradients.
"""

from __future__ import annotations

import argparse
import json
import tempfile

import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from amp_runtime.config import AmpConfig
from amp_runtime.lightning import ObjectiveModule, PrecisionMonitor, amp_trainer
from amp_runtime.objective import classification
from amp_runtime.precision import Precision
from amp_runtime.workloads.vision import load_digits


def classifier() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 4 * 4, 10),
    )  # fmt: skip


def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=3e-3)


def schedule(of: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.LinearLR(of, start_factor=0.1, total_iters=10)


def train(precision: Precision, epochs: int, output: str) -> dict[str, object]:
    seed_everything(0, verbose=False)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    training, validation = (TensorDataset(*part) for part in load_digits("cpu"))
    module = ObjectiveModule(classifier(), classification, optimizer, make_scheduler=schedule)
    monitor = PrecisionMonitor()
    trainer = amp_trainer(
        AmpConfig(precision=precision, device=device),
        max_epochs=epochs,
        gradient_clip_val=1.0,
        accumulate_grad_batches=2,
        callbacks=[monitor, ModelCheckpoint(monitor="validation/loss")],
        logger=CSVLogger(output),
        log_every_n_steps=5,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(training, batch_size=32, shuffle=True), DataLoader(validation, batch_size=120))
    return {
        "precision": monitor.precision,
        "gradient_norms": [step.grad_norm for step in monitor.history],
        "scales": [step.scale for step in monitor.history],
        "skipped": monitor.skipped_steps,
        "accuracy": float(trainer.callback_metrics["validation/accuracy"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", type=Precision, choices=list(Precision), default=Precision.BF16)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as output:
        print(json.dumps(train(options.precision, options.epochs, output)))


if __name__ == "__main__":
    main()
