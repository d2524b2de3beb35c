import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from amp_runtime.objective import Outcome
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from amp_runtime.scaling import ScaleCollapseError
from amp_runtime.step import NonFinite, NonFiniteError, StepOptions, TrainingStep, total_norm
from tests.amp_runtime.problems import (
    OVERFLOW,
    POLICIES,
    SCALE,
    batches,
    fp16,
    make_step,
    network,
    regression,
    same,
    weights,
)


def halving(optimizer):
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def handwritten(data, *, dtype=None, clip=None, scaler=None):
    """The training loop as PyTorch's AMP examples have it; returns weights and losses."""
    model = network()
    optimizer = sgd(model)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=4)
    scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
    losses = []
    for inputs, targets, factor in data:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            loss = nn.functional.mse_loss(model(inputs).float(), targets) * factor
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        if scaler.get_scale() >= before:
            schedule.step()
        losses.append(loss.item())
    return weights(model), losses


def ours(data, policy, *, clip=None):
    step = make_step(policy, options=StepOptions(clip_norm=clip))
    step.scheduler = torch.optim.lr_scheduler.LinearLR(step.optimizer, start_factor=0.5, total_iters=4)
    losses = [step.run([batch]).loss for batch in data]
    return weights(step.model), losses


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize(("policy", "dtype"), [(Fp32Policy, None), (Bf16Policy, torch.bfloat16)])
def test_training_equals_the_handwritten_loop_bit_for_bit(policy, dtype, clip):
    data = batches(8)
    mine, losses = ours(data, policy(), clip=clip)
    theirs, expected = handwritten(data, dtype=dtype, clip=clip)
    assert same(mine, theirs)
    assert losses == expected


def test_fp16_with_an_overflow_equals_the_handwritten_loop_bit_for_bit():
    data = batches(8)
    data[3] = (*data[3][:2], OVERFLOW)
    mine, losses = ours(data, fp16(), clip=0.1)
    theirs, expected = handwritten(
        data, dtype=torch.float16, clip=0.1, scaler=torch.amp.GradScaler("cpu", init_scale=SCALE)
    )
    assert same(mine, theirs)
    assert losses == expected


@pytest.mark.parametrize("fused", [False, True])
def test_an_overflow_leaves_weights_and_schedule_and_halves_the_scale(fused):
    step = make_step(Fp16Policy(), optimizer=lambda p: torch.optim.SGD(p, lr=0.1, fused=fused))
    step.scheduler = halving(step.optimizer)
    before = weights(step.model)
    report = step.run(batches(1, factor=OVERFLOW))
    assert report.skipped
    assert same(weights(step.model), before)
    assert step.optimizer.param_groups[0]["lr"] == 0.1
    assert (report.scale, step.policy.scaler.current_scale) == (65536, 32768)


@pytest.mark.parametrize("fused", [False, True])
def test_the_step_after_an_overflow_trains_and_advances_the_schedule(fused):
    step = make_step(Fp16Policy(), optimizer=lambda p: torch.optim.SGD(p, lr=0.1, fused=fused))
    step.scheduler = halving(step.optimizer)
    step.run(batches(1, factor=OVERFLOW))
    before = weights(step.model)
    report = step.run(batches(1))
    assert not report.skipped
    assert not same(weights(step.model), before)
    assert (report.number, report.lr, step.optimizer.param_groups[0]["lr"]) == (2, 0.1, 0.05)


def test_a_report_gives_the_true_norm_under_loss_scaling():
    exact, scaled = make_step(Fp32Policy()).run(batches(1)), make_step(fp16()).run(batches(1))
    assert scaled.scale == SCALE
    assert scaled.grad_norm == pytest.approx(exact.grad_norm, rel=0.01)
    assert exact.scale is None


class Watched(torch.optim.SGD):
    """Keeps the gradients that the step was taken with."""

    def step(self, closure=None):
        self.used = [p.grad.clone() for group in self.param_groups for p in group["params"]]
        return super().step(closure)


@pytest.mark.parametrize("name", POLICIES)
def test_clipping_by_norm_applies_to_true_gradients(name):
    step = make_step(POLICIES[name](), optimizer=lambda p: Watched(p, lr=0.1), options=StepOptions(clip_norm=0.01))
    report = step.run(batches(1))
    assert report.grad_norm > 0.1
    assert total_norm(step.optimizer.used).item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("name", POLICIES)
def test_a_norm_below_the_threshold_is_left_alone(name):
    clipped, free = (make_step(POLICIES[name](), options=StepOptions(clip_norm=norm)) for norm in (1e6, None))
    for batch in batches(3):
        clipped.run([batch])
        free.run([batch])
    assert same(weights(clipped.model), weights(free.model))


@pytest.mark.parametrize("name", POLICIES)
def test_clipping_by_value_applies_to_true_gradients(name):
    options = StepOptions(clip_value=0.02)
    step = make_step(POLICIES[name](), optimizer=lambda p: Watched(p, lr=0.1), options=options)
    free = make_step(POLICIES[name](), optimizer=lambda p: Watched(p, lr=0.1))
    report = step.run(batches(1))
    assert report.grad_norm == free.run(batches(1)).grad_norm
    assert same(step.optimizer.used, [gradient.clamp(-0.02, 0.02) for gradient in free.optimizer.used])


@pytest.mark.parametrize("name", POLICIES)
def test_accumulation_equals_one_big_batch(name):
    parts = batches(4)
    whole = (torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]), 1.0)
    split, big = make_step(POLICIES[name]()), make_step(POLICIES[name]())
    accumulated, at_once = split.run(parts), big.run([whole])
    tolerance = 1e-6 if name == "fp32" else 1e-2
    assert accumulated.loss == pytest.approx(at_once.loss, rel=tolerance)
    assert accumulated.grad_norm == pytest.approx(at_once.grad_norm, rel=tolerance)
    assert accumulated.examples == at_once.examples == 16


def test_unequal_micro_batches_count_by_their_size():
    ((inputs, targets, factor),) = batches(1, size=12)
    cuts = [(inputs[:9], targets[:9], factor), (inputs[9:], targets[9:], factor)]
    split, big = make_step(batch_size=lambda batch: len(batch[0])), make_step()
    assert split.run(cuts).grad_norm == pytest.approx(big.run([(inputs, targets, factor)]).grad_norm, rel=1e-6)
    for mine, theirs in zip(weights(split.model), weights(big.model), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-7)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.sampled_from([None, 0.05]))
def test_micro_batches_of_any_sizes_equal_one_big_batch(sizes, clip):
    ((inputs, targets, factor),) = batches(1, size=sum(sizes))
    cuts = list(zip(inputs.split(sizes), targets.split(sizes), [factor] * len(sizes), strict=True))
    options = StepOptions(clip_norm=clip)
    split, big = make_step(batch_size=lambda batch: len(batch[0]), options=options), make_step(options=options)
    accumulated, at_once = split.run(cuts), big.run([(inputs, targets, factor)])
    assert accumulated.loss == pytest.approx(at_once.loss, rel=1e-5)
    assert accumulated.grad_norm == pytest.approx(at_once.grad_norm, rel=1e-5)
    for mine, theirs in zip(weights(split.model), weights(big.model), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_an_overflow_in_any_micro_batch_skips_the_whole_step():
    step = make_step(Fp16Policy())
    before = weights(step.model)
    assert step.run([*batches(2), *batches(1, factor=OVERFLOW)]).skipped
    assert same(weights(step.model), before)
    assert step.policy.scaler.steps == 1


def test_gradients_left_by_others_do_not_leak_into_a_step():
    clean, stale = make_step(), make_step()
    for parameter in stale.model.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    assert clean.run(batches(1)).grad_norm == stale.run(batches(1)).grad_norm


def test_the_gradients_of_the_last_step_can_be_looked_at():
    step = make_step(fp16(), options=StepOptions(clip_norm=0.5))
    report = step.run(batches(1))
    assert report.grad_norm > 0.5
    assert total_norm([parameter.grad for parameter in step.model.parameters()]).item() == pytest.approx(0.5, rel=1e-3)


def test_backward_and_optimizer_run_outside_autocast():
    seen = []

    class Spy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            seen.append(("forward", torch.is_autocast_enabled("cpu")))
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            seen.append(("backward", torch.is_autocast_enabled("cpu")))
            return gradient

    def objective(model, batch):
        return Outcome(loss=Spy.apply(regression(model, batch).loss), examples=1)

    model = network()
    optimizer = sgd(model)
    optimizer.register_step_pre_hook(lambda *_: seen.append(("step", torch.is_autocast_enabled("cpu"))))
    TrainingStep(model, optimizer, Bf16Policy(), objective).run(batches(1))
    assert seen == [("forward", True), ("backward", False), ("step", False)]


def test_a_step_inside_autocast_is_refused():
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(RuntimeError, match="stale weights"):
        make_step(Bf16Policy()).run(batches(1))


@pytest.mark.parametrize("policy", [Fp32Policy, Bf16Policy])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_non_finite_loss_raises_and_leaves_the_weights(policy, bad):
    step = make_step(policy())
    before = weights(step.model)
    with pytest.raises(NonFiniteError, match=f"step 1: loss {bad:g}.* in {step.policy.precision}"):
        step.run(batches(1, factor=bad))
    assert same(weights(step.model), before)
    assert all(parameter.grad is None for parameter in step.model.parameters())
    assert not step.run(batches(1)).skipped


def test_a_non_finite_loss_is_skipped_where_configured():
    step = make_step(Bf16Policy(), options=StepOptions(nonfinite=NonFinite.SKIP, clip_norm=1.0))
    step.scheduler = halving(step.optimizer)
    before = weights(step.model)
    assert step.run(batches(1, factor=float("nan"))).skipped
    assert same(weights(step.model), before)
    assert step.optimizer.param_groups[0]["lr"] == 0.1


def test_skips_in_a_row_have_a_budget(caplog):
    step = make_step(Bf16Policy(), options=StepOptions(nonfinite=NonFinite.SKIP, skip_budget=2))
    bad, before = batches(1, factor=float("nan")), weights(step.model)
    assert step.run(bad).skipped
    assert step.run(bad).skipped
    with pytest.raises(NonFiniteError, match=r"step 3: loss nan.* after 2 steps withheld in a row"):
        step.run(bad)
    assert same(weights(step.model), before)
    assert caplog.text.count("step 1 withheld: loss nan") == 1
    assert caplog.text.count("withheld") == 1


def test_a_good_step_renews_the_budget_of_skips():
    step = make_step(options=StepOptions(nonfinite=NonFinite.SKIP, skip_budget=1))
    for _ in range(3):
        assert step.run(batches(1, factor=float("inf"))).skipped
        assert not step.run(batches(1)).skipped


@pytest.mark.parametrize("budget", [0, -1, True, 1.5])
def test_a_budget_that_is_none_is_refused(budget):
    with pytest.raises(ValueError, match="skip_budget"):
        StepOptions(skip_budget=budget)


def test_clipping_together_without_a_norm_is_refused():
    with pytest.raises(ValueError, match="clip_together"):
        StepOptions(clip_value=1.0, clip_together=True)


def test_sparse_gradients_are_measured_and_trained():
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows = nn.Embedding(5, 3, sparse=True)

        def forward(self, places):
            return self.rows(places)

    torch.manual_seed(0)
    model, dense = Table(), nn.Embedding(5, 3)
    dense.load_state_dict(model.rows.state_dict())
    places = torch.tensor([0, 2, 2])
    sparse_step, dense_step = (
        TrainingStep(
            one,
            torch.optim.SGD(one.parameters(), lr=0.1),
            fp16(),
            lambda m, x: Outcome(loss=m(x).float().pow(2).mean(), examples=len(x)),
        )
        for one in (model, dense)
    )
    assert sparse_step.run([places]).grad_norm == pytest.approx(dense_step.run([places]).grad_norm, rel=1e-6)
    assert torch.allclose(model.rows.weight, dense.weight)


class InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("inf")


def test_an_infinite_gradient_of_a_finite_loss_is_caught_too():
    def objective(model, batch):
        return Outcome(loss=InfiniteGradient.apply(regression(model, batch).loss), examples=1)

    model = network()
    step = TrainingStep(model, sgd(model), Bf16Policy(), objective, options=StepOptions(clip_norm=1.0))
    before = weights(model)
    with pytest.raises(NonFiniteError, match=r"loss \d"):
        step.run(batches(1))
    assert same(weights(model), before)


def test_ignoring_non_finite_values_lets_them_through():
    step = make_step(options=StepOptions(nonfinite=NonFinite.IGNORE))
    assert not step.run(batches(1, factor=float("nan"))).skipped
    assert all(bool(weight.isnan().any()) for weight in weights(step.model))


def test_fp16_that_is_nan_for_good_stops_with_a_collapse():
    step = make_step(Fp16Policy())
    before = weights(step.model)

    def train():
        for _ in range(40):
            step.run(batches(1, factor=float("nan")))

    with pytest.raises(ScaleCollapseError, match="bf16"):
        train()
    assert step.number == 17 + 10  # 17 halvings take 65536 to 0.5; then the default patience
    assert same(weights(step.model), before)


def test_what_the_optimizer_does_not_hold_is_not_trained():
    model = network()
    head = torch.optim.SGD(model[2].parameters(), lr=0.1)
    step = TrainingStep(model, head, fp16(), regression, options=StepOptions(clip_norm=0.5))
    body, top = weights(model[0]), weights(model[2])
    assert not step.run(batches(1)).skipped
    assert same(weights(model[0]), body)
    assert not same(weights(model[2]), top)


def test_a_loss_that_does_not_depend_on_the_model_is_an_error():
    def objective(model, batch):
        return Outcome(loss=torch.ones((), requires_grad=True) * 1, examples=1)

    model = network()
    with pytest.raises(RuntimeError, match="received a gradient"):
        TrainingStep(model, sgd(model), Fp32Policy(), objective).run(batches(1))


def test_an_empty_window_is_refused():
    with pytest.raises(ValueError, match="micro-batch sizes"):
        make_step().run([])


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
def test_a_threshold_that_clips_nothing_or_everything_is_refused(name, threshold):
    with pytest.raises(ValueError, match=f"{name} must be a positive finite number"):
        StepOptions(**{name: threshold})


def test_two_ways_of_clipping_at_once_are_refused():
    with pytest.raises(ValueError, match="clips by one of them"):
        StepOptions(clip_norm=1.0, clip_value=1.0)


def test_half_precision_weights_are_refused_at_construction():
    with pytest.raises(ValueError, match="keeps its weights in float32"):
        make_step(Fp16Policy(), model=network().half())


def test_an_optimizer_with_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="nothing to train"):
        make_step(model=network().requires_grad_(False))


def test_a_scheduler_that_follows_a_metric_is_refused():
    model = network()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.raises(ValueError, match="follows a metric"):
        TrainingStep(model, optimizer, Fp32Policy(), regression, scheduler=scheduler)


@pytest.mark.parametrize("name", POLICIES)
def test_training_learns_in_every_precision_without_a_word(name, caplog):
    step = make_step(POLICIES[name](), options=StepOptions(clip_norm=1.0))
    data = batches(1, size=64)
    with caplog.at_level(logging.WARNING):
        losses = [step.run(data).loss for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]
    assert caplog.text == ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", POLICIES)
def test_training_on_cuda_tracks_the_cpu(name, fused):
    def losses(device):
        model = network().to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
        step = TrainingStep(model, optimizer, POLICIES[name](device), regression)
        data = [(inputs.to(device), targets.to(device), factor) for inputs, targets, factor in batches(1, size=64)]
        return [step.run(data).loss for _ in range(20)]

    assert losses("cuda") == pytest.approx(losses("cpu"), rel=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_an_overflow_on_cuda_leaves_the_weights():
    model = network().cuda()
    step = TrainingStep(model, sgd(model), Fp16Policy("cuda"), regression)
    before = weights(model)
    ((inputs, targets, _),) = batches(1)
    assert step.run([(inputs.cuda(), targets.cuda(), OVERFLOW)]).skipped
    assert same(weights(model), before)
