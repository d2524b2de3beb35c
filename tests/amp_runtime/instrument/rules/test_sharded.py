"""AMP501, 502: a model sharded over two processes, with the scaler and the clipping of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.amp_runtime.instrument.rules import two_ranks
from tests.amp_runtime.instrument.watching import line_of

ROOT = Path(__file__).parents[4]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch was built without torch.distributed")
def test_each_mistake_is_told_on_both_ranks(tmp_path: Path) -> None:
    code = [sys.executable, "-m", "tests.amp_runtime.instrument.rules.two_ranks"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [*code, str(rank), str(tmp_path)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    ends = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], [error for _out, error in ends]
    for rank in range(2):
        said = json.loads((tmp_path / f"{rank}.json").read_text())
        assert said == {
            "plain": [["AMP501", line_of(two_ranks.train, "make(")]],
            "util": [["AMP502", line_of(two_ranks.train, "nn.utils.clip_grad_norm_")]],
            "right": [],
        }
