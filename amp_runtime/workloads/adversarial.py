"""Two networks against each other: one doubles the resolution of handwritten digits, one tells them from real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from amp_runtime.modes import evaluating
from amp_runtime.objective import Outcome
from amp_runtime.penalty import squared_norm, true_gradients
from amp_runtime.policy import policy_for
from amp_runtime.step import StepOptions, TrainingStep
from amp_runtime.workloads.contract import fp16_config, seeded
from amp_runtime.workloads.resuming import Resuming
from amp_runtime.workloads.vision import load_digits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amp_runtime.policy import Fp32Policy

_BATCH = 32
_ADVERSARIAL = 0.01  # weight of the critic's verdict in the generator's loss
_PENALTY = 0.1


def gan_fp16(*, amp: bool, seed: int) -> AdversarialWorkload:
    """Train in fp32, or under `amp` in float16, with one loss scaler for both optimizers.

    The critic's loss has a gradient penalty, which is where scaled gradients do most harm: it is quadratic in them.
    The generator also has to match the real image, and so has a loss that falls.
    """
    return AdversarialWorkload(policy_for(fp16_config(amp=amp)), seed)


class AdversarialWorkload(Resuming[torch.Tensor]):
    """A workload whose step is one of the critic and then one of the generator, under one policy.

    `training_steps` holds both; they share the policy and so the loss scale, which is adapted after each.
    """

    model: Pair

    def __init__(self, policy: Fp32Policy, seed: int) -> None:
        device = str(policy.device)
        (training, _), (validation, _) = load_digits(device)
        self.model = seeded(Pair, seed).to(device)
        self.precision = policy.precision.value
        self.policy = policy
        # The critic's without momentum: what it should move against changes under it.
        critic = torch.optim.Adam(self.model.critic.parameters(), lr=1e-3, betas=(0.0, 0.99))
        generator = torch.optim.Adam(self.model.generator.parameters(), lr=2e-3)
        self.training_steps = (
            TrainingStep(self.model, critic, policy, self._criticise),
            TrainingStep(self.model, generator, policy, _generate, options=StepOptions(clip_norm=1.0)),
        )
        self.loss_scales: list[float] = []  # at the begin of each step
        self._validation = validation
        super().__init__(_stream(training, seed), self.training_steps)

    def step(self) -> float:
        """Train both on the next images; returns the generator's loss."""
        window = (self.next_batch(),)
        criticised, generated = [step.run(window) for step in self.training_steps]
        if (scale := criticised.scale) is not None:
            self.loss_scales.append(scale)
        return generated.loss

    def evaluate(self) -> dict[str, float]:
        """Return the generator's mean squared error, and the share of held-out images that the critic judges right."""
        real = self._validation
        with evaluating(self.model), self.policy.autocast():
            fake = self.model.generator(halved(real))
            verdicts = torch.cat([self.model.critic(real), -self.model.critic(fake)])
        return {
            "loss": float(F.mse_loss(fake.float(), real).item()),
            "critic_accuracy": float((verdicts > 0).float().mean().item()),
        }

    def _criticise(self, model: nn.Module, real: torch.Tensor) -> Outcome:
        fake = model.get_submodule("generator")(halved(real)).detach()
        critic = model.get_submodule("critic")
        real = real.detach().requires_grad_()
        verdicts = critic(real).float()
        # R1 (arXiv 1801.04406): of each verdict by its own real image. Taken from the mean, as the scaled gradient of a
        # sum is the scale itself for every verdict, and 65536 is inf in float16.
        gradients = true_gradients(self.policy, verdicts.mean(), real)
        penalty = squared_norm(gradients) * len(real)
        losses = {
            "real": F.softplus(-verdicts).mean(),
            "fake": F.softplus(critic(fake).float()).mean(),
            "penalty": penalty,
        }
        return Outcome.of_several(losses, {"real": 1.0, "fake": 1.0, "penalty": _PENALTY}, examples=len(real))


class Pair(nn.Module):
    """`generator`: images `(n, 1, 4, 4)` to `(n, 1, 8, 8)`; `critic`: images `(n, 1, 8, 8)` to logits `(n,)`."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(12, 12, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(12, 1, 3, padding=1),
        )
        self.critic = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(12, 24, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(24 * 2 * 2, 1),
            nn.Flatten(0),
        )


def halved(images: torch.Tensor) -> torch.Tensor:
    """Return images `(n, 1, 8, 8)` at half the resolution, each value the mean of four."""
    return F.avg_pool2d(images, 2)


def _generate(model: nn.Module, real: torch.Tensor) -> Outcome:
    fake = model.get_submodule("generator")(halved(real))
    losses = {
        "content": F.mse_loss(fake.float(), real),
        # Of the logit, not of its sigmoid: log(1 - p) is -inf in half precision as soon as the critic is sure.
        "adversarial": F.softplus(-model.get_submodule("critic")(fake).float()).mean(),
    }
    return Outcome.of_several(losses, {"content": 1.0, "adversarial": _ADVERSARIAL}, examples=len(real))


def _stream(images: torch.Tensor, seed: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(images), generator=generator).to(images.device)
        for start in range(0, len(order) - _BATCH + 1, _BATCH):
            yield images[order[start : start + _BATCH]]
