import pytest
import torch

from amp_runtime.config import LossScaling
from amp_runtime.objective import Outcome
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from amp_runtime.scaling import ScaleCollapseError
from amp_runtime.step import NonFinite, StepOptions, TrainingStep, total_norm
from tests.amp_runtime.problems import (
    OVERFLOW,
    POLICIES,
    batches,
    fp16,
    network,
    regression,
    same,
    split_optimizers,
    weights,
)


class HeadOnly(torch.autograd.Function):
    """Passes its input on; the gradient that goes back is inf, so that only what lies before it overflows."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("inf")


def body_overflows(model, batch):
    inputs, targets, _ = batch
    hidden = HeadOnly.apply(model[1](model[0](inputs)))
    return Outcome(loss=torch.nn.functional.mse_loss(model[2](hidden).float(), targets), examples=len(inputs))


def pair_step(policy=None, objective=regression, *, fused=(None, None), **settings):
    model = network()
    body = torch.optim.SGD(model[0].parameters(), lr=0.1, fused=fused[0])
    head = torch.optim.SGD(model[2].parameters(), lr=0.1, fused=fused[1])
    return TrainingStep(model, [body, head], policy or Fp32Policy(), objective, **settings)


@pytest.mark.parametrize("fused", [(None, None), (True, None), (None, True), (True, True)])
def test_an_overflow_in_one_network_holds_back_both(fused):
    step = pair_step(fp16(), body_overflows, fused=fused)
    step.scheduler = [torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.5) for o in step.optimizers]
    before = weights(step.model)
    report = step.run(batches(1))
    assert report.skipped
    assert same(weights(step.model), before)
    assert [o.param_groups[0]["lr"] for o in step.optimizers] == [0.1, 0.1]
    assert (step.policy.scaler.current_scale, step.policy.scaler.skipped_steps) == (512, 1)


@pytest.mark.parametrize("fused", [(None, None), (True, None), (None, True), (True, True)])
def test_a_good_step_takes_both_and_both_schedules(fused):
    step = pair_step(fp16(), fused=fused)
    step.scheduler = [torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.5) for o in step.optimizers]
    before = weights(step.model)
    assert not step.run(batches(1)).skipped
    assert all(not torch.equal(old, new) for old, new in zip(before, weights(step.model), strict=True))
    assert [o.param_groups[0]["lr"] for o in step.optimizers] == [0.05, 0.05]


def test_a_bf16_gradient_that_overflows_in_one_network_holds_back_both():
    step = pair_step(Bf16Policy(), body_overflows, options=StepOptions(nonfinite=NonFinite.SKIP))
    before = weights(step.model)
    assert step.run(batches(1)).skipped
    assert same(weights(step.model), before)


def test_a_collapse_is_counted_in_steps_not_in_optimizers():
    step = pair_step(Fp16Policy("cpu", LossScaling(init_scale=0.5, collapse_patience=4)))
    for _ in range(3):
        step.run(batches(1, factor=float("nan")))
    with pytest.raises(ScaleCollapseError, match="4 steps"):
        step.run(batches(1, factor=float("nan")))


def test_fused_flags_of_three_optimizers_are_read_in_time():
    model = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3)))
    optimizers = [torch.optim.SGD(layer.parameters(), lr=0.1, fused=True) for layer in model]
    policy = Fp16Policy("cpu", LossScaling(init_scale=0.5, collapse_patience=3))
    step = TrainingStep(
        model, optimizers, policy, lambda m, x: Outcome(loss=m(x).float().mean() * float("nan"), examples=2)
    )

    def train():
        for _ in range(9):
            step.run([torch.ones(2, 4)])

    with pytest.raises(ScaleCollapseError):
        train()


@pytest.mark.parametrize("name", POLICIES)
def test_each_optimizers_gradients_are_clipped_by_their_own_norm(name):
    step = pair_step(POLICIES[name](), options=StepOptions(clip_norm=0.01))
    free = pair_step(POLICIES[name]()).run(batches(1)).grad_norm
    report = step.run(batches(1))
    for module in (step.model[0], step.model[2]):
        assert total_norm([p.grad for p in module.parameters()]).item() == pytest.approx(0.01, rel=1e-3)
    assert report.grad_norm == pytest.approx(free, rel=1e-6)


@pytest.mark.parametrize("name", POLICIES)
def test_clipping_together_bounds_the_norm_of_all(name):
    step = pair_step(POLICIES[name](), options=StepOptions(clip_norm=0.01, clip_together=True))
    step.run(batches(1))
    assert total_norm([p.grad for p in step.model.parameters()]).item() == pytest.approx(0.01, rel=1e-3)


def test_one_optimizer_with_two_groups_equals_two_optimizers():
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters(), "lr": 0.1}]
    single = TrainingStep(model, torch.optim.SGD(groups), fp16(), regression)
    pair = pair_step(fp16())
    for batch in batches(4):
        single.run([batch])
        pair.run([batch])
    assert same(weights(single.model), weights(pair.model))


def test_an_optimizer_without_a_gradient_is_named():
    def head_only(model, batch):
        hidden = model[1](model[0](batch[0])).detach()
        return Outcome(loss=model[2](hidden).float().pow(2).mean(), examples=len(batch[0]))

    step = pair_step(fp16(), head_only)
    with pytest.raises(RuntimeError, match="optimizer 1 of 2 received a gradient"):
        step.run(batches(1))
    step.objective = regression
    assert not step.run(batches(1)).skipped


def test_a_parameter_in_two_optimizers_is_refused():
    model = network()
    both = [torch.optim.SGD(model.parameters(), lr=0.1), torch.optim.SGD(model[2].parameters(), lr=0.1)]
    with pytest.raises(ValueError, match="in two optimizers"):
        TrainingStep(model, both, Fp32Policy(), regression)


def test_no_optimizer_is_refused():
    with pytest.raises(ValueError, match="at least one optimizer"):
        TrainingStep(network(), [], Fp32Policy(), regression)


@pytest.mark.parametrize("policy", [Fp32Policy, Bf16Policy, Fp16Policy])
def test_an_optimizer_that_needs_a_closure_is_refused(policy):
    model = network()
    with pytest.raises(ValueError, match="closure"):
        TrainingStep(model, torch.optim.LBFGS(model.parameters()), policy(), regression)


def test_the_scheduler_of_another_optimizer_is_refused():
    model = network()
    stranger = torch.optim.lr_scheduler.ExponentialLR(torch.optim.SGD(network().parameters(), lr=0.1), gamma=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="ExponentialLR drives an optimizer that is not one of this step's"):
        TrainingStep(model, optimizer, Fp32Policy(), regression, scheduler=stranger)
    step = TrainingStep(model, optimizer, Fp32Policy(), regression)
    with pytest.raises(ValueError, match="not one of this step's"):
        step.scheduler = stranger


def test_asking_several_for_the_one_is_an_error_and_not_a_guess():
    model = network()
    optimizers = split_optimizers(model)
    schedulers = [torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.5) for o in optimizers]
    step = TrainingStep(model, optimizers, Fp32Policy(), regression, scheduler=schedulers)
    with pytest.raises(ValueError, match="2 optimizers"):
        _ = step.optimizer
    with pytest.raises(ValueError, match="2 schedulers"):
        _ = step.scheduler
    assert step.schedulers == tuple(schedulers)


def test_a_step_that_raised_does_not_spoil_the_next():
    step = pair_step(fp16())

    def out_of_memory(*_):
        raise torch.OutOfMemoryError("no room for the optimizer's state")

    hook = step.optimizers[1].register_step_pre_hook(out_of_memory)
    with pytest.raises(torch.OutOfMemoryError):
        step.run(batches(1))
    hook.remove()
    assert not step.run(batches(1)).skipped
    assert step.policy.scaler.current_scale == 1024


def gan_step(policies, *, factor=1.0):
    """A generator and a discriminator of one-dimensional data, and their two steps."""
    torch.manual_seed(0)
    generator, discriminator = torch.nn.Linear(4, 2), torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Linear(8, 1))
    bce = torch.nn.functional.binary_cross_entropy_with_logits

    def judge(model, noise):
        real = discriminator(torch.ones(len(noise), 2)).float()
        fake = discriminator(generator(noise).detach()).float()
        losses = {"real": bce(real, torch.ones_like(real)), "fake": bce(fake, torch.zeros_like(fake))}
        return Outcome.of_several(losses, {"real": 0.5, "fake": 0.5}, examples=2 * len(noise))

    def fool(model, noise):
        verdict = discriminator(generator(noise)).float()
        return Outcome(loss=bce(verdict, torch.ones_like(verdict)) * factor, examples=len(noise))

    steps = [
        TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.05), policy, objective)
        for model, policy, objective in zip((discriminator, generator), policies, (judge, fool), strict=True)
    ]
    return steps, (generator, discriminator, judge, fool)


@pytest.mark.parametrize("name", POLICIES)
def test_two_steps_that_take_turns_on_one_policy_equal_the_handwritten_gan(name):
    policy = POLICIES[name]()
    steps, _ = gan_step((policy, policy))
    _, (generator, discriminator, judge, fool) = gan_step((POLICIES["fp32"](), POLICIES["fp32"]()))
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.05) for m in (discriminator, generator)]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=name == "fp16")
    noises = torch.randn(6, 16, 4, generator=torch.Generator().manual_seed(2))
    for noise in noises:
        for step in steps:
            step.run([noise])
        for optimizer, objective in zip(optimizers, (judge, fool), strict=True):
            optimizer.zero_grad()
            with policy.autocast():
                loss = objective(None, noise).loss
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert same(weights(steps[0].model), weights(discriminator))
    assert same(weights(steps[1].model), weights(generator))


def test_an_overflow_of_one_turn_lowers_the_shared_scale_and_spares_the_other_network():
    policy = fp16()
    steps, _ = gan_step((policy, policy), factor=OVERFLOW)
    noise = torch.randn(16, 4)
    judged, fooled = weights(steps[0].model), weights(steps[1].model)
    assert not steps[0].run([noise]).skipped
    assert steps[1].run([noise]).skipped
    assert not same(weights(steps[0].model), judged)
    assert same(weights(steps[1].model), fooled)
    assert policy.scaler.current_scale == 512
