"""Writes a large repository that looks like a team's: a thousand trainings in packages of their own, over shared code.

The same numbers give the same bytes. `python -m tests.benchmarks.monorepo FOLDER [TASKS]` makes one to look at.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SHARED = 20  # modules of the package that all others import from
_BROKEN = 100  # every so many-th task has something wrong with it

MODEL = '''"""The model of {name}."""

from __future__ import annotations

import torch
from torch import nn

from core.layers_{layer} import Block, width_of


class Model(nn.Module):
    """Blocks over an embedding, and a head."""

    def __init__(self, vocabulary: int, depth: int = {depth}, width: int = {width}) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width_of(width))
        self.blocks = nn.ModuleList([Block(width) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        hidden = self.embedding(tokens)
        for block in self.blocks:
            hidden = block(hidden, mask)
        return self.head(self.norm(hidden))


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def freeze(model: nn.Module, names: tuple[str, ...]) -> list[str]:
    frozen = []
    for name, parameter in model.named_parameters():
        if name.startswith(names):
            parameter.requires_grad_(False)
            frozen.append(name)
    return frozen
'''
DATA = '''"""The data of {name}."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from core.layers_{layer} import width_of


@dataclass(frozen=True)
class Sample:
    """One line of the corpus."""

    text: str
    label: int


class Corpus(Dataset):
    """Lines of a file, as indices of characters."""

    def __init__(self, path: Path, length: int = {width}) -> None:
        self.samples = list(read(path))
        self.length = width_of(length)
        letters = sorted({{letter for sample in self.samples for letter in sample.text}})
        self.index = {{letter: number for number, letter in enumerate(letters)}}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        sample = self.samples[number]
        indices = [self.index[letter] for letter in sample.text[: self.length]]
        indices += [0] * (self.length - len(indices))
        return torch.tensor(indices), sample.label


def read(path: Path) -> Iterator[Sample]:
    with path.open() as file:
        for line in file:
            row = json.loads(line)
            yield Sample(text=row["text"], label=int(row.get("label", 0)))


def loader(path: Path, batch_size: int = 32, seed: int = {depth}) -> DataLoader:
    random.seed(seed)
    return DataLoader(Corpus(path), batch_size=batch_size, shuffle=True, drop_last=True)
'''
TRAIN = '''"""Trains the model of {name}."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from core.logging_{layer} import report
from {name}.data import loader
from {name}.model import Model, count_parameters
from {name}.settings import Settings


def train(settings: Settings, path: Path) -> float:
    model = Model(settings.vocabulary).to(settings.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate)
    scaler = torch.amp.GradScaler(settings.device, enabled=settings.amp)
    criterion = nn.CrossEntropyLoss()
    report("parameters", count_parameters(model))
    last = 0.0
    for step, (tokens, labels) in enumerate(loader(path, settings.batch_size)):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(settings.device, enabled=settings.amp):
            logits = model(tokens.to(settings.device))
            loss = criterion(logits[:, -1], labels.to(settings.device))
        scaler.scale(loss).backward()
        {unscale}
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        scaler.step(optimizer)
        scaler.update()
        if step % settings.log_every == 0:
            last = loss.item()
            report("loss", {logged})
    return last


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    train(Settings(amp=arguments.amp, device=arguments.device), arguments.path)


if __name__ == "__main__":
    main()
'''
SETTINGS = '''"""What a run of {name} can be asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on."""

    vocabulary: int = {width}
    batch_size: int = {depth}
    learning_rate: float = 3e-4
    clip: float = 1.0
    log_every: int = 10
    amp: bool = False
    device: str = "cpu"

    def smaller(self) -> Settings:
        return replace(self, batch_size=max(1, self.batch_size // 2), vocabulary=self.vocabulary)


def from_environment(values: dict[str, str]) -> Settings:
    given = {{key.removeprefix("RUN_").lower(): value for key, value in values.items() if key.startswith("RUN_")}}
    return Settings(
        batch_size=int(given.get("batch_size", {depth})),
        learning_rate=float(given.get("learning_rate", 3e-4)),
        amp=given.get("amp", "") == "1",
    )
'''
LAYERS = '''"""Layers that several models share, variant {number}."""

from __future__ import annotations

import math

import torch
from torch import nn


def width_of(width: int) -> int:
    return max(8, width)


class Block(nn.Module):
    """Attention and a gated layer, each beside the residual stream."""

    def __init__(self, width: int, heads: int = {heads}) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.gate = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        query, key, value = self.mixed(self.first(hidden)).chunk(3, dim=-1)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1] / self.heads)
        if mask is not None:
            scores = scores.masked_fill(mask, float("-inf"))
        hidden = hidden + self.out(scores.softmax(-1) @ value)
        return hidden + self.gate(self.second(hidden))
'''
LOGGING = '''"""How runs of variant {number} say what they do."""

from __future__ import annotations

import logging

_LOG = logging.getLogger("core.{number}")


def report(name: str, value: float) -> None:
    _LOG.info("%s: %.6g", name, value)
'''


def monorepo(root: Path, tasks: int = 1000) -> int:
    """Write the repository and commit it; return how many Python files it has: five a task, and the shared ones."""
    files: dict[str, str] = {"core/__init__.py": ""}
    for number in range(_SHARED):
        files[f"core/layers_{number}.py"] = LAYERS.format(number=number, heads=1 + number % 8)
        files[f"core/logging_{number}.py"] = LOGGING.format(number=number)
    tables = ['[project]\nname = "monorepo"\nversion = "1"\ndependencies = ["torch"]\n']
    for number in range(tasks):
        name = f"team_{number:04d}"
        files |= _package(name, number)
        table = f"[tool.verifier.tasks.T{number:04d}]"
        tables.append(f'{table}\ntitle = "training of {name}"\nfiles = ["{name}/**/*.py"]\n')
    files["pyproject.toml"] = "\n".join(tables)
    files[".gitignore"] = ".verify/\n"
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    _commit(root)
    return sum(path.endswith(".py") for path in files)


def _package(name: str, number: int) -> dict[str, str]:
    broken = number % _BROKEN
    values = {
        "name": name,
        "layer": number % _SHARED,
        "depth": 2 + number % 11,
        "width": 64 + number % 193,
        "unscale": "pass" if broken == 1 else "scaler.unscale_(optimizer)",
        "logged": "lst" if broken == 2 else "last",
    }
    texts = {"model": MODEL, "data": DATA, "train": TRAIN, "settings": SETTINGS}
    files = {f"{name}/{stem}.py": text.format(**values) for stem, text in texts.items()}
    files[f"{name}/__init__.py"] = f'"""The training of {name}."""\n'
    if broken == 3:
        files[f"{name}/settings.py"] += "def unfinished(:\n"
    return files


def _commit(root: Path) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "--all"), (*who, "commit", "-qm", "m")):
        subprocess.run(["git", *arguments], cwd=root, check=True)


if __name__ == "__main__":
    print(monorepo(Path(sys.argv[1]), *map(int, sys.argv[2:])), "Python files")
