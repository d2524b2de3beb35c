"""What stage 2 reads and stage 3 sees happen is one finding, with the values of the run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

WORK = """
import torch


class Training:
    precision = "fp16"

    def __init__(self, amp):
        torch.manual_seed(0)
        self.amp = amp
        self.model = torch.nn.Linear(8, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=64.0, enabled=amp)
        self.x = torch.randn(32, 8)
        self.y = self.x.sum(1, keepdim=True)

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16, enabled=self.amp):
            loss = torch.nn.functional.mse_loss(self.model(self.x).float(), self.y)
        self.scaler.scale(loss).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 100.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


def toy(*, amp, seed):
    return Training(amp)
"""
CONFIG = """
[tasks.T1]
title = "Toy"
files = ["work.py"]
workloads = ["work:toy"]
"""


def test_a_finding_of_stage_2_is_confirmed_by_stage_3_and_not_reported_twice(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "verifier.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "verifier", "T1", "--format", "json", "--output", "-", "-q"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1, done.stderr
    stages = {stage["name"]: stage for stage in json.loads(done.stdout)["stages"]}
    (finding,) = stages["logic"]["findings"]
    line = next(number for number, text in enumerate(WORK.splitlines(), 1) if "clip_grad_norm_" in text)
    assert (finding["rule"], finding["line"]) == ("AMP103", line)
    seen = finding["evidence"][-1]
    assert (seen["kind"], seen["data"]["verdict"], seen["data"]["scale"]) == ("run", "confirmed", 64.0)
    integration = stages["integration"]
    assert [item["rule"] for item in integration["findings"] if item["rule"].startswith("AMP")] == []
    gate = next(gate for gate in integration["gates"] if gate["name"] == "sanitizer")
    assert (gate["status"], gate["evidence"].partition(";")[0]) == ("FAIL", "1 AMP103 CRITICAL")
    assert [run["run"] for run in integration["facts"]["sanitizer"]] == [
        "work:toy in FP32",
        "work:toy under AMP",
        "work:toy under AMP, with planted faults",
        "work:toy under AMP, on an emulated CUDA device",
    ]
