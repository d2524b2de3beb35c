import pytest
import torch
from torch import nn

from amp_runtime.config import LossScaling
from amp_runtime.objective import Outcome
from amp_runtime.penalty import distance_from_unit_norm, squared_norm, true_gradients
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from amp_runtime.step import TrainingStep
from tests.amp_runtime.problems import OVERFLOW, POLICIES, batches, fp16, network, regression, same, weights

STRENGTH = 0.1


def penalised(policy):
    def objective(model, batch):
        loss = regression(model, batch).loss
        gradients = true_gradients(policy, loss, [*model.parameters()])
        return Outcome(loss=loss + STRENGTH * squared_norm(gradients), examples=len(batch[0]))

    return objective


def make(policy):
    model = network()
    return TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1), policy, penalised(policy))


def handwritten(name, data):
    """PyTorch's example "Gradient penalty" with a squared norm."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=name == "fp16")
    policy = POLICIES[name]()
    losses = []
    for inputs, targets, factor in data:
        optimizer.zero_grad()
        with policy.autocast():
            loss = nn.functional.mse_loss(model(inputs).float(), targets) * factor
        scaled = torch.autograd.grad(scaler.scale(loss), [*model.parameters()], create_graph=True)
        gradients = [gradient * (1.0 / scaler.get_scale()) for gradient in scaled]
        with policy.autocast():
            loss = loss + STRENGTH * torch.stack([gradient.square().sum() for gradient in gradients]).sum()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return weights(model), losses


@pytest.mark.parametrize("name", POLICIES)
def test_it_equals_pytorchs_own_example(name):
    step, data = make(POLICIES[name]()), batches(5)
    losses = [step.run([batch]).loss for batch in data]
    expected, their_losses = handwritten(name, data)
    assert losses == pytest.approx(their_losses, rel=1e-6)
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(weights(step.model), expected, strict=True))


@pytest.mark.parametrize("scale", [1.0, 64.0, 4096.0])
def test_the_penalty_does_not_depend_on_the_loss_scale(scale):
    exact = make(Fp32Policy()).run(batches(1))
    report = make(Fp16Policy("cpu", LossScaling(init_scale=scale))).run(batches(1))
    assert not report.skipped
    assert report.loss == pytest.approx(exact.loss, rel=5e-3)
    assert report.grad_norm == pytest.approx(exact.grad_norm, rel=2e-2)


def test_the_gradient_of_the_penalty_is_right():
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    (gradient,) = true_gradients(fp16(), (weight**3).sum(), weight)
    assert torch.allclose(gradient, 3 * weight**2)
    (second,) = torch.autograd.grad(squared_norm([gradient]), weight)
    assert torch.allclose(second, 2 * 3 * weight**2 * 6 * weight)


def test_an_overflow_in_the_penalty_skips_the_step():
    step = make(fp16())
    before = weights(step.model)
    assert step.run(batches(1, factor=OVERFLOW)).skipped
    assert same(weights(step.model), before)
    assert step.policy.scaler.current_scale == 512
    assert not step.run(batches(1)).skipped


@pytest.mark.parametrize("policy", [Fp32Policy, Bf16Policy, fp16])
def test_gradients_by_inputs_are_float32_and_taken_outside_autocast(policy):
    policy = policy()
    model, inputs = network(), torch.randn(4, 8, requires_grad=True)
    seen = []

    class Spy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            seen.append(torch.is_autocast_enabled("cpu"))
            return gradient

    with policy.autocast():
        (gradient,) = true_gradients(policy, Spy.apply(model(inputs)).float().sum(), inputs)
        assert torch.is_autocast_enabled("cpu") == policy.precision.is_low
    assert (gradient.dtype, gradient.shape, seen) == (torch.float32, inputs.shape, [False])


def test_the_distance_from_unit_norm_is_the_mean_over_examples():
    gradient = torch.tensor([[3.0, 4.0], [0.6, 0.8]])
    assert distance_from_unit_norm(gradient).item() == pytest.approx((5 - 1) ** 2 / 2)


@pytest.mark.parametrize("name", POLICIES)
def test_a_wgan_critic_learns_with_its_penalty(name):
    policy = POLICIES[name]()
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    generator = torch.Generator().manual_seed(1)

    def objective(model, batch):
        real, fake = batch
        between = (torch.rand(len(real), 1, generator=generator) * (real - fake) + fake).requires_grad_()
        (gradient,) = true_gradients(policy, model(between).float().sum(), between)
        penalty = distance_from_unit_norm(gradient)
        losses = {"distance": (model(fake) - model(real)).float().mean(), "penalty": penalty}
        return Outcome.of_several(losses, {"distance": 1.0, "penalty": 10.0}, examples=len(real))

    step = TrainingStep(critic, torch.optim.Adam(critic.parameters(), lr=0.01), policy, objective)
    fake = torch.randn(64, 2, generator=generator)
    reports = [step.run([(fake + 3, fake)]) for _ in range(60)]
    assert reports[-1].parts["penalty"] < 0.1 < reports[0].parts["penalty"]
    assert reports[-1].parts["distance"] < -2


def test_without_gradients_it_says_what_to_do():
    with torch.no_grad(), pytest.raises(RuntimeError, match=r"in validation leave it out"):
        true_gradients(Fp32Policy(), torch.ones(()), torch.ones(2))
