"""AMP106: a part of the loss is scaled, another part is not, and both end in the same gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Backward, Stepped, Unscaled
from stages.logic.engine.place import Place
from stages.logic.engine.protocol import Grads
from stages.logic.flags import flags_disagree
from stages.logic.problems import Problem
from stages.logic.rivals import several_optimizers
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP106",
    name="partial-loss-scaling",
    severity=Severity.CRITICAL,
    summary="Only a part of the loss is scaled before its gradients are added up.",
    why=(
        "The scaler divides all gradients by the scale, so the unscaled part counts 1/65536 of what it should: a"
        " regularizer or an auxiliary loss is silently switched off."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        ce = criterion(model(x), y)
                    reg = sum(p.pow(2).sum() for p in model.parameters())
                    (scaler.scale(ce) + 0.1 * reg).backward()  # expect: AMP106
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, penalty):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        out = model(x)
                        loss, aux = criterion(out, y), penalty(out)
                    scaler.scale(loss).backward(retain_graph=True)
                    aux.mean().backward()  # expect: AMP106
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        ce = criterion(model(x), y)
                    reg = sum(p.pow(2).sum() for p in model.parameters())
                    scaler.scale(ce + 0.1 * reg).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, penalty):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        out = model(x)
                        loss, aux = criterion(out, y), penalty(out)
                    total = scaler.scale(loss) + 0.5 * scaler.scale(aux)
                    total.backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def gan(gen, dis, loader, opt_g, opt_d):
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    with torch.autocast("cuda"):
                        fake = gen(x)
                        loss_g = -dis(fake).mean()
                    loss_d = dis(fake.detach().float()).mean()
                    scaler.scale(loss_g).backward()
                    loss_d.backward()  # the discriminator trains without a scaler
                    scaler.step(opt_g)
                    opt_d.step()
                    scaler.update()
                    opt_g.zero_grad()
                    opt_d.zero_grad()
        """),
        Good("""
            import torch

            def adversarial(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    delta = torch.zeros_like(x, requires_grad=True)
                    criterion(model(x + delta), y).backward()
                    noise = delta.grad.sign()
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x + 0.01 * noise), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
    ),
)
_WHY = "After unscaling it weighs 1/65536 of what it should."


def check_sum(event: Backward) -> Iterator[Problem]:
    """Report a sum of a scaled loss and something that is not scaled."""
    tensor = event.carries
    if tensor is None or tensor.mixed_at is None:
        return
    here = tensor.mixed_at in event.place.module.scopes.parents
    yield Problem(
        place=Place(event.place.module, tensor.mixed_at) if here else event.place,
        message="A loss that is not scaled is added to the scaled one",
        why=_WHY,
        remedy="Add the losses first: `scaler.scale(loss + extra).backward()`.",
        related=((event.place, "backward of the sum"),) if here else (),
        suspicion=flags_disagree(event.state),
    )


def check_roots(event: Stepped | Unscaled) -> Iterator[Problem]:
    """Report the unscaled one of two backwards whose gradients one scaler unscales together."""
    if event.scaler is None or event.scaler.enabled is False or event.optimizer.prepared:
        return
    held = event.state.protocol.grads(event.optimizer.key)
    if held.status is not Grads.MIXED or held.plain_at is None or several_optimizers(held.plain_at, event.state):
        return
    others = [site for site in held.backwards if site != held.plain_at]
    yield Problem(
        place=held.plain_at,
        message="The backward of an unscaled loss adds to gradients that carry the loss scale",
        why=_WHY,
        remedy=f"Write `{event.scaler.label}.scale(loss).backward()` here too.",
        related=tuple((site, "scaled backward") for site in others[-1:]),
        scaler=event.scaler,
        suspicion=flags_disagree(event.state),
    )


CHECKS = {Backward: check_sum, Stepped: check_roots, Unscaled: check_roots}
