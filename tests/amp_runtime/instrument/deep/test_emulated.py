"""CUDA's own operators, devices and autocast table, on the emulated device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from amp_runtime import wire
from amp_runtime.instrument.deep.records import DeepStep

ROOT = Path(__file__).parents[4]


def test_a_step_on_an_emulated_device_is_looked_into_as_any_other():
    script = Path(__file__).with_name("emulated.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["same"]
    record = wire.from_json(DeepStep, data["record"])
    assert (record.problems, record.unseen, record.births) == ((), {}, ())
    assert record.shadow is not None
    assert record.shadow.taken == {}  # dropout draws within its operator there, and its mask is known
    assert all(seen.compared and seen.relative_error < 0.01 for seen in record.gradients)
    assert len(record.gradients) == 8
    waits = {(sync.site.operator, sync.device, sync.would) for sync in record.syncs}
    assert waits == {("aten._local_scalar_dense", "cuda", False), ("aten._to_copy", "cuda", False)}
    assert record.work is not None
    assert set(record.work.flops) == {"float16"}
