"""A step on an emulated CUDA device, looked into; prints the record. Emulation holds for a whole process."""

from __future__ import annotations

import json
import sys

from amp_runtime.emulation import emulate

emulate()

import torch  # noqa: E402
from torch import nn  # noqa: E402

from amp_runtime import wire  # noqa: E402
from amp_runtime.instrument.deep.watch import DeepWatch  # noqa: E402


def main() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.Dropout(0.2), nn.LayerNorm(32), nn.LSTM(32, 8)).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    inputs = torch.randn(8, 16, device="cuda")
    watch = DeepWatch()

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        with torch.autocast("cuda"):
            loss = model(inputs)[0].float().square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    states = []
    for watched in (True, False):
        torch.manual_seed(1)
        saved = {name: value.clone() for name, value in model.state_dict().items()}
        if watched:
            watch.start()
        loss = step()
        loss.cpu()
        if watched:
            record = watch.stop()
        states.append([loss.item(), *(parameter.grad.cpu().tolist() for parameter in model.parameters())])
        model.load_state_dict(saved)
        scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    json.dump({"same": states[0] == states[1], "record": wire.to_json(record)}, sys.stdout)


if __name__ == "__main__":
    main()
