import os
import pickle

import pytest
import torch
from torch import nn

from amp_runtime import checkpoint
from amp_runtime.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from tests.amp_runtime.problems import OVERFLOW, POLICIES, batches, make_step, network, same, weights


def noisy_step(name):
    """A step that draws random numbers (dropout), with Adam's state and a schedule."""
    model = nn.Sequential(network(), nn.Dropout(0.5), nn.Linear(1, 1))
    with torch.no_grad():
        model[2].weight.fill_(1.0)
    step = make_step(POLICIES[name](), model=model, optimizer=lambda p: torch.optim.AdamW(p, lr=0.01))
    step.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(step.optimizer, T_max=12)
    return step


def trail(step, data):
    reports = [step.run([batch]) for batch in data]
    # As text, in which the NaN norm of an overflow equals itself.
    return [repr((r.number, r.loss, r.grad_norm, r.scale, r.lr)) for r in reports]


@pytest.mark.parametrize("name", POLICIES)
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(name, tmp_path):
    data = batches(12)
    if name == "fp16":
        data[2] = (*data[2][:2], OVERFLOW)
    torch.manual_seed(5)
    straight = noisy_step(name)
    expected = trail(straight, data)
    torch.manual_seed(5)
    first = noisy_step(name)
    before = trail(first, data[:6])
    save_checkpoint(tmp_path / "run.pt", first)
    torch.manual_seed(99)
    second = noisy_step(name)
    second.run(batches(1))
    load_checkpoint(tmp_path / "run.pt", second)
    assert before + trail(second, data[6:]) == expected
    assert same(weights(second.model), weights(straight.model))


def test_the_callers_own_data_comes_back(tmp_path):
    extra = {"epoch": 3, "position": [1, 2], "name": "run", "best": None, "loss": 0.5}
    save_checkpoint(tmp_path / "run.pt", make_step(), extra=extra)
    assert load_checkpoint(tmp_path / "run.pt", make_step()) == extra


def test_python_and_numpy_generators_continue(tmp_path):
    import random

    import numpy as np

    step = make_step()
    save_checkpoint(tmp_path / "run.pt", step)
    expected = random.random(), np.random.rand(3).tolist(), torch.rand(3).tolist()
    load_checkpoint(tmp_path / "run.pt", step)
    assert (random.random(), np.random.rand(3).tolist(), torch.rand(3).tolist()) == expected


def test_a_crash_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    save_checkpoint(path, make_step())
    before = path.read_bytes()

    def full_disk(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, make_step(Fp16Policy()))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]


def test_a_state_that_could_not_be_loaded_is_refused_when_saving(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, make_step())
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="cannot be loaded safely"):
        save_checkpoint(path, make_step(), extra={"step": make_step})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("bomb-went-off",))


def test_code_in_a_checkpoint_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "model": Bomb()}, "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb()))
    for name in ("evil.pt", "plain.pt"):
        with pytest.raises(CheckpointError, match="cannot be loaded safely"):
            load_checkpoint(name, make_step())
    assert not (tmp_path / "bomb-went-off").exists()


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, make_step())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="cannot be loaded safely"):
        load_checkpoint(path, make_step())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load_checkpoint(tmp_path / "absent.pt", make_step())


def test_bare_weights_are_no_checkpoint(tmp_path):
    torch.save(network().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of a training run"):
        load_checkpoint(tmp_path / "weights.pt", make_step())


def test_another_format_is_refused(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "run.pt", make_step())
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    with pytest.raises(CheckpointError, match="format 1; this version reads 2"):
        load_checkpoint(tmp_path / "run.pt", make_step())


def with_schedule():
    step = make_step()
    step.scheduler = torch.optim.lr_scheduler.ExponentialLR(step.optimizer, gamma=0.5)
    return step


OTHERS = {
    "another model": lambda: make_step(model=nn.Linear(8, 1)),
    "another dtype": lambda: make_step(model=network().double()),
    "another optimizer": lambda: make_step(optimizer=lambda p: torch.optim.SGD(list(p)[:2], lr=0.1)),
    "a schedule": with_schedule,
    "another precision": lambda: make_step(Bf16Policy()),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_that_does_not_fit_changes_nothing(other, tmp_path):
    trained = make_step(Fp32Policy())
    trained.run(batches(1))
    save_checkpoint(tmp_path / "run.pt", trained)
    step = OTHERS[other]()
    before, generator = weights(step.model), torch.get_rng_state()
    with pytest.raises(CheckpointError, match="the checkpoint"):
        load_checkpoint(tmp_path / "run.pt", step)
    assert same(weights(step.model), before)
    assert step.number == 0
    assert torch.equal(torch.get_rng_state(), generator)
