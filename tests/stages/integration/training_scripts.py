"""Small training scripts, as a user would write them."""

from __future__ import annotations

import textwrap

# One training with a scaler; `{clip}` stands where gradients may be unscaled and clipped.
_TRAINING = """
import sys
import torch

{before}

def main():
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for number in {numbers}:
        x = torch.randn(16, 8)
        with torch.autocast("cpu", dtype=torch.float16):
            loss = torch.nn.functional.mse_loss(model(x).float(), x.sum(1, keepdim=True))
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        {clip}
        scaler.step(optimizer)
        scaler.update()
        print("step", number)

if __name__ == "__main__":
    {main}
{after}
"""
UNSCALED = "scaler.unscale_(optimizer); torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)"
SCALED = "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)"


def training(
    *, clip: str = UNSCALED, numbers: str = "range(5)", main: str = "main()", before: str = "", after: str = ""
) -> str:
    """Return the text of a script that trains for five steps."""
    parts = {"clip": clip, "numbers": numbers, "main": main}
    text = _TRAINING
    for name, value in (parts | {"before": textwrap.dedent(before), "after": textwrap.dedent(after)}).items():
        text = text.replace(f"{{{name}}}", value)
    return text
