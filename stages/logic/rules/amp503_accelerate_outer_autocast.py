"""AMP503: a framework's autocast context spans several optimizer steps, so later forwards use weights it cached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Backward
from stages.logic.staleness import stale_weights
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.problems import Problem

RULE = RuleInfo(
    code="AMP503",
    name="accelerate-outer-autocast",
    severity=Severity.CRITICAL,
    summary="`accelerator.autocast()` or `fabric.autocast()` spans several optimizer steps.",
    why=(
        "The context caches the half copies of the weights until it is left, and the framework clears nothing when"
        " its optimizer steps: from the second turn on, forwards use the first weights. The loss stays flat, nothing"
        " raises."
    ),
    mode="both",
    examples=(
        Bad("""
            from accelerate import Accelerator

            def main(model, optimizer, loader):
                accelerator = Accelerator(mixed_precision="fp16")
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                with accelerator.autocast():  # expect: AMP503
                    for batch in loader:
                        optimizer.zero_grad()
                        loss = model(**batch).loss
                        accelerator.backward(loss)
                        optimizer.step()
        """),
        Bad("""
            from lightning.fabric import Fabric

            def main(args, model, optimizer, loader):
                fabric = Fabric(precision=args.precision)
                model, optimizer = fabric.setup(model, optimizer)
                with fabric.autocast():  # expect: AMP503
                    for batch in loader:
                        fabric.backward(model.loss(batch))
                        optimizer.step()
                        optimizer.zero_grad()
        """),
        Good("""
            from accelerate import Accelerator

            def main(model, optimizer, loader, criterion):
                accelerator = Accelerator(mixed_precision="fp16")
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                for images, labels in loader:
                    with accelerator.accumulate(model):
                        with accelerator.autocast():
                            loss = criterion(model(images), labels)
                        accelerator.backward(loss)
                        optimizer.step()
                        optimizer.zero_grad()
        """),
        Good("""
            from accelerate import Accelerator

            def main(model, optimizer, loader):
                accelerator = Accelerator(mixed_precision="no")
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                with accelerator.autocast():
                    for batch in loader:
                        accelerator.backward(model(batch).loss)
                        optimizer.step()
                        optimizer.zero_grad()
        """),
    ),
)


def check(event: Backward) -> Iterator[Problem]:
    """Report the context at the first backward that repeats in it after a step."""
    yield from stale_weights(event, "accelerator.autocast()", framework=True)


CHECKS = {Backward: check}
