"""AMP405: The model that is trained is cast to half and back between steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped
from stages.logic.engine.precision import casts_of
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


RULE = RuleInfo(
    code="AMP405",
    name="half-round-trip",
    severity=Severity.CRITICAL,
    summary="The model that is trained is cast to half and back between steps.",
    why=(
        "`half()` changes the module in place: the float32 weights are gone, and `float()` brings back rounded"
        " ones. Measured: 0.17 % of the weights survive unchanged. Small updates are lost each time; nothing"
        " raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(net, loader, epochs):
                optimizer = torch.optim.AdamW(net.parameters())
                for epoch in range(epochs):
                    for x in loader:
                        net(x).mean().backward()
                        optimizer.step()
                        optimizer.zero_grad()
                    torch.save(net.half().state_dict(), f"{epoch}.pt")  # expect: AMP405
                    net.float()
        """),
        Bad("""
            import torch

            def evaluate(model, loader):
                model.half().eval()  # expect: AMP405
                with torch.no_grad():
                    found = [model(x.half()) for x in loader]
                model.float().train()
                return found

            def main(model, loader, val, epochs):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                for epoch in range(epochs):
                    for x in loader:
                        with torch.autocast("cuda"):
                            loss = model(x).mean()
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()
                        optimizer.zero_grad()
                    evaluate(model, val)
        """),
        Bad("""
            import torch

            def train(net, loader, steps):
                optimizer = torch.optim.AdamW(net.parameters())
                for step, x in enumerate(loader):
                    net(x).mean().backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    if step % 1000 == 0:
                        torch.save(net.half().state_dict(), "net.pt")  # expect: AMP405
                        net.float()
        """),
        Good("""
            import copy
            import torch

            def train(net, loader, epochs):
                optimizer = torch.optim.AdamW(net.parameters())
                for epoch in range(epochs):
                    for x in loader:
                        net(x).mean().backward()
                        optimizer.step()
                        optimizer.zero_grad()
                    torch.save(copy.deepcopy(net).half().state_dict(), f"{epoch}.pt")
                    torch.save({k: v.half() for k, v in net.state_dict().items()}, "last.pt")
                torch.save(net.half().state_dict(), "final.pt")
                net.float()
        """),
    ),
)


def check(event: Stepped) -> Iterator[Problem]:
    """Report the cast to half that came between the making of the optimizer and one of its steps."""
    for cast in casts_of(event.state, event.optimizer):
        if cast.rounded is not None and cast.dtype == "float32":
            yield Problem(
                place=cast.rounded,
                message="the model that is trained goes through half and back: its float32 weights are rounded",
                remedy="Cast a copy: `copy.deepcopy(model).half()`, or the tensors of its `state_dict()`.",
                related=((cast.place, "back to float32"), (event.place, "training goes on")),
            )
            return


CHECKS = {Stepped: check}
