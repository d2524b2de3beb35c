"""AMP201: one autocast context spans several optimizer steps, so later forwards use weights it cached before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Backward
from stages.logic.staleness import stale_weights
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.problems import Problem

RULE = RuleInfo(
    code="AMP201",
    name="stale-autocast-weights",
    severity=Severity.CRITICAL,
    summary="One autocast context spans several optimizer steps.",
    why=(
        "Autocast caches the half copy of every fp32 weight until its outermost context is left. Steps inside of it"
        " change the weights but not the copies, so linear layers and convolutions go on with those of the first"
        " turn: the loss stays flat or describes weights that are not the ones that get saved. Nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                with torch.autocast("cuda", dtype=torch.float16):  # expect: AMP201
                    for images, labels in loader:
                        optimizer.zero_grad()
                        loss = criterion(model(images), labels)
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast

            class Trainer:
                def __init__(self, model, args):
                    self.model = model
                    self.amp = args.amp
                    self.optimizer = torch.optim.AdamW(model.parameters())

                def fit(self, loader, epochs):
                    with autocast(enabled=self.amp):  # expect: AMP201
                        for epoch in range(epochs):
                            self.epoch(loader)

                def epoch(self, loader):
                    for batch in loader:
                        with autocast(enabled=self.amp):
                            loss = self.model(batch).mean()
                        loss.backward()
                        self.optimizer.step()
                        self.optimizer.zero_grad()
        """),
        Bad("""
            import torch

            @torch.autocast("cuda", dtype=torch.bfloat16)  # expect: AMP201
            def train(model, optimizer, loader, every):
                for index, batch in enumerate(loader):
                    loss = model(batch).mean() / every
                    loss.backward()
                    if (index + 1) % every == 0:
                        optimizer.step()
                        optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for images, labels in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(images), labels)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()

            @torch.no_grad()
            def evaluate(model, loader, criterion):
                total = 0.0
                with torch.autocast("cuda", dtype=torch.float16):
                    for images, labels in loader:
                        total += criterion(model(images), labels).item()
                return total
        """),
        Good("""
            import torch

            def train(model, loader, optimizer):
                with torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=False):
                    for batch in loader:
                        model(batch).mean().backward()
                        optimizer.step()
                        optimizer.zero_grad()
                with torch.autocast("cuda", enabled=False):
                    for batch in loader:
                        model(batch).mean().backward()
                        optimizer.step()
                        optimizer.zero_grad()
        """),
        Good("""
            import torch

            def accumulate(model, parts, optimizers):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    for part in parts:
                        (model(part).mean() / len(parts)).backward()
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad()

            def one_step(model, batch, optimizers):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    model(batch).mean().backward()
                    for optimizer in optimizers:
                        optimizer.step()
        """),
        Good("""
            import torch

            def train_in_bfloat16(loader, lr):
                model = torch.nn.Linear(8, 8).to(torch.bfloat16)
                optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    for batch in loader:
                        model(batch).mean().backward()
                        optimizer.step()
                        optimizer.zero_grad()

            def train_compiled(net, loader, lr):
                model = torch.compile(net)
                optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    for batch in loader:
                        model(batch).mean().backward()
                        optimizer.step()
                        optimizer.zero_grad()
        """),
    ),
)


def check(event: Backward) -> Iterator[Problem]:
    """Report the context at the first backward that repeats in it after a step."""
    yield from stale_weights(event, "torch.autocast(...)", framework=False)


CHECKS = {Backward: check}
