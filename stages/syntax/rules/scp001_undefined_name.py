"""SCP001: a name is read that nothing binds."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SCP001",
    name="undefined-name",
    severity=Severity.CRITICAL,
    summary="A name is used that is bound nowhere and is no builtin.",
    why=(
        "Reaching the line raises NameError, often only on the branch that runs last: after an epoch, on the machine"
        " with a GPU, in the error handler. A name bound only for type checkers, or only declared, does not exist."
        " In annotations that Python does not evaluate the finding is LOW."
    ),
    examples=(
        Bad("""
            def train(model, loader):
                for batch in loader:
                    with autocast("cuda"):  # expect: SCP001
                        loss = model(batch)
                    loss.backward()
        """),
        Bad("""
            from typing import TYPE_CHECKING

            if TYPE_CHECKING:
                from torch.amp import GradScaler

            def make_scaler():
                return GradScaler("cuda")  # expect: SCP001
        """),
        Bad("""
            __all__ = ["train", "evaluate"]  # expect: SCP001

            def train():
                pass
        """),
        Good("""
            try:
                profile
            except NameError:
                def profile(function):
                    return function

            @profile
            def train():
                pass
        """),
    ),
)
