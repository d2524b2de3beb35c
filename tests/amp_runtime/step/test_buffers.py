import pytest
import torch
from torch import nn

from amp_runtime.policy import Bf16Policy, Fp16Policy
from amp_runtime.step import NonFinite, NonFiniteError, StepOptions, TrainingStep
from amp_runtime.step.buffers import BufferSnapshot
from tests.amp_runtime.problems import batches, regression, same


def normalised():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16, momentum=None), nn.Tanh(), nn.Linear(16, 1))


def buffers(model):
    return [buffer.clone() for buffer in model.buffers()]


def make(policy, model=None, **options):
    model = model or normalised()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return TrainingStep(model, optimizer, policy, regression, options=StepOptions(**options))


def poison():
    """A batch whose activations overflow float16, and so the variance that BatchNorm keeps."""
    inputs, targets, _ = batches(1)[0]
    return inputs * 1e6, targets, 1.0


def test_without_the_option_an_overflow_poisons_running_statistics_for_good():
    step = make(Fp16Policy())
    step.run(batches(1))
    assert step.run([poison()]).skipped
    step.run(batches(1))
    assert not all(bool(buffer.isfinite().all()) for buffer in step.model.buffers())


def test_with_the_option_a_skipped_step_leaves_every_buffer_as_it_was():
    step = make(Fp16Policy(), restore_buffers=True)
    step.run(batches(1))
    before = buffers(step.model)
    assert step.run([poison()]).skipped
    assert same(buffers(step.model), before)
    assert not step.run(batches(1)).skipped
    assert int(step.model[1].num_batches_tracked) == 2
    assert all(bool(buffer.isfinite().all()) for buffer in step.model.buffers())


@pytest.mark.parametrize("accumulation", [1, 3])
def test_the_option_changes_nothing_about_good_steps(accumulation):
    kept, plain = make(Fp16Policy(), restore_buffers=True), make(Fp16Policy())
    for _ in range(3):
        window = batches(accumulation)
        kept.run(window)
        plain.run(window)
    assert same(buffers(kept.model), buffers(plain.model))
    assert same([*kept.model.parameters()], [*plain.model.parameters()])


@pytest.mark.parametrize("policy", [NonFinite.SKIP, NonFinite.RAISE])
def test_a_withheld_step_restores_them_too(policy):
    step = make(Bf16Policy(), restore_buffers=True, nonfinite=policy)
    step.run(batches(1))
    before = buffers(step.model)
    inputs, targets, _ = batches(1)[0]
    bad = (inputs * float("nan"), targets, 1.0)
    if policy is NonFinite.RAISE:
        with pytest.raises(NonFiniteError):
            step.run([bad])
    else:
        assert step.run([bad]).skipped
    assert same(buffers(step.model), before)


class Growing(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen = torch.cat([self.seen, x.detach().sum().reshape(1)])
        return x


def test_a_buffer_that_was_replaced_comes_back_too():
    model = Growing()
    snapshot = BufferSnapshot(model)
    for _ in range(2):
        snapshot.take()
        before = model.seen
        model(torch.ones(3))
        snapshot.restore()
        assert torch.equal(model.seen, before)
        model(torch.ones(3))
    assert [*model.state_dict()] == ["seen"]


def test_copies_are_kept_from_step_to_step():
    model = normalised()
    snapshot = BufferSnapshot(model)
    snapshot.take()
    first = {name: copy.data_ptr() for (_, name), copy in snapshot._copies.items()}
    snapshot.take()
    assert {name: copy.data_ptr() for (_, name), copy in snapshot._copies.items()} == first
