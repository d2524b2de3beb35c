import logging
import random

import pytest
import torch

from amp_runtime import rng


def test_the_generators_repeat_themselves_after_a_restore():
    state = rng.capture()
    drawn = torch.rand(4).tolist(), random.random()
    rng.restore(state)
    assert (torch.rand(4).tolist(), random.random()) == drawn


def test_a_state_from_a_machine_with_other_gpus_restores_the_rest_and_says_so(caplog):
    state = {**rng.capture(), "cuda": [torch.zeros(16, dtype=torch.uint8)] * 99}
    drawn = torch.rand(4).tolist()
    with caplog.at_level(logging.WARNING):
        rng.restore(state)
    assert torch.rand(4).tolist() == drawn
    assert "99 CUDA GPUs when saved, " in caplog.text
    assert "XPU" not in caplog.text


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="is about machines without MPS")
def test_a_state_from_another_kind_of_gpu_is_said_to_be_left_out(caplog):
    with caplog.at_level(logging.WARNING):
        rng.restore({**rng.capture(), "mps": [torch.zeros(16, dtype=torch.uint8)]})
    assert "an MPS GPU when saved, none now" in caplog.text


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_generators_of_gpus_repeat_themselves_too():
    state = rng.capture()
    drawn = torch.rand(4, device="cuda").tolist()
    rng.restore(state)
    assert torch.rand(4, device="cuda").tolist() == drawn


def test_a_run_without_numpy_restores_without_it():
    state = {**rng.capture(), "numpy": None}
    drawn = torch.rand(2).tolist()
    rng.restore(state)
    assert torch.rand(2).tolist() == drawn
