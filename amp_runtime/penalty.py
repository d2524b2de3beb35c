"""Gradients as a part of the loss: taken under loss scaling, made true, and differentiable themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from amp_runtime.policy import Fp32Policy


def true_gradients(
    policy: Fp32Policy, loss: torch.Tensor, inputs: torch.Tensor | Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Return the gradients of `loss` by `inputs` in true units, with a graph, so that a loss may contain them.

    For an objective that a `TrainingStep` calls, inside its autocast context::

        def objective(model, batch):
            loss = F.mse_loss(model(batch.inputs).float(), batch.targets)
            gradients = true_gradients(policy, loss, [*model.parameters()])
            return Outcome(loss=loss + 0.1 * squared_norm(gradients), examples=len(batch.inputs))

    The loss is scaled, else float16 gradients underflow; then the scale is divided out in float32, since a penalty is
    not linear in them: on scaled gradients it would be too large by the scale, squared for a squared norm (rule
    AMP125). This is the order of "Gradient penalty" in PyTorch's AMP examples. Differentiation itself runs outside
    autocast, as every backward pass should. It needs operations that can be differentiated twice, which the code that
    `torch.compile` generates cannot.

    Args:
        policy: that of the step, which knows the scale.
        loss: 0-dim, with its graph; reduce outputs of any other shape first.
        inputs: tensors that require a gradient and that `loss` depends on: parameters, or the model's inputs.

    Returns:
        One float32 tensor (float64 for float64 inputs) of its shape per input. Where the loss scale is too large they
        hold inf or NaN, so does the loss, and the scaler skips the step.

    Raises:
        RuntimeError: gradients are disabled, as in validation; an input that `loss` does not depend on.
    """
    if not torch.is_grad_enabled():
        raise RuntimeError(
            "a gradient penalty needs gradients, which are disabled here; "
            "in validation leave it out: `if torch.is_grad_enabled(): ...`"
        )
    wanted = (inputs,) if isinstance(inputs, torch.Tensor) else tuple(inputs)
    with torch.autocast(policy.device.type, enabled=False):
        found = torch.autograd.grad(policy.scale(loss), wanted, create_graph=True)
        # A scaled 1 is the scale itself, and on the device; asking for the number would wait.
        scale = policy.scale(torch.ones((), device=loss.device))
        return tuple(_at_least_float32(gradient) / scale for gradient in found)


def squared_norm(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the squared L2 norm of all gradients taken as one vector, 0-dim and differentiable.

    Of parameters: the penalty of Barrett and Dherin, "Implicit gradient regularization". Of a discriminator's real
    inputs, divided by their number: the R1 penalty of Mescheder et al., "Which training methods for GANs do actually
    converge?". Unlike the norm itself, it has a derivative at zero.
    """
    return torch.stack([_at_least_float32(gradient).square().sum() for gradient in gradients]).sum()


def distance_from_unit_norm(gradient: torch.Tensor) -> torch.Tensor:
    """Return the mean over examples of `(norm - 1)**2`, 0-dim and differentiable: the WGAN-GP penalty.

    Args:
        gradient: of the critic's summed verdicts by its inputs, shape `(examples, *)`.

    Source: Gulrajani et al., "Improved training of Wasserstein GANs".
    """
    norms = torch.linalg.vector_norm(_at_least_float32(gradient).flatten(1), dim=1)
    penalty: torch.Tensor = (norms - 1).square().mean()
    return penalty


def _at_least_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.dtype is torch.float64 else tensor.float()
