"""SCP002: a name is read where only another function or class binds it."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SCP002",
    name="name-bound-in-other-scope",
    severity=Severity.CRITICAL,
    summary="A name is used that is bound only inside another function or class.",
    why=(
        "The file does import or define the name, so it looks right in review, but the binding is a local of a sibling"
        " function, or a name of a class body that methods do not see. Reaching the line raises NameError."
    ),
    examples=(
        Bad("""
            def _training_step(model, batch):
                with autocast("cuda"):  # expect: SCP002
                    return model(batch)

            def run_fine_tuning(model, loader):
                from torch.amp import autocast

                for batch in loader:
                    _training_step(model, batch)
        """),
        Bad("""
            class Trainer:
                clip = 1.0

                def step(self):
                    return clip  # expect: SCP002
        """),
        Good("""
            def run_fine_tuning(model, loader):
                from torch.amp import autocast

                def step(batch):
                    with autocast("cuda"):
                        return model(batch)

                return [step(batch) for batch in loader]
        """),
        Good("""
            class Trainer:
                clip = 1.0

                def step(self):
                    return self.clip
        """),
    ),
)
