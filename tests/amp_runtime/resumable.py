"""Train in this process and write down everything that must be the same in a run that was never interrupted.

Run by test_resume.py as `python resumable.py PART FOLDER`, PART being straight, first or second.
"""

import hashlib
import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from amp_runtime.config import LossScaling
from amp_runtime.early_stopping import EarlyStopping
from amp_runtime.loop import fit
from amp_runtime.objective import classification
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from amp_runtime.retention import Checkpoints, latest_checkpoint
from amp_runtime.step import NonFinite, StepOptions, TrainingStep

STEPS, HALF = 20, 9  # an epoch has 7 steps: the first process stops in the middle of the second epoch
LOADERS = ("global", "own-generator", "workers")
POLICIES = {
    "fp32": Fp32Policy,
    "bf16": Bf16Policy,
    # Grows and overflows now and then: the scale's own history must go on too.
    "fp16": lambda: Fp16Policy("cpu", LossScaling(init_scale=2.0**20, growth_interval=3)),
}


class Noisy(Dataset):
    """Points that are augmented with all three global generators."""

    def __len__(self):
        return 54

    def __getitem__(self, index):
        noise = 0.01 * (torch.randn(8) + float(np.random.randn()) + random.random())
        return torch.sin(torch.arange(8.0) * index) + noise, index % 2


def loader(kind):
    generator = torch.Generator().manual_seed(3) if kind == "own-generator" else None
    workers = 2 if kind == "workers" else 0
    return DataLoader(Noisy(), batch_size=4, shuffle=True, generator=generator, num_workers=workers)


CASES = [(precision, kind) for precision in POLICIES for kind in LOADERS if kind != "workers" or precision == "bf16"]


def train(precision, kind, part, folder):
    seed = 0 if part != "second" else 999  # the second process must owe nothing to its own seed
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    options = StepOptions(clip_norm=1.0, nonfinite=NonFinite.SKIP)
    step = TrainingStep(model, optimizer, POLICIES[precision](), classification, scheduler=schedule, options=options)
    stopping = EarlyStopping(patience=50)
    resume = latest_checkpoint(folder) if part == "second" else None
    history = fit(
        step,
        loader(kind),
        max_steps=HALF if part == "first" else STEPS,
        accumulation=2,
        validation=DataLoader(Noisy(), batch_size=16, shuffle=True),
        validate_every=3,
        callbacks=[Checkpoints(folder), stopping],
        resume=resume,
        progress=False,
    )
    return {
        "steps": [
            repr((s.number, s.epoch, s.loss, s.examples, s.grad_norm, s.lr, s.skipped, s.scale)) for s in history.steps
        ],
        "validations": [repr((v.step, v.epoch, v.metrics)) for v in history.validations],
        "epochs": [repr((e.epoch, e.step, e.steps, e.skipped, e.train, e.validation)) for e in history.epochs],
        "best": [stopping.best, stopping.best_step, stopping.waited],
        "state": digest([step.model.state_dict(), step.optimizer.state_dict(), schedule.state_dict()]),
        "generators": digest([torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()]),
        "policy": repr(step.policy.state_dict()),
    }


def digest(value):
    torch.set_printoptions(precision=20, threshold=10**9)
    return hashlib.sha256(repr(value).encode()).hexdigest()


if __name__ == "__main__":
    part, root = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    results = {
        f"{precision} {kind}": train(precision, kind, part, root / f"{precision}-{kind}") for precision, kind in CASES
    }
    (root / f"{part}.json").write_text(json.dumps(results))
