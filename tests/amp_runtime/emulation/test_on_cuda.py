"""The emulation against the real thing, operator by operator; for a machine with a CUDA device (`make gpu`)."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from amp_runtime.emulation import emulate, is_emulating, policy

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.filterwarnings("ignore"),  # of functions that are deprecated, and still in the table
]


@pytest.fixture(scope="module")
def calls():
    spec = importlib.util.spec_from_file_location("calls", HERE / "calls.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def emulated():
    command = [sys.executable, str(HERE / "emulated_outcomes.py")]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=hidden)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("low", [torch.float16, torch.bfloat16], ids=str)
def test_every_operator_has_the_dtype_that_the_device_gives_it(calls, emulated, low):
    real = calls.outcomes("cuda", low)
    found = emulated[str(low)]
    assert found == real, {key: (found[key], real[key]) for key in real if found[key] != real[key]}


def test_the_table_says_what_the_device_does(calls):
    real = calls.outcomes("cuda", torch.float16)
    for name, treatment in policy().treatments.items():
        if name in calls.CALLS and treatment.category == "lower_precision_fp":
            assert {real[f"{name} {variant}"] for variant in calls.VARIANTS} == {"torch.float16"}, name


def test_a_real_device_is_not_replaced():
    with pytest.raises(RuntimeError, match="hide the device"):
        emulate()
    assert not is_emulating()
