import pytest
import torch

from amp_runtime.config import LossScaling
from amp_runtime.policy import Fp16Policy, Fp32Policy
from amp_runtime.workloads.adversarial import AdversarialWorkload, Pair, gan_fp16, halved
from amp_runtime.workloads.vision import load_digits


@pytest.fixture(scope="module")
def images():
    return load_digits("cpu")[0][0][:32]


def fp16(scale):
    return Fp16Policy("cpu", LossScaling(init_scale=scale))


def weights(module):
    return torch.cat([parameter.detach().flatten().clone() for parameter in module.parameters()])


def test_both_steps_share_one_policy_and_train_one_network_each(images):
    workload = gan_fp16(amp=True, seed=0)
    critic, generator = workload.training_steps
    assert critic.policy is generator.policy is workload.policy
    before = weights(workload.model.critic), weights(workload.model.generator)
    critic.run([images])
    assert torch.equal(before[1], weights(workload.model.generator))
    assert not torch.equal(before[0], weights(workload.model.critic))
    after = weights(workload.model.critic)
    generator.run([images])
    assert torch.equal(after, weights(workload.model.critic))
    assert not torch.equal(before[1], weights(workload.model.generator))


def test_the_penalty_is_that_of_true_gradients_whatever_the_scale(images):
    exact = AdversarialWorkload(Fp32Policy(), 0).training_steps[0].run([images])
    assert exact.parts["penalty"] > 0
    for scale in (1.0, 4096.0, 65536.0):
        report = AdversarialWorkload(fp16(scale), 0).training_steps[0].run([images])
        assert not report.skipped
        assert report.parts["penalty"] == pytest.approx(exact.parts["penalty"], rel=2e-2)
        assert report.grad_norm == pytest.approx(exact.grad_norm, rel=2e-2)


def test_the_penalty_reaches_the_critics_weights(images):
    workload = AdversarialWorkload(Fp32Policy(), 0)
    outcome = workload.training_steps[0].objective(workload.model, images)
    first = workload.model.critic[0].weight
    (with_penalty,) = torch.autograd.grad(outcome.loss, first)
    real = torch.nn.functional.softplus(-workload.model.critic(images)).mean()
    fake = torch.nn.functional.softplus(workload.model.critic(workload.model.generator(halved(images)))).mean()
    (without,) = torch.autograd.grad(real + fake, first)
    assert not torch.allclose(with_penalty, without, rtol=1e-3)


def test_an_overflow_of_the_critic_skips_the_critic_alone(images):
    # The penalty's gradients are scaled twice: inside of it, and with the loss.
    workload = AdversarialWorkload(fp16(2.0**40), 0)
    critic, generator = workload.training_steps
    before = weights(workload.model.critic)
    assert critic.run([images]).skipped
    assert torch.equal(before, weights(workload.model.critic))
    assert workload.policy.scaler.current_scale == 2.0**39
    workload.policy.scaler.load_state_dict(fp16(1024.0).scaler.state_dict())
    assert not generator.run([images]).skipped
    assert not critic.run([images]).skipped


def test_the_critic_learns_to_tell_them_apart_and_the_generator_to_draw():
    workload = AdversarialWorkload(Fp32Policy(), 0)
    before = workload.evaluate()
    for _ in range(80):
        workload.step()
    after = workload.evaluate()
    assert after["loss"] < 0.3 * before["loss"]
    assert after["critic_accuracy"] > 0.6


def test_images_are_halved_by_averaging():
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert halved(image)[0, 0, 0].tolist() == [4.5, 6.5, 8.5, 10.5]


def test_the_pair_draws_at_twice_the_resolution(images):
    pair = Pair()
    assert pair.generator(halved(images)).shape == images.shape
    assert pair.critic(images).shape == (32,)
