"""Writes projects of any size whose files look like those of a training repository, the same ones each time."""

from __future__ import annotations

from pathlib import Path

_LAYERS = 12  # classes of a file
_IN_A_FOLDER = 40  # files
_TRAINS_EVERY = 10  # of the files, one trains under AMP
_HEAD = '''"""Layers {number} of a generated project."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
{imports}

SIZE = {number} % 64 + 1

'''
_LAYER = '''
class Layer{index}(nn.Module):
    """One of several layers that only look different."""

    def __init__(self, width: int = SIZE, depth: int = {index}) -> None:
        super().__init__()
        self.width = width
        self.depth = depth
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.scale = 1.0 / math.sqrt(width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        hidden = self.first(x) * self.scale
        if mask is not None:
            hidden = hidden.masked_fill(mask, 0.0)
        for step in range(self.depth):
            if step % 2:
                hidden = torch.relu(hidden)
            else:
                hidden = hidden + x
        return self.second(hidden)

    def describe(self, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = {{"width": self.width, "depth": self.depth}}
        for name, value in options.items():
            if value is None:
                continue
            found[name] = value
        return found

'''
_TRAINING = """
def train(model: nn.Module, loader: Any, epochs: int = 3, use_amp: bool = True) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cuda", enabled=use_amp)
    total = 0.0
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            with torch.autocast("cuda", dtype=torch.float16, enabled=use_amp):
                loss = nn.functional.mse_loss(model(x), y)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            total += float(loss.detach())
    return total

"""


def generate(root: Path, lines: int) -> int:
    """Write files until there are so many lines, and return how many there are."""
    written = number = 0
    while written < lines:
        folder = root / f"part{number // _IN_A_FOLDER}"
        folder.mkdir(parents=True, exist_ok=True)
        text = text_of(number)
        (folder / f"layers{number}.py").write_text(text, "utf-8")
        for package in (root, folder):
            (package / "__init__.py").touch()
        written += text.count("\n")
        number += 1
    return written


def text_of(number: int) -> str:
    """Return one file; it imports up to two written before it."""
    before = [other for other in (number - 1, number // 2) if 0 <= other < number]
    imports = "\n".join(
        f"from project.part{other // _IN_A_FOLDER}.layers{other} import Layer0 as Layer{other}From{number}"
        for other in dict.fromkeys(before)
    )
    used = "".join(f"\nbase{place} = Layer{other}From{number}\n" for place, other in enumerate(dict.fromkeys(before)))
    parts = [
        _HEAD.format(number=number, imports=imports),
        *(_LAYER.format(index=index) for index in range(_LAYERS)),
        used,
    ]
    if number % _TRAINS_EVERY == 0:
        parts.append(_TRAINING)
    return "".join(parts)
