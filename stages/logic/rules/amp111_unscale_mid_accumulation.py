"""AMP111: gradients are unscaled while further micro-batches are still to be added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.again import met_again
from stages.logic.engine.events import Stepped, Unscaled
from stages.logic.flags import flags_disagree
from stages.logic.loops import goes_through_optimizers
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP111",
    name="unscale-mid-accumulation",
    severity=Severity.CRITICAL,
    summary="Gradients are unscaled in the middle of an accumulation.",
    why=(
        "What later micro-batches add still carries the loss scale, up to 65536 times the weight of what was unscaled"
        " before. Where every micro-batch unscales, the second unscale_ raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, k):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y) / k
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)  # expect: AMP111
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if (i + 1) % k == 0:
                        scaler.step(optimizer)
                        scaler.update()
                        optimizer.zero_grad()
        """),
        Bad("""
            from torch.cuda import amp
            from torch.nn.utils import clip_grad_norm_

            def train_one_epoch(config, model, loader, optimizer, criterion, scaler):
                for idx, (samples, targets) in enumerate(loader):
                    loss = criterion(model(samples), targets)
                    if config.ACCUMULATION_STEPS > 1:
                        scaler.scale(loss / config.ACCUMULATION_STEPS).backward()
                        if config.CLIP_GRAD:
                            scaler.unscale_(optimizer)  # expect: AMP111
                            clip_grad_norm_(model.parameters(), config.CLIP_GRAD)
                        if (idx + 1) % config.ACCUMULATION_STEPS == 0:
                            scaler.step(optimizer)
                            optimizer.zero_grad()
                            scaler.update()
                    else:
                        optimizer.zero_grad()
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()

            def main(config, model, loader, optimizer, criterion):
                train_one_epoch(config, model, loader, optimizer, criterion, amp.GradScaler())
        """),
        Bad("""
            import torch

            def train(model, batches, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for micro in batches:
                    optimizer.zero_grad()
                    unscaled = False
                    for x in micro:
                        with torch.autocast("cuda", dtype=torch.float16):
                            loss = model(x).mean()
                        scaler.scale(loss).backward()
                        if not unscaled:
                            scaler.unscale_(optimizer)  # expect: AMP111
                            unscaled = True
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            class Accelerated:
                def unscale(self, optimizers):
                    for optimizer in optimizers:
                        while hasattr(optimizer, "optimizer"):
                            optimizer = optimizer.optimizer
                        self.scaler.unscale_(optimizer)  # another one in each turn
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, k):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y) / k
                    scaler.scale(loss).backward()
                    if (i + 1) % k == 0:
                        scaler.unscale_(optimizer)
                        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                        scaler.step(optimizer)
                        scaler.update()
                        optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, args):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    boundary = (i + 1) % args.accumulate == 0
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y) / args.accumulate
                    scaler.scale(loss).backward()
                    if boundary and args.clip:
                        scaler.unscale_(optimizer)
                        torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
                    if not boundary:
                        continue
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def gan(gen, dis, loader, opt_g, opt_d, scaler):
                for x in loader:
                    opt_d.zero_grad()
                    scaler.scale(dis(gen(x).detach()).mean()).backward()
                    scaler.unscale_(opt_d)
                    torch.nn.utils.clip_grad_norm_(dis.parameters(), 1.0)
                    opt_g.zero_grad()
                    scaler.scale(-dis(gen(x)).mean()).backward()
                    scaler.unscale_(opt_g)
                    scaler.step(opt_d)
                    scaler.step(opt_g)
                    scaler.update()
        """),
    ),
)


def check(event: Unscaled | Stepped) -> Iterator[Problem]:
    """Report the unscale_ after which more was added, where the next unscale_ or the step meets it."""
    found = met_again(event)
    if found is None or found.why != "accumulation" or event.scaler is None or goes_through_optimizers(found.first):
        return
    label = event.optimizer.label
    tests = ((found.test.place, "the step waits for this"),) if found.test else ()
    yield Problem(
        place=found.first,
        message=f"{event.scaler.label}.unscale_({label}) runs before all gradients of the step are there",
        why="Later micro-batches add gradients that still carry the loss scale, or their unscale_ raises.",
        remedy="Unscale, clip and step under the same condition, once all micro-batches ran backward.",
        related=tests,
        scaler=event.scaler,
        suspicion=flags_disagree(event.state) or not found.certain,
    )


CHECKS = {Unscaled: check, Stepped: check}
