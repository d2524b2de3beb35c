import logging
import os
import pickle
import random
import shutil
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from amp_runtime import checkpoint_files
from amp_runtime.checkpoint import CheckpointError, load_checkpoint, load_weights, read_info, save_checkpoint
from amp_runtime.ema import ExponentialMovingAverage
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from amp_runtime.step import NonFinite, StepOptions, TrainingStep
from tests.amp_runtime.problems import OVERFLOW, POLICIES, batches, fp16, make_step, network, regression, same, weights


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


def everything(step):
    """All the state of a run as text and bytes, to be compared with `==`."""
    return (
        [weight.numpy().tobytes() for weight in weights(step.model)],
        repr(step.optimizer.state_dict()),
        repr(step.scheduler and step.scheduler.state_dict()),
        repr(step.policy.state_dict()),
        step.number,
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
    )


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
    save_checkpoint(tmp_path / "run", first)
    torch.manual_seed(99)
    second = noisy_step(name)
    second.run(batches(1))
    load_checkpoint(tmp_path / "run", second)
    assert before + trail(second, data[6:]) == expected
    assert same(weights(second.model), weights(straight.model))


SCHEDULES = {
    "multi-step": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones=[2, 3, 3]),
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda n: 1 / (n + 1)),
    "one-cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=20),
    "sequence": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [
            torch.optim.lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=2),
            torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=9),
        ],
        milestones=[2],
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_kind_of_schedule_goes_on_where_it_was(name, tmp_path):
    def scheduled():
        step = make_step()
        step.scheduler = SCHEDULES[name](step.optimizer)
        return step

    data = batches(8)
    straight, first, second = scheduled(), scheduled(), scheduled()
    expected = trail(straight, data)
    begun = trail(first, data[:4])
    save_checkpoint(tmp_path / "run", first)
    load_checkpoint(tmp_path / "run", second)
    assert begun + trail(second, data[4:]) == expected


def test_the_callers_own_data_comes_back(tmp_path):
    extra = {"epoch": 3, "position": [1, 2], "name": "run", "best": None, "loss": 0.5}
    save_checkpoint(tmp_path / "run", make_step(), extra=extra)
    assert load_checkpoint(tmp_path / "run", make_step()) == extra


def test_python_and_numpy_generators_continue(tmp_path):
    step = make_step()
    save_checkpoint(tmp_path / "run", step)
    expected = random.random(), np.random.rand(3).tolist(), torch.rand(3).tolist()
    load_checkpoint(tmp_path / "run", step)
    assert (random.random(), np.random.rand(3).tolist(), torch.rand(3).tolist()) == expected


class Average:
    """An object with state of its own."""

    def __init__(self, value=0.0):
        self.weights = {"w": torch.full((2,), value)}
        self.updates = 0

    def state_dict(self):
        return {"weights": self.weights, "updates": self.updates}

    def load_state_dict(self, state):
        self.weights["w"].copy_(state["weights"]["w"])
        self.updates = state["updates"]


def test_further_objects_are_saved_by_name(tmp_path):
    saved, loaded = Average(3.0), Average()
    saved.updates = 7
    save_checkpoint(tmp_path / "run", make_step(), objects={"ema": saved})
    load_checkpoint(tmp_path / "run", make_step(), objects={"ema": loaded})
    assert (loaded.weights["w"].tolist(), loaded.updates) == ([3.0, 3.0], 7)


def test_objects_that_are_missing_or_left_over_are_named(tmp_path):
    save_checkpoint(tmp_path / "plain", make_step())
    save_checkpoint(tmp_path / "rich", make_step(), objects={"ema": Average()})
    with pytest.raises(CheckpointError, match="no state of 'ema', which this run needs"):
        load_checkpoint(tmp_path / "plain", make_step(), objects={"ema": Average()})
    with pytest.raises(CheckpointError, match="the state of 'ema', which this run does not have"):
        load_checkpoint(tmp_path / "rich", make_step())


class Refusing(Average):
    def load_state_dict(self, state):
        super().load_state_dict(state)
        if state["updates"] == 1:
            raise KeyError("decay")


def test_an_object_that_refuses_its_state_leaves_everything_as_it_was(tmp_path):
    trained, saved = noisy_step("fp16"), Refusing(3.0)
    trained.run(batches(1))
    saved.updates = 1
    save_checkpoint(tmp_path / "run", trained, objects={"first": Average(9.0), "second": saved})
    step, first, second = noisy_step("fp16"), Average(1.0), Refusing(2.0)
    step.run(batches(1, factor=OVERFLOW))
    before = everything(step)
    with pytest.raises(CheckpointError, match=r"left as it was: 'second' refused its state \(KeyError: 'decay'"):
        load_checkpoint(tmp_path / "run", step, objects={"first": first, "second": second})
    assert everything(step) == before
    assert (first.weights["w"].tolist(), second.weights["w"].tolist()) == ([1.0, 1.0], [2.0, 2.0])


def test_what_a_checkpoint_says_about_itself(tmp_path):
    step = make_step(fp16())
    step.run(batches(1))
    metrics = {"validation_loss": 0.25, "diverged": float("nan")}
    save_checkpoint(tmp_path / "run", step, objects={"ema": Average()}, metrics=metrics)
    info = read_info(tmp_path / "run")
    assert (info.step, info.precision, info.objects) == (1, "fp16", ("ema",))
    assert info.torch == torch.__version__
    assert info.metrics["validation_loss"] == 0.25
    assert np.isnan(info.metrics["diverged"])


def test_the_weights_can_be_read_alone_and_by_any_reader_of_safetensors(tmp_path):
    from safetensors.torch import load_file

    step = make_step()
    save_checkpoint(tmp_path / "run", step)
    expected = step.model.state_dict()
    (file,) = tmp_path.glob("run/*.safetensors")
    for found in (load_weights(tmp_path / "run"), load_file(file)):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


class Tied(nn.Module):
    """Tied weights, a strided weight, a buffer that is a view of a part, no elements, and state that is no tensor."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 8, bias=False)
        self.head = nn.Linear(8, 8, bias=False)
        self.head.weight = self.embed.weight
        self.turned = nn.Parameter(torch.arange(64.0).reshape(8, 8).t())
        self.register_buffer("part", torch.arange(8.0)[2:4])
        self.register_buffer("nothing", torch.zeros(0))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.head(self.embed(x)).sum(1, keepdim=True) + self.turned.sum()

    def get_extra_state(self):
        return {"calls": self.calls}

    def set_extra_state(self, state):
        self.calls = state["calls"]


def test_unusual_state_of_a_model_comes_back(tmp_path):
    trained, fresh = make_step(model=Tied(), lr=1e-4), make_step(model=Tied(), lr=1e-4)
    trained.run(batches(1))
    save_checkpoint(tmp_path / "run", trained)
    load_checkpoint(tmp_path / "run", fresh)
    assert same(weights(fresh.model), weights(trained.model))
    assert fresh.model.calls == 1
    assert fresh.model.head.weight is fresh.model.embed.weight
    assert torch.equal(load_weights(tmp_path / "run")["head.weight"], trained.model.embed.weight)


# torch.compile imports parts of torch that use torch.jit.
@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning")
def test_a_compiled_model_and_a_plain_one_load_each_others_checkpoints(tmp_path):
    plain = make_step()
    compiled = make_step(model=torch.compile(network(seed=3)))
    save_checkpoint(tmp_path / "plain", plain)
    save_checkpoint(tmp_path / "compiled", compiled)
    assert load_weights(tmp_path / "plain").keys() == load_weights(tmp_path / "compiled").keys()
    expected = weights(compiled.model)
    load_checkpoint(tmp_path / "plain", compiled)
    assert same(weights(compiled.model), weights(plain.model))
    load_checkpoint(tmp_path / "compiled", plain)
    assert same(weights(plain.model), expected)


def test_a_model_that_safetensors_cannot_hold_is_named(tmp_path):
    model = network()
    model.register_buffer("graph", torch.eye(3).to_sparse())
    with pytest.raises(CheckpointError, match="the model cannot be saved: 'graph' is not a dense tensor"):
        save_checkpoint(tmp_path / "run", make_step(model=model))
    assert not (tmp_path / "run").exists()


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_crash_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run"
    save_checkpoint(path, make_step())
    before = names(path)
    expected = load_weights(path)
    calls = []

    def full_disk(descriptor):
        calls.append(descriptor)
        if len(calls) == crash_at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    for crash_at in (1, 2, 3, 4):
        calls.clear()
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint(path, make_step(Fp16Policy(), model=network(seed=crash_at)))
        assert names(path) == before
        assert same(list(load_weights(path).values()), list(expected.values()))


def test_a_new_checkpoint_takes_the_place_of_the_old_and_of_what_a_crash_left(tmp_path):
    path = tmp_path / "run"
    save_checkpoint(path, make_step())
    (path / f".{'0' * 32}.tmp").write_bytes(b"half")
    (path / "notes.txt").write_text("mine")
    save_checkpoint(path, make_step(model=network(seed=3)))
    found = names(path)
    assert len(found) == 4
    assert {"manifest.json", "notes.txt"} <= set(found)
    assert torch.equal(load_weights(path)["0.weight"], network(seed=3)[0].weight)


def test_a_state_that_could_not_be_loaded_is_refused_when_saving(tmp_path):
    path = tmp_path / "run"
    save_checkpoint(path, make_step())
    before = names(path)
    with pytest.raises(CheckpointError, match="cannot be loaded safely"):
        save_checkpoint(path, make_step(), extra={"step": make_step})
    assert names(path) == before


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("bomb-went-off",))


def test_code_in_a_checkpoint_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def evil(file):
        torch.save({"model": Bomb()}, file)

    def plain(file):
        file.write_bytes(pickle.dumps(Bomb()))

    save_checkpoint("good", make_step())
    (weights_file,) = tmp_path.glob("good/*.safetensors")
    for write in (evil, plain):
        writers = {"model.safetensors": lambda file: shutil.copy(weights_file, file), "state.pt": write}
        checkpoint_files.write_folder(tmp_path / "evil", {}, writers)
        with pytest.raises(CheckpointError, match="cannot be loaded safely"):
            load_checkpoint("evil", make_step())
    assert not (tmp_path / "bomb-went-off").exists()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "run"
    step = make_step(fp16())
    step.run(batches(1))
    save_checkpoint(path, step)
    return path


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damaged_file_is_an_error_and_nothing_is_loaded(data, saved, tmp_path):
    path = tmp_path / "damaged"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(saved, path)
    victim = path / data.draw(st.sampled_from(names(path)), label="file")
    raw = bytearray(victim.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1), label="place")
    how = data.draw(st.sampled_from(["flip", "cut", "grow", "empty", "delete"]), label="how")
    if how == "delete":
        victim.unlink()
    else:
        raw[place] ^= 1 << data.draw(st.integers(0, 7), label="bit")
        victim.write_bytes({"flip": raw, "cut": raw[:place], "grow": raw + b"x", "empty": b""}[how])
    step = make_step(fp16())
    before = everything(step)
    with pytest.raises(CheckpointError):
        load_checkpoint(path, step)
    assert everything(step) == before


@settings(deadline=None, max_examples=50)
@given(
    raw=st.one_of(
        st.binary(max_size=200), st.recursive(st.none() | st.text(), st.lists).map(lambda v: repr(v).encode())
    )
)
def test_any_bytes_for_a_manifest_are_an_error(raw, tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign")
    (path / "manifest.json").write_bytes(raw)
    with pytest.raises(CheckpointError, match="damaged, or not the manifest"):
        read_info(path)


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path):
    save_checkpoint(tmp_path / "run", make_step())
    manifest = checkpoint_files.read_manifest(tmp_path / "run")
    manifest["files"]["state.pt"]["file"] = "../state-0123456789abcdef.pt"
    (tmp_path / "run" / "manifest.json").write_bytes(checkpoint_files._render(manifest))
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(tmp_path / "run", make_step())


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load_checkpoint(tmp_path / "absent", make_step())


def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path):
    torch.save(network().state_dict(), tmp_path / "weights.pt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="is a file; a checkpoint is a folder"):
        load_checkpoint(tmp_path / "weights.pt", make_step())
    with pytest.raises(CheckpointError, match="it has no manifest"):
        load_checkpoint(tmp_path / "empty", make_step())


def test_another_format_is_refused(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "run", make_step())
    monkeypatch.setattr(checkpoint_files, "FORMAT", 3)
    with pytest.raises(CheckpointError, match="format 2; this version reads 3"):
        load_checkpoint(tmp_path / "run", make_step())


def with_schedule():
    step = make_step()
    step.scheduler = torch.optim.lr_scheduler.ExponentialLR(step.optimizer, gamma=0.5)
    return step


def renamed():
    model = network()
    return nn.Sequential(OrderedDict(body=model[0], act=model[1], top=model[2]))


OTHERS = {
    "another model": (
        lambda: make_step(model=nn.Linear(8, 1)),
        r"6 entries differ: '0.bias': saved .*16.*; and 1 more",
    ),
    "other names": (lambda: make_step(model=renamed()), "8 entries differ.*; and 3 more"),
    "another dtype": (lambda: make_step(model=network().double()), "saved torch.float32.*needed torch.float64"),
    "fewer parameters": (lambda: make_step(optimizer=lambda p: torch.optim.SGD(list(p)[:2], lr=0.1)), r"\[4\].*\[2\]"),
    "another order": (
        lambda: make_step(optimizer=lambda p: torch.optim.SGD(list(p)[::-1], lr=0.1)),
        r"parameter 0 of group 0 had the shape \[16, 8\], now it has \[1\]",
    ),
    "another optimizer": (lambda: make_step(optimizer=torch.optim.AdamW), "saved by SGD, this run has AdamW"),
    "a schedule": (with_schedule, "the checkpoint has no scheduler.*ExponentialLR"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_that_does_not_fit_changes_nothing(other, tmp_path):
    make, message = OTHERS[other]
    trained = make_step(Fp32Policy())
    trained.run(batches(1))
    save_checkpoint(tmp_path / "run", trained)
    step = make()
    before = everything(step)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "run", step)
    assert everything(step) == before


def test_hyper_parameters_of_the_checkpoint_win_and_that_is_said(tmp_path, caplog):
    trained, step = make_step(lr=0.1), make_step(lr=0.2)
    save_checkpoint(tmp_path / "run", trained)
    load_checkpoint(tmp_path / "run", step)
    assert "lr of parameter group 0 is 0.2 in this run and 0.1 in the checkpoint, which wins" in caplog.text
    assert step.optimizer.param_groups[0]["lr"] == 0.1


def test_a_rate_that_the_schedule_has_moved_is_no_difference(tmp_path, caplog):
    trained = noisy_step("fp32")
    trained.run(batches(1))
    save_checkpoint(tmp_path / "run", trained)
    load_checkpoint(tmp_path / "run", noisy_step("fp32"))
    assert caplog.text == ""


CROSSINGS = {
    ("fp32", "bf16"): "saved by a fp32 run and this one trains in bf16\n",
    ("bf16", "fp32"): "saved by a bf16 run and this one trains in fp32\n",
    ("fp16", "bf16"): "trains in bf16; its loss scale is dropped\n",
    ("fp16", "fp32"): "trains in fp32; its loss scale is dropped\n",
    ("bf16", "fp16"): "trains in fp16; the loss scale starts afresh at 1024\n",
    ("fp32", "fp16"): "trains in fp16; the loss scale starts afresh at 1024\n",
}


@pytest.mark.parametrize(("old", "new"), CROSSINGS)
def test_across_precisions_all_but_the_loss_scale_is_kept(old, new, tmp_path, caplog):
    trained, step = noisy_step(old), noisy_step(new)
    fresh = step.policy.state_dict()
    step.run(batches(1, factor=OVERFLOW if new == "fp16" else 1.0))
    trained.run(batches(1))
    save_checkpoint(tmp_path / "run", trained)
    expected = everything(trained)
    torch.manual_seed(1)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        load_checkpoint(tmp_path / "run", step)
    found = everything(step)
    assert (*found[:3], *found[4:]) == (*expected[:3], *expected[4:])
    assert step.policy.state_dict() == fresh
    assert CROSSINGS[old, new] in caplog.text
    assert not step.run(batches(1)).skipped


@pytest.mark.parametrize("policy", [Bf16Policy, Fp16Policy])
def test_in_the_same_precision_nothing_is_said(policy, tmp_path, caplog):
    save_checkpoint(tmp_path / "run", make_step(policy()))
    load_checkpoint(tmp_path / "run", make_step(policy()))
    assert caplog.text == ""


def two_optimizers():
    model = network()
    optimizers = [torch.optim.AdamW(model[0].parameters(), lr=0.01), torch.optim.SGD(model[2].parameters(), lr=0.1)]
    schedules = [torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9) for optimizer in optimizers]
    ema = ExponentialMovingAverage(model, decay=0.5)
    options = StepOptions(nonfinite=NonFinite.SKIP)
    return TrainingStep(model, optimizers, Bf16Policy(), regression, scheduler=schedules, ema=ema, options=options)


def test_several_optimizers_their_schedules_and_the_average_of_the_weights_go_on(tmp_path):
    data = batches(8)
    data[3] = (*data[3][:2], float("nan"))
    straight, first, second = two_optimizers(), two_optimizers(), two_optimizers()
    expected = trail(straight, data)
    begun = trail(first, data[:4])
    save_checkpoint(tmp_path / "run", first)
    assert read_info(tmp_path / "run").objects == ("ema",)
    load_checkpoint(tmp_path / "run", second)
    assert second.withheld_in_a_row == 1
    assert begun + trail(second, data[4:]) == expected
    assert repr(second.ema.state_dict()) == repr(straight.ema.state_dict())


def test_another_number_of_optimizers_is_named(tmp_path):
    save_checkpoint(tmp_path / "run", two_optimizers())
    step = make_step(Bf16Policy())
    step.ema = ExponentialMovingAverage(step.model)
    with pytest.raises(CheckpointError, match="of 2 optimizers, and this run has 1"):
        load_checkpoint(tmp_path / "run", step)
